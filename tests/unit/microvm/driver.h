/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's side of a virtqueue, for the tests of devices: a piece of guest memory with a ring in
 * it, requests put there, answers taken out.
 */
#ifndef CTR_TEST_MICROVM_DRIVER_H
#define CTR_TEST_MICROVM_DRIVER_H

#include "microvm/virtio_dev.h"

#include <linux/virtio_ring.h>
#include <string.h>

enum {
	DRIVER_RAM = 4 << 20,
	DRIVER_RINGS = 0x10000, /* of queue q: + q * 0x10000 */
	DRIVER_DATA = 0x200000, /* free for requests */
};

struct driver {
	struct mem *mem;
	struct virtq *q;
	uint64_t rings;
	uint16_t next_desc, avail_idx, used_idx;
};

static inline void driver_desc(struct driver *d, uint16_t i, uint64_t addr, uint32_t len,
			       uint16_t flags, uint16_t next)
{
	const struct vring_desc v = { .addr = addr, .len = len, .flags = flags, .next = next };

	memcpy((uint8_t *)mem_at(d->mem, d->q->desc, 16) + 16 * (size_t)i, &v, sizeof(v));
}

static inline uint16_t *driver_avail(struct driver *d)
{
	return mem_at(d->mem, d->q->avail, 4);
}

static inline uint16_t *driver_used(struct driver *d)
{
	return mem_at(d->mem, d->q->used, 4);
}

static inline void driver_expose(struct driver *d, uint16_t head)
{
	driver_avail(d)[2 + d->avail_idx % d->q->size] = head;
	d->avail_idx++;
	__atomic_store_n(&driver_avail(d)[1], d->avail_idx, __ATOMIC_RELEASE);
}

/* Fills in the registers of queue q of a device, as a driver would; virtq_start is still to do. */
static inline void driver_init(struct driver *d, struct mem *m, struct virtq *q, unsigned int nr,
			       uint16_t size)
{
	*d = (struct driver){ .mem = m, .q = q, .rings = DRIVER_RINGS + nr * 0x10000ULL };
	q->size = size;
	q->desc = d->rings;
	q->avail = d->rings + 16ULL * size;
	q->used = d->rings + 0x8000;
	q->ready = true;
	memset(mem_at(m, d->rings, 0x10000), 0, 0x10000);
}

/* One request of n pieces; in[i] says that piece i is for the answer. Returns its head. */
static inline uint16_t driver_add(struct driver *d, const uint64_t *addr, const uint32_t *len,
				  const bool *in, unsigned int n)
{
	const uint16_t head = d->next_desc;

	for (unsigned int i = 0; i < n; i++) {
		const uint16_t at = (head + i) % d->q->size;
		const uint16_t flags =
			(in[i] ? VRING_DESC_F_WRITE : 0) | (i + 1 < n ? VRING_DESC_F_NEXT : 0);

		driver_desc(d, at, addr[i], len[i], flags, (at + 1) % d->q->size);
	}
	d->next_desc = (head + n) % d->q->size;
	driver_expose(d, head);
	return head;
}

/* The next answer: true with its head and length, false when there is none. */
static inline bool driver_get(struct driver *d, uint32_t *head, uint32_t *len)
{
	struct vring_used_elem e;

	if (__atomic_load_n(&driver_used(d)[1], __ATOMIC_ACQUIRE) == d->used_idx)
		return false;
	memcpy(&e, &driver_used(d)[2 + 4 * (d->used_idx % d->q->size)], sizeof(e));
	d->used_idx++;
	*head = e.id;
	*len = e.len;
	return true;
}

/* A transport for tests: counts what the device asks of it. */
struct test_transport {
	unsigned int rings, configs, broken, again;
};

static inline void test_interrupt(struct virtio_dev *d, unsigned int bits)
{
	struct test_transport *t = d->transport_data;

	t->rings += !!(bits & VIRTIO_INT_RING);
	t->configs += !!(bits & VIRTIO_INT_CONFIG);
}

static inline void test_broken(struct virtio_dev *d)
{
	((struct test_transport *)d->transport_data)->broken++;
}

static inline void test_again(struct virtio_dev *d, unsigned int q)
{
	(void)q;
	((struct test_transport *)d->transport_data)->again++;
}

/*
 * Makes a device active without a transport: drv[i] drives its queue i, of size entries or of as
 * many as it has.
 */
static inline int driver_attach(struct virtio_dev *dev, struct mem *m, struct loop *l,
				uint64_t features, struct driver *drv, uint16_t size,
				struct test_transport *t)
{
	static const struct virtio_transport_ops ops = {
		.interrupt = test_interrupt,
		.broken = test_broken,
		.again = test_again,
	};

	*t = (struct test_transport){};
	dev->mem = m;
	dev->loop = l;
	dev->features = features;
	dev->transport = &ops;
	dev->transport_data = t;
	pthread_mutex_init(&dev->lock, NULL);
	for (unsigned int i = 0; i < dev->n_queues; i++) {
		driver_init(&drv[i], m, &dev->q[i], i, size < dev->q[i].max ? size : dev->q[i].max);
		if (virtq_start(&dev->q[i], m, false) < 0)
			return -1;
	}
	dev->active = true;
	return dev->ops->activate ? dev->ops->activate(dev) : 0;
}

#endif
