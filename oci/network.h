/* SPDX-License-Identifier: Apache-2.0 */
/* A network as it is kept in the state directory: addresses as text, checked by who uses them. */
#ifndef CTR_OCI_NETWORK_H
#define CTR_OCI_NETWORK_H

#include "base/arena.h"
#include "base/err.h"
#include "oci/json_out.h"

struct network_file {
	struct arena arena; /* owns every string */
	char *name, *bridge;
	char *subnet, *gateway;   /* IPv4, or NULL */
	char *subnet6, *gateway6; /* IPv6, or NULL */
	uint32_t mtu;             /* 0: not said */
	bool internal;
	bool automatic; /* made by its first container, goes with its last */
};

/* The members of the object, without its braces. */
void network_out(struct json_out *j, const struct network_file *f);

/* -EINVAL with a named error for a broken file; *out is the caller's (network_free). */
int network_parse(const char *text, size_t len, struct network_file **out, struct err *e);
void network_free(struct network_file *f);

static inline void cleanup_network(struct network_file **f)
{
	network_free(*f);
}
#define AUTO_NETWORK __attribute__((cleanup(cleanup_network)))

#endif
