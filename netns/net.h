/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network of ours on the host, and containers in it: bridge, veth pairs, addresses, routes,
 * rules. Everything works in the caller's network namespace. The caller keeps the books and the
 * lock.
 */
#ifndef CTR_NETNS_NET_H
#define CTR_NETNS_NET_H

#include "base/err.h"
#include "base/str.h"
#include "netns/forward.h"
#include "netns/net_rules.h"

#define NET_INNER "eth0" /* the container's end */

/* The two sockets that all of it needs. Zero-initialise; net_close. */
struct net_socks {
	struct nl route, filter;
};

int net_open(struct net_socks *s, struct err *e);
void net_close(struct net_socks *s);
#define AUTO_NET __attribute__((cleanup(net_close)))

/*
 * Makes the network what it should be, whatever is there of it: bridge, gateway addresses,
 * settings, and the tables with all members and edges. alias (begins with NET_ALIAS) is the mark of
 * the bridge: one of that name with another mark, or another kind of link, is refused (-EEXIST).
 */
int net_up(struct net_socks *s, const struct net_conf *c, const char *alias,
	   const struct net_member *members, size_t n, const struct forward_links *edges,
	   struct err *e);

/*
 * Whether the bridge is there, up (which net_up makes it when all else is done) and ours: 1 or 0;
 * -EEXIST with *e: somebody else's, or there is none and a table of its name is somebody else's.
 * Who takes a network away asks this first.
 */
int net_is_up(struct net_socks *s, const struct net_conf *c, const char *alias, struct err *e);

/* Takes bridge, tables and the links named away. Missing is fine. */
int net_down(struct net_socks *s, const struct net_conf *c, const char *const *links, size_t n,
	     struct err *e);

/* A name for a bridge that no link, no table of others and nobody in but has: ctr0, ctr1 ... */
int net_free_name(struct net_socks *s, const struct str_list *but, char name[IFNAMSIZ],
		  struct err *e);

/* Whether there is a bridge of ours but this one, of whatever state directory. */
int net_others(struct net_socks *s, const char *but, bool *found, struct err *e);

/*
 * Whether a network of ours, of whatever state directory, publishes one of these ports, as the
 * kernel knows: 0, or -EADDRINUSE with who does. but: bridges not to look at.
 */
int net_port_taken(struct net_socks *s, const struct str_list *but, const struct ip_port *ports,
		   size_t n, struct err *e);

/*
 * Connects the namespace netns_fd, which has no eth0 yet. -ENOENT (without *e): the tables are
 * gone, net_up makes them anew, with this member. On other errors the caller undoes with
 * net_detach.
 * *index is the host's end.
 */
int net_attach(struct net_socks *s, const struct net_conf *c, const struct net_member *m,
	       int netns_fd, int *index, struct err *e);

/* Takes a member away: its elements and its link. What is gone already is fine. */
int net_detach(struct net_socks *s, const struct net_conf *c, const struct net_member *m,
	       struct err *e);

/*
 * Makes these the edges of all networks of ours that are up, of whatever state directory: who is
 * the last on this host is to keep it from being a router.
 */
int net_set_edges(struct net_socks *s, const struct forward_links *edges, struct err *e);

/* The edges of all networks of ours that are up, of whatever state directory, appended to l. */
int net_get_edges(struct net_socks *s, struct forward_links *l, struct err *e);

/* For a batch: the edges of the tables of a bridge, which has none. */
void net_put_edges(struct nl_batch *b, const char *bridge, const struct forward_links *edges);

#endif
