/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks of ctr as a whole: which subnet, when they are up, when they go. Called with the lock of
 * the store held.
 */
#include "network.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "netns/addr.h"
#include "netns/conntrack.h"
#include "netns/foreign.h"
#include "netns/ipam.h"
#include "netns/route.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

bool ours_ipv6(void)
{
	char buf[8];

	return io_read_small(AT_FDCWD, "/proc/sys/net/ipv6/conf/all/disable_ipv6", buf,
			     sizeof(buf)) > 0 &&
	       str_eq(buf, "0");
}

bool ours_alive(void *store, const char *id)
{
	const struct store *s = store;

	return faccessat(s->fd, id, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- subnets ---- */

/*
 * Where subnets come from that nobody has chosen: a part of 10.0.0.0/8 that other tools do not take
 * theirs from, and one of the addresses for sites. The rest of a /48 would be random by RFC 4193,
 * so that two sites can be joined; these are never seen outside of the host.
 */
#define POOL4_PREFIX 20
#define POOL6_PREFIX 64
static const struct ip_net pools[NET_FAMILIES] = {
	[NET_4] = { .ip = { .family = AF_INET, .b = { 10, 144 } }, .prefix = 12 },
	[NET_6] = { .ip = { .family = AF_INET6, .b = { 0xfd, 0x63, 0x74, 0x72 } }, .prefix = 32 },
};
static const uint8_t pool_prefix[NET_FAMILIES] = { POOL4_PREFIX, POOL6_PREFIX };

/* Where a route (a VPN's to 10.0.0.0/8) covers all of the first. */
static const struct ip_net further4[] = {
	{ .ip = { .family = AF_INET, .b = { 172, 16 } }, .prefix = 12 },
	{ .ip = { .family = AF_INET, .b = { 192, 168 } }, .prefix = 16 },
};

/* A subnet that is in use, and by whom. */
struct used {
	struct ip_net net;
	bool route; /* a longer one would win over it */
	char who[NET_NAME_MAX + 32];
};

struct used_list {
	struct used *v;
	size_t n;
	bool failed;
	const char *bridge; /* whose addresses do not count: the network's own */
};

static void used_free(struct used_list *l)
{
	free(l->v);
}

static struct used *used_add(struct used_list *l, const struct ip_net *net)
{
	struct used *v = reallocarray(l->v, l->n + 1, sizeof(*v));

	if (!v) {
		l->failed = true;
		return NULL;
	}
	l->v = v;
	v[l->n] = (struct used){ .net = *net };
	return &v[l->n++];
}

/* A default route is in nobody's way, nor is one in two halves, as VPNs have it. */
#define DEFAULT_PREFIX 1

static int add_route(const struct route *r, void *arg)
{
	struct used *u = r->to.prefix > DEFAULT_PREFIX ? used_add(arg, &r->to) : NULL;
	char name[IFNAMSIZ] = "?", net[IP_NET_TEXT];

	if (!u)
		return 0;
	u->route = true;
	if_indextoname((unsigned int)r->link, name);
	snprintf(u->who, sizeof(u->who), "the host's route to %s (%s)", ip_net_text(&r->to, net),
		 name);
	return 0;
}

static int add_addr(int index, const struct ip_net *a, void *arg)
{
	struct ip_net net = { .ip = ip_net_first(a), .prefix = a->prefix };
	struct used_list *l = arg;
	char name[IFNAMSIZ] = "?";
	bool named = if_indextoname((unsigned int)index, name);
	struct used *u = str_eq(name, l->bridge) ? NULL : used_add(l, &net);

	if (u && named)
		snprintf(u->who, sizeof(u->who), "the host's link %s", name);
	return 0;
}

static int add_networks(const struct net_store *ns, struct used_list *l, const char *but,
			struct err *e)
{
	AUTO(str_list_free) struct str_list names = {};
	int r = network_names(ns, &names, e);

	for (size_t i = 0; i < names.n && r == 0; i++) {
		AUTO_NETWORK_REF struct network n = NETWORK_INIT;

		if (str_eq(names.v[i], but) || network_load(ns, names.v[i], &n, NULL) < 0)
			continue;
		for (int f = 0; f < NET_FAMILIES; f++) {
			struct used *u =
				n.conf.subnet[f].ip.family ? used_add(l, &n.conf.subnet[f]) : NULL;

			if (u)
				snprintf(u->who, sizeof(u->who), "network %s", names.v[i]);
		}
	}
	return r;
}

static int find_used(const struct net_store *ns, struct net_socks *s, const char *but,
		     struct used_list *l, struct err *e)
{
	int r = add_networks(ns, l, but, e);

	/* Our own first: what is in the way is named by its best name. */
	if (r < 0)
		return r;
	r = routes_each(&s->route, AF_INET, add_route, l);
	if (r == 0)
		r = routes_each(&s->route, AF_INET6, add_route, l);
	if (r == 0)
		r = addrs_each(&s->route, add_addr, l);
	if (r < 0)
		return err_sys(e, -r, "network %s: read the host's routes", but);
	return l->failed ? err_sys(e, ENOMEM, "network %s", but) : 0;
}

static int check_given(const struct network *n, int family, const struct used_list *l,
		       struct err *e)
{
	const struct ip_net *net = &n->conf.subnet[family];
	char buf[IP_NET_TEXT];

	for (size_t i = 0; i < l->n; i++)
		if (ip_net_overlap(net, &l->v[i].net) &&
		    !(l->v[i].route && l->v[i].net.prefix < net->prefix))
			return err_set(e, EEXIST, "network %s: subnet %s overlaps %s", n->conf.name,
				       ip_net_text(net, buf), l->v[i].who);
	return 0;
}

/* The number first of the pool if it is free, else the first that is. */
static int pick(struct network *n, int family, unsigned int first, const struct used_list *l,
		struct err *e)
{
	AUTO_FREE struct ip_net *used = calloc(l->n ? l->n : 1, sizeof(*used));
	struct ip_net from = pools[family];
	int r = -ENOSPC;

	if (!used)
		return err_sys(e, ENOMEM, "network %s", n->conf.name);
	for (size_t i = 0; i < l->n; i++)
		used[i] = l->v[i].net;
	if (first < 256) {
		struct ip_net one = { .ip = from.ip, .prefix = pool_prefix[family] };

		if (family == NET_4) {
			one.ip.b[1] |= (uint8_t)(first >> 4);
			one.ip.b[2] = (uint8_t)(first << 4);
		} else {
			one.ip.b[7] = (uint8_t)first;
		}
		r = ipam_pick_subnet(&one, pool_prefix[family], used, l->n,
				     &n->conf.subnet[family]);
	}
	if (r == -ENOSPC)
		r = ipam_pick_subnet(&from, pool_prefix[family], used, l->n,
				     &n->conf.subnet[family]);
	for (size_t i = 0; r == -ENOSPC && family == NET_4 && i < ARRAY_SIZE(further4); i++)
		r = ipam_pick_subnet(&further4[i], POOL4_PREFIX, used, l->n,
				     &n->conf.subnet[family]);
	if (r == 0)
		r = ipam_default_gateway(&n->conf.subnet[family], &n->conf.gateway[family]);
	return r < 0 ? err_sys(e, -r,
			       "network %s: no subnet is free in the pools: ctr network create "
			       "%s --subnet SUBNET names one",
			       n->conf.name, n->conf.name)
		     : 0;
}

int ours_pick_subnets(const struct net_store *ns, struct net_socks *s, struct network *n,
		      unsigned int first, struct err *e)
{
	AUTO(used_free) struct used_list l = { .bridge = n->conf.bridge };
	bool given = n->conf.subnet[NET_4].ip.family || n->conf.subnet[NET_6].ip.family;
	bool six = !given && ours_ipv6() && (!n->conf.mtu || n->conf.mtu >= NET_MTU_6);
	int r = find_used(ns, s, n->conf.name, &l, e);

	for (int f = 0; f < NET_FAMILIES && r == 0; f++) {
		if (n->conf.subnet[f].ip.family)
			r = check_given(n, f, &l, e);
		else if (f == NET_4 ? !n->only_ipv6 : six)
			r = pick(n, f, first, &l, e);
	}
	return r;
}

/* One that was made before a reboot: what it was given may be in use by now. */
static int check_free(const struct net_store *ns, struct net_socks *s, const struct network *n,
		      struct err *e)
{
	AUTO(used_free) struct used_list l = { .bridge = n->conf.bridge };
	int r = find_used(ns, s, n->conf.name, &l, e);

	for (int f = 0; f < NET_FAMILIES && r == 0; f++)
		if (n->conf.subnet[f].ip.family)
			r = check_given(n, f, &l, e);
	return r;
}

/* ---- up and down ---- */

/* Told once, when the network comes up: what it costs is that containers reach nobody. */
static void tell_blocked(const struct network *n)
{
	log_warn("network %s: iptables of this host turn down what is forwarded (policy of chain "
		 "FORWARD): iptables -I FORWARD -i %s -j ACCEPT, and the same with -o, let "
		 "containers out and published ports in",
		 n->conf.name, n->conf.bridge);
}

static int ask_others(struct net_socks *s, const struct network *n, bool first, struct err *e)
{
	AUTO(str_buf_free) struct str_buf more = {}, all = {};
	AUTO_FREE char *have = NULL;
	bool blocked = false;
	int r = network_read_foreign(n, &have, e);

	if (r == 0)
		r = foreign_find(s, &n->conf, have, &more, &blocked, e);
	if (blocked && first)
		tell_blocked(n);
	if (r < 0 || !more.len)
		return r;
	foreign_note(have, more.s, &all);
	if (all.failed)
		return err_sys(e, ENOMEM, "network %s", n->conf.name);
	r = network_write_foreign(n, all.s, e);
	if (r == 0 && foreign_add(more.s, e) < 0)
		r = err_wrap(e, "network %s: the host's firewall", n->conf.name);
	return r;
}

int ours_up(const struct net_store *ns, struct net_socks *s, struct network *n, bool force,
	    struct err *e)
{
	AUTO(forward_free) struct forward_links links = {};
	AUTO_FREE struct net_member *v = NULL;
	char alias[LINK_ALIAS_MAX];
	int r, up;

	network_alias(ns, &n->conf, alias);
	up = net_is_up(s, &n->conf, alias, e);
	if (up < 0)
		return up;
	r = up ? 0 : check_free(ns, s, n, e);
	if (r == 0)
		r = ours_forward(ns, s, n, !up || force, &links, e);
	if (r == 0 && (!up || force)) {
		v = calloc(n->members.n ? n->members.n : 1, sizeof(*v));
		if (!v)
			return err_sys(e, ENOMEM, "network %s", n->conf.name);
		for (size_t i = 0; i < n->members.n; i++)
			v[i] = n->members.v[i].net;
		r = net_up(s, &n->conf, alias, v, n->members.n, &links, e);
	}
	if (r == 0)
		r = ask_others(s, n, !up, e);
	return r < 0 ? r : forward_on(&links, e);
}

static int take_down(struct net_socks *s, const struct network *n, struct err *e)
{
	AUTO_FREE const char **links = calloc(n->members.n + 1, sizeof(*links));
	AUTO_FREE char *foreign = NULL;
	char ifb[IFNAMSIZ];
	int r = network_read_foreign(n, &foreign, e);

	if (r < 0)
		return r;
	if (!links)
		return err_sys(e, ENOMEM, "network %s", n->conf.name);
	for (size_t i = 0; i < n->members.n; i++) {
		const struct member *m = &n->members.v[i];

		links[i] = m->net.veth;
		if (!m->limited)
			continue;
		member_ifb(&m->net, ifb);
		if (tc_remove(&s->route, ifb) < 0)
			log_warn("network %s: %s stays", n->conf.name, ifb);
	}
	r = net_down(s, &n->conf, links, n->members.n, e);
	if (r < 0)
		return r;
	/* What comes on a flow of before would reach whoever gets the address. */
	for (size_t i = 0; i < n->members.n; i++)
		if (flows_forget(&s->filter, &n->members.v[i].net) < 0)
			log_warn("network %s: flows to container %s stay", n->conf.name,
				 n->members.v[i].id);
	foreign_remove(foreign);
	return 0;
}

int ours_down(const struct net_store *ns, struct net_socks *s, const struct network *n,
	      struct err *e)
{
	char alias[LINK_ALIAS_MAX];
	int r;

	network_alias(ns, &n->conf, alias);
	/* A bridge that has become somebody else's is left alone. */
	r = net_is_up(s, &n->conf, alias, e);
	if (r < 0)
		log_warn("%s", e->msg);
	else
		r = ours_forward_end(ns, s, n, e);
	if (r == 0)
		r = take_down(s, n, e);
	if (r == 0 || r == -EEXIST)
		r = network_erase(ns, n->conf.name, e);
	return r < 0 ? r : ours_forward_end(ns, s, NULL, e);
}

int ours_free_bridge(const struct net_store *ns, struct net_socks *s, struct network *n,
		     struct err *e)
{
	AUTO(str_list_free) struct str_list bridges = {};
	int r = network_bridges(ns, &bridges, e);

	if (r < 0)
		return r;
	r = net_free_name(s, &bridges, n->conf.bridge, e);
	return r < 0 ? err_wrap(e, "network %s", n->conf.name) : 0;
}

/* ---- the default network ---- */

#define DEFAULT_TRIES 16

static bool bridge_is_up(const struct net_store *ns, struct net_socks *s, const struct network *n)
{
	char alias[LINK_ALIAS_MAX];

	network_alias(ns, &n->conf, alias);
	return net_is_up(s, &n->conf, alias, NULL) > 0;
}

/* The name of a bridge is where two state roots on one host can meet: then another one. */
static int try_default(const struct net_store *ns, struct net_socks *s, struct network *n,
		       struct err *e)
{
	int r;

	strcpy(n->conf.name, NET_DEFAULT);
	n->automatic = true;
	r = ours_free_bridge(ns, s, n, e);
	if (r == 0)
		r = ours_pick_subnets(ns, s, n, (unsigned int)strtoul(n->conf.bridge + 3, NULL, 10),
				      e);
	if (r == 0)
		r = network_make(ns, n, e);
	if (r < 0)
		return r;
	r = ours_up(ns, s, n, false, e);
	if (r < 0) {
		struct err ignored;

		if (r == -EEXIST)
			network_erase(ns, NET_DEFAULT, NULL);
		else if (ours_down(ns, s, n, &ignored) < 0 && !bridge_is_up(ns, s, n) &&
			 network_erase(ns, NET_DEFAULT, NULL) == 0)
			ours_forward_end(ns, s, NULL, NULL);
	}
	return r;
}

int ours_default(const struct net_store *ns, struct net_socks *s, struct network *out,
		 struct err *e)
{
	int r = network_load(ns, NET_DEFAULT, out, e);

	for (int i = 0; r == -ENOENT || (r == -EEXIST && i < DEFAULT_TRIES); i++) {
		AUTO_NETWORK_REF struct network n = NETWORK_INIT;

		r = try_default(ns, s, &n, e);
		if (r < 0) {
			r = r == -ENOENT ? -EIO : r;
			continue;
		}
		*out = n;
		n = (struct network)NETWORK_INIT;
	}
	return r;
}

/* One that was made when this host had IPv6 still: its containers have the rest of it. */
static int without_ipv6(const struct net_store *ns, struct net_socks *s, struct network *n,
			struct err *e)
{
	struct net_conf *c = &n->conf;

	if (!c->subnet[NET_6].ip.family || ours_ipv6())
		return 0;
	if (!c->subnet[NET_4].ip.family)
		return err_set(e, EAFNOSUPPORT,
			       "network %s: it has no IPv4, and IPv6 is off on this host", c->name);
	if (!bridge_is_up(ns, s, n))
		log_warn("network %s: IPv6 is off on this host: its containers get IPv4 only",
			 c->name);
	c->subnet[NET_6] = (struct ip_net){};
	c->gateway[NET_6] = (struct ip){};
	return 0;
}

int ours_open(const struct net_store *ns, struct net_socks *s, const char *name,
	      struct network *out, struct err *e)
{
	int r = str_eq(name, NET_DEFAULT) ? ours_default(ns, s, out, e)
					  : network_load(ns, name, out, e);

	return r < 0 ? r : without_ipv6(ns, s, out, e);
}

/* ---- members ---- */

static int detach(struct net_socks *s, const struct network *n, const struct member *m,
		  struct err *e)
{
	char ifb[IFNAMSIZ];
	int r = net_detach(s, &n->conf, &m->net, e);

	if (r < 0 || !m->limited)
		return r;
	member_ifb(&m->net, ifb);
	r = tc_remove(&s->route, ifb);
	return r < 0 ? err_sys(e, -r, "remove %s", ifb) : 0;
}

/* Links and elements have names by the bridge: of one that is somebody else's they are, too. */
int ours_remove(const struct net_store *ns, struct net_socks *s, struct network *n,
		struct member *m, struct err *e)
{
	char alias[LINK_ALIAS_MAX];
	int r;

	network_alias(ns, &n->conf, alias);
	r = net_is_up(s, &n->conf, alias, e);
	if (r >= 0)
		r = detach(s, n, m, e);
	if (r == -EEXIST)
		r = 0;
	if (r == 0)
		r = ipam_release(n->dir, n->conf.name, m->id, e);
	if (r < 0)
		return r;
	members_remove(&n->members, m);
	return network_save_members(n, e);
}

int ours_clean(const struct net_store *ns, struct net_socks *s, struct network *n, struct err *e)
{
	int r = 0;

	for (size_t i = n->members.n; i-- > 0 && r == 0;)
		if (!ours_alive((void *)(uintptr_t)ns->root, n->members.v[i].id))
			r = ours_remove(ns, s, n, &n->members.v[i], e);
	return r;
}
