/* SPDX-License-Identifier: Apache-2.0 */
/* Fixed-size messages and descriptors over a unix socket (SEQPACKET between our own processes). */
#ifndef CTR_BASE_FDPASS_H
#define CTR_BASE_FDPASS_H

#include <stddef.h>
#include <sys/types.h>

#define FDPASS_MAX 8 /* descriptors in one message */

/* Sends one message with nfds descriptors (they stay the caller's). 0 or -errno; never SIGPIPE. */
int fdpass_send(int sock, const void *buf, size_t len, const int *fds, size_t nfds);

/*
 * Receives one message of at most len bytes and up to *nfds descriptors (O_CLOEXEC, now the
 * caller's). Sets *nfds to the number that came; nfds may be NULL when none is expected: those that
 * come are closed. Returns the byte count, 0 at end of stream, or -errno.
 */
ssize_t fdpass_recv(int sock, void *buf, size_t len, int *fds, size_t *nfds);

#endif
