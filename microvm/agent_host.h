/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's half of the agent: lives in the VMM process, speaks with the guest over vmm->ctl and
 * with commands over a listening socket, moves the bytes of stdio. One thread, one poll loop.
 * Everything that the guest says is checked: a guest that breaks the protocol is an error, never
 * more.
 *
 * Order of use, all in the VMM process:
 *
 *   agent_host_create   after vmm->ops->start: HELLO, configuration, until the guest is "created"
 *   agent_host_wait     any number of times: serves the machine until a descriptor is readable
 *   agent_host_start    the program runs, or an error says why not
 *   agent_host_run      until init has ended
 *   agent_host_free     then vmm->ops->stop is the caller's
 */
#ifndef CTR_AGENT_HOST_H
#define CTR_AGENT_HOST_H

#include "base/err.h"
#include "microvm/vmm.h"

#include <stdbool.h>
#include <stddef.h>

struct agent_host;

struct agent_host_opts {
	struct vmm *vmm;    /* started; borrowed */
	const char *id;     /* of the container */
	const char *kernel; /* its path, for errors of the boot; NULL: none is named; borrowed */
	const char *config; /* for the guest: oci/spec_guest.h; needed during create only */
	size_t config_len;
	bool share; /* the machine has VM_SHARE_TAG */
	bool image; /* its first disk is the container's root */
	bool image_ro;
	/*
	 * Init's stdio, borrowed: three descriptors of any kind (-1: none). tty: the slave of a pty
	 * that the host made (or another terminal), three times; it is set raw here, and its size
	 * goes to the guest now and at each SIGWINCH.
	 */
	int stdio[3];
	bool tty;
	int listen;           /* SOCK_STREAM socket for commands, listening, or -1; borrowed */
	bool console_log;     /* --debug: the guest's console goes into the log, line by line */
	unsigned int boot_ms; /* deadline for HELLO, 0: a minute */
	unsigned int
		setup_ms; /* deadline for the set-up after that and for the start, 0: a minute */
};

/*
 * Blocks all signals of the calling thread (they are read by signalfd from here on; threads and
 * processes of the VMM are made before, with a mask of their own). On failure *e says which it was:
 * the kernel panicked, hung at boot, the machine was powered off, no virtio, or the guest's own
 * error; with the last lines of the console.
 */
int agent_host_create(struct agent_host **out, const struct agent_host_opts *o, struct err *e);

/*
 * Serves the machine until fd is readable: 0. An error when the machine has ended. Signals that
 * come meanwhile are dropped, as a container's init that has not started drops them.
 */
int agent_host_wait(struct agent_host *h, int fd, struct err *e);

/* START; 0 once the guest has executed the program, else the error that a container gives. */
int agent_host_start(struct agent_host *h, struct err *e);

/*
 * Until init has ended and its output is delivered: 0 and *status as of waitpid(2). Signals of this
 * process go to init. An error when the machine ended without a word. What other processes wrote is
 * delivered too, as long as somebody takes it.
 */
int agent_host_run(struct agent_host *h, int *status, struct err *e);

/* Where init's stderr goes (borrowed), or -1 when the guest has closed it. */
int agent_host_stderr(const struct agent_host *h);

/* NULL is fine. */
void agent_host_free(struct agent_host *h);

/* From vmm_start to HELLO, HELLO to created, in microseconds: for the timeline of --debug. */
void agent_host_times(const struct agent_host *h, uint64_t *hello_us, uint64_t *setup_us);

#endif
