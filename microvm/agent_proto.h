/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames between ctr on the host and ctr as PID 1 of the guest, over one byte stream (the port
 * VM_CTL_PORT), and between commands on the host and the VMM process, over its socket. Pure: bytes
 * in buffers that the caller owns.
 *
 * A frame is a header of 16 bytes, little-endian, and at most AGENT_FRAME_MAX bytes:
 *
 *   u32 length | u16 type | u16 flags | u32 id | u32 arg
 *
 * id names a process (0: the container's init, others are given out by the host) or a request
 * (from AGENT_REQUESTS on). A text longer than one frame comes in several that follow one another,
 * all but the last with AGENT_MORE.
 *
 *   guest                                   host
 *   HELLO version, features              ->         the first thing that comes
 *                                        <-  SETUP  struct agent_setup, then
 *                                        <-  CONFIG text (config.json as the guest shall see it)
 *   DONE (id 0)                          ->         everything is set up: state "created"
 *                                        <-  START
 *   DONE (id 0)                          ->         the program runs
 *                                        <-  EXEC id, text of vm_exec_opts
 *   PID id, arg pid                      ->
 *   DATA id, arg 1 or 2                  ->         output; no bytes: its end
 *                                        <-  DATA id, arg 0; no bytes: end of file
 *   CLOSE id, arg stream                <->         nobody reads that stream any more
 *   CREDIT id, arg stream, u32 bytes    <->         so much of a stream has gone to its reader
 *                                        <-  WINSIZE id, arg rows << 16 | columns
 *   EXIT id, arg wait status             ->         after all that it wrote; flag AGENT_OOM_HIT
 *                                        <-  SIGNAL, STATS, PS, UPDATE, TIME, RESEED  id: a request
 *   DONE id, text                        ->         its answer
 *   OOM                                  ->         the kernel killed something of the container
 *                                        <-  SHUTDOWN
 *
 * ERROR (a struct err) takes the place of DONE or PID. A side may send AGENT_WINDOW bytes of a
 * stream, and then what CREDIT gives back: nobody buffers more, and a reader that stands still
 * stops its own stream only.
 */
#ifndef CTR_AGENT_PROTO_H
#define CTR_AGENT_PROTO_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AGENT_VERSION 1

enum {
	AGENT_HEADER = 16,
	AGENT_FRAME_MAX = 64 << 10,
	AGENT_WINDOW = 128 << 10,
	AGENT_MAX_PROCS = 128,    /* id of a process is below it */
	AGENT_REQUESTS = 1 << 16, /* id of a request that wants an answer is at least this */
	AGENT_QUIET = 1 << 15,    /* id of a request without an answer */
	AGENT_TEXT_MAX = 16 << 20,
	AGENT_REPLY_MAX = 4 << 20, /* of a text that the guest sends */
};

enum agent_type {
	AGENT_HELLO = 1, /* u32 version, u32 features */
	AGENT_SETUP,
	AGENT_CONFIG,
	AGENT_START,
	AGENT_EXEC,
	AGENT_PID,
	AGENT_DATA,
	AGENT_CREDIT,
	AGENT_CLOSE,
	AGENT_WINSIZE,
	AGENT_SIGNAL, /* arg: the signal; id: the request; u32 process, or AGENT_ALL */
	AGENT_EXIT,
	AGENT_OOM,
	AGENT_STATS,
	AGENT_PS,
	AGENT_UPDATE, /* text: a linux.resources object */
	AGENT_TIME,   /* u64 ns since 1970 */
	AGENT_RESEED, /* bytes for the random number generator */
	AGENT_DONE,
	AGENT_ERROR,
	AGENT_SHUTDOWN,
	AGENT_EVENTS, /* command to VMM only: tell me of AGENT_OOM from now on */
	AGENT_TYPES,
};

enum agent_flag {
	AGENT_MORE = 1 << 0,
	AGENT_TTY = 1 << 1,     /* EXEC: a terminal; stream 1 is all its output */
	AGENT_OOM_HIT = 1 << 2, /* EXIT */
};

#define AGENT_ALL UINT32_MAX

struct agent_frame {
	uint16_t type, flags;
	uint32_t id, arg;
	uint32_t len;
	const uint8_t *data; /* len bytes */
};

/* Types that carry a text, which may take several frames. */
bool agent_type_text(unsigned int type);

/*
 * Takes one frame from the front of buf: the number of bytes that it fills (frame->data points into
 * buf), 0 when more bytes are needed, -EPROTO for what can be no frame (unknown type or flag, too
 * long). Reads no byte beyond len.
 */
int agent_frame_parse(const uint8_t *buf, size_t len, struct agent_frame *frame);

/* Writes the header for f (len must be at most AGENT_FRAME_MAX). */
void agent_frame_header(uint8_t out[AGENT_HEADER], const struct agent_frame *f);

/* What the guest needs besides its configuration. Crosses as it is (both ends are one program). */
struct agent_setup {
	uint64_t time_ns; /* since 1970, UTC */
	uint32_t flags;
	uint8_t seed[64];
	char id[256]; /* of the container */
};

enum agent_setup_flag {
	AGENT_SETUP_SHARE = 1 << 0, /* mount VM_SHARE_TAG at AGENT_SHARE */
	AGENT_SETUP_TTY = 1 << 1,   /* init has a terminal */
	AGENT_SETUP_DEBUG = 1 << 2, /* ctr --debug in the guest, to the console */
	AGENT_SETUP_IMAGE = 1 << 3, /* mount the first disk at AGENT_IMAGE */
	AGENT_SETUP_IMAGE_RO = 1 << 4,
};

/* Where the guest has the share: the configuration's root and volumes lie below it. */
#define AGENT_SHARE "/run/ctr/share"
#define AGENT_IMAGE "/run/ctr/image"

/*
 * struct err <-> the bytes of an ERROR frame. get never trusts them and returns -code; e may be
 * NULL.
 */
size_t agent_err_put(uint8_t *out, size_t size, const struct err *e);
int agent_err_get(const uint8_t *data, size_t len, struct err *e);

/* Numbers in payloads, little-endian. */
void agent_put_u32(uint8_t *p, uint32_t v);
uint32_t agent_get_u32(const uint8_t *p);
void agent_put_u64(uint8_t *p, uint64_t v);
uint64_t agent_get_u64(const uint8_t *p);

#endif
