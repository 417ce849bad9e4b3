/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The foreground half of run and exec: wait for one process, forward signals to it, reap what is
 * reparented to us, move bytes between the user's terminal and the pty, restore the terminal
 * whatever happens. One epoll loop over signalfd, pidfd and the terminals; nothing polls.
 */
#ifndef CTR_SUPERVISE_H
#define CTR_SUPERVISE_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct supervise {
	pid_t pid;             /* the process, a child of the caller */
	int pidfd;             /* of it; borrowed */
	int master;            /* pty master to relay to stdin/stdout, or -1; borrowed */
	struct notify *notify; /* what the program says to a service manager, or NULL; borrowed */
	bool remote;           /* the pty leads to one in a guest: lines are that one's business */
};

/*
 * Blocks the signals that will be forwarded, for the rest of this program's life. To be called
 * before anything is made, so that none is lost and none ends us between what was made and its undo
 * (children reset their mask, see process_reset_signals). One that comes after the process has
 * ended has nobody to go to: it must cost neither the cleaning up nor the exit status nor the
 * error.
 */
int supervise_block(struct err *e);

/*
 * Waits until fd is readable. -EINTR with *e, "ended by signal N before WHAT", when a signal that
 * asks to end (INT, TERM, HUP, QUIT) came first; it is taken, so that the caller can undo what it
 * has made. With or without supervise_block.
 */
int supervise_await(int fd, const char *what, struct err *e);

/*
 * Runs until the process has ended. *status: 0..255, or 128 + signal. All signals but SIGCHLD,
 * SIGPIPE, SIGURG and those that cannot be caught are forwarded (SIGWINCH resizes the pty instead;
 * SIGTSTP/TTIN/TTOU are not forwarded with a terminal). At the end all output of the pty is
 * drained. EOF on stdin is passed on as the terminal's VEOF. A stdin that is not a terminal works
 * too. All of them stay blocked, also on failure.
 */
int supervise_wait(struct supervise *s, int *status, struct err *e);

#endif
