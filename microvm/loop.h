/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that waits for descriptors and calls who wants to know. Watches may be added and
 * changed from any thread; what they point to stays valid until loop_stop has returned.
 */
#ifndef CTR_MICROVM_LOOP_H
#define CTR_MICROVM_LOOP_H

#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <time.h>

struct loop_watch {
	void (*fn)(struct loop_watch *w, uint32_t events); /* on the loop's thread */
};

struct loop {
	int epoll;
	int quit; /* eventfd */
	pthread_t thread;
	bool running;
	char name[16];
};

#define LOOP_INIT                       \
	{                               \
		.epoll = -1, .quit = -1 \
	}

/* name: of the thread, as ps shows it. Starts no thread. */
int loop_init(struct loop *l, const char *name, struct err *e);

/* 0 or -errno. The descriptor stays the caller's, who removes it before closing it. */
int loop_add(struct loop *l, int fd, uint32_t events, struct loop_watch *w);
int loop_mod(struct loop *l, int fd, uint32_t events, struct loop_watch *w);
int loop_del(struct loop *l, int fd);

int loop_start(struct loop *l, struct err *e);

/*
 * Waits for the thread, until the deadline at most (CLOCK_MONOTONIC), and closes all; idempotent.
 * -ETIMEDOUT: the thread is still busy, and nothing was closed.
 */
int loop_stop(struct loop *l, const struct timespec *deadline);

#endif
