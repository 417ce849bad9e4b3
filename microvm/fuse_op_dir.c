/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading directories. Entries come from the kernel in buffers of 8 KiB; what a guest's buffer had
 * no room for is kept for its next request, in one of a few buffers that all open directories
 * share: a guest that opens thousands costs no more.
 */
#include "microvm/fuse_priv.h"

#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux_dirent64, getdents64(2) */
struct kernel_entry {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

/* The buffer that stands where the guest wants to go on, or an empty one that does. */
static struct fuse_dirbuf *buffer(struct fuse_server *s, int fd, uint64_t fh, uint64_t off)
{
	struct fuse_dirbuf *b = &s->dirbufs[0];

	for (size_t i = 0; i < FUSE_DIRBUFS; i++) {
		if (s->dirbufs[i].fh == fh) {
			b = &s->dirbufs[i];
			break;
		}
		if (s->dirbufs[i].turn < b->turn)
			b = &s->dirbufs[i];
	}
	if (!b->data) {
		b->data = malloc(FUSE_DIRBUF_SIZE);
		if (!b->data) {
			errno = ENOMEM;
			return NULL;
		}
	}
	b->turn = s->turn;
	if (b->fh == fh && b->off == off)
		return b;
	b->fh = 0;
	if (lseek(fd, (off_t)off, SEEK_SET) < 0)
		return NULL;
	b->fh = fh;
	b->off = off;
	b->at = b->len = 0;
	return b;
}

/* The next entry without moving on: 1, 0 at the end, or -errno. */
static int peek(struct fuse_dirbuf *b, int fd, const struct kernel_entry **out)
{
	if (b->at == b->len) {
		long n = syscall(SYS_getdents64, fd, b->data, FUSE_DIRBUF_SIZE);

		if (n < 0)
			return -errno;
		b->at = 0;
		b->len = (uint32_t)n;
		if (n == 0)
			return 0;
	}
	*out = (const struct kernel_entry *)(b->data + b->at);
	return 1;
}

static void next(struct fuse_dirbuf *b, const struct kernel_entry *k)
{
	b->off = (uint64_t)k->off;
	b->at += k->len;
}

static void put_dirent(const struct fuse_node *dir, struct fuse_dirent *d,
		       const struct kernel_entry *k, size_t name_len)
{
	/* What is above the root is not the guest's business. */
	d->ino = dir->slot == 0 && str_eq(k->name, "..") ? dir->ino : k->ino;
	d->off = (uint64_t)k->off;
	d->namelen = (uint32_t)name_len;
	d->type = k->type;
	memcpy(d->name, k->name, name_len);
	/* up to the boundary of eight: nothing of ours shall be left in between */
	memset(d->name + name_len, 0, FUSE_REC_ALIGN(name_len) - name_len);
}

/*
 * The same with the node, as if it had been looked up. An entry that cannot be looked up has no
 * node: the guest asks again when it wants it.
 */
static void put_plus(struct fuse_server *s, struct fuse_node *dir, struct fuse_direntplus *d,
		     const struct kernel_entry *k, size_t name_len)
{
	struct fuse_node *n;
	struct statx x;

	put_dirent(dir, &d->dirent, k, name_len);
	d->entry_out = (struct fuse_entry_out){};
	if (str_eq(k->name, ".") || str_eq(k->name, ".."))
		return;
	if (fuse_node_lookup(s, dir, k->name, &x, &n) == 0)
		fuse_attr_entry(s, n, &x, &d->entry_out);
}

static int list(struct fuse_server *s, struct fuse_req *r, bool plus)
{
	const struct fuse_read_in *in = (const void *)r->args;
	struct fuse_handle *h = fuse_handle_get(s, in->fh, r->h.nodeid, true);
	size_t max = in->size < r->max_reply ? in->size : r->max_reply, used = 0;
	size_t head = plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
	const struct kernel_entry *k = NULL;
	struct fuse_dirbuf *b;
	struct fuse_node *dir;
	int fd, ret;

	if (!h)
		return -EBADF;
	fd = h->fd;
	ret = fuse_node_open(s, r->h.nodeid, &dir);
	if (ret < 0)
		return ret;
	b = buffer(s, fd, in->fh, in->offset);
	if (!b)
		return -errno;
	while ((ret = peek(b, fd, &k)) > 0) {
		size_t name_len = strlen(k->name);
		size_t size = FUSE_REC_ALIGN(head + name_len);

		if (size > max - used)
			break;
		if (plus)
			put_plus(s, dir, (void *)((char *)r->reply + used), k, name_len);
		else
			put_dirent(dir, (void *)((char *)r->reply + used), k, name_len);
		used += size;
		next(b, k);
	}
	/* An error shows when it is all there is to say. */
	return ret < 0 && !used ? ret : (int)used;
}

int fuse_op_readdir(struct fuse_server *s, struct fuse_req *r)
{
	return list(s, r, false);
}

int fuse_op_readdirplus(struct fuse_server *s, struct fuse_req *r)
{
	return list(s, r, true);
}
