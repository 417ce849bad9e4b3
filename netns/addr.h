/* SPDX-License-Identifier: Apache-2.0 */
/* IP addresses of a link. */
#ifndef CTR_NETNS_ADDR_H
#define CTR_NETNS_ADDR_H

#include "netns/ip.h"
#include "netns/nl.h"

#include <net/if.h>

struct addr {
	uint8_t family, prefix, scope;
	uint32_t flags;
	/* Each len bytes (4 or 16); has tells which are there. */
	uint8_t len, has_local, has_address, has_broadcast;
	uint8_t local[16], address[16], broadcast[16];
	uint32_t priority; /* of its route; 0: none said */
	char label[IFNAMSIZ];
};

struct addrs {
	struct addr *v; /* malloc'ed */
	size_t n;
};

/* The permanent addresses of global scope: what somebody has configured. 0 or -errno. */
int addrs_get(struct nl *n, int index, struct addrs *out);
void addrs_free(struct addrs *a);

/*
 * Adds one. A label that is made of the old name of the link becomes one of its new name. 0 or
 * -errno; one that is there already is no error.
 */
int addr_add(struct nl *n, int index, const struct addr *a, const char *old_name,
	     const char *new_name);

struct addr_reader {
	int (*fn)(int index, const struct ip_net *a, void *arg);
	void *arg;
};

/* Reads one message for *arg, a struct addr_reader: an nl_fn. -EBADMSG, or what its fn returns. */
int addr_read(const struct nlmsghdr *m, void *arg);

/*
 * Calls fn for every IPv4 and IPv6 address of global scope of the namespace; a negative return ends
 * it and is the result.
 */
int addrs_each(struct nl *n, int (*fn)(int index, const struct ip_net *a, void *arg), void *arg);

/* A request, pure: the address, in use at once. */
void addr_put(union nl_request *q, int index, const struct ip_net *a);

#endif
