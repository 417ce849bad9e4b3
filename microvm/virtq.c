/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why nothing here trusts a second look: a guest with two processors changes a descriptor between
 * the check and the use. So the driver's index is loaded once a batch, a descriptor is copied once,
 * and only the copies are looked at.
 */
#include "microvm/virtq.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "virtio 1 is little-endian");
_Static_assert(sizeof(struct vring_desc) == 16, "descriptor");

/* Index of a 16-bit word inside the two rings. */
enum { RING_FLAGS = 0, RING_IDX = 1, RING_FIRST = 2 };

static uint16_t load16(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static void store16(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

/* Full: orders our stores before our loads, which acquire and release do not. */
static void fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static uint16_t *avail_event(struct virtq *q)
{
	return q->used_at + RING_FIRST + 4 * (size_t)q->size;
}

static const uint16_t *used_event(const struct virtq *q)
{
	return q->avail_at + RING_FIRST + q->size;
}

int virtq_start(struct virtq *q, const struct mem *mem, bool event_idx)
{
	const uint64_t n = q->size;

	if (!q->ready)
		return 0;
	if (n == 0 || (n & (n - 1)) || n > q->max || n > VIRTQ_MAX_SIZE)
		return -EINVAL;
	if (q->desc % 16 || q->avail % 2 || q->used % 4)
		return -EINVAL;
	q->desc_at = mem_at(mem, q->desc, 16 * n);
	q->avail_at = mem_at(mem, q->avail, 6 + 2 * n);
	q->used_at = mem_at(mem, q->used, 6 + 8 * n);
	if (!q->desc_at || !q->avail_at || !q->used_at)
		return -EINVAL;
	q->mem = mem;
	q->event_idx = event_idx;
	q->next_avail = q->avail_idx = q->next_used = q->signalled = 0;
	q->broken = false;
	q->running = true;
	return 0;
}

void virtq_stop(struct virtq *q)
{
	*q = (struct virtq){ .max = q->max };
}

/* Looks at the driver's index. 1 when there is something, 0, or -EIO. */
static int look(struct virtq *q)
{
	const uint16_t idx = __atomic_load_n(&q->avail_at[RING_IDX], __ATOMIC_ACQUIRE);

	if ((uint16_t)(idx - q->next_avail) > q->size)
		return -EIO;
	q->avail_idx = idx;
	return idx != q->next_avail;
}

/*
 * Nothing there: says so to the driver and looks again, since it may have added an entry, and seen
 * that we want no kick for it, in between.
 */
static int look_and_arm(struct virtq *q)
{
	int r = look(q);

	if (r != 0 || !q->event_idx)
		return r;
	store16(avail_event(q), q->next_avail);
	fence();
	return look(q);
}

static void desc_copy(struct vring_desc *d, const uint8_t *table, size_t i)
{
	memcpy(d, table + 16 * i, sizeof(*d));
	/* The compiler may not go back to the original for a member that it needs later. */
	__asm__ volatile("" : "+m"(*d) : : "memory");
}

static int add_piece(struct virtq *q, struct virtq_chain *c, const struct vring_desc *d)
{
	const bool in = d->flags & VRING_DESC_F_WRITE;
	const unsigned int n = c->n_out + c->n_in;
	void *p = mem_at(q->mem, d->addr, d->len);
	struct iovec *last = n ? &c->iov[n - 1] : NULL;

	if (!p || (!in && c->n_in))
		return -EIO;
	*(in ? &c->in_len : &c->out_len) += d->len;
	if (last && (in ? c->n_in : c->n_out) && (uint8_t *)last->iov_base + last->iov_len == p) {
		last->iov_len += d->len;
		return 0;
	}
	if (n == VIRTQ_MAX_IOV)
		return -EIO;
	c->iov[n] = (struct iovec){ .iov_base = p, .iov_len = d->len };
	++*(in ? &c->n_in : &c->n_out);
	return 0;
}

static bool indirect_fits(const struct virtq *q, const struct vring_desc *d)
{
	return !(d->flags & VRING_DESC_F_NEXT) && d->len % 16 == 0 && d->len / 16 <= q->size;
}

static int walk(struct virtq *q, struct virtq_chain *c)
{
	const uint8_t *table = q->desc_at;
	uint32_t entries = q->size, left = entries, i = c->head;
	bool indirect = false;
	struct vring_desc d;

	c->n_out = c->n_in = 0;
	c->out_len = c->in_len = 0;
	for (;;) {
		if (i >= entries || left-- == 0)
			return -EIO;
		desc_copy(&d, table, i);
		if (d.flags & VRING_DESC_F_INDIRECT) {
			if (indirect || !indirect_fits(q, &d))
				return -EIO;
			table = mem_at(q->mem, d.addr, d.len);
			if (!table)
				return -EIO;
			indirect = true;
			entries = left = d.len / 16;
			i = 0;
			continue;
		}
		if (add_piece(q, c, &d) < 0)
			return -EIO;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		i = d.next;
	}
}

int virtq_pop(struct virtq *q, struct virtq_chain *c)
{
	int r;

	if (q->broken)
		return -EIO;
	if (!q->running)
		return 0;
	if (q->next_avail == q->avail_idx) {
		r = look_and_arm(q);
		q->broken = r < 0;
		if (r <= 0)
			return r;
	}
	c->head = load16(&q->avail_at[RING_FIRST + (q->next_avail & (q->size - 1))]);
	r = walk(q, c);
	if (r < 0) {
		q->broken = true;
		return r;
	}
	q->next_avail++;
	return 1;
}

void virtq_unpop(struct virtq *q)
{
	q->next_avail--;
}

void virtq_push(struct virtq *q, uint16_t head, uint32_t written)
{
	const size_t at = RING_FIRST + 4 * (size_t)(q->next_used & (q->size - 1));
	const struct vring_used_elem elem = { .id = head, .len = written };

	memcpy(&q->used_at[at], &elem, sizeof(elem));
	q->next_used++;
	__atomic_store_n(&q->used_at[RING_IDX], q->next_used, __ATOMIC_RELEASE);
}

bool virtq_wants_irq(struct virtq *q)
{
	const uint16_t old = q->signalled;

	if (!q->running || old == q->next_used)
		return false;
	q->signalled = q->next_used;
	fence();
	if (!q->event_idx)
		return !(load16(&q->avail_at[RING_FLAGS]) & VRING_AVAIL_F_NO_INTERRUPT);
	return vring_need_event(load16(used_event(q)), q->next_used, old);
}

unsigned int iov_part(const struct iovec *iov, unsigned int n, size_t off, size_t len,
		      struct iovec *out, unsigned int max)
{
	unsigned int got = 0;

	for (unsigned int i = 0; i < n && len > 0 && got < max; i++) {
		size_t piece;

		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		piece = iov[i].iov_len - off;
		if (piece > len)
			piece = len;
		out[got++] = (struct iovec){ .iov_base = (uint8_t *)iov[i].iov_base + off,
					     .iov_len = piece };
		len -= piece;
		off = 0;
	}
	return got;
}

/* One direction of a copy between pieces and a buffer. */
static size_t copy(const struct iovec *iov, unsigned int n, size_t off, uint8_t *buf, size_t len,
		   bool out)
{
	size_t done = 0;

	for (unsigned int i = 0; i < n && done < len; i++) {
		struct iovec part;

		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		iov_part(&iov[i], 1, off, len - done, &part, 1);
		off = 0;
		if (out)
			memcpy(buf + done, part.iov_base, part.iov_len);
		else
			memcpy(part.iov_base, buf + done, part.iov_len);
		done += part.iov_len;
	}
	return done;
}

size_t iov_copy_out(const struct iovec *iov, unsigned int n, size_t off, void *buf, size_t len)
{
	return copy(iov, n, off, buf, len, true);
}

size_t iov_copy_in(const struct iovec *iov, unsigned int n, size_t off, const void *buf, size_t len)
{
	return copy(iov, n, off, (uint8_t *)buf, len, false);
}
