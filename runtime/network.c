/* SPDX-License-Identifier: Apache-2.0 */
#include "network.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "container.h"
#include "net_files.h"
#include "net_plugins.h"
#include "netns/cni.h"
#include "netns/ipam.h"
#include "netns/pasta.h"
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

void network_use_free(struct network_use *u)
{
	network_plan_free(&u->plan);
	free(u->state);
	free(u->ns_path);
	free(u->files);
	*u = (struct network_use){};
}

/* ---- the configuration ---- */

static int of_container(struct network_use *u, const struct ctr_global *g, struct err *e)
{
	AUTO_CONTAINER struct container_ref c = CONTAINER_REF_INIT;
	int r = container_open(&c, g, u->plan.name, false, e);

	if (r < 0)
		return err_wrap(e, "--network");
	if (c.status == STATUS_STOPPED || c.status == STATUS_CREATING)
		return err_set(e, EINVAL, "--network: container %s is not running", u->plan.name);
	u->ns_path = str_printf("/proc/%d/ns/net", c.st->pid);
	/* Its files say who it is and where names are asked: that is shared with the namespace. */
	if (faccessat(c.dir, NET_HOSTS, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		u->files = str_printf("%s/%s", c.store.path, u->plan.name);
	return u->ns_path ? 0 : err_sys(e, ENOMEM, "--network");
}

static void add_file(struct spec_edit_net *out, const char *destination, const char *name)
{
	out->mounts[out->n_mounts++] =
		(struct spec_edit_mount){ .destination = destination, .name = name };
}

int network_edit(struct network_use *u, const struct ctr_global *g, const struct store *s,
		 const struct create_opts *o, struct spec_edit_net *out, struct err *e)
{
	enum network_mode mode = u->plan.mode;
	bool own = mode == NETWORK_OURS || mode == NETWORK_CNI || mode == NETWORK_PASTA;
	int r = 0;

	*out = (struct spec_edit_net){
		.set = mode != NETWORK_KEEP,
		.host = mode == NETWORK_HOST,
	};
	if (mode == NETWORK_CONTAINER)
		r = of_container(u, g, e);
	else if (mode == NETWORK_PATH)
		u->ns_path = strdup(u->plan.name);
	if (own || mode == NETWORK_PATH || (mode == NETWORK_HOST && o->clone))
		u->files = str_printf("%s/%s", s->path, o->id);
	if (r < 0)
		return r;
	out->path = u->ns_path;
	out->source = u->files;
	if (own)
		add_file(out, "/etc/hostname", NET_HOSTNAME);
	if (own || mode == NETWORK_CONTAINER)
		add_file(out, "/etc/hosts", NET_HOSTS);
	if (u->files)
		add_file(out, "/etc/resolv.conf", NET_RESOLV);
	if (u->files && u->plan.dns->n)
		out->mounts[out->n_mounts - 1].option = "--dns";
	if (!u->files)
		out->n_mounts = 0;
	return 0;
}

/* ---- a network of ours: before the child ---- */

static int check_possible(const struct network_use *u, const struct net_conf *c, struct err *e)
{
	static const char *const options[NET_FAMILIES] = { "--ip", "--ip6" };
	static const struct ip loopback6 = { .family = AF_INET6, .b = { [15] = 1 } };

	for (int f = 0; f < NET_FAMILIES; f++)
		if (u->plan.ip[f].family && !c->subnet[f].ip.family)
			return err_set(e, EINVAL, "%s: network %s has no IPv%d", options[f],
				       c->name, f == NET_4 ? 4 : 6);
	if (c->internal && u->plan.n_ports)
		return err_set(e, EINVAL, "--publish: network %s is internal", c->name);
	for (size_t i = 0; i < u->plan.n_ports; i++) {
		const struct ip *ip = &u->plan.ports[i].ip;
		int f = ip->family == AF_INET6 ? NET_6 : NET_4;

		if (ip->family && !c->subnet[f].ip.family)
			return err_set(e, EINVAL, "--publish: network %s has no IPv%d", c->name,
				       f == NET_4 ? 4 : 6);
		/* See netns/net_rules.c. */
		if (ip->family == AF_INET6 && ip_cmp(ip, &loopback6) == 0)
			return err_set(
				e, EINVAL,
				"--publish: nothing can be published on ::1 (the kernel routes "
				"nothing to it but from lo); 127.0.0.1 works");
	}
	return 0;
}

static int take_addresses(struct network_use *u, const struct net_store *ns,
			  const struct network *n, const char *id, struct err *e)
{
	const struct net_conf *c = &n->conf;
	struct ipam_pool pools[NET_FAMILIES];
	struct ip got[IPAM_POOLS] = {};
	struct ipam_request q = {
		.dir = n->dir,
		.network = c->name,
		.pools = pools,
		.id = id,
		.alive = ours_alive,
		.arg = (void *)(uintptr_t)ns->root,
	};
	int families[NET_FAMILIES], r;

	for (int f = 0; f < NET_FAMILIES; f++) {
		if (!c->subnet[f].ip.family)
			continue;
		pools[q.n_pools] =
			(struct ipam_pool){ .subnet = c->subnet[f], .gateway = c->gateway[f] };
		q.want[q.n_pools] = u->plan.ip[f];
		families[q.n_pools++] = f;
	}
	r = ipam_take(&q, got, e);
	for (size_t i = 0; i < q.n_pools && r == 0; i++)
		u->member.ip[families[i]] = got[i];
	return r;
}

/*
 * Both are made of the last four bytes of an address, which in a subnet of IPv6 alone are not all
 * of it; and a hardware address may have been chosen by somebody.
 */
static int check_link(const struct network_use *u, const struct network *n, struct err *e)
{
	const uint8_t *a = u->member.mac;
	char ip[IP_TEXT];

	for (size_t i = 0; i < n->members.n; i++) {
		const struct member *m = &n->members.v[i];

		if (str_eq(m->net.veth, u->member.veth))
			return err_set(e, EADDRINUSE,
				       "network %s: addresses of which %s is one end in the same "
				       "four bytes as those of container %s: --ip6 names another",
				       n->conf.name, ip_text(&u->member.ip[NET_6], ip), m->id);
		if (!memcmp(m->net.mac, a, LINK_ETHER))
			return err_set(e, EADDRINUSE,
				       "%s: %02x:%02x:%02x:%02x:%02x:%02x is taken by container %s",
				       u->plan.mac_text ? "--mac" : "hardware address", a[0], a[1],
				       a[2], a[3], a[4], a[5], m->id);
	}
	return 0;
}

static int join(struct network_use *u, const struct net_store *ns, struct network *n,
		const char *id, const char *hostname, struct err *e)
{
	struct member *m;
	int r = take_addresses(u, ns, n, id, e);

	if (r < 0)
		return r;
	net_mac(u->member.ip, u->member.mac);
	if (u->plan.mac_text)
		memcpy(u->member.mac, u->plan.mac, LINK_ETHER);
	net_veth_name(&n->conf, u->member.ip, u->member.veth);
	r = check_link(u, n, e);
	if (r < 0)
		return r;
	u->member.ports = u->plan.ports;
	u->member.n_ports = u->plan.n_ports;
	u->conf = n->conf;
	m = members_add(&n->members);
	if (!m || member_fill(m, id, hostname, &u->member) < 0)
		return err_sys(e, ENOMEM, "network %s", n->conf.name);
	m->limited = u->plan.rate.up != 0;
	return network_save_members(n, e);
}

/* Takes id out of the network, and the network away when it is there for its members only. */
static int leave(const struct net_store *ns, struct net_socks *s, struct network *n, const char *id,
		 struct err *e)
{
	struct member *m = members_find(&n->members, id);
	int r;

	if (n->automatic && n->members.n == (m ? 1 : 0))
		return ours_down(ns, s, n, e);
	r = m ? ours_remove(ns, s, n, m, e) : ipam_release(n->dir, n->conf.name, id, e);
	if (r == 0 && m)
		net_files_refresh(ns->root, &n->members);
	return r;
}

/* What a container of this ID has left in the network, and those that are gone. */
static int clean(const struct net_store *ns, struct net_socks *s, struct network *n, const char *id,
		 struct err *e)
{
	struct member *m = members_find(&n->members, id);
	int r = m ? ours_remove(ns, s, n, m, e) : 0;

	return r < 0 ? r : ours_clean(ns, s, n, e);
}

static int take_ours(struct network_use *u, const struct store *s, int dir, const char *id,
		     const char *hostname, struct err *e)
{
	AUTO_NET_STORE struct net_store ns = NET_STORE_INIT;
	AUTO_NETWORK_REF struct network n = NETWORK_INIT;
	AUTO_NET struct net_socks socks = {};
	struct err ignored;
	int r = net_store_open(s, true, &ns, e);

	if (r == 0)
		r = net_open(&socks, e);
	if (r == 0)
		r = ours_open(&ns, &socks, u->plan.name, &n, e);
	if (r < 0)
		return r;
	r = check_possible(u, &n.conf, e);
	if (r == 0)
		r = clean(&ns, &socks, &n, id, e);
	if (r == 0)
		r = network_check_ports(&ns, &socks, id, u->plan.ports, u->plan.n_ports, e);
	if (r == 0)
		r = ours_up(&ns, &socks, &n, false, e);
	if (r == 0)
		r = join(u, &ns, &n, id, hostname, e);
	if (r == 0)
		r = net_files_write(dir, id, &n.members, hostname, u->plan.dns, e);
	if (r < 0) {
		if (leave(&ns, &socks, &n, id, &ignored) < 0)
			log_warn("%s", ignored.msg);
		return r;
	}
	net_files_refresh(s, &n.members);
	return 0;
}

/* ---- the others ---- */

static struct cni_request cni_of(const struct network_use *u, int dir, const char *id, int netns_fd)
{
	return (struct cni_request){
		.network = u->plan.name,
		.id = id,
		.netns_fd = netns_fd,
		.ifname = NET_INNER,
		.dir = dir,
		.ports = u->plan.ports,
		.n_ports = u->plan.n_ports,
		.ip = { u->plan.ip[NET_4], u->plan.ip[NET_6] },
		.mac = u->plan.mac_text,
	};
}

static int plugin_ports(const struct network_use *u, const struct store *s, const char *id,
			struct err *e)
{
	AUTO_NET_STORE struct net_store ns = NET_STORE_INIT;
	AUTO_NET struct net_socks socks = {};
	int r = u->plan.n_ports ? net_store_open(s, false, &ns, e) : 0;

	if (r == 0 && u->plan.n_ports)
		r = net_open(&socks, e);
	return r < 0 ? r : network_check_ports(&ns, &socks, id, u->plan.ports, u->plan.n_ports, e);
}

static int take_plugins(struct network_use *u, const struct store *s, int dir, const char *id,
			struct err *e)
{
	struct cni_request q = cni_of(u, dir, id, -1);
	int r;

	u->state = str_printf(NETWORK_STATE_CNI "%s", u->plan.name);
	if (!u->state)
		return err_sys(e, ENOMEM, "--network");
	r = cni_find(&q, e);
	return r < 0 ? r : plugin_ports(u, s, id, e);
}

static int take_pasta(struct network_use *u, struct err *e)
{
	u->state = strdup(NETWORK_STATE_PASTA);
	return u->state ? pasta_find(e) : err_sys(e, ENOMEM, "--network");
}

int network_take(struct network_use *u, const struct store *s, int dir, const char *id,
		 const char *hostname, struct err *e)
{
	int r = 0;

	switch (u->plan.mode) {
	case NETWORK_OURS:
		r = take_ours(u, s, dir, id, hostname, e);
		if (r < 0)
			return r;
		u->state = strdup(u->plan.name);
		return u->state ? 0 : err_sys(e, ENOMEM, "--network");
	case NETWORK_CNI:
		r = take_plugins(u, s, dir, id, e);
		break;
	case NETWORK_PASTA:
		r = take_pasta(u, e);
		break;
	case NETWORK_HOST:
		return u->files ? net_files_host(dir, e) : 0;
	case NETWORK_PATH:
		break;
	default:
		return 0;
	}
	return r < 0 ? r : net_files_write(dir, id, NULL, hostname, u->plan.dns, e);
}

/* The tables are gone: somebody has flushed the whole ruleset. All members get theirs back. */
static int restore(const struct network_use *u, const struct store *s, struct net_socks *socks,
		   struct err *e)
{
	AUTO_NET_STORE struct net_store ns = NET_STORE_INIT;
	AUTO_NETWORK_REF struct network n = NETWORK_INIT;
	int r = net_store_open(s, true, &ns, e);

	if (r == 0)
		r = ours_open(&ns, socks, u->conf.name, &n, e);
	return r < 0 ? r : ours_up(&ns, socks, &n, true, e);
}

static int connect_ours(struct network_use *u, const struct store *s, int netns_fd, struct err *e)
{
	AUTO_NET struct net_socks socks = {};
	bool limited = u->plan.rate.up || u->plan.rate.down;
	char ifb[IFNAMSIZ];
	int index, r = net_open(&socks, e);

	if (r < 0)
		return r;
	r = net_attach(&socks, &u->conf, &u->member, netns_fd, limited ? &index : NULL, e);
	if (r == -ENOENT && !e->msg[0]) {
		r = restore(u, s, &socks, e);
		if (r == 0)
			r = net_attach(&socks, &u->conf, &u->member, netns_fd,
				       limited ? &index : NULL, e);
	}
	if (r < 0 || !limited)
		return r;
	member_ifb(&u->member, ifb);
	return tc_limit(&socks.route, index, ifb, &u->plan.rate, e);
}

static int connect_plugins(struct network_use *u, const struct store *s, int dir, const char *id,
			   int netns_fd, struct err *e)
{
	struct cni_request q = cni_of(u, dir, id, netns_fd);
	AUTO(arena_free) struct arena a = {};
	struct cni_result result = {};
	int r = cni_add(&q, &a, &result, e);

	if (r < 0 || !u->files)
		return r;
	net_plugins_names(s, u->plan.name);
	return net_plugins_servers(dir, &result, u->plan.dns, e);
}

static int connect_pasta(struct network_use *u, int dir, int netns_fd, int userns_fd, struct err *e)
{
	struct pasta_request q = {
		.netns_fd = netns_fd,
		.userns_fd = userns_fd,
		.dir = dir,
		.dir_path = u->files,
		.ifname = NET_INNER,
		.ports = u->plan.ports,
		.n_ports = u->plan.n_ports,
		.ip = { u->plan.ip[NET_4], u->plan.ip[NET_6] },
		.mac = u->plan.mac_text,
	};

	return pasta_start(&q, e);
}

int network_connect(struct network_use *u, const struct store *s, int dir, const char *id,
		    int netns_fd, int userns_fd, struct err *e)
{
	switch (u->plan.mode) {
	case NETWORK_OURS:
		e->msg[0] = '\0';
		return connect_ours(u, s, netns_fd, e);
	case NETWORK_CNI:
		return connect_plugins(u, s, dir, id, netns_fd, e);
	case NETWORK_PASTA:
		return connect_pasta(u, dir, netns_fd, userns_fd, e);
	default:
		return 0;
	}
}

/* ---- the end ---- */

static int release_one(const struct net_store *ns, const char *name, const char *id, bool only_if,
		       struct err *e)
{
	AUTO_NETWORK_REF struct network n = NETWORK_INIT;
	AUTO_NET struct net_socks socks = {};
	int r = network_load(ns, name, &n, e);

	/* Removed by force, or lost with the state: then there is nothing of it either. */
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	/* One that is there for its members only, and has none, was half made or half removed. */
	if (only_if && !members_find(&n.members, id) && !(n.automatic && n.members.n == 0))
		return 0;
	r = net_open(&socks, e);
	return r < 0 ? r : leave(ns, &socks, &n, id, e);
}

static int release_ours(const struct store *s, const char *id, const char *network, struct err *e)
{
	AUTO_NET_STORE struct net_store ns = NET_STORE_INIT;
	AUTO(str_list_free) struct str_list names = {};
	int r = net_store_open(s, false, &ns, e);

	if (r < 0 || ns.dir < 0)
		return r;
	if (network)
		r = release_one(&ns, network, id, false, e);
	else
		r = network_names(&ns, &names, e);
	for (size_t i = 0; i < names.n && r == 0; i++)
		r = release_one(&ns, names.v[i], id, true, e);
	return r < 0 ? r : ours_ended(&ns, e);
}

int network_release(const struct store *s, int dir, const char *id, const char *network,
		    struct err *e)
{
	int r = 0;

	if (!network || str_after(network, NETWORK_STATE_PASTA))
		pasta_stop(dir);
	if (!network || str_after(network, NETWORK_STATE_CNI))
		r = cni_del(id, -1, dir, e);
	if (r < 0)
		return r;
	if (network && str_after(network, NETWORK_STATE_CNI))
		net_plugins_names(s, str_after(network, NETWORK_STATE_CNI));
	if (network &&
	    (str_after(network, NETWORK_STATE_PASTA) || str_after(network, NETWORK_STATE_CNI)))
		return 0;
	return release_ours(s, id, network, e);
}
