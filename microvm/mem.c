/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/mem.h"

#include <errno.h>
#include <sys/mman.h>

#define HUGE (2ULL << 20)

/*
 * Aligned to 2 MiB, so that guest and host agree on where huge pages are: a reservation that is
 * larger by one huge page, cut to the middle.
 */
static int region_map(struct mem *m, uint64_t gpa, uint64_t size, struct err *e)
{
	struct mem_region *r = &m->r[m->n];
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	uint64_t head, tail;
	uint8_t *p;

	/* cppcheck-suppress invalidFunctionArg */
	p = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (p == MAP_FAILED)
		return err_sys(e, errno, "guest memory: map %llu MiB",
			       (unsigned long long)(size >> 20));
	head = (HUGE - ((uintptr_t)p & (HUGE - 1))) & (HUGE - 1);
	tail = HUGE - head;
	if (head)
		munmap(p, head);
	if (tail)
		munmap(p + head + size, tail);
	*r = (struct mem_region){ .gpa = gpa, .size = size, .host = p + head };
	m->n++;
	/* Wishes: a kernel without huge pages runs the guest as well. A core dump never has RAM. */
	madvise(r->host, size, MADV_HUGEPAGE);
	madvise(r->host, size, MADV_DONTDUMP);
	return 0;
}

int mem_init(struct mem *m, uint64_t size, struct err *e)
{
	const uint64_t low = size < MEM_LOW_MAX ? size : MEM_LOW_MAX;
	int r;

	*m = (struct mem){};
	if (size == 0 || size % 4096 || size > MEM_MAX)
		return err_set(e, EINVAL, "guest memory: %llu bytes is not a size that works",
			       (unsigned long long)size);
	r = region_map(m, 0, low, e);
	if (r == 0 && size > low)
		r = region_map(m, MEM_HIGH, size - low, e);
	if (r < 0)
		mem_free(m);
	return r;
}

void mem_free(struct mem *m)
{
	for (size_t i = 0; i < m->n; i++)
		munmap(m->r[i].host, m->r[i].size);
	*m = (struct mem){};
}

void *mem_at(const struct mem *m, uint64_t gpa, uint64_t len)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct mem_region *r = &m->r[i];
		const uint64_t off = gpa - r->gpa;

		if (gpa < r->gpa || off >= r->size)
			continue;
		return len > 0 && len <= r->size - off ? r->host + off : NULL;
	}
	return NULL;
}
