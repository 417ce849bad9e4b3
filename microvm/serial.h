/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550A that only sends: what a kernel prints from its first line on. Each byte is an exit, so
 * it is there with --debug only. Nothing is ever buffered: a byte goes out or is dropped.
 */
#ifndef CTR_MICROVM_SERIAL_H
#define CTR_MICROVM_SERIAL_H

#include "microvm/bus.h"

#include <pthread.h>
#include <stdbool.h>

struct serial {
	struct bus_dev bus; /* first */
	int out;            /* non-blocking, borrowed */
	int irq;            /* eventfd of its interrupt, borrowed; -1: none */
	pthread_mutex_t lock;
	uint8_t ier, lcr, mcr, scr, dll, dlm, loop;
	bool fifo, thr_pending, loop_full;
};

void serial_init(struct serial *s, uint64_t base, int out, int irq);

#endif
