/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which links of the host forward because of us, over the life of a state root. The books are a
 * note of each root and, for what the roots of a host share, the edges in the kernel's tables.
 */
#include "network.h"

#include "base/cleanup.h"

/*
 * Written down first: a ctr that is killed in between leaves a note of what to switch off. What
 * other state roots have switched on is noted too, when rules are made (fresh) or anything changes:
 * it is switched off by whoever is the last.
 */
int ours_forward(const struct net_store *ns, struct net_socks *s, const struct network *n,
		 bool fresh, struct forward_links *links, struct err *e)
{
	const bool want[NET_FAMILIES] = { n->conf.subnet[NET_4].ip.family != 0,
					  n->conf.subnet[NET_6].ip.family != 0 };
	bool changed;
	size_t before;
	int r = net_store_read_opened(ns, links, e);

	before = links->n;
	if (r == 0 && !n->conf.internal)
		r = forward_find(&s->route, want, links, e);
	changed = links->n != before;
	changed = forward_settle(links) || changed;
	if (r == 0 && (fresh || changed))
		r = net_get_edges(s, links, e);
	/* Others may not know yet that the host has become a router. */
	forward_settle(links);
	if (r < 0 || (links->n == before && !changed))
		return r;
	r = net_store_write_opened(ns, links, e);
	/* The rules that keep the host from becoming a router come before it could. */
	return r < 0 ? r : net_set_edges(s, links, e);
}

/* 1 with the links that forward for this state root, when it has no network but this; else 0. */
static int last_links(const struct net_store *ns, const struct network *last,
		      struct forward_links *links, struct err *e)
{
	AUTO(str_list_free) struct str_list names = {};
	int r = network_names(ns, &names, e);

	for (size_t i = 0; i < names.n; i++)
		if (!last || !str_eq(names.v[i], last->conf.name))
			return 0;
	if (r == 0)
		r = net_store_read_opened(ns, links, e);
	return r < 0 ? r : 1;
}

/* What another state root has switched on since, which may have ended before this one. */
static int take_over(const struct net_store *ns, struct net_socks *s, struct forward_links *links,
		     struct err *e)
{
	size_t before = links->n;
	int r = net_get_edges(s, links, e);

	return r < 0 || links->n == before ? r : net_store_write_opened(ns, links, e);
}

/*
 * With the last network of this state root; others on this host may need it still. Twice: before
 * its rules go, which keep the host from being a router (last), and when it is gone, as whoever did
 * the first may have been killed. The note goes the second time.
 */
int ours_forward_end(const struct net_store *ns, struct net_socks *s, const struct network *last,
		     struct err *e)
{
	AUTO(forward_free) struct forward_links links = {};
	bool others = false;
	int r = last_links(ns, last, &links, e);

	if (r <= 0)
		return r;
	r = last ? take_over(ns, s, &links, e) : 0;
	if (r < 0 || links.n == 0)
		return r;
	r = net_others(s, last ? last->conf.bridge : "", &others, e);
	if (r < 0)
		return r;
	if (!others)
		forward_off(&links);
	return last ? 0 : net_store_write_opened(ns, &(struct forward_links){}, e);
}

int ours_ended(const struct net_store *ns, struct err *e)
{
	AUTO(forward_free) struct forward_links links = {};
	AUTO_NET struct net_socks s = {};
	int r = last_links(ns, NULL, &links, e);

	if (r <= 0 || links.n == 0)
		return r;
	r = net_open(&s, e);
	return r < 0 ? r : ours_forward_end(ns, &s, NULL, e);
}
