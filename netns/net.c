/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/net.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "netns/addr.h"
#include "netns/conntrack.h"
#include "netns/route.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <unistd.h>

int net_open(struct net_socks *s, struct err *e)
{
	int r = nl_open(&s->route, -1, e);

	return r < 0 ? r : nl_open_filter(&s->filter, e);
}

void net_close(struct net_socks *s)
{
	nl_close(&s->route);
	nl_close(&s->filter);
}

static int fail(const struct net_conf *c, int r, const char *what, struct err *e)
{
	return err_sys(e, -r, "network %s: %s", c->name, what);
}

/* A kernel without nf_tables, or without a part of it, says so in several ways. */
static const char *hint(int r)
{
	if (r == -EPROTONOSUPPORT || r == -EOPNOTSUPP || r == -EAFNOSUPPORT || r == -ENOENT ||
	    r == -EINVAL)
		return ": does this kernel have nf_tables with the families inet and bridge, nat, "
		       "fib and conntrack?";
	return "";
}

static int fail_rules(const struct net_conf *c, int r, const char *what, struct err *e)
{
	return err_sys(e, -r, "network %s: %s%s", c->name, what, hint(r));
}

/* ---- the network ---- */

static int taken(const struct net_conf *c, const struct link *l, struct err *e)
{
	const char *other = str_after(l->alias, NET_ALIAS);

	if (other)
		return err_set(e, EEXIST, "network %s: the bridge %s belongs to network %s",
			       c->name, c->bridge, other);
	return err_set(e, EEXIST, "network %s: the name of its bridge, %s, is taken by a link (%s)",
		       c->name, c->bridge, l->kind[0] ? l->kind : "device");
}

static int nothing(const struct nft_element *el, void *arg)
{
	(void)el;
	(void)arg;
	return 0;
}

/*
 * Tables of a bridge's name, without the bridge: what a ctr that was killed has left is replaced,
 * but "filter" and its like are names of other people's. They are told apart by what only ours
 * have. 1: somebody else's, in *family; 0, or -errno.
 */
static int foreign_table(struct net_socks *s, const char *name, const char **family)
{
	static const struct {
		uint8_t family;
		const char *name, *chain, *set;
	} ours[] = {
		{ NFPROTO_INET, "inet", "nat-out", "at4" },
		{ NFPROTO_BRIDGE, "bridge", "guard", "links" },
	};
	struct nl *n = &s->filter;

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		int r = nft_table_there(n, ours[i].family, name);

		if (r < 0)
			return r;
		*family = ours[i].name;
		if (r && (!nft_chain_there(n, ours[i].family, name, ours[i].chain) ||
			  nft_elements_each(n, ours[i].family, name, ours[i].set, nothing, NULL)))
			return 1;
	}
	return 0;
}

static int check_tables(struct net_socks *s, const struct net_conf *c, struct err *e)
{
	const char *family = NULL;
	int r = foreign_table(s, c->bridge, &family);

	if (r < 0)
		return fail_rules(c, r, "look for its rules", e);
	return r ? err_set(e, EEXIST,
			   "network %s: the name of its bridge, %s, is taken by somebody's table "
			   "of nf_tables (%s %s)",
			   c->name, c->bridge, family, c->bridge)
		 : 0;
}

int net_is_up(struct net_socks *s, const struct net_conf *c, const char *alias, struct err *e)
{
	struct link l;
	int r = link_get(&s->route, c->bridge, 0, &l);

	if (r == -ENODEV)
		return check_tables(s, c, e);
	if (r < 0)
		return fail(c, r, c->bridge, e);
	if (!str_eq(l.kind, "bridge") || !str_eq(l.alias, alias))
		return taken(c, &l, e);
	return l.up;
}

static int make_bridge(struct net_socks *s, const struct net_conf *c, const char *alias,
		       struct err *e)
{
	AUTO_NL_BATCH struct nl_batch b = {};
	union nl_request q;
	uint8_t mac[LINK_ETHER];
	int r;

	net_mac(c->gateway, mac);
	link_put_bridge(&q, c->bridge, mac);
	nl_batch_add(&b, &q);
	/* In the same breath: a bridge without its mark would be nobody's. */
	link_put_alias(&q, c->bridge, alias);
	nl_batch_add(&b, &q);
	if (c->mtu) {
		link_put_mtu(&q, c->bridge, c->mtu);
		nl_batch_add(&b, &q);
	}
	r = nl_batch_talk(&s->route, &b, NULL);
	return r < 0 && r != -EEXIST ? fail(c, r, "make its bridge", e) : 0;
}

static int finish_bridge(struct net_socks *s, const struct net_conf *c, struct err *e)
{
	AUTO_NL_BATCH struct nl_batch b = {};
	union nl_request q;
	struct link l;
	int r = link_get(&s->route, c->bridge, 0, &l);

	if (r < 0)
		return fail(c, r, "find its bridge", e);
	for (int i = 0; i < NET_FAMILIES; i++) {
		struct ip_net a = { .ip = c->gateway[i], .prefix = c->subnet[i].prefix };

		if (!a.ip.family)
			continue;
		addr_put(&q, l.index, &a);
		nl_batch_add(&b, &q);
	}
	r = nl_batch_talk(&s->route, &b, NULL);
	if (r < 0)
		return fail(c, r, "give its bridge its address", e);
	r = forward_bridge(c, e);
	if (r < 0)
		return r;
	/* Last: that it is up says that nothing is missing. */
	r = link_set_up(&s->route, l.index);
	return r < 0 ? fail(c, r, "set its bridge up", e) : 0;
}

static void debug_rules(const struct nft_table *t)
{
	for (size_t i = 0; i < t->n_rules && log_debugging(); i++) {
		AUTO(str_buf_free) struct str_buf b = {};

		nft_rule_text(&b, &t->rules[i]);
		log_debug("%s %s: %s", t->name, t->rules[i].chain, b.s ? b.s : "");
	}
}

static int put_member(struct nl_batch *b, bool add, const struct net_conf *c,
		      const struct net_member *m)
{
	AUTO(net_elements_free) struct net_elements guard = {}, ports = {};
	int r = net_guard_elements(m, &guard);

	if (r == 0)
		r = net_port_elements(m, &ports);
	if (r < 0)
		return r;
	nft_put_elements(b, add, NFPROTO_BRIDGE, c->bridge, guard.v, guard.n);
	nft_put_elements(b, add, NFPROTO_INET, c->bridge, ports.v, ports.n);
	return 0;
}

static int make_tables(struct net_socks *s, const struct net_conf *c,
		       const struct net_member *members, size_t n,
		       const struct forward_links *edges, struct err *e)
{
	AUTO_NL_BATCH struct nl_batch b = { .ruleset = true };
	AUTO_FREE struct nft_table *t = calloc(2, sizeof(*t));
	int r = t ? 0 : -ENOMEM;

	if (r == 0) {
		net_tables(c, &t[0], &t[1]);
		debug_rules(&t[0]);
		debug_rules(&t[1]);
		nft_put_table(&b, &t[0]);
		nft_put_table(&b, &t[1]);
		net_put_edges(&b, c->bridge, edges);
	}
	for (size_t i = 0; i < n && r == 0; i++)
		r = put_member(&b, true, c, &members[i]);
	if (r == 0)
		r = nl_batch_talk(&s->filter, &b, NULL);
	return r < 0 ? fail_rules(c, r, "make its rules", e) : 0;
}

int net_up(struct net_socks *s, const struct net_conf *c, const char *alias,
	   const struct net_member *members, size_t n, const struct forward_links *edges,
	   struct err *e)
{
	int r = net_is_up(s, c, alias, e);

	if (r >= 0)
		r = make_tables(s, c, members, n, edges, e);
	if (r == 0)
		r = make_bridge(s, c, alias, e);
	if (r == 0)
		r = finish_bridge(s, c, e);
	return r;
}

int net_down(struct net_socks *s, const struct net_conf *c, const char *const *links, size_t n,
	     struct err *e)
{
	static const uint8_t families[] = { NFPROTO_INET, NFPROTO_BRIDGE };
	AUTO_FREE const char **names = calloc(n + 1, sizeof(*names));
	int r = names ? 0 : -ENOMEM;

	if (r == 0) {
		if (n)
			memcpy(names, links, n * sizeof(*names));
		names[n] = c->bridge;
		r = link_delete_all(&s->route, names, n + 1);
	}
	if (r < 0)
		return fail(c, r, "remove its bridge", e);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		AUTO_NL_BATCH struct nl_batch b = { .ruleset = true };

		nft_put_no_table(&b, families[i], c->bridge);
		r = nl_batch_talk(&s->filter, &b, NULL);
		if (r < 0 && r != -ENOENT)
			return fail(c, r, "remove its rules", e);
	}
	return 0;
}

#define BRIDGES_MAX 1000

static bool among(const struct str_list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i], name))
			return true;
	return false;
}

int net_free_name(struct net_socks *s, const struct str_list *but, char name[IFNAMSIZ],
		  struct err *e)
{
	for (unsigned int i = 0; i < BRIDGES_MAX; i++) {
		const char *family;
		struct link l;
		int r;

		snprintf(name, IFNAMSIZ, "ctr%u", i);
		if (among(but, name))
			continue;
		r = link_get(&s->route, name, 0, &l);
		if (r == 0)
			continue;
		if (r == -ENODEV)
			r = foreign_table(s, name, &family);
		if (r == 0)
			return 0;
		if (r < 0)
			return err_sys(e, -r, "look for a name for its bridge%s", hint(r));
	}
	return err_set(e, ENOSPC, "ctr0 to ctr%d are all taken", BRIDGES_MAX - 1);
}

/* ---- containers ---- */

/* A link may not be told about a family that it does not have: by the kernel, or by its MTU. */
static bool has_ipv6(const struct net_conf *c)
{
	return (!c->mtu || c->mtu >= NET_MTU_6) && access("/proc/sys/net/ipv6", F_OK) == 0;
}

static int make_pair(struct net_socks *s, const struct net_conf *c, const struct net_member *m,
		     int netns_fd, struct err *e)
{
	AUTO_NL_BATCH struct nl_batch b = {};
	union nl_request q;
	struct link bridge;
	uint32_t which = 0;
	int r = link_get(&s->route, c->bridge, 0, &bridge);

	for (int tries = 0; tries < 2 && r == 0; tries++) {
		link_put_veth(&q, &(struct link_veth){ .name = m->veth,
						       .master = bridge.index,
						       .inner = NET_INNER,
						       .netns_fd = netns_fd,
						       .mac = m->mac,
						       .mtu = c->mtu });
		nl_batch_add(&b, &q);
		link_put_up(&q, 0, m->veth, has_ipv6(c));
		nl_batch_add(&b, &q);
		/*
		 * Where bridges show the rules for IP what they carry (br_netfilter), a container
		 * that asks for its own published port comes back by the way it went.
		 */
		if (m->n_ports) {
			link_put_hairpin(&q, m->veth);
			nl_batch_add(&b, &q);
		}
		r = nl_batch_talk(&s->route, &b, &which);
		if (r != -EEXIST || tries || link_delete(&s->route, m->veth) < 0)
			break;
		/* The rest of a container whose books are lost; the name is ours by its address. */
		r = 0;
	}
	if (r == -EEXIST)
		return err_set(e, EEXIST, "network %s: there is an " NET_INNER " in the container",
			       c->name);
	return r < 0 ? fail(c, r,
			    which ? "set the container's link up" : "make the container's link", e)
		     : 0;
}

static int inside(const struct net_conf *c, const struct net_member *m, int netns_fd, struct err *e)
{
	AUTO_NL_BATCH struct nl_batch b = {};
	AUTO_NL struct nl n = {};
	union nl_request q;
	struct link l;
	int r = nl_open(&n, netns_fd, e);

	if (r < 0)
		return r;
	r = link_get(&n, NET_INNER, 0, &l);
	if (r < 0)
		return fail(c, r, "find the container's end of its link", e);
	link_put_up(&q, l.index, NULL, false);
	nl_batch_add(&b, &q);
	for (int i = 0; i < NET_FAMILIES; i++) {
		struct ip_net a = { .ip = m->ip[i], .prefix = c->subnet[i].prefix };

		if (!a.ip.family)
			continue;
		addr_put(&q, l.index, &a);
		nl_batch_add(&b, &q);
	}
	for (int i = 0; i < NET_FAMILIES; i++) {
		if (!m->ip[i].family || c->internal)
			continue;
		route_put_default(&q, l.index, &c->gateway[i]);
		nl_batch_add(&b, &q);
	}
	r = nl_batch_talk(&n, &b, NULL);
	return r < 0 ? fail(c, r, "give the container its address and route", e) : 0;
}

int net_attach(struct net_socks *s, const struct net_conf *c, const struct net_member *m,
	       int netns_fd, int *index, struct err *e)
{
	AUTO_NL_BATCH struct nl_batch b = { .ruleset = true };
	struct link l = {};
	int r = put_member(&b, true, c, m);

	if (r == 0)
		r = nl_batch_talk(&s->filter, &b, NULL);
	if (r == -ENOENT)
		return r;
	if (r < 0)
		return fail_rules(c, r, "make the container's rules", e);
	r = flows_forget(&s->filter, m);
	if (r < 0)
		return fail(c, r, "forget the flows of before", e);
	r = make_pair(s, c, m, netns_fd, e);
	if (r == 0)
		r = inside(c, m, netns_fd, e);
	if (r == 0 && index) {
		r = link_get(&s->route, m->veth, 0, &l);
		if (r < 0)
			return fail(c, r, "find the container's link", e);
		*index = l.index;
	}
	return r;
}

/* One by one, when all at once did not go because something was missing. */
static int remove_elements(struct net_socks *s, const struct net_conf *c, uint8_t family,
			   const struct net_elements *l)
{
	AUTO_NL_BATCH struct nl_batch b = { .ruleset = true };
	int r = 0;

	nft_put_elements(&b, false, family, c->bridge, l->v, l->n);
	r = nl_batch_talk(&s->filter, &b, NULL);
	if (r != -ENOENT)
		return r;
	for (size_t i = 0; i < l->n; i++) {
		nft_put_elements(&b, false, family, c->bridge, &l->v[i], 1);
		r = nl_batch_talk(&s->filter, &b, NULL);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

int net_detach(struct net_socks *s, const struct net_conf *c, const struct net_member *m,
	       struct err *e)
{
	AUTO(net_elements_free) struct net_elements guard = {}, ports = {};
	int r = link_delete(&s->route, m->veth);

	if (r == 0)
		r = net_guard_elements(m, &guard);
	if (r == 0)
		r = net_port_elements(m, &ports);
	if (r == 0)
		r = remove_elements(s, c, NFPROTO_BRIDGE, &guard);
	if (r == 0)
		r = remove_elements(s, c, NFPROTO_INET, &ports);
	if (r == 0)
		r = flows_forget(&s->filter, m);
	return r < 0 ? fail(c, r, "take the container away", e) : 0;
}
