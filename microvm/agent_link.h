/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of a connection that carries frames: a descriptor that never blocks, what has come and is
 * not yet taken, what waits to go. Both halves of the agent and the commands use it.
 */
#ifndef CTR_AGENT_LINK_H
#define CTR_AGENT_LINK_H

#include "base/err.h"
#include "microvm/agent_proto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AGENT_LINK_FDS = 3 };

struct agent_link {
	int fd;          /* owned */
	bool passes_fds; /* a unix socket whose peer may send descriptors */
	size_t text_max; /* of a text that the peer sends */
	uint8_t *in;
	size_t in_from, in_to, in_taken;
	char *text; /* being put together */
	size_t text_len, text_cap;
	struct agent_frame text_head;
	bool text_open;
	uint8_t *out;
	size_t out_from, out_to, out_cap;
	int fds[AGENT_LINK_FDS]; /* that came with the last text; owned */
	size_t n_fds;
};

#define AGENT_LINK_INIT  \
	{                \
		.fd = -1 \
	}

/* Takes fd, which becomes non-blocking, also on failure. */
int agent_link_open(struct agent_link *l, int fd, size_t text_max, struct err *e);
void agent_link_close(struct agent_link *l);

/*
 * Queues a frame; a text of any length up to AGENT_TEXT_MAX is cut. 0, -ENOMEM, or -ENOBUFS when
 * the peer has not read for long and the queue is full.
 */
int agent_link_send(struct agent_link *l, const struct agent_frame *f);
int agent_link_send_text(struct agent_link *l, const struct agent_frame *f, const char *text,
			 size_t len);
int agent_link_send_err(struct agent_link *l, uint32_t id, const struct err *e);

/*
 * Room for a frame with up to len bytes of data, where the caller puts them; agent_link_commit
 * writes its header. NULL without memory. Nothing may be sent in between.
 */
uint8_t *agent_link_reserve(struct agent_link *l, size_t len);
void agent_link_commit(struct agent_link *l, const struct agent_frame *f);

/* False while so much waits to go that streams shall wait. */
bool agent_link_room(const struct agent_link *l);

/* Something waits to go. */
bool agent_link_pending(const struct agent_link *l);

/* Writes what can be written at once. 0 or -errno. */
int agent_link_flush(struct agent_link *l);

/* Reads once: 1 something came, 0 nothing now, -ECONNRESET at the end, -errno. */
int agent_link_fill(struct agent_link *l);

/*
 * The next whole frame or text: 1 and *f (valid until the next call on l), 0 when there is none,
 * -EPROTO, -EFBIG (a text beyond text_max), -ENOMEM.
 */
int agent_link_next(struct agent_link *l, struct agent_frame *f);

/* Takes the descriptors that came. The number; the rest of fds is -1. */
size_t agent_link_take_fds(struct agent_link *l, int fds[AGENT_LINK_FDS]);

#endif
