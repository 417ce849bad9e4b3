/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command on the host says to a VMM process over its socket (agent_host_opts.listen; in the
 * state directory, 0600). One connection is for one request, or for one exec and what belongs to
 * it. All calls have a deadline or wait for an end that the peer announces. -ECONNRESET everywhere:
 * the machine has ended. Errors may be NULL.
 */
#ifndef CTR_AGENT_CLIENT_H
#define CTR_AGENT_CLIENT_H

#include "base/err.h"
#include "microvm/agent_link.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { AGENT_CLIENT_MS = 60000 };

struct agent_client {
	struct agent_link link;
	int64_t until_ms; /* CLOCK_MONOTONIC: answers come before it */
	int stop;         /* readable: the caller does not want to wait; or -1. Not owned */
	bool stopped;     /* it was readable */
};

#define AGENT_CLIENT_INIT                            \
	{                                            \
		.link = AGENT_LINK_INIT, .stop = -1, \
	}

/*
 * Takes sock, a connected SOCK_STREAM socket, also on failure. Everything that is asked is answered
 * within ms from now (AGENT_CLIENT_MS unless the caller has less time), or it is -ETIMEDOUT;
 * -EINTR: c->stop, which may be set afterwards, has become readable, and 2 s later there was still
 * no answer. agent_client_wait has no deadline.
 */
int agent_client_open(struct agent_client *c, int sock, int ms, struct err *e);
void agent_client_close(struct agent_client *c);
#define AUTO_AGENT_CLIENT __attribute__((cleanup(agent_client_close)))

/*
 * One request and its answer: AGENT_STATS, AGENT_PS (text NULL), AGENT_UPDATE (text: a
 * linux.resources object). *reply is malloc'ed and terminated; reply may be NULL. STATS: what
 * `events --stats` gives for the guest's container. PS: lines "PID PPID UID START TIME TTY CMD".
 */
int agent_client_ask(struct agent_client *c, enum agent_type what, const char *text, size_t len,
		     char **reply, struct err *e);

/* A signal to init, or to all processes of the container. -ESRCH: none there. */
int agent_client_signal(struct agent_client *c, int sig, bool all, struct err *e);

/*
 * One more process. text: vm_exec_opts_put. stdio: what it reads and writes, given to the VMM
 * process (which holds them as long as somebody in the guest does); tty: stdio[0] and [1] are a
 * terminal in raw mode. Returns the pid in the guest, or -errno with the error that a container
 * gives.
 */
int agent_client_exec(struct agent_client *c, const char *text, size_t len, const int stdio[3],
		      bool tty, struct err *e);

/*
 * Waits for the end of that process: *status as of waitpid(2). Meanwhile the signals that sigfd (a
 * signalfd, or -1) gives are passed on; SIGWINCH sends the size of tty (-1: there is none, and it
 * is a signal like any other).
 */
int agent_client_wait(struct agent_client *c, int sigfd, int tty, int *status, struct err *e);

/*
 * Asks to be told when the kernel has killed for want of memory; waits for no answer, as the
 * machine may be paused. Afterwards, when c->link.fd is readable, agent_client_event says how many
 * times; -ECONNRESET: the machine has ended.
 */
int agent_client_events(struct agent_client *c, struct err *e);
int agent_client_event(struct agent_client *c, struct err *e);

#endif
