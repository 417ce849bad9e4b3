/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seccomp user notification: the filter's listener goes to a socket, with the container process
 * state.
 */
#ifndef CTR_SECCOMP_NOTIFY_H
#define CTR_SECCOMP_NOTIFY_H

#include "base/err.h"
#include "oci/annotations.h"
#include "oci/state.h"
#include "seccomp.h"

/* Who gets the listener, and what it is told. Zero-initialise but for sock. */
struct seccomp_receiver {
	int sock;    /* connected, owned; -1: there is none */
	char *state; /* the container process state, malloc'ed */
};

#define SECCOMP_RECEIVER_INIT \
	{                     \
		.sock = -1    \
	}

/*
 * The filter of a process: linux.seccomp compiled, or what run.oci.seccomp_bpf_data holds; s and n
 * are those of the container, s may be NULL. out stays without instructions when there is none.
 */
int seccomp_plan(const struct spec_seccomp *s, const struct annotations *n, int cache_fd,
		 struct seccomp_prog *out, struct err *e);

/*
 * Connects to linux.seccomp.listenerPath or run.oci.seccomp.receiver when the filter notifies. In
 * the host's mount namespace, with the caller's rights.
 */
int seccomp_receiver_connect(struct seccomp_receiver *r, const struct spec_seccomp *s,
			     const struct annotations *n, const struct seccomp_prog *prog,
			     struct err *e);

/*
 * Writes down the state of the calling process, whose number is that of the procfs at /proc: before
 * the root changes. Nothing when there is no receiver.
 */
int seccomp_receiver_state(struct seccomp_receiver *r, const struct spec_seccomp *s,
			   const struct state *st, enum status status, struct err *e);

void seccomp_receiver_close(struct seccomp_receiver *r); /* idempotent */

/*
 * Loads the filter into the calling thread, which must be the only one of its process, and hands
 * its listener over. On return the receiver is closed, and no system call was made under the
 * filter. When handing over fails, the process ends with exit status 1 and the error is sent to the
 * sync socket report.
 */
int seccomp_notify_install(const struct seccomp_prog *prog, struct seccomp_receiver *r, int report,
			   struct err *e);

#endif
