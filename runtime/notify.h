/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sd_notify(3) for the program in a container. Its socket is in the container's state directory,
 * which is the host's: the directory is mounted at SPEC_NOTIFY_DIR, and what is said there is
 * passed on to the service manager that ctr itself was told of by NOTIFY_SOCKET. Only `run` in the
 * foreground listens for as long as the program runs; `start` and `run --detach` listen until it is
 * ready or has ended. exec has nothing of it.
 */
#ifndef CTR_NOTIFY_H
#define CTR_NOTIFY_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define NOTIFY_DIR "notify" /* in the state directory */
#define NOTIFY_NAME "notify.sock"

struct notify {
	int fd;              /* where the program's messages come, or -1 */
	int host;            /* where they go, or -1 */
	const char *manager; /* of our environment */
	bool said;           /* something was passed on */
};

#define NOTIFY_INIT                  \
	{                            \
		.fd = -1, .host = -1 \
	}

/*
 * NOTIFY_SOCKET of our environment: a path or (with @) an abstract name. NULL when there is none;
 * -EINVAL with *e when it is something else or too long.
 */
int notify_manager(const char **out, struct err *e);

/* Makes the directory in the state directory dir. */
int notify_make(int dir, struct err *e);

/* Removes it with what is in it; one that is not there is fine. 0 or -errno. */
int notify_remove(int dir);

/*
 * Listens, before the program starts. Without NOTIFY_SOCKET, or for a container that was made
 * without, n stays closed and nothing below does anything; so too, with a warning, when nobody
 * listens at the manager's socket.
 */
int notify_open(struct notify *n, int dir, struct err *e);
void notify_close(struct notify *n);
#define AUTO_NOTIFY __attribute__((cleanup(notify_close)))

/*
 * Passes on what has come. main_pid, when not 0, is told together with READY=1 as the manager's
 * main process of the service. True when it was READY=1. Does not wait for the program; for the
 * manager 5 s at most.
 */
bool notify_pump(struct notify *n, pid_t main_pid);

/* The last of it; afterwards the manager has read everything, and n is closed. */
void notify_end(struct notify *n);

/*
 * Passes on what comes until it is READY=1, or until the process of pidfd, with the number pid, has
 * ended; then as notify_end.
 */
void notify_wait(struct notify *n, int pidfd, pid_t pid);

/*
 * Leaves those lines of a message that a container may say: states and texts of the service itself.
 * What names processes or descriptors, or changes who may speak for the service, goes; so does what
 * is not known. Returns the new length; *ready: READY=1 is among them.
 */
size_t notify_filter(char *msg, size_t len, bool *ready);

#endif
