/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows that the kernel remembers. What a published port means is looked up for the first packet of
 * a flow only; for UDP, a sender that never pauses has one flow for ever. So when a port comes or
 * goes, the flows that were decided without it, or by it, are forgotten.
 */
#ifndef CTR_NETNS_CONNTRACK_H
#define CTR_NETNS_CONNTRACK_H

#include "netns/net_rules.h"

/* The kernel's own text of where a flow came from and went to, to name it by. */
#define FLOW_TUPLE_MAX 128

struct flow {
	uint8_t family, proto;
	uint16_t port;     /* it was sent to */
	uint32_t status;   /* IPS_* */
	struct ip answers; /* who answers */
	uint8_t tuple[FLOW_TUPLE_MAX];
	size_t tuple_len;
};

/* Reads one message into *arg, a struct flow: an nl_fn. -EBADMSG. */
int flow_read(const struct nlmsghdr *m, void *arg);

/* Whether the member's published UDP ports concern it. Pure. */
bool flow_concerns(const struct flow *f, const struct net_member *m);

/* Forgets all that concern the member. n is of nl_open_filter. 0 or -errno. */
int flows_forget(struct nl *n, const struct net_member *m);

#endif
