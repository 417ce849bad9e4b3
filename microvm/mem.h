/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's RAM, and the only way from a guest physical address to a pointer. Up to MEM_LOW_MAX
 * it lies at 0, the rest at MEM_HIGH; between them are the devices. Private anonymous memory that
 * costs nothing before the guest touches it.
 */
#ifndef CTR_MICROVM_MEM_H
#define CTR_MICROVM_MEM_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define MEM_LOW_MAX (3ULL << 30) /* where the devices' addresses begin */
#define MEM_HIGH (4ULL << 30)
#define MEM_MAX (1ULL << 40) /* of RAM in all */

/* Our own VMM has two; QEMU says how many its machine has. */
enum { MEM_REGIONS = 8 };

struct mem_region {
	uint64_t gpa, size; /* bytes */
	uint8_t *host;
};

struct mem {
	struct mem_region r[MEM_REGIONS];
	size_t n;
};

/* Maps size bytes (a multiple of 4096, not 0). On failure m is as empty as `struct mem m = {}`. */
int mem_init(struct mem *m, uint64_t size, struct err *e);
void mem_free(struct mem *m); /* idempotent */

/*
 * The len bytes at gpa, or NULL unless len > 0 and all of them are RAM of one region. What lies
 * there changes under the reader at any time: copy once, check the copy.
 */
void *mem_at(const struct mem *m, uint64_t gpa, uint64_t len);

#endif
