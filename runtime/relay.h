/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes between the user's stdin and stdout and the master of a pty, never blocking: the caller
 * owns the epoll loop, calls relay_pump after every wake-up, and stays able to forward signals
 * whatever the terminals do.
 */
#ifndef CTR_RELAY_H
#define CTR_RELAY_H

#include "base/err.h"
#include "runtime/console.h"

#include <stdbool.h>
#include <stdint.h>

#define RELAY_BUF 16384

struct relay_end {
	int fd;
	/* a descriptor of our own that never blocks; otherwise asked with poll first */
	bool own;
	bool finished; /* end of file or error */
};

struct relay_buf {
	size_t from, to;
	char bytes[RELAY_BUF];
};

struct relay {
	int master; /* borrowed */
	struct relay_end in, out;
	struct relay_buf to_master, to_user;
	struct console_raw raw;
	bool user_tty; /* stdin is a terminal: raw whenever we are in its foreground */
	bool mid_line; /* the last byte given to the pty does not end a line */
	bool eof_sent;
	bool remote;     /* the pty is raw and leads to another that knows lines */
	bool master_dry; /* the last read of the master found nothing */
};

/*
 * Starts: stdin, when it is a terminal and we are in its foreground, in raw mode; the pty gets its
 * size, the ends are added to epfd (edge-triggered, data.u64 = tag). relay_stop undoes it, also
 * after a failure.
 */
int relay_start(struct relay *r, int master, int epfd, uint64_t tag, struct err *e);
void relay_stop(struct relay *r);

/* Moves what can be moved. True when there may be more to do at once. input: read stdin as well. */
bool relay_pump(struct relay *r, bool input);

/* All that the pty has given so far is with the user (or cannot be given). */
bool relay_drained(const struct relay *r);

/* The size of the user's terminal has changed. */
void relay_resize(struct relay *r);

/* We were stopped and go on, in front or not: the shell has had the terminal. */
void relay_continue(struct relay *r);

#endif
