/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's side of a split virtqueue (virtio 1.2, 2.7). Everything in it is written by the
 * guest while we read: each number is read once and checked, every address goes through mem_at,
 * every chain has an end. A queue that breaks a rule is broken until the device is reset.
 *
 * One thread at a time uses a queue (the device's lock, virtio_dev.h).
 */
#ifndef CTR_MICROVM_VIRTQ_H
#define CTR_MICROVM_VIRTQ_H

#include "microvm/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
	VIRTQ_MAX_SIZE = 1024, /* entries of a queue */
	VIRTQ_MAX_IOV = 1024,  /* pieces of one chain; what preadv(2) takes */
};

struct virtq {
	/* What the driver wrote into the transport's registers. */
	uint16_t max;  /* the device's word: a power of two up to VIRTQ_MAX_SIZE */
	uint16_t size; /* the driver's */
	bool ready;
	uint64_t desc, avail, used; /* guest physical addresses of the three parts */

	/* Private, between virtq_start and virtq_stop. */
	const struct mem *mem;
	const uint8_t *desc_at;
	uint16_t *avail_at; /* flags, idx, ring[size], used_event */
	uint16_t *used_at;  /* flags, idx, {u32 id, u32 len}[size], avail_event */
	bool running, broken, event_idx;
	uint16_t next_avail; /* the next entry that we take */
	uint16_t avail_idx;  /* the driver's index as we saw it last */
	uint16_t next_used;  /* our index */
	uint16_t signalled;  /* our index when an interrupt was last decided on */
};

/* One request. Filled by virtq_pop, 16 KiB: keep one a device, not one a function. */
struct virtq_chain {
	uint16_t head;          /* names the request in virtq_push */
	unsigned int n_out;     /* iov[0..n_out): what the guest sent, in order */
	unsigned int n_in;      /* iov[n_out..n_out+n_in): where the answer goes */
	size_t out_len, in_len; /* their sums; the guest's wish, so a device caps what it takes */
	/*
	 * Guest RAM. Pieces that touch are joined, so the borders say nothing: headers are
	 * copied out with iov_copy_out, never cast.
	 */
	struct iovec iov[VIRTQ_MAX_IOV];
};

/*
 * Checks what the driver wrote (size, alignment, whole rings inside one region of RAM) and begins
 * at index 0. event_idx: VIRTIO_F_EVENT_IDX was negotiated; indirect descriptors always work. 0 or
 * -EINVAL; a queue that the driver left unready is not started and gives 0.
 */
int virtq_start(struct virtq *q, const struct mem *mem, bool event_idx);

/* Back to what the device offered: only max is kept. */
void virtq_stop(struct virtq *q);

/*
 * The next request: 1 and *c, 0 when there is none (the driver will kick for the next one; this
 * cannot miss it), -EIO when the queue is broken (virtio_dev_fail). A queue that was never started
 * is an empty one.
 */
int virtq_pop(struct virtq *q, struct virtq_chain *c);

/* Gives back the request that the last virtq_pop took: the next one takes it again. */
void virtq_unpop(struct virtq *q);

/* Ends request c->head: written bytes of its `in` pieces are new, from the first one on. */
void virtq_push(struct virtq *q, uint16_t head, uint32_t written);

/* Whether the driver wants an interrupt for what was pushed since it was last asked. */
bool virtq_wants_irq(struct virtq *q);

/*
 * Copies len bytes from offset off of n pieces into buf, or from buf into them. The count, less
 * than len where the pieces end.
 */
size_t iov_copy_out(const struct iovec *iov, unsigned int n, size_t off, void *buf, size_t len);
size_t iov_copy_in(const struct iovec *iov, unsigned int n, size_t off, const void *buf,
		   size_t len);

/*
 * The part [off, off+len) of n pieces as pieces: at most max of them into out. Returns how many;
 * fewer bytes when max does not suffice.
 */
unsigned int iov_part(const struct iovec *iov, unsigned int n, size_t off, size_t len,
		      struct iovec *out, unsigned int max);

#endif
