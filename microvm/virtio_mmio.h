/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-mmio transport, version 2 (virtio 1.2, 4.2). What the registers allow at which moment
 * is stricter than what the specification asks of a device: the driver goes through the states in
 * their one order, and touches the queues between FEATURES_OK and DRIVER_OK only.
 */
#ifndef CTR_MICROVM_VIRTIO_MMIO_H
#define CTR_MICROVM_VIRTIO_MMIO_H

#include "microvm/bus.h"
#include "microvm/virtio_dev.h"

#include <stdatomic.h>

struct virtio_mmio_queue {
	struct loop_watch watch; /* first */
	struct virtio_mmio *mmio;
	int kick; /* eventfd: the driver's notification, by ioeventfd or by register */
};

struct virtio_mmio {
	struct bus_dev bus; /* first */
	struct virtio_dev *dev;
	int irq; /* eventfd of its interrupt */
	struct virtio_mmio_queue q[VIRTIO_MAX_QUEUES];

	/* Under the device's lock. */
	uint32_t status;
	uint32_t offered_sel, driver_sel, queue_sel, shm_sel;
	uint64_t driver_features;
	uint32_t generation;
	/* Without it: an interrupt is acknowledged while the device is at work. */
	atomic_uint pending;

	/* When the driver became ready, in nanoseconds of CLOCK_MONOTONIC. */
	atomic_ullong ready_at;
};

/*
 * Puts a device behind registers at base, its queues' kicks into the loop. Takes over dev: it is
 * freed by virtio_mmio_free, and on failure. mem is borrowed, as is the loop.
 */
int virtio_mmio_init(struct virtio_mmio *t, struct virtio_dev *dev, uint64_t base,
		     const struct mem *mem, struct loop *loop, struct err *e);

/* To be called when no vCPU and no loop runs. Idempotent; also for one never initialised. */
void virtio_mmio_free(struct virtio_mmio *t);

#endif
