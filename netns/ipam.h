/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address pools. The core is pure: which address is next. Around it a file for each network,
 * NAME.leases in a directory of the caller's, changed under a lock (NAME.lock beside it) and
 * replaced as a whole. A lease carries the ID of its container, so that one whose container is gone
 * is found and freed when the address is wanted.
 */
#ifndef CTR_NETNS_IPAM_H
#define CTR_NETNS_IPAM_H

#include "base/err.h"
#include "netns/ip.h"

#define IPAM_POOLS 2 /* one IPv4, one IPv6 */

struct ipam_pool {
	struct ip_net subnet;
	struct ip gateway;             /* never given; family 0: none */
	const struct ip_net *reserved; /* never given; borrowed */
	size_t n_reserved;
};

struct ipam_lease {
	struct ip ip;
	char *id; /* malloc'ed */
};

struct ipam_leases {
	struct ip last[IPAM_POOLS]; /* the last given, IPv4 and IPv6; family 0: none yet */
	struct ipam_lease *v;
	size_t n;
};

/* ---- pure ---- */

/*
 * A gateway inside the subnet that is no address of nobody (first, last), a subnet with room for
 * somebody. what names it in errors ("network web").
 */
int ipam_check(const struct ipam_pool *p, const char *what, struct err *e);

/* The first usable address of a subnet: what a gateway is by default. -ENOSPC: a /32 or /128. */
int ipam_default_gateway(const struct ip_net *subnet, struct ip *out);

/*
 * The free address after the last given, from the start again behind the last, so that an address
 * just freed rests for as long as possible. -ENOSPC: none is free; -ENOMEM.
 */
int ipam_next(const struct ipam_pool *p, const struct ipam_leases *l, struct ip *out);

/*
 * Whether somebody may ask for ip. 0; -EINVAL with *e: not in the subnet, or its first, last,
 * gateway or reserved. Who has it is ipam_holder's answer.
 */
int ipam_may_have(const struct ipam_pool *p, const struct ip *ip, struct err *e);

/* The ID of who has it, or NULL. */
const char *ipam_holder(const struct ipam_leases *l, const struct ip *ip);

/*
 * The first subnet of that length inside from that overlaps none of used. -ENOSPC: there is none.
 */
int ipam_pick_subnet(const struct ip_net *from, uint8_t prefix, const struct ip_net *used, size_t n,
		     struct ip_net *out);

/* The file's text, and back. -EINVAL with *e for text that is not ours. */
int ipam_format(const struct ipam_leases *l, char **out, size_t *len, struct err *e);
int ipam_parse(const char *text, struct ipam_leases *out, struct err *e);
void ipam_free(struct ipam_leases *l);

/* ---- the file ---- */

/* Whether the container exists: a lease of one that does not may be taken from it. */
typedef bool (*ipam_alive_fn)(void *arg, const char *id);

struct ipam_request {
	int dir;             /* where the files are */
	const char *network; /* NAME */
	const struct ipam_pool *pools;
	size_t n_pools;             /* 1 or 2, of different families */
	const char *id;             /* of the container */
	struct ip want[IPAM_POOLS]; /* for each pool, --ip; family 0: the next */
	ipam_alive_fn alive;
	void *arg;
};

/*
 * Takes one address of each pool, all or none, into out[0..n_pools-1]. Leases that this ID had
 * before are freed by it: its container is made anew. -ENOSPC: the pool is exhausted; -EADDRINUSE:
 * the address belongs to the container that the error names; -EBUSY: the lock was held for too
 * long.
 */
int ipam_take(const struct ipam_request *q, struct ip *out, struct err *e);

/* Frees what ID has. Nothing there is fine. */
int ipam_release(int dir, const char *network, const char *id, struct err *e);

/* All leases; *out is the caller's (ipam_free). No file: none. */
int ipam_list(int dir, const char *network, struct ipam_leases *out, struct err *e);

/*
 * Removes the files of a network. -EBUSY when a living container has a lease: the error names it.
 */
int ipam_remove(int dir, const char *network, ipam_alive_fn alive, void *arg, struct err *e);

#endif
