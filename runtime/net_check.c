/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the network of a container is still there. */
#include "network.h"

#include "base/cleanup.h"
#include "container.h"
#include "netns/cni.h"
#include "netns/pasta.h"

#include <errno.h>
#include <linux/netfilter.h>

static int check_link(struct net_socks *s, const struct net_conf *c, const struct member *m,
		      struct err *e)
{
	struct link l;
	int r = link_get(&s->route, m->net.veth, 0, &l);

	if (r == -ENODEV)
		return err_set(e, ENODEV, "network %s: the link %s of container %s is gone",
			       c->name, m->net.veth, m->id);
	return r < 0 ? err_sys(e, -r, "network %s: look at %s", c->name, m->net.veth) : 0;
}

static int check_ours(const struct store *s, const char *id, const char *network, struct err *e)
{
	AUTO_NET_STORE struct net_store ns = NET_STORE_INIT;
	AUTO_NETWORK_REF struct network n = NETWORK_INIT;
	AUTO_NET struct net_socks socks = {};
	char alias[LINK_ALIAS_MAX];
	struct member *m;
	int r = net_store_open(s, false, &ns, e);

	if (r == 0)
		r = network_load(&ns, network, &n, e);
	if (r == 0)
		r = net_open(&socks, e);
	if (r < 0)
		return r;
	m = members_find(&n.members, id);
	if (!m)
		return err_set(e, ENOENT, "network %s: container %s is not in it", network, id);
	network_alias(&ns, &n.conf, alias);
	r = net_is_up(&socks, &n.conf, alias, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ENODEV, "network %s: its bridge %s is gone or down", network,
			       n.conf.bridge);
	if (!nft_chain_there(&socks.filter, NFPROTO_INET, n.conf.bridge, "forward") ||
	    !nft_chain_there(&socks.filter, NFPROTO_BRIDGE, n.conf.bridge, "guard"))
		return err_set(e, ENOENT,
			       "network %s: its rules are gone: the next container that starts in "
			       "it brings them back",
			       network);
	return check_link(&socks, &n.conf, m, e);
}

static int check(const struct store *s, int dir, const char *id, const char *network, struct err *e)
{
	if (str_after(network, NETWORK_STATE_CNI))
		return cni_check(id, -1, dir, e);
	if (str_after(network, NETWORK_STATE_PASTA))
		return pasta_check(dir, e);
	return check_ours(s, id, network, e);
}

int ctr_network_check(const struct ctr_global *g, const char *id, struct err *e)
{
	AUTO_CONTAINER struct container_ref c = CONTAINER_REF_INIT;
	int r = container_open(&c, g, id, true, e);

	if (r < 0)
		return r;
	if (c.status == STATUS_STOPPED || c.status == STATUS_CREATING)
		return err_set(e, EINVAL, "container %s is not running", id);
	if (!c.st->network)
		return err_set(e, EINVAL, "container %s: ctr has made no network for it", id);
	return check(&c.store, c.dir, id, c.st->network, e);
}
