/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/bus.h"

#include <errno.h>
#include <string.h>

int bus_add(struct bus *b, struct bus_dev *d)
{
	if (b->n == BUS_MAX)
		return -ENOSPC;
	for (size_t i = 0; i < b->n; i++)
		if (d->base < b->v[i]->base + b->v[i]->size && b->v[i]->base < d->base + d->size)
			return -EEXIST;
	b->v[b->n++] = d;
	return 0;
}

static struct bus_dev *find(struct bus *b, uint64_t addr, unsigned int len)
{
	if (len != 1 && len != 2 && len != 4 && len != 8)
		return NULL;
	for (size_t i = 0; i < b->n; i++) {
		struct bus_dev *d = b->v[i];

		if (addr >= d->base && addr - d->base < d->size)
			return len <= d->size - (addr - d->base) ? d : NULL;
	}
	return NULL;
}

void bus_read(struct bus *b, uint64_t addr, void *data, unsigned int len)
{
	struct bus_dev *d = find(b, addr, len);

	memset(data, 0xff, len);
	if (d)
		d->read(d, addr - d->base, data, len);
}

void bus_write(struct bus *b, uint64_t addr, const void *data, unsigned int len)
{
	struct bus_dev *d = find(b, addr, len);

	if (d)
		d->write(d, addr - d->base, data, len);
}
