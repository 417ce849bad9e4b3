/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/virtio_mmio.h"

#include "microvm/layout.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x74726976U  /* "virt" */
#define VENDOR 0x2e727463U /* "ctr." */

/* Registers that the kernel's header does not name yet. */
#define REG_SHM_SEL 0x0ac
#define REG_SHM_LEN_LOW 0x0b0
#define REG_SHM_BASE_HIGH 0x0bc

enum {
	S_ACKNOWLEDGE = VIRTIO_CONFIG_S_ACKNOWLEDGE,
	S_DRIVER = S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER,
	S_FEATURES_OK = S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK,
	S_DRIVER_OK = S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK,
	/* What may come on top of any of these. */
	S_EXTRA = VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED,
};

#define TRANSPORT_FEATURES                                                  \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC | \
	 1ULL << VIRTIO_RING_F_EVENT_IDX)

static uint64_t offered(const struct virtio_dev *d)
{
	return d->offered | TRANSPORT_FEATURES;
}

static void ring(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it has been rung */
}

/* ---- what the device asks for ---- */

static void interrupt(struct virtio_dev *d, unsigned int bits)
{
	struct virtio_mmio *t = d->transport_data;

	if (bits & VIRTIO_INT_CONFIG)
		t->generation++;
	/*
	 * A bit that is still set was not acknowledged yet, and the driver looks at its queues
	 * after it has acknowledged: the interrupt on its way is enough.
	 */
	if ((atomic_fetch_or(&t->pending, bits) & bits) != bits)
		ring(t->irq);
}

static void broken(struct virtio_dev *d)
{
	struct virtio_mmio *t = d->transport_data;

	d->active = false;
	t->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	interrupt(d, VIRTIO_INT_CONFIG);
}

static void again(struct virtio_dev *d, unsigned int q)
{
	ring(((struct virtio_mmio *)d->transport_data)->q[q].kick);
}

static const struct virtio_transport_ops transport = {
	.interrupt = interrupt,
	.broken = broken,
	.again = again,
};

/* A notification, on the thread of the loop. */
static void on_kick(struct loop_watch *w, uint32_t events)
{
	struct virtio_mmio_queue *q = (struct virtio_mmio_queue *)w;
	struct virtio_dev *d = q->mmio->dev;
	uint64_t count;

	(void)events;
	if (read(q->kick, &count, sizeof(count)) != sizeof(count))
		return;
	pthread_mutex_lock(&d->lock);
	if (d->active)
		d->ops->kick(d, (unsigned int)(q - q->mmio->q));
	pthread_mutex_unlock(&d->lock);
}

/* ---- the state machine ---- */

static void reset(struct virtio_mmio *t)
{
	struct virtio_dev *d = t->dev;

	d->active = false;
	if (d->ops->reset)
		d->ops->reset(d);
	for (unsigned int i = 0; i < d->n_queues; i++)
		virtq_stop(&d->q[i]);
	d->features = 0;
	t->status = 0;
	t->driver_features = 0;
	t->offered_sel = t->driver_sel = t->queue_sel = t->shm_sel = 0;
	atomic_store(&t->pending, 0);
}

static bool features_fit(const struct virtio_mmio *t)
{
	return !(t->driver_features & ~offered(t->dev)) &&
	       (t->driver_features & 1ULL << VIRTIO_F_VERSION_1);
}

static void activate(struct virtio_mmio *t)
{
	struct virtio_dev *d = t->dev;
	const bool event_idx = t->driver_features & 1ULL << VIRTIO_RING_F_EVENT_IDX;
	struct timespec now;
	int r = 0;

	d->features = t->driver_features;
	for (unsigned int i = 0; r == 0 && i < d->n_queues; i++)
		r = virtq_start(&d->q[i], d->mem, event_idx);
	if (r == 0) {
		d->active = true;
		if (d->ops->activate)
			r = d->ops->activate(d);
	}
	if (r < 0) {
		broken(d);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	atomic_store(&t->ready_at,
		     (unsigned long long)now.tv_sec * 1000000000ULL + (unsigned long)now.tv_nsec);
	/* What was put into the queues before, and notified too early. */
	for (unsigned int i = 0; i < d->n_queues; i++)
		ring(t->q[i].kick);
}

/* One step at a time; bits that were set stay set, and nothing but 0 goes back. */
static void set_status(struct virtio_mmio *t, uint32_t v)
{
	const uint32_t old = t->status & ~(uint32_t)S_EXTRA;

	if (v == 0) {
		reset(t);
		return;
	}
	if (v & VIRTIO_CONFIG_S_FAILED) {
		t->status |= VIRTIO_CONFIG_S_FAILED;
		return;
	}
	v &= ~(uint32_t)S_EXTRA;
	if (t->status & S_EXTRA)
		return;
	if (old == 0 && v == S_ACKNOWLEDGE) {
		t->status = v;
	} else if (old == S_ACKNOWLEDGE && v == S_DRIVER) {
		t->status = v;
	} else if (old == S_DRIVER && v == S_FEATURES_OK && features_fit(t)) {
		t->status = v;
	} else if (old == S_FEATURES_OK && v == S_DRIVER_OK) {
		t->status = v;
		activate(t);
	}
}

/* ---- registers ---- */

static struct virtq *selected(struct virtio_mmio *t)
{
	return t->queue_sel < t->dev->n_queues ? &t->dev->q[t->queue_sel] : NULL;
}

static uint32_t half(uint64_t v, uint32_t sel)
{
	return sel == 0 ? (uint32_t)v : sel == 1 ? (uint32_t)(v >> 32) : 0;
}

static void set_half(uint64_t *v, uint32_t sel, uint32_t half_v)
{
	if (sel == 0)
		*v = (*v & ~0xffffffffULL) | half_v;
	else if (sel == 1)
		*v = (*v & 0xffffffffULL) | (uint64_t)half_v << 32;
}

static uint32_t get_reg(struct virtio_mmio *t, uint64_t off)
{
	const struct virtq *q = selected(t);

	switch (off) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return 2;
	case VIRTIO_MMIO_DEVICE_ID:
		return t->dev->ops->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return half(offered(t->dev), t->offered_sel);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return q ? q->max : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return q ? q->ready : 0;
	case VIRTIO_MMIO_STATUS:
		return t->status;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return t->generation;
	default:
		/* No shared memory: a length of all ones. */
		return off >= REG_SHM_LEN_LOW && off <= REG_SHM_BASE_HIGH ? ~0U : 0;
	}
}

/* Where queues lie is set between FEATURES_OK and DRIVER_OK, and not while they are ready. */
static void set_queue(struct virtio_mmio *t, uint64_t off, uint32_t v)
{
	struct virtq *q = selected(t);

	if (!q || t->status != S_FEATURES_OK)
		return;
	if (off == VIRTIO_MMIO_QUEUE_READY) {
		q->ready = v == 1;
		return;
	}
	if (q->ready)
		return;
	switch (off) {
	case VIRTIO_MMIO_QUEUE_NUM:
		q->size = v <= q->max && (v & (v - 1)) == 0 ? (uint16_t)v : 0;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_half(&q->desc, off == VIRTIO_MMIO_QUEUE_DESC_HIGH, v);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_half(&q->avail, off == VIRTIO_MMIO_QUEUE_AVAIL_HIGH, v);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_half(&q->used, off == VIRTIO_MMIO_QUEUE_USED_HIGH, v);
		break;
	}
}

static void set_reg(struct virtio_mmio *t, uint64_t off, uint32_t v)
{
	switch (off) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		t->offered_sel = v;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		t->driver_sel = v;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		if (t->status == S_DRIVER)
			set_half(&t->driver_features, t->driver_sel, v);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		t->queue_sel = v;
		break;
	case VIRTIO_MMIO_STATUS:
		set_status(t, v);
		break;
	case REG_SHM_SEL:
		t->shm_sel = v;
		break;
	default:
		set_queue(t, off, v);
	}
}

static void config_read(struct virtio_dev *d, uint64_t off, void *data, unsigned int len)
{
	size_t n = off < d->config_len ? d->config_len - off : 0;

	memset(data, 0, len);
	if (n > 0)
		memcpy(data, (const uint8_t *)d->config + off, n < len ? n : len);
}

static void mmio_read(struct bus_dev *b, uint64_t off, void *data, unsigned int len)
{
	struct virtio_mmio *t = (struct virtio_mmio *)b;
	uint32_t v;

	if (off < VIRTIO_MMIO_CONFIG && (len != 4 || off % 4))
		return;
	if (off == VIRTIO_MMIO_INTERRUPT_STATUS) {
		v = atomic_load(&t->pending);
		memcpy(data, &v, sizeof(v));
		return;
	}
	pthread_mutex_lock(&t->dev->lock);
	if (off >= VIRTIO_MMIO_CONFIG) {
		config_read(t->dev, off - VIRTIO_MMIO_CONFIG, data, len);
	} else {
		v = get_reg(t, off);
		memcpy(data, &v, sizeof(v));
	}
	pthread_mutex_unlock(&t->dev->lock);
}

static void config_write(struct virtio_dev *d, uint64_t off, const void *data, unsigned int len)
{
	if (d->ops->config_write && len <= 4 && off <= d->config_len && len <= d->config_len - off)
		d->ops->config_write(d, off, data, len);
}

static void mmio_write(struct bus_dev *b, uint64_t off, const void *data, unsigned int len)
{
	struct virtio_mmio *t = (struct virtio_mmio *)b;
	uint32_t v = 0;

	if (off < VIRTIO_MMIO_CONFIG && (len != 4 || off % 4))
		return;
	memcpy(&v, data, len < sizeof(v) ? len : sizeof(v));
	if (off == VIRTIO_MMIO_INTERRUPT_ACK) {
		atomic_fetch_and(&t->pending, ~v);
		return;
	}
	/* KVM keeps most of these to itself (ioeventfd). */
	if (off == VIRTIO_MMIO_QUEUE_NOTIFY) {
		if (v < t->dev->n_queues)
			ring(t->q[v].kick);
		return;
	}
	pthread_mutex_lock(&t->dev->lock);
	if (off >= VIRTIO_MMIO_CONFIG)
		config_write(t->dev, off - VIRTIO_MMIO_CONFIG, data, len);
	else
		set_reg(t, off, v);
	pthread_mutex_unlock(&t->dev->lock);
}

/* ---- its life ---- */

static int add_queue(struct virtio_mmio *t, unsigned int i)
{
	struct virtio_mmio_queue *q = &t->q[i];

	q->watch.fn = on_kick;
	q->mmio = t;
	q->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->kick < 0)
		return -errno;
	return loop_add(t->dev->loop, q->kick, EPOLLIN, &q->watch);
}

int virtio_mmio_init(struct virtio_mmio *t, struct virtio_dev *dev, uint64_t base,
		     const struct mem *mem, struct loop *loop, struct err *e)
{
	int r = 0;

	*t = (struct virtio_mmio){
		.bus = { mmio_read, mmio_write, base, LAYOUT_VIRTIO_SIZE },
		.dev = dev,
	};
	dev->transport = &transport;
	dev->transport_data = t;
	dev->mem = mem;
	dev->loop = loop;
	dev->active = false;
	pthread_mutex_init(&dev->lock, NULL);
	for (unsigned int i = 0; i < VIRTIO_MAX_QUEUES; i++)
		t->q[i].kick = -1;
	t->irq = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->irq < 0)
		r = -errno;
	for (unsigned int i = 0; r == 0 && i < dev->n_queues; i++)
		r = add_queue(t, i);
	if (r < 0) {
		err_sys(e, -r, "virtio device %s", dev->ops->name);
		virtio_mmio_free(t);
	}
	return r;
}

void virtio_mmio_free(struct virtio_mmio *t)
{
	struct virtio_dev *d = t->dev;

	if (!d)
		return;
	reset(t);
	for (unsigned int i = 0; i < VIRTIO_MAX_QUEUES; i++)
		if (t->q[i].kick >= 0)
			close(t->q[i].kick);
	if (t->irq >= 0)
		close(t->irq);
	pthread_mutex_destroy(&d->lock);
	t->dev = NULL;
	if (d->ops->free)
		d->ops->free(d);
}
