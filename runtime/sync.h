/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What parent and child say to each other while a container (or an exec) is set up, over a
 * SOCK_SEQPACKET pair; and what `start` and the waiting init say over the start socket.
 *
 *   child                              parent
 *   PID value (a second fork)      ->
 *                                  <-  GO         id maps are written, oom_score_adj is set
 *   SOURCE path (as often as needed) ->
 *   IDMAPPED value (of the mount plan's operation)
 *                                  <-  SOURCE_FD (or ERROR)
 *   HOOKS                          ->             prestart and createRuntime hooks
 *                                  <-  GO
 *   NETWORK (before sysctls of it) ->             its links are there
 *                                  <-  GO
 *   USERNS (a micro-VM's, made last) ->
 *                                  <-  GO         its id maps are written
 *   MASTER (foreground terminal)   ->
 *   JAILED (a micro-VM)            ->             nothing is done for it any more: from here on
 *                                                 its guest may be the one that speaks
 *   READY                          ->             limits of the process (in a user
 *                                                 namespace), state.json written
 *                                  <-  GO         from here on the child outlives the parent
 *                                  <-  START      (run; with create it comes over the start socket)
 *   EXEC                           ->             the start socket is removed
 *                                  <-  GO         (not with run)
 *                                                 then end of file: the program runs; or ERROR
 *
 * ERROR may take the place of any message of the child: it carries the struct err as it is, with a
 * code (sync_recv sees to it).
 */
#ifndef CTR_SYNC_H
#define CTR_SYNC_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum sync_type {
	SYNC_ERROR = 1,
	SYNC_PID,
	SYNC_GO,
	SYNC_SOURCE,
	SYNC_IDMAPPED,
	SYNC_SOURCE_FD,
	SYNC_HOOKS,
	SYNC_MASTER,
	SYNC_READY,
	SYNC_START,
	SYNC_EXEC,
	SYNC_USERNS,
	SYNC_NETWORK,
	SYNC_JAILED,
};

#define SYNC_TEXT_MAX 4096

struct sync_msg {
	uint32_t type;
	int32_t value;
	union {
		char text[SYNC_TEXT_MAX];
		struct err err;
	};
};

/* A connected pair, O_CLOEXEC. 0 or -errno with *e set. */
int sync_pair(int *parent, int *child, struct err *e);

/* Sends type and value; text (may be NULL) and fd (or -1) with it. 0 or -errno. */
int sync_send(int sock, enum sync_type type, int32_t value, const char *text, int fd);
int sync_send_err(int sock, const struct err *err);

/*
 * Receives one message; *fd (may be NULL) gets the descriptor that came, or -1. 1: a message, 0:
 * the other side is gone, -errno.
 */
int sync_recv(int sock, struct sync_msg *m, int *fd);

/*
 * Receives and insists on one type. An ERROR message becomes *e and its -errno; anything else, and
 * the end of file, an error that says what was awaited from whom ("container init").
 */
int sync_expect(int sock, enum sync_type type, const char *who, struct sync_msg *m, int *fd,
		struct err *e);

#endif
