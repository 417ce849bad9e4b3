/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stdio over an agent_link: a source reads a descriptor and sends DATA, a sink gets DATA and writes
 * a descriptor. Neither ever blocks, whatever the descriptor is, and neither holds more than
 * AGENT_WINDOW bytes.
 */
#ifndef CTR_AGENT_STREAM_H
#define CTR_AGENT_STREAM_H

#include "microvm/agent_link.h"

#include <stdbool.h>
#include <stdint.h>

/* A descriptor of any kind that others may have too, so that it must not be made non-blocking. */
enum agent_fd_kind {
	AGENT_FD_NONE,
	AGENT_FD_PLAIN,    /* non-blocking, or a file that never blocks for long */
	AGENT_FD_SOCKET,   /* MSG_DONTWAIT */
	AGENT_FD_BLOCKING, /* asked first, and then given little at a time */
};

struct agent_fd {
	int fd; /* owned; -1: none */
	enum agent_fd_kind kind;
};

/*
 * A pipe or terminal opened again without blocking (needs /proc), in place of fd, which is closed;
 * or fd itself when that cannot be. Takes fd.
 */
int agent_fd_reopen(int fd, int access);

/*
 * The same for a standard descriptor, which keeps its number: for a process that will have no /proc
 * any more. What cannot be opened again stays.
 */
void agent_fd_nonblocking(int fd, int access);

/* Takes fd; access: O_RDONLY, O_WRONLY. */
struct agent_fd agent_fd_open(int fd, int access);
void agent_fd_close(struct agent_fd *f);

struct agent_source {
	struct agent_fd fd;
	uint32_t id, arg;
	uint32_t credit;
	bool ended; /* its end has been told, or the peer wants no more */
	bool tty;   /* EIO is the end */
	bool dry;   /* the last read found nothing */
};

struct agent_sink {
	struct agent_fd fd;
	uint32_t id, arg;
	uint8_t *buf; /* AGENT_WINDOW bytes, once something did not go at once */
	size_t from, len;
	uint32_t owed; /* written, and not yet given back as credit */
	bool eof;      /* nothing more comes */
	bool ended;    /* all of it is written, or cannot be; fd is closed */
	bool told;     /* the peer knows that nobody reads */
	bool pending;  /* its descriptor is yet to come: all is kept until agent_sink_attach */
	bool tty;      /* guest: the end of file is the terminal's character for it */
	bool mid_line;
};

void agent_source_init(struct agent_source *s, int fd, uint32_t id, uint32_t arg);
void agent_sink_init(struct agent_sink *s, int fd, uint32_t id, uint32_t arg);
void agent_sink_attach(struct agent_sink *s, int fd);
void agent_source_close(struct agent_source *s);
void agent_sink_close(struct agent_sink *s);

/* The poll events that would let it go on now; 0: none. */
short agent_source_events(const struct agent_source *s, const struct agent_link *l);
short agent_sink_events(const struct agent_sink *s);

/* Reads once and sends; the end too, also when there is no descriptor. 0 or the link's error. */
int agent_source_pump(struct agent_source *s, struct agent_link *l);

/* CREDIT from the peer. -EPROTO for more than there can be. */
int agent_source_credit(struct agent_source *s, uint32_t bytes);

/* CLOSE from the peer: nobody reads; the writer on this side learns it as with a pipe. */
int agent_source_unread(struct agent_source *s, struct agent_link *l);

/* DATA from the peer (len 0: the end). -EPROTO when it is more than the window. */
int agent_sink_put(struct agent_sink *s, struct agent_link *l, const uint8_t *data, size_t len);

/* Nobody reads: what is held is thrown away, the peer is told. 0 or the error of the link. */
int agent_sink_unread(struct agent_sink *s, struct agent_link *l);

/* Writes what can be written at once, gives credit back, ends. 0 or the error of the link. */
int agent_sink_pump(struct agent_sink *s, struct agent_link *l);

#endif
