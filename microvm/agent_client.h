/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command on the host says to a VMM process over its socket (agent_host_opts.listen; in the
 * state directory, 0600). Connecting is the caller's (store.h); sock is a connected SOCK_STREAM
 * socket, one command each. All calls have a deadline or wait for an end that the peer announces.
 */
#ifndef CTR_AGENT_CLIENT_H
#define CTR_AGENT_CLIENT_H

#include "base/err.h"
#include "microvm/agent_proto.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * One request and its answer: AGENT_STATS, AGENT_PS (text: nothing), AGENT_UPDATE (text: a
 * linux.resources object). *reply is malloc'ed and terminated; NULL when not wanted. STATS: what
 * `events --stats` gives for the guest's container. PS: lines "PID PPID UID START TIME TTY CMD".
 */
int agent_client_ask(int sock, enum agent_type what, const char *text, size_t len, char **reply,
		     struct err *e);

/* A signal to init, or to all processes of the container. -ESRCH: none there. */
int agent_client_signal(int sock, int sig, bool all, struct err *e);

/*
 * One more process. text: vm_exec_opts_put. stdio: what it reads and writes, given to the VMM
 * process (which holds them as long as somebody in the guest does); tty: stdio[0] and [1] are a
 * terminal in raw mode. Returns the pid in the guest, or -errno with the error that a container
 * gives.
 */
int agent_client_exec(int sock, const char *text, size_t len, const int stdio[3], bool tty,
		      struct err *e);

/* For the process of agent_client_exec on this socket. */
int agent_client_exec_signal(int sock, int sig, struct err *e);
int agent_client_exec_winsize(int sock, unsigned int rows, unsigned int cols, struct err *e);

/*
 * Waits for the end of that process: *status as of waitpid(2). Meanwhile the signals that sigfd (a
 * signalfd, or -1) gives are passed on; SIGWINCH sends the size of tty (-1: none).
 */
int agent_client_exec_wait(int sock, int sigfd, int tty, int *status, struct err *e);

/*
 * Asks to be told when the kernel has killed for want of memory: afterwards agent_client_event
 * returns 1 for each, 0 when the machine has ended (sock is readable then: it can be polled).
 */
int agent_client_events(int sock, struct err *e);
int agent_client_event(int sock, struct err *e);

#endif
