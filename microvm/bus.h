/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses to devices: one bus for ports, one for memory-mapped registers. Filled before the first
 * vCPU runs, never changed then, so vCPUs use it without a lock; a device has its own.
 */
#ifndef CTR_MICROVM_BUS_H
#define CTR_MICROVM_BUS_H

#include <stddef.h>
#include <stdint.h>

enum { BUS_MAX = 24 };

struct bus_dev {
	/* off + len lie inside the device's range; len is 1, 2, 4 or 8. */
	void (*read)(struct bus_dev *d, uint64_t off, void *data, unsigned int len);
	void (*write)(struct bus_dev *d, uint64_t off, const void *data, unsigned int len);
	uint64_t base, size;
};

struct bus {
	struct bus_dev *v[BUS_MAX];
	size_t n;
};

int bus_add(struct bus *b, struct bus_dev *d); /* 0, -ENOSPC, or -EEXIST when ranges meet */

/*
 * What nobody answers to, or only in part, reads as all ones and takes writes without an effect:
 * whatever a guest does there is no error of ours.
 */
void bus_read(struct bus *b, uint64_t addr, void *data, unsigned int len);
void bus_write(struct bus *b, uint64_t addr, const void *data, unsigned int len);

#endif
