/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/virtio_blk.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SECTOR = 512,
	LONGEST = 64 << 20, /* bytes of one request */
	QUEUE = 128,
	SEGMENTS = QUEUE - 2, /* a header and a status come with each request */
};

struct blk {
	struct virtio_dev dev; /* first */
	struct virtio_blk_config config;
	struct virtq_chain chain;
	struct iovec part[VIRTQ_MAX_IOV];
	char id[VIRTIO_BLK_ID_BYTES];
	int fd;
	bool ro;
};

/* All of len bytes between the pieces, from offset skip on, and the image. The status byte. */
static uint8_t transfer(struct blk *b, const struct iovec *iov, unsigned int n, size_t skip,
			uint64_t off, size_t len, bool write)
{
	size_t done = 0;

	while (done < len) {
		const unsigned int parts =
			iov_part(iov, n, skip + done, len - done, b->part, VIRTQ_MAX_IOV);
		const off_t at = (off_t)(off + done);
		ssize_t r = write ? pwritev(b->fd, b->part, (int)parts, at)
				  : preadv(b->fd, b->part, (int)parts, at);

		if (r < 0 && errno == EINTR)
			continue;
		/* The end of an image that became shorter is an error like any other. */
		if (r <= 0)
			return VIRTIO_BLK_S_IOERR;
		done += (size_t)r;
	}
	return VIRTIO_BLK_S_OK;
}

/*
 * Whether len bytes from a sector on are inside the disk, and not more than a driver asks for at
 * once: the pieces of a chain may overlap, and the other devices wait.
 */
static bool inside(const struct blk *b, uint64_t sector, size_t len)
{
	return len <= LONGEST && len % SECTOR == 0 && sector <= b->config.capacity &&
	       len / SECTOR <= b->config.capacity - sector;
}

/* One request whose header is whole and which has room for a status. *written: bytes of data. */
static uint8_t request(struct blk *b, const struct virtio_blk_outhdr *h, size_t *written)
{
	const struct virtq_chain *c = &b->chain;
	const struct iovec *in = c->iov + c->n_out;
	const size_t n_in = c->in_len - 1, n_out = c->out_len - sizeof(*h);
	uint8_t status;

	switch (h->type) {
	case VIRTIO_BLK_T_IN:
		if (!inside(b, h->sector, n_in))
			return VIRTIO_BLK_S_IOERR;
		status = transfer(b, in, c->n_in, 0, h->sector * SECTOR, n_in, false);
		*written = status == VIRTIO_BLK_S_OK ? n_in : 0;
		return status;
	case VIRTIO_BLK_T_OUT:
		if (b->ro || !inside(b, h->sector, n_out))
			return VIRTIO_BLK_S_IOERR;
		return transfer(b, c->iov, c->n_out, sizeof(*h), h->sector * SECTOR, n_out, true);
	case VIRTIO_BLK_T_FLUSH:
		return !b->ro && fdatasync(b->fd) < 0 ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		*written = iov_copy_in(in, c->n_in, 0, b->id,
				       n_in < sizeof(b->id) ? n_in : sizeof(b->id));
		return VIRTIO_BLK_S_OK;
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/* A request without a whole header or room for a status cannot even be refused. */
static int serve(struct virtio_dev *d, struct virtq *q)
{
	struct blk *b = (struct blk *)d;
	const struct virtq_chain *c = &b->chain;
	struct virtio_blk_outhdr h;
	size_t written = 0;
	uint8_t status;

	if (c->in_len < 1 || iov_copy_out(c->iov, c->n_out, 0, &h, sizeof(h)) != sizeof(h))
		return -EIO;
	status = request(b, &h, &written);
	iov_copy_in(c->iov + c->n_out, c->n_in, c->in_len - 1, &status, 1);
	/* The status is the last byte: all before it counts as written only when it is. */
	virtq_push(q, c->head, (uint32_t)(written == c->in_len - 1 ? written + 1 : 0));
	return 0;
}

static void kick(struct virtio_dev *d, unsigned int q)
{
	virtio_dev_serve(d, q, &((struct blk *)d)->chain, serve);
}

static void blk_free(struct virtio_dev *d)
{
	free(d);
}

static const struct virtio_ops ops = {
	.id = VIRTIO_ID_BLOCK,
	.name = "blk",
	.kick = kick,
	.free = blk_free,
};

int virtio_blk_new(int fd, bool ro, const char *id, struct virtio_dev **out, struct err *e)
{
	const off_t size = lseek(fd, 0, SEEK_END);
	struct blk *b;

	if (size < 0)
		return err_sys(e, errno, "disk %s: its size", id);
	if (size < SECTOR)
		return err_set(e, EINVAL, "disk %s: smaller than a sector", id);
	b = calloc(1, sizeof(*b));
	if (!b)
		return err_sys(e, ENOMEM, "disk %s", id);
	b->dev.ops = &ops;
	b->dev.offered = 1ULL << VIRTIO_BLK_F_SEG_MAX | 1ULL << VIRTIO_BLK_F_FLUSH |
			 (ro ? 1ULL << VIRTIO_BLK_F_RO : 0);
	b->config.capacity = (uint64_t)size / SECTOR;
	b->config.seg_max = SEGMENTS;
	b->dev.config = &b->config;
	b->dev.config_len = sizeof(b->config);
	b->dev.n_queues = 1;
	b->dev.q[0].max = QUEUE;
	b->fd = fd;
	b->ro = ro;
	memcpy(b->id, id, strnlen(id, sizeof(b->id)));
	*out = &b->dev;
	return 0;
}
