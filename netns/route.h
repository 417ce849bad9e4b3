/* SPDX-License-Identifier: Apache-2.0 */
/* Routes. */
#ifndef CTR_NETNS_ROUTE_H
#define CTR_NETNS_ROUTE_H

#include "netns/ip.h"
#include "netns/nl.h"

/* One of the main table: where to, and out of which link (index; 0: several, or none). */
struct route {
	struct ip_net to; /* prefix 0: the default route */
	int link;
};

struct route_reader {
	int (*fn)(const struct route *r, void *arg);
	void *arg;
};

/* Reads one message for *arg, a struct route_reader: an nl_fn. -EBADMSG, or what its fn returns. */
int route_read(const struct nlmsghdr *m, void *arg);

/*
 * Calls fn for every unicast route of that family (AF_INET, AF_INET6) of the main table; a negative
 * return ends it and is the result. A kernel without that family has none.
 */
int routes_each(struct nl *n, uint8_t family, int (*fn)(const struct route *r, void *arg),
		void *arg);

/* A request, pure: the default route of the gateway's family, out of the link index. */
void route_put_default(union nl_request *q, int index, const struct ip *gateway);

#endif
