/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forwarding between links of the host. Where the whole host is a router already, there is nothing
 * to do. Otherwise only those links are made to forward that have an address, for packets from and
 * to containers; that the host is no router between them stays so (the sets "edge4" and "edge6" of
 * net_rules.h).
 */
#ifndef CTR_NETNS_FORWARD_H
#define CTR_NETNS_FORWARD_H

#include "base/err.h"
#include "base/str.h"
#include "netns/net_rules.h"
#include "netns/nl.h"

/* A link that was switched on by us. */
struct forward_link {
	int family; /* NET_4 or NET_6 */
	char name[IFNAMSIZ];
};

struct forward_links {
	struct forward_link *v; /* malloc'ed */
	size_t n;
};

/*
 * The links that a network of these families needs and that do not forward now, appended to l.
 * Nothing is changed yet: what will be must be written down first. 0 or -errno with *e.
 */
int forward_find(struct nl *n, const bool family[NET_FAMILIES], struct forward_links *l,
		 struct err *e);

/*
 * Switches them on, or off again. Off: a link that is gone is fine, and one stays on that forwards
 * because the whole host has become a router since.
 */
int forward_on(const struct forward_links *l, struct err *e);
void forward_off(const struct forward_links *l);

/*
 * Takes those out that are ours no more, because the whole host has become a router of their
 * family. Whether there were any.
 */
bool forward_settle(struct forward_links *l);

/*
 * The settings of a bridge of ours: it forwards, and takes what the host sends to a published port
 * of its loopback.
 */
int forward_bridge(const struct net_conf *c, struct err *e);

/* One more, unless it is there already. 0 or -ENOMEM. Pure. */
int forward_add(struct forward_links *l, int family, const char *name);

/* One link a line: "4 eth0". Parsing gives -EINVAL for other text. Pure. */
void forward_format(const struct forward_links *l, struct str_buf *out);
int forward_parse(const char *text, struct forward_links *out);

void forward_free(struct forward_links *l);

#endif
