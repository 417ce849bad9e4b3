/* SPDX-License-Identifier: Apache-2.0 */
/* The signals that ask to end (INT, TERM, HUP, QUIT), to be polled beside what is awaited. */
#ifndef CTR_ENDING_H
#define CTR_ENDING_H

#include "base/cleanup.h"
#include "base/err.h"

#include <signal.h>
#include <stdbool.h>

struct ending {
	int fd; /* readable when one has come; -1: not watched */
	sigset_t old;
};

#define ENDING_INIT      \
	{                \
		.fd = -1 \
	}
#define AUTO_ENDING AUTO(ending_close)

/*
 * From here to ending_close they are blocked, but for those that the caller has told us to ignore
 * (as nohup does). With or without supervise_block.
 */
int ending_watch(struct ending *w, struct err *e);

/* Takes one: its number, or 0 when there is none. What is taken has no other effect. */
int ending_taken(struct ending *w);

/* The mask is the former one; one that came and was not taken has its effect. Idempotent. */
void ending_close(struct ending *w);

bool ending_asks(int sig);

#endif
