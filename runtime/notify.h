/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sd_notify(3) for the program in a container. Its socket is in the container's state directory,
 * which is the host's: the directory is mounted at SPEC_NOTIFY_DIR, and what is said there is
 * passed on to the service manager that ctr itself was told of by NOTIFY_SOCKET. Only `run` in the
 * foreground listens for as long as the program runs; `start` and `run --detach` listen until it is
 * ready or has ended. What exec starts is not told of it.
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
	bool said;           /* the manager has got something */
	bool deaf;           /* but not the last */
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
/* The container's descriptors that may still be in the socket are closed when this program ends. */
void notify_close(struct notify *n);
#define AUTO_NOTIFY __attribute__((cleanup(notify_close)))

/*
 * Passes on what has come; a manager that does not read is waited for once, for 2 s. When READY=1
 * has come: true, and main_pid, when not 0, is told with it as the main process of the service.
 */
bool notify_pump(struct notify *n, pid_t main_pid);

/*
 * The last of it; afterwards the manager has read everything, unless it has not within some
 * seconds, and n is closed.
 */
void notify_end(struct notify *n);

/*
 * Passes on what comes until it is READY=1, or until the process of pidfd, with the number pid, has
 * ended; then as notify_end.
 */
void notify_wait(struct notify *n, int pidfd, pid_t pid);

/*
 * Leaves those lines of a message that a container may say: states and texts of the service itself.
 * What names processes or descriptors, or changes who may speak for the service, goes; so does what
 * is not known. Nothing is left of a message with a NUL but at its end. Returns the new length;
 * *ready: READY=1 is among them.
 */
size_t notify_filter(char *msg, size_t len, bool *ready);

#endif
