/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink: one socket, one request at a time, its answer read to the end. What comes from the
 * kernel is walked with libmnl's bounds checks; attributes are validated by type and length by
 * their readers.
 */
#ifndef CTR_NETNS_NL_H
#define CTR_NETNS_NL_H

#include "base/err.h"

#include <libmnl/libmnl.h>
#include <stddef.h>
#include <stdint.h>

struct nl {
	struct mnl_socket *sock; /* NULL: closed */
	uint32_t seq, port;
};

#define NL_REQUEST_MAX 4096 /* no request of ours comes near */

/* A request while it is built. */
union nl_request {
	struct nlmsghdr head;
	char buf[NL_REQUEST_MAX];
};

/* Opens a socket in the caller's network namespace, or in that of netns_fd (-1: the caller's). */
int nl_open(struct nl *n, int netns_fd, struct err *e);
void nl_close(struct nl *n); /* idempotent */
#define AUTO_NL __attribute__((cleanup(nl_close)))

/* Starts a request of that type; extra (zeroed, len bytes) is the fixed part behind the header. */
void *nl_begin(union nl_request *q, uint16_t type, uint16_t flags, size_t len);

/* Called for each message of an answer; a negative return ends the reading and is the result. */
typedef int (*nl_fn)(const struct nlmsghdr *m, void *arg);

/*
 * Sends q and reads its answer; fn may be NULL. 0, or -errno: the kernel's, fn's or the socket's.
 */
int nl_talk(struct nl *n, union nl_request *q, nl_fn fn, void *arg);

/*
 * Puts the attributes of a message (behind len bytes of fixed part) into v[0..max]. 0 or -EBADMSG.
 */
int nl_attrs(const struct nlmsghdr *m, size_t len, const struct nlattr **v, uint16_t max);

#endif
