/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/virtio_rng.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <sys/random.h>

enum { MOST = 64 << 10 }; /* bytes of one request */

struct rng {
	struct virtio_dev dev; /* first */
	struct virtq_chain chain;
};

/* Fills the answer, up to MOST bytes. getrandom does not block: the host has long been up. */
static uint32_t fill(const struct virtq_chain *c)
{
	uint32_t done = 0;

	for (unsigned int i = c->n_out; i < c->n_out + c->n_in && done < MOST; i++) {
		size_t want = c->iov[i].iov_len < MOST - done ? c->iov[i].iov_len : MOST - done;
		ssize_t n = getrandom(c->iov[i].iov_base, want, 0);

		if (n <= 0)
			break;
		done += (uint32_t)n;
		if ((size_t)n < want)
			break;
	}
	return done;
}

static int serve(struct virtio_dev *d, struct virtq *q)
{
	const struct virtq_chain *c = &((struct rng *)d)->chain;

	virtq_push(q, c->head, fill(c));
	return 0;
}

static void kick(struct virtio_dev *d, unsigned int q)
{
	virtio_dev_serve(d, q, &((struct rng *)d)->chain, serve);
}

static void rng_free(struct virtio_dev *d)
{
	free(d);
}

static const struct virtio_ops ops = {
	.id = VIRTIO_ID_RNG,
	.name = "rng",
	.kick = kick,
	.free = rng_free,
};

int virtio_rng_new(struct virtio_dev **out, struct err *e)
{
	struct rng *rng = calloc(1, sizeof(*rng));

	if (!rng)
		return err_sys(e, ENOMEM, "virtio device rng");
	rng->dev.ops = &ops;
	rng->dev.n_queues = 1;
	rng->dev.q[0].max = 16;
	*out = &rng->dev;
	return 0;
}
