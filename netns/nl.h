/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink: one socket, one request or one batch of them at a time, its answer read to the end. What
 * comes from the kernel is walked with libmnl's bounds checks; attributes are validated by type and
 * length by their readers.
 */
#ifndef CTR_NETNS_NL_H
#define CTR_NETNS_NL_H

#include "base/err.h"

#include <libmnl/libmnl.h>
#include <stdbool.h>
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
/* The same for nf_tables and its neighbours, in the caller's namespace. */
int nl_open_filter(struct nl *n, struct err *e);
void nl_close(struct nl *n); /* idempotent */
#define AUTO_NL __attribute__((cleanup(nl_close)))

/* Starts a request of that type; extra (zeroed, len bytes) is the fixed part behind the header. */
void *nl_begin(union nl_request *q, uint16_t type, uint16_t flags, size_t len);

/* Called for each message of an answer; a negative return ends the reading and is the result. */
typedef int (*nl_fn)(const struct nlmsghdr *m, void *arg);

/*
 * Sends q and reads its answer; fn may be NULL. 0, or -errno: the kernel's, fn's or the socket's. A
 * dump that the kernel says is not of one piece, or of which the socket lost something, is taken
 * anew a bounded number of times (fn is then called again for what it has seen): -EINTR at last.
 */
int nl_talk(struct nl *n, union nl_request *q, nl_fn fn, void *arg);

/*
 * Several requests in one datagram, for which the kernel needs one call and gives one word.
 * Zero-initialise; free with nl_batch_free.
 */
struct nl_batch {
	char *buf;
	size_t len, cap;
	uint32_t n;   /* requests in it */
	size_t last;  /* where the last begins */
	bool failed;  /* no memory: nl_batch_talk says so */
	bool ruleset; /* of nf_tables: all of it happens, or nothing */
};

/* Appends a finished request. */
void nl_batch_add(struct nl_batch *b, const union nl_request *q);

/*
 * Sends the batch and reads until the verdict on its last request. 0, or the first error: -errno,
 * and *which (may be NULL) is the number of the request that it is about. Requests of rtnetlink
 * behind one that failed are carried out all the same. The batch is empty afterwards.
 */
int nl_batch_talk(struct nl *n, struct nl_batch *b, uint32_t *which);
void nl_batch_free(struct nl_batch *b);
#define AUTO_NL_BATCH __attribute__((cleanup(nl_batch_free)))

/* Whether a whole message lies in the left bytes (which may be negative) at m. */
bool nl_message_ok(const struct nlmsghdr *m, int left);

/*
 * Reads one datagram, of an answer to request seq of port. 1: the answer goes on; 0: it has ended;
 * -errno. *torn is set by the mark of a dump that is not of one piece. For nl.c and its tests.
 */
int nl_read(const void *buf, size_t len, uint32_t seq, uint32_t port, bool *torn, nl_fn fn,
	    void *arg);

/*
 * Puts the attributes of a message (behind len bytes of fixed part) into v[0..max]. 0 or -EBADMSG.
 */
int nl_attrs(const struct nlmsghdr *m, size_t len, const struct nlattr **v, uint16_t max);

/* The same for those inside of an attribute; none when there is no such (in may be NULL). */
void nl_nested(const struct nlattr *in, const struct nlattr **v, uint16_t max);

#endif
