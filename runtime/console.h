/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminals: the payload's side of a pty, handing the master to a console socket, the user's own
 * terminal.
 */
#ifndef CTR_CONSOLE_H
#define CTR_CONSOLE_H

#include "base/err.h"
#include "oci/spec.h"

#include <stdbool.h>
#include <termios.h>

/*
 * Connects to the console socket (unix, SOCK_STREAM or SEQPACKET; sun_path limits are worked around
 * through /proc/self/fd). The fd, O_CLOEXEC, or -errno: "console socket PATH: reason".
 */
int console_connect(const char *path, struct err *e);

/* Sends the master with the pts name as payload (contract 2.2). */
int console_send(int sock, int master, const char *name, struct err *e);

/*
 * Makes slave the controlling terminal and stdin, stdout, stderr of the caller (after setsid), with
 * size and ownership.
 */
int console_adopt(int slave, const struct spec_console_size *size, uid_t uid, struct err *e);

/* Whether another job is in the foreground of fd, the caller's controlling terminal. */
bool console_in_background(int fd);

/*
 * The user's terminal in raw mode, and back. In the background both leave it as the job in front
 * has it: enter is then 0 without being raw. restore is safe to call twice and from a signal
 * handler.
 */
struct console_raw {
	int fd; /* -1: not raw */
	struct termios saved;
};

int console_raw_enter(struct console_raw *c, int fd, struct err *e);
void console_raw_restore(struct console_raw *c);

/* Copies the window size of one terminal to another; 0 or -errno. */
int console_copy_size(int from, int to);

/*
 * Gives a pty the size of the user's terminal: of the first of stdin, stdout, stderr that is one.
 * To be called as soon as the master has come, or a payload that is quick sees no size. -ENOTTY:
 * there is none.
 */
int console_user_size(int master);

#endif
