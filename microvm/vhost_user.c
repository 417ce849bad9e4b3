/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Not spoken: migration (log, postcopy, a ring that begins elsewhere than at 0), the device's
 * configuration space (QEMU has the one of a file system), inflight regions. One thread waits for
 * messages and kicks alike: QEMU waits for the answers it wants, and a guest that is being reset
 * has no requests in the queues.
 */
#include "microvm/vhost_user.h"

#include "base/cleanup.h"
#include "microvm/vhost_user_msg.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	SET_VRING_ERR = 14,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
	REQUESTS,
};

enum { RING_INDEX = 0xff, RING_NO_FD = 0x100 };

#define F_PROTOCOL_FEATURES (1ULL << 30)
#define PF_MQ (1ULL << 0)
#define PF_REPLY_ACK (1ULL << 3)
#define FEATURES                                                            \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC | \
	 1ULL << VIRTIO_RING_F_EVENT_IDX | F_PROTOCOL_FEATURES)

struct ring {
	int kick, call;
	uint32_t num;
	struct vhost_vring_addr addr; /* QEMU's addresses */
	bool has_addr, enabled;
};

struct vhost_user {
	struct virtio_dev *dev;
	int sock;
	struct mem mem;
	uint64_t uva[MEM_REGIONS]; /* where QEMU has the regions */
	struct ring ring[VIRTIO_MAX_QUEUES];
	uint64_t features, protocol;
	unsigned int at; /* the queue whose kick is being worked on */
	bool broken;
};

static int bad(const struct vhost_user *v, const char *what, struct err *e)
{
	return err_set(e, EPROTO, "virtio device %s: vhost-user: %s", v->dev->ops->name, what);
}

/* ---- what the device asks for ---- */

static void ring_event(int fd)
{
	const uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it has been rung */
}

static void interrupt(struct virtio_dev *d, unsigned int bits)
{
	const struct vhost_user *v = d->transport_data;

	if (bits & VIRTIO_INT_RING)
		ring_event(v->ring[v->at].call);
}

static void broken(struct virtio_dev *d)
{
	((struct vhost_user *)d->transport_data)->broken = true;
}

static void again(struct virtio_dev *d, unsigned int q)
{
	ring_event(((struct vhost_user *)d->transport_data)->ring[q].kick);
}

static const struct virtio_transport_ops transport = {
	.interrupt = interrupt,
	.broken = broken,
	.again = again,
};

static int work(struct vhost_user *v, unsigned int i, struct err *e)
{
	v->at = i;
	if (v->dev->q[i].running && v->ring[i].enabled)
		v->dev->ops->kick(v->dev, i);
	return v->broken ? bad(v, "the guest broke a rule of its queues", e) : 0;
}

/* ---- guest memory ---- */

static int map_region(struct vhost_user *v, const struct vhost_region *g, int fd, struct err *e)
{
	const size_t i = v->mem.n;
	struct stat st;
	void *p;

	if (g->size == 0 || g->size > MEM_MAX || g->gpa > MEM_MAX || g->offset > MEM_MAX ||
	    g->uva > UINT64_MAX - g->size || g->offset % 4096)
		return bad(v, "a region of memory that cannot be", e);
	/* Behind the end of a file there is a signal, not memory. */
	if (fstat(fd, &st) < 0 || st.st_size < 0 || g->offset + g->size > (uint64_t)st.st_size)
		return bad(v, "a region of memory that is larger than its file", e);
	p = mmap(NULL, g->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		 (off_t)g->offset);
	if (p == MAP_FAILED)
		return err_sys(e, errno, "virtio device %s: map guest memory", v->dev->ops->name);
	v->mem.r[i] = (struct mem_region){ .gpa = g->gpa, .size = g->size, .host = p };
	v->uva[i] = g->uva;
	v->mem.n++;
	return 0;
}

/* QEMU's address as the guest's. The whole of what begins there is checked by virtq_start. */
static bool to_guest(const struct vhost_user *v, uint64_t uva, uint64_t *gpa)
{
	for (size_t i = 0; i < v->mem.n; i++) {
		if (uva < v->uva[i] || uva - v->uva[i] >= v->mem.r[i].size)
			continue;
		*gpa = v->mem.r[i].gpa + (uva - v->uva[i]);
		return true;
	}
	return false;
}

static int start_queue(struct vhost_user *v, unsigned int i, struct err *e)
{
	const struct ring *r = &v->ring[i];
	struct virtq *q = &v->dev->q[i];

	if (!to_guest(v, r->addr.desc_user_addr, &q->desc) ||
	    !to_guest(v, r->addr.avail_user_addr, &q->avail) ||
	    !to_guest(v, r->addr.used_user_addr, &q->used))
		return bad(v, "a queue outside of guest memory", e);
	q->size = (uint16_t)r->num;
	q->ready = true;
	if (virtq_start(q, &v->mem, v->features & 1ULL << VIRTIO_RING_F_EVENT_IDX) < 0)
		return bad(v, "a queue that does not fit", e);
	return 0;
}

/* The same queues at the place where the memory is now. */
static int move_queues(struct vhost_user *v, struct err *e)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < v->dev->n_queues; i++) {
		struct virtq *q = &v->dev->q[i];
		const struct virtq old = *q;

		if (!old.running)
			continue;
		r = start_queue(v, i, e);
		q->next_avail = old.next_avail;
		q->avail_idx = old.avail_idx;
		q->next_used = old.next_used;
		q->signalled = old.signalled;
	}
	return r;
}

static int set_mem_table(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	const struct vhost_table *t = &m->p.table;
	int r = 0;

	if (m->h.size < offsetof(struct vhost_table, v) || t->n > MEM_REGIONS || t->n != m->n_fds ||
	    m->h.size != offsetof(struct vhost_table, v) + t->n * sizeof(t->v[0]))
		return bad(v, "a table of memory that does not fit", e);
	mem_free(&v->mem);
	for (uint32_t i = 0; r == 0 && i < t->n; i++)
		r = map_region(v, &t->v[i], m->fds[i], e);
	return r == 0 ? move_queues(v, e) : r;
}

/* ---- rings ---- */

static struct ring *ring_of(struct vhost_user *v, uint64_t index)
{
	return index < v->dev->n_queues ? &v->ring[index] : NULL;
}

/* A ring begins with its kick, once everything that describes it was said. */
static int maybe_start(struct vhost_user *v, unsigned int i, struct err *e)
{
	struct ring *r = &v->ring[i];
	int rc;

	if (v->dev->q[i].running)
		return work(v, i, e);
	if (r->kick < 0 || !r->has_addr || !r->num || !r->enabled)
		return 0;
	rc = start_queue(v, i, e);
	if (rc < 0)
		return rc;
	v->dev->features = v->features & ~F_PROTOCOL_FEATURES;
	v->dev->active = true;
	return work(v, i, e);
}

static void stop_ring(struct vhost_user *v, unsigned int i)
{
	struct virtio_dev *d = v->dev;
	bool any = false;

	virtq_stop(&d->q[i]);
	if (v->ring[i].kick >= 0)
		close(TAKE_FD(v->ring[i].kick));
	for (unsigned int k = 0; k < d->n_queues; k++)
		any |= d->q[k].running;
	if (any || !d->active)
		return;
	d->active = false;
	if (d->ops->reset)
		d->ops->reset(d);
}

static int set_vring_num(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	struct ring *r = ring_of(v, m->p.state.index);

	if (!r || m->p.state.num == 0 || m->p.state.num > v->dev->q[m->p.state.index].max)
		return bad(v, "a queue of a size that it cannot have", e);
	r->num = m->p.state.num;
	return 0;
}

static int set_vring_addr(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	struct ring *r = ring_of(v, m->p.addr.index);

	if (!r)
		return bad(v, "a queue that it does not have", e);
	r->addr = m->p.addr;
	r->has_addr = true;
	return 0;
}

static int set_vring_base(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	if (!ring_of(v, m->p.state.index) || m->p.state.num != 0)
		return bad(v, "a queue that does not begin at its start", e);
	return 0;
}

static int get_vring_base(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	const unsigned int i = m->p.state.index;

	if (!ring_of(v, i))
		return bad(v, "a queue that it does not have", e);
	m->p.state.num = v->dev->q[i].next_avail;
	stop_ring(v, i);
	return 0;
}

/* The descriptor of a ring's message, or -1: then the ring has none. */
static int take_fd(struct vhost_message *m)
{
	if (m->p.u64 & RING_NO_FD || m->n_fds != 1)
		return -1;
	m->n_fds = 0;
	return m->fds[0];
}

static void replace(int *fd, int with)
{
	if (*fd >= 0)
		close(*fd);
	*fd = with;
}

static int set_vring_kick(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	const unsigned int i = m->p.u64 & RING_INDEX;
	struct ring *r = ring_of(v, i);

	if (!r)
		return bad(v, "a queue that it does not have", e);
	replace(&r->kick, take_fd(m));
	if (r->kick < 0)
		return bad(v, "a queue without a kick", e);
	if (!(v->features & F_PROTOCOL_FEATURES))
		r->enabled = true;
	return maybe_start(v, i, e);
}

static int set_vring_call(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	struct ring *r = ring_of(v, m->p.u64 & RING_INDEX);

	if (!r)
		return bad(v, "a queue that it does not have", e);
	replace(&r->call, take_fd(m));
	/* What the driver was to be told before there was a way to. */
	if (v->dev->q[r - v->ring].running)
		ring_event(r->call);
	return 0;
}

static int set_vring_enable(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	struct ring *r = ring_of(v, m->p.state.index);

	if (!r)
		return bad(v, "a queue that it does not have", e);
	r->enabled = m->p.state.num != 0;
	return r->enabled ? maybe_start(v, m->p.state.index, e) : 0;
}

/* ---- features ---- */

static int get_features(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	(void)e;
	m->p.u64 = FEATURES | v->dev->offered;
	return 0;
}

static int set_features(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	if (m->p.u64 & ~(FEATURES | v->dev->offered))
		return bad(v, "features that were not offered", e);
	v->features = m->p.u64;
	return 0;
}

static int get_protocol_features(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	(void)v;
	(void)e;
	m->p.u64 = PF_MQ | PF_REPLY_ACK;
	return 0;
}

static int set_protocol_features(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	(void)e;
	v->protocol = m->p.u64;
	return 0;
}

static int get_queue_num(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	(void)e;
	m->p.u64 = v->dev->n_queues;
	return 0;
}

static int nothing(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	(void)v;
	(void)m;
	(void)e;
	return 0;
}

enum { ANY_SIZE = ~0U };

static const struct {
	int (*fn)(struct vhost_user *v, struct vhost_message *m, struct err *e);
	uint32_t size;  /* of the payload that comes */
	uint32_t reply; /* of the one that goes back; 0: none */
} requests[REQUESTS] = {
	[GET_FEATURES] = { get_features, 0, sizeof(uint64_t) },
	[SET_FEATURES] = { set_features, sizeof(uint64_t), 0 },
	[SET_OWNER] = { nothing, 0, 0 },
	[SET_MEM_TABLE] = { set_mem_table, ANY_SIZE, 0 },
	[SET_VRING_NUM] = { set_vring_num, sizeof(struct vhost_vring_state), 0 },
	[SET_VRING_ADDR] = { set_vring_addr, sizeof(struct vhost_vring_addr), 0 },
	[SET_VRING_BASE] = { set_vring_base, sizeof(struct vhost_vring_state), 0 },
	[GET_VRING_BASE] = { get_vring_base, sizeof(struct vhost_vring_state),
			     sizeof(struct vhost_vring_state) },
	[SET_VRING_KICK] = { set_vring_kick, sizeof(uint64_t), 0 },
	[SET_VRING_CALL] = { set_vring_call, sizeof(uint64_t), 0 },
	[SET_VRING_ERR] = { nothing, sizeof(uint64_t), 0 },
	[GET_PROTOCOL_FEATURES] = { get_protocol_features, 0, sizeof(uint64_t) },
	[SET_PROTOCOL_FEATURES] = { set_protocol_features, sizeof(uint64_t), 0 },
	[GET_QUEUE_NUM] = { get_queue_num, 0, sizeof(uint64_t) },
	[SET_VRING_ENABLE] = { set_vring_enable, sizeof(struct vhost_vring_state), 0 },
};

/* ---- messages ---- */

static int reply(struct vhost_user *v, struct vhost_message *m, uint32_t size, struct err *e)
{
	return vhost_msg_reply(v->sock, m, size) < 0 ? bad(v, "an answer was not taken", e) : 0;
}

static int handle(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	const uint32_t nr = m->h.request;
	const bool ack = m->h.flags & VHOST_NEED_REPLY && v->protocol & PF_REPLY_ACK;
	int r;

	if (nr >= REQUESTS || !requests[nr].fn)
		return err_set(e, EPROTO, "virtio device %s: vhost-user: request %u is not known",
			       v->dev->ops->name, nr);
	if (requests[nr].size != ANY_SIZE && m->h.size != requests[nr].size)
		return bad(v, "a message of a length that it cannot have", e);
	r = requests[nr].fn(v, m, e);
	if (r < 0)
		return r;
	if (requests[nr].reply)
		return reply(v, m, requests[nr].reply, e);
	if (!ack)
		return 0;
	m->p.u64 = 0;
	return reply(v, m, sizeof(m->p.u64), e);
}

/* 1, 0 at the end, or the error. */
static int on_message(struct vhost_user *v, struct err *e)
{
	struct vhost_message m;
	const char *what;
	int r = vhost_msg_read(v->sock, &m, &what);

	if (r < 0)
		bad(v, what, e);
	else if (r > 0 && handle(v, &m, e) < 0)
		r = -e->code;
	vhost_msg_drop(&m);
	return r;
}

static int on_kick(struct vhost_user *v, unsigned int i, struct err *e)
{
	uint64_t count;

	if (read(v->ring[i].kick, &count, sizeof(count)) != sizeof(count))
		return 0;
	return work(v, i, e);
}

static int serve(struct vhost_user *v, struct err *e)
{
	const unsigned int n = v->dev->n_queues;

	for (;;) {
		struct pollfd p[1 + VIRTIO_MAX_QUEUES];
		int r = 1;

		p[n] = (struct pollfd){ .fd = v->sock, .events = POLLIN };
		for (unsigned int i = 0; i < n; i++)
			p[i] = (struct pollfd){ .fd = v->ring[i].kick, .events = POLLIN };
		if (poll(p, n + 1, -1) < 0 && errno != EINTR)
			return err_sys(e, errno, "virtio device %s: poll", v->dev->ops->name);
		/* A message may close a kick: those that were seen come first. */
		for (unsigned int i = 0; i < n; i++) {
			if (p[i].revents & (POLLERR | POLLHUP | POLLNVAL))
				return bad(v, "a kick that is no eventfd", e);
			if (p[i].revents && on_kick(v, i, e) < 0)
				return -e->code;
		}
		if (p[n].revents)
			r = on_message(v, e);
		if (r <= 0)
			return r;
	}
}

int vhost_user_serve(struct virtio_dev *dev, int sock, struct err *e)
{
	struct vhost_user *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return err_sys(e, ENOMEM, "virtio device %s", dev->ops->name);
	v->dev = dev;
	v->sock = sock;
	for (unsigned int i = 0; i < VIRTIO_MAX_QUEUES; i++)
		v->ring[i].kick = v->ring[i].call = -1;
	/* QEMU's registers, which say how many may be asked for, do so for all queues alike. */
	for (unsigned int i = 0; i < dev->n_queues; i++)
		dev->q[i].max = VIRTQ_MAX_SIZE;
	dev->transport = &transport;
	dev->transport_data = v;
	dev->mem = &v->mem;
	r = serve(v, e);
	for (unsigned int i = 0; i < dev->n_queues; i++) {
		stop_ring(v, i);
		if (v->ring[i].call >= 0)
			close(v->ring[i].call);
	}
	mem_free(&v->mem);
	dev->transport_data = NULL;
	dev->mem = NULL;
	free(v);
	return r;
}
