/* SPDX-License-Identifier: Apache-2.0 */
/* Named networks as a user means them: create, list, inspect, remove. */
#include "ctr.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "netns/ipam.h"
#include "netns/port.h"
#include "network.h"

#include <errno.h>
#include <stdio.h>

#define MTU_MIN 576
#define MTU_MAX 65535

/* What the three commands need: store, networks, sockets. */
struct desk {
	struct store store;
	struct net_store ns;
	struct net_socks socks;
};

#define DESK_INIT                                         \
	{                                                 \
		.store = STORE_INIT, .ns = NET_STORE_INIT \
	}

static void desk_close(struct desk *d)
{
	net_close(&d->socks);
	net_store_close(&d->ns);
	store_close(&d->store);
}

static int desk_open(struct desk *d, const struct ctr_global *g, bool make, struct err *e)
{
	int r = store_open(&d->store, g->root, make, e);

	/* After a reboot there may be networks where nothing else is yet. */
	if (r == 0 && d->store.fd < 0 && network_keep_any(&d->store)) {
		store_close(&d->store);
		r = store_open(&d->store, g->root, true, e);
	}
	if (r == 0)
		r = net_store_open(&d->store, make, &d->ns, e);
	return r;
}

/* ---- create ---- */

static int parse_subnet(int family, const char *subnet, const char *gateway, struct net_conf *c,
			struct err *e)
{
	static const char *const options[NET_FAMILIES][2] = {
		[NET_4] = { "--subnet", "--gateway" },
		[NET_6] = { "--ipv6", "--gateway6" },
	};
	uint8_t af = family == NET_4 ? AF_INET : AF_INET6;
	struct ipam_pool pool = {};
	struct ip_net net;

	if (!subnet)
		return gateway ? err_set(e, EINVAL, "%s: needs %s", options[family][1],
					 options[family][0])
			       : 0;
	if (ip_net_parse(subnet, &net) < 0 || net.ip.family != af)
		return err_set(e, EINVAL, "%s: not an IPv%d ADDRESS/LENGTH: %s", options[family][0],
			       family == NET_4 ? 4 : 6, subnet);
	pool.subnet = (struct ip_net){ .ip = ip_net_first(&net), .prefix = net.prefix };
	if (ip_cmp(&pool.subnet.ip, &net.ip) != 0)
		return err_set(e, EINVAL, "%s: bits behind the length are set: %s",
			       options[family][0], subnet);
	if (!gateway && ipam_default_gateway(&pool.subnet, &pool.gateway) < 0)
		return err_set(e, EINVAL, "%s: no room for anybody: %s", options[family][0],
			       subnet);
	if (gateway && (ip_parse(gateway, &pool.gateway) < 0 || pool.gateway.family != af))
		return err_set(e, EINVAL, "%s: not an IPv%d address: %s", options[family][1],
			       family == NET_4 ? 4 : 6, gateway);
	if (ipam_check(&pool, options[family][0], e) < 0)
		return -e->code;
	c->subnet[family] = pool.subnet;
	c->gateway[family] = pool.gateway;
	return 0;
}

static int check_bridge_name(const char *name, struct err *e)
{
	size_t len = strlen(name);

	if (len == 0 || len > NET_BRIDGE_MAX ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != len)
		return err_set(e, EINVAL, "--bridge: 1 to %d letters, digits and \"-\": %s",
			       NET_BRIDGE_MAX, name);
	return 0;
}

static bool no_ipv4(const struct network_create_opts *o)
{
	return o->subnet && str_eq(o->subnet, "none");
}

static int parse_conf(const char *name, const struct network_create_opts *o, struct net_conf *c,
		      struct err *e)
{
	int r = network_check_name(name, e);

	if (r == 0)
		r = parse_subnet(NET_4, no_ipv4(o) ? NULL : o->subnet, o->gateway, c, e);
	if (r == 0)
		r = parse_subnet(NET_6, o->subnet6, o->gateway6, c, e);
	if (r == 0 && no_ipv4(o) && !o->subnet6)
		r = err_set(e, EINVAL, "--subnet none: needs --ipv6");
	if (r == 0 && o->subnet6 && !ours_ipv6())
		r = err_set(e, EAFNOSUPPORT, "--ipv6: IPv6 is off on this host");
	if (r == 0 && o->mtu && (o->mtu < (o->subnet6 ? NET_MTU_6 : MTU_MIN) || o->mtu > MTU_MAX))
		r = err_set(e, EINVAL, "--mtu: %d to %d: %u", o->subnet6 ? NET_MTU_6 : MTU_MIN,
			    MTU_MAX, o->mtu);
	if (r == 0 && o->bridge)
		r = check_bridge_name(o->bridge, e);
	if (r < 0)
		return r;
	strcpy(c->name, name);
	c->mtu = o->mtu;
	c->internal = o->internal;
	if (o->bridge)
		strcpy(c->bridge, o->bridge);
	return 0;
}

/* Another network of this state root that is down now may have the name of the bridge. */
static int free_bridge(const struct desk *d, struct net_conf *c, struct err *e)
{
	AUTO(str_list_free) struct str_list names = {};
	int r = network_names(&d->ns, &names, e);

	for (size_t i = 0; i < names.n && r == 0; i++) {
		AUTO_NETWORK_REF struct network n = NETWORK_INIT;

		if (network_load(&d->ns, names.v[i], &n, NULL) == 0 &&
		    str_eq(n.conf.bridge, c->bridge))
			return err_set(e, EEXIST, "network %s: the bridge %s belongs to network %s",
				       c->name, c->bridge, names.v[i]);
	}
	return r;
}

static int make(struct desk *d, struct network *n, struct err *e)
{
	char alias[LINK_ALIAS_MAX];
	struct err ignored;
	int r = n->conf.bridge[0] ? 0 : ours_free_bridge(&d->ns, &d->socks, n, e);

	if (r == 0)
		r = free_bridge(d, &n->conf, e);
	network_alias(&d->ns, &n->conf, alias);
	if (r == 0)
		r = net_is_up(&d->socks, &n->conf, alias, e);
	if (r >= 0)
		r = ours_pick_subnets(&d->ns, &d->socks, n, 256, e);
	if (r == 0)
		r = network_make(&d->ns, n, e);
	if (r < 0)
		return r;
	r = ours_up(&d->ns, &d->socks, n, true, e);
	if (r == 0)
		r = network_keep(&d->ns, n, e);
	if (r < 0 && network_keep_not(&d->ns, n->conf.name, &ignored) < 0)
		log_warn("%s", ignored.msg);
	if (r < 0 && ours_down(&d->ns, &d->socks, n, &ignored) < 0)
		log_warn("%s", ignored.msg);
	return r;
}

int ctr_network_create(const struct ctr_global *g, const char *name,
		       const struct network_create_opts *o, struct err *e)
{
	AUTO_NETWORK_REF struct network n = NETWORK_INIT, other = NETWORK_INIT;
	AUTO(desk_close) struct desk d = DESK_INIT;
	int r = parse_conf(name, o, &n.conf, e);

	n.only_ipv6 = no_ipv4(o);
	if (r == 0)
		r = desk_open(&d, g, true, e);
	if (r < 0)
		return r;
	r = network_load(&d.ns, name, &other, e);
	if (r == 0)
		return err_set(e, EEXIST, "network %s: exists already", name);
	if (r == -ENOENT)
		r = net_open(&d.socks, e);
	return r < 0 ? r : make(&d, &n, e);
}

/* ---- remove ---- */

int ctr_network_remove(const struct ctr_global *g, const char *name, struct err *e)
{
	AUTO_NETWORK_REF struct network n = NETWORK_INIT;
	AUTO(desk_close) struct desk d = DESK_INIT;
	int r = desk_open(&d, g, false, e);

	if (r == 0)
		r = network_load(&d.ns, name, &n, e);
	if (r == 0)
		r = net_open(&d.socks, e);
	if (r == 0)
		r = ours_clean(&d.ns, &d.socks, &n, e);
	if (r < 0)
		return r;
	if (n.members.n > 0)
		return err_set(e, EBUSY, "network %s: container %s is in it", name,
			       n.members.v[0].id);
	r = network_keep_not(&d.ns, name, e);
	return r < 0 ? r : ours_down(&d.ns, &d.socks, &n, e);
}

/* ---- inspect and list ---- */

static void put_member(struct json_out *j, const struct member *m)
{
	static const char *const keys[NET_FAMILIES] = { "ip", "ip6" };
	const uint8_t *a = m->net.mac;
	char ip[IP_TEXT], mac[24], port[PORT_TEXT];

	json_out_object(j);
	json_out_kstr(j, "id", m->id);
	for (int f = 0; f < NET_FAMILIES; f++)
		if (m->net.ip[f].family)
			json_out_kstr(j, keys[f], ip_text(&m->net.ip[f], ip));
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4],
		 a[5]);
	json_out_kstr(j, "mac", mac);
	json_out_kstr(j, "link", m->net.veth);
	json_out_key(j, "ports");
	json_out_array(j);
	for (size_t i = 0; i < m->net.n_ports; i++)
		json_out_str(j, port_text(&m->net.ports[i], port));
	json_out_end_array(j);
	json_out_end_object(j);
}

static int put_network(const struct desk *d, const char *name, struct json_out *j, struct err *e)
{
	AUTO_NETWORK_REF struct network n = NETWORK_INIT;
	struct network_file f = {};
	int r = network_load(&d->ns, name, &n, e);

	if (r < 0)
		return r;
	r = network_to_file(&n, &f);
	json_out_object(j);
	if (r == 0)
		network_out(j, &f);
	json_out_key(j, "containers");
	json_out_array(j);
	for (size_t i = 0; i < n.members.n; i++)
		if (ours_alive((void *)(uintptr_t)&d->store, n.members.v[i].id))
			put_member(j, &n.members.v[i]);
	json_out_end_array(j);
	json_out_end_object(j);
	arena_free(&f.arena);
	return r < 0 ? err_sys(e, -r, "network %s", name) : 0;
}

int ctr_network_inspect(const struct ctr_global *g, const char *name, struct json_out *j,
			struct err *e)
{
	AUTO(desk_close) struct desk d = DESK_INIT;
	int r = desk_open(&d, g, false, e);

	return r < 0 ? r : put_network(&d, name, j, e);
}

int ctr_network_inspect_all(const struct ctr_global *g, struct json_out *j, struct err *e)
{
	AUTO(desk_close) struct desk d = DESK_INIT;
	AUTO(str_list_free) struct str_list names = {};
	int r = desk_open(&d, g, false, e);

	if (r == 0)
		r = network_names(&d.ns, &names, e);
	json_out_array(j);
	for (size_t i = 0; i < names.n && r == 0; i++)
		r = put_network(&d, names.v[i], j, e);
	json_out_end_array(j);
	return r;
}

static int fill_row(const struct desk *d, const char *name, struct ctr_network_row *row,
		    struct err *e)
{
	AUTO_NETWORK_REF struct network n = NETWORK_INIT;
	const struct net_conf *c = &n.conf;
	char net[IP_NET_TEXT];
	int r = network_load(&d->ns, name, &n, e);

	if (r < 0)
		return r;
	*row = (struct ctr_network_row){ .internal = c->internal };
	snprintf(row->name, sizeof(row->name), "%s", c->name);
	snprintf(row->bridge, sizeof(row->bridge), "%s", c->bridge);
	if (c->subnet[NET_4].ip.family)
		snprintf(row->subnet, sizeof(row->subnet), "%.23s",
			 ip_net_text(&c->subnet[NET_4], net));
	if (c->subnet[NET_6].ip.family)
		snprintf(row->subnet6, sizeof(row->subnet6), "%s",
			 ip_net_text(&c->subnet[NET_6], net));
	for (size_t i = 0; i < n.members.n; i++)
		row->containers += ours_alive((void *)(uintptr_t)&d->store, n.members.v[i].id);
	return 0;
}

int ctr_network_list(const struct ctr_global *g, struct ctr_network_row **out, size_t *n,
		     struct err *e)
{
	AUTO(desk_close) struct desk d = DESK_INIT;
	AUTO(str_list_free) struct str_list names = {};
	AUTO_FREE struct ctr_network_row *v = NULL;
	int r = desk_open(&d, g, false, e);

	if (r == 0)
		r = network_names(&d.ns, &names, e);
	if (r < 0)
		return r;
	v = calloc(names.n ? names.n : 1, sizeof(*v));
	if (!v)
		return err_sys(e, ENOMEM, "network list");
	for (size_t i = 0; i < names.n && r == 0; i++)
		r = fill_row(&d, names.v[i], &v[i], e);
	if (r < 0)
		return r;
	*out = TAKE_PTR(v);
	*n = names.n;
	return 0;
}
