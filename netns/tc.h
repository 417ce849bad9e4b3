/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits on bandwidth, at the host's end of a container's veth pair, where the container cannot
 * reach them. What the host's end sends is what the container receives ("down"): a token bucket
 * there. What it receives is what the container sends ("up"): a queue can only be where something
 * is sent, so that goes through a device of its own (ifb), whose sending end has the token bucket.
 */
#ifndef CTR_NETNS_TC_H
#define CTR_NETNS_TC_H

#include "base/err.h"
#include "netns/nl.h"

#include <net/if.h>

/* Bytes per second; 0: no limit. */
struct tc_rate {
	uint64_t up, down;
};

/*
 * UP:DOWN, each a whole number of bits per second with an optional unit as tc(8) has them: bit,
 * kbit, mbit, gbit, tbit (powers of 1000; k, m, g are short for the first of them), kibit, mibit,
 * gibit, tibit (powers of 1024), bps, kbps, mbps, gbps (bytes per second); upper or lower case. One
 * side may be empty or 0: not limited. One number without a colon is both. At least 8 kbit/s. 0, or
 * -EINVAL or -ERANGE with *e, which names the text, not the option.
 */
int tc_parse_rate(const char *s, struct tc_rate *out, struct err *e);

/* ---- messages, pure ---- */

/* The token bucket of rate bytes per second, as the root of the link. */
void tc_put_bucket(union nl_request *q, int index, uint64_t rate);
/* The place for filters on what the link receives. */
void tc_put_ingress(union nl_request *q, int index);
/* All that the link receives goes to the sending end of the link to. */
void tc_put_redirect(union nl_request *q, int index, int to);
/* A new ifb of that name, up. */
void tc_put_ifb(union nl_request *q, const char *name);

/* ---- on links ---- */

/*
 * Limits the link index (host end), in the namespace of the socket. ifb is the name for the device
 * of the "up" direction (made when rate->up is not 0; nobody may have it). 0 or -errno with *e; on
 * an error the link is as before.
 */
int tc_limit(struct nl *n, int index, const char *ifb, const struct tc_rate *rate, struct err *e);

/* Removes the ifb; the link's own part goes with the link. Missing is fine. 0 or -errno. */
int tc_remove(struct nl *n, const char *ifb);

#endif
