/* SPDX-License-Identifier: Apache-2.0 */
/* What --network and its companions mean. Pure. */
#ifndef CTR_NET_OPTS_H
#define CTR_NET_OPTS_H

#include "ctr.h"
#include "netns/net_rules.h"
#include "netns/tc.h"

enum network_mode {
	NETWORK_KEEP,      /* what the configuration says */
	NETWORK_NONE,      /* a namespace with nothing but loopback */
	NETWORK_HOST,      /* the host's namespace */
	NETWORK_CONTAINER, /* that of another container */
	NETWORK_PATH,      /* one by path */
	NETWORK_OURS,      /* a network of ctr */
	NETWORK_CNI,       /* one of plugins */
	NETWORK_PASTA,     /* the user's own, without root */
};

struct network_plan {
	enum network_mode mode;
	const char *name; /* network, ID or path; borrowed */
	struct ip ip[NET_FAMILIES];
	const char *mac_text; /* borrowed, or NULL */
	uint8_t mac[LINK_ETHER];
	struct tc_rate rate;
	const struct spec_strings *dns; /* borrowed; may be empty */
	struct ip_port *ports;          /* malloc'ed */
	size_t n_ports;
};

/*
 * clone: without --network it is the default network (pasta when rootless); a bundle keeps what it
 * says. Options that have no effect with the network chosen are refused. -EINVAL with *e, the
 * option named.
 */
int network_plan(const struct network_opts *o, bool clone, bool rootless, struct network_plan *out,
		 struct err *e);

void network_plan_free(struct network_plan *p);

#endif
