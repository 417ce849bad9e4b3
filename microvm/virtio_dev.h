/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a virtio device is to its transport (virtio_mmio.c), and what it may ask of it. A device is
 * a struct that begins with a struct virtio_dev, one file each (virtio_rng.c is the shortest).
 *
 * Threads: kick and the watches run on the thread of the device's loop, activate and reset on that
 * of a vCPU; the device's lock is held in all of them, so a device needs none of its own. What is
 * slow in a kick holds up the driver's reset (which must wait for it) and nothing else of the
 * guest: interrupts are acknowledged without the lock.
 */
#ifndef CTR_MICROVM_VIRTIO_DEV_H
#define CTR_MICROVM_VIRTIO_DEV_H

#include "microvm/loop.h"
#include "microvm/virtq.h"

#include <pthread.h>

enum {
	VIRTIO_MAX_QUEUES = 8,
	/* Requests in one call of kick; then virtio_dev_again, so that the others have a turn. */
	VIRTIO_BUDGET = 64,
};

struct virtio_dev;

struct virtio_ops {
	uint32_t id; /* VIRTIO_ID_* of <linux/virtio_ids.h> */
	const char *name;
	/*
	 * The driver is ready: d->features are the agreed ones, the queues run. 0 or -errno: then
	 * the device is marked as broken. May be NULL.
	 */
	int (*activate)(struct virtio_dev *d);
	/*
	 * Queue q has news, or may have: called for every queue once after activate, then for
	 * each kick; never before, never after reset.
	 */
	void (*kick)(struct virtio_dev *d, unsigned int q);
	/*
	 * Back to the state before activate. On return nothing of the device touches guest
	 * memory any more. Also called for a device that was never activated. May be NULL.
	 */
	void (*reset)(struct virtio_dev *d);
	/* The driver writes len bytes (1, 2, 4) inside config. NULL: writes are dropped. */
	void (*config_write)(struct virtio_dev *d, size_t off, const void *buf, size_t len);
	/* Releases what the device owns, at the end of the VM. May be NULL. */
	void (*free)(struct virtio_dev *d);
};

struct virtio_dev {
	/* The device's constructor fills these. */
	const struct virtio_ops *ops;
	uint64_t offered;   /* device features; the transport adds the VIRTIO_F_* and RING_F_* */
	const void *config; /* what the driver reads at offset 0x100, or NULL */
	size_t config_len;  /* reads behind it give 0 */
	unsigned int n_queues;
	struct virtq q[VIRTIO_MAX_QUEUES]; /* .max of each is to be set */

	/* The transport's; a device only reads them. */
	uint64_t features; /* agreed on */
	bool active;       /* between activate and reset */
	const struct mem *mem;
	struct loop *loop;
	pthread_mutex_t lock;
	const struct virtio_transport_ops *transport;
	void *transport_data;
};

/* What a transport does for its device. */
struct virtio_transport_ops {
	void (*interrupt)(struct virtio_dev *d, unsigned int bits);
	void (*broken)(struct virtio_dev *d);
	void (*again)(struct virtio_dev *d, unsigned int q);
};

enum { VIRTIO_INT_RING = 1, VIRTIO_INT_CONFIG = 2 };

/* To be called after virtq_push, once a batch: interrupts the driver if it wants that. */
static inline void virtio_dev_notify(struct virtio_dev *d, unsigned int q)
{
	if (virtq_wants_irq(&d->q[q]))
		d->transport->interrupt(d, VIRTIO_INT_RING);
}

/* The bytes behind d->config have changed. */
static inline void virtio_dev_config_changed(struct virtio_dev *d)
{
	d->transport->interrupt(d, VIRTIO_INT_CONFIG);
}

/* The guest broke a rule: the device stops until the driver resets it. */
static inline void virtio_dev_fail(struct virtio_dev *d)
{
	d->transport->broken(d);
}

/* Calls kick for the queue again, after the other descriptors of the loop had their turn. */
static inline void virtio_dev_again(struct virtio_dev *d, unsigned int q)
{
	d->transport->again(d, q);
}

/*
 * The kick of a device that answers each request at once: at most VIRTIO_BUDGET of queue q come
 * into *c, one after the other, and serve answers each (with virtq_push). Then the driver is told,
 * and the queue has another turn if there may be more. 0, or the negative number of serve or the
 * queue: the guest broke a rule, the device has failed.
 */
int virtio_dev_serve(struct virtio_dev *d, unsigned int q, struct virtq_chain *c,
		     int (*serve)(struct virtio_dev *d, struct virtq *q));

/*
 * A descriptor that the device waits for: fn(d, EPOLL* events), level triggered, with the lock
 * held and only while the device is active. Zero events: not now. The descriptor stays the
 * device's.
 */
struct virtio_watch {
	struct loop_watch watch;
	struct virtio_dev *dev;
	void (*fn)(struct virtio_dev *d, uint32_t events);
	int fd;
	uint32_t events;
	bool added;
};

int virtio_watch_set(struct virtio_watch *w, uint32_t events); /* 0 or -errno */

#endif
