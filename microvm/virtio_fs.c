/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/virtio_fs.h"

#include "microvm/fuse_server.h"

#include "base/log.h"

#include <errno.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

enum {
	HIPRIO,
	REQUESTS,
	QUEUES,
	/* A request of 256 pages and its headers; Linux asks for less when it is smaller. */
	REQUESTS_MAX = 1024,
	HIPRIO_MAX = 64,
	/* Bytes that a guest needs itself for each object that it remembers, at least. */
	INODE_COST = 1024,
	INODES_LEAST = 65536,
};

struct fs {
	struct virtio_dev dev; /* first */
	struct virtio_fs_config config;
	struct fuse_server *server;
	struct virtq_chain chain;
	bool entered; /* the loop's thread is the server's */
};

static int enter(struct fs *fs)
{
	struct err e = {};
	int r;

	if (fs->entered)
		return 0;
	r = fuse_server_enter(fs->server, &e);
	if (r < 0)
		log_warn("virtual machine: %s", e.msg);
	fs->entered = r == 0;
	return r;
}

static int serve(struct virtio_dev *d, struct virtq *q)
{
	struct fs *fs = (struct fs *)d;
	const struct virtq_chain *c = &fs->chain;
	size_t len = fuse_server_handle(fs->server, c->iov, c->n_out, c->iov + c->n_out, c->n_in);

	virtq_push(q, c->head, (uint32_t)len);
	return 0;
}

static void kick(struct virtio_dev *d, unsigned int q)
{
	struct fs *fs = (struct fs *)d;

	if (enter(fs) < 0)
		virtio_dev_fail(d);
	else
		virtio_dev_serve(d, q, &fs->chain, serve);
}

static void reset(struct virtio_dev *d)
{
	fuse_server_reset(((struct fs *)d)->server);
}

static void fs_free(struct virtio_dev *d)
{
	struct fs *fs = (struct fs *)d;

	fuse_server_free(fs->server);
	free(fs);
}

static const struct virtio_ops ops = {
	.id = VIRTIO_ID_FS,
	.name = "fs",
	.kick = kick,
	.reset = reset,
	.free = fs_free,
};

int virtio_fs_new(const struct vm_config *c, struct virtio_dev **out, struct err *e)
{
	const uint64_t inodes = c->memory / INODE_COST;
	const struct fuse_opts o = {
		.proc_fd = c->share_proc > 0 ? c->share_proc : -1,
		.exclusive = c->share_exclusive,
		.writeback = c->share_writeback,
		.max_inodes = inodes > INODES_LEAST ? inodes : INODES_LEAST,
	};
	struct fs *fs = calloc(1, sizeof(*fs));
	int r;

	if (!fs)
		return err_sys(e, ENOMEM, "virtio device fs");
	r = fuse_server_new(c->share, &o, &fs->server, e);
	if (r < 0) {
		free(fs);
		return r;
	}
	memcpy(fs->config.tag, VM_SHARE_TAG, strlen(VM_SHARE_TAG));
	fs->config.num_request_queues = QUEUES - REQUESTS;
	fs->dev.ops = &ops;
	fs->dev.config = &fs->config;
	fs->dev.config_len = sizeof(fs->config);
	fs->dev.n_queues = QUEUES;
	fs->dev.q[HIPRIO].max = HIPRIO_MAX;
	fs->dev.q[REQUESTS].max = REQUESTS_MAX;
	*out = &fs->dev;
	return 0;
}
