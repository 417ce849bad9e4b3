/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on open files. Data moves between the file and the guest's buffers directly. */
#include "microvm/fuse_priv.h"

#include "microvm/virtq.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* One request must not hold up the others for longer than some writes would. */
#define COPY_MAX ((size_t)16 << 20)

/* The next pieces of a transfer into s->pieces; *bytes is what they hold. */
static unsigned int pieces(struct fuse_server *s, const struct iovec *v, unsigned int n, size_t off,
			   size_t len, size_t *bytes)
{
	unsigned int used = iov_part(v, n, off, len, s->pieces, FUSE_PIECES_MAX);

	*bytes = 0;
	for (unsigned int i = 0; i < used; i++)
		*bytes += s->pieces[i].iov_len;
	return used;
}

int fuse_op_read(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_read_in *in = (const void *)r->args;
	struct fuse_handle *h = fuse_handle_get(s, in->fh, r->h.nodeid, false);
	size_t want = in->size < r->max_reply ? in->size : r->max_reply, done = 0;

	if (!h)
		return -EBADF;
	if (want > FUSE_PAGES_MAX * 4096UL)
		return -EINVAL;
	if (in->offset > (uint64_t)INT64_MAX - want)
		return -EINVAL;
	r->direct = true;
	while (done < want) {
		const size_t at = sizeof(struct fuse_out_header) + done;
		size_t room;
		unsigned int n = pieces(s, r->out, r->n_out, at, want - done, &room);
		ssize_t got = preadv(h->fd, s->pieces, (int)n, (off_t)(in->offset + done));

		/* Less than the whole means the end of the file to a guest. */
		if (got < 0)
			return -errno;
		done += (size_t)got;
		if ((size_t)got < room || !n)
			break;
	}
	return (int)done;
}

static ssize_t write_out(struct fuse_server *s, const struct fuse_req *r, int fd,
			 const struct fuse_write_in *in, int flags)
{
	size_t done = 0;

	while (done < in->size) {
		const size_t at = sizeof(r->h) + sizeof(*in) + done;
		size_t room;
		unsigned int n = pieces(s, r->in, r->n_in, at, in->size - done, &room);
		ssize_t put = pwritev2(fd, s->pieces, (int)n, (off_t)(in->offset + done), flags);

		/* What was written counts: the guest goes on from there and meets the error. */
		if (put < 0)
			return done ? (ssize_t)done : -errno;
		done += (size_t)put;
		if ((size_t)put < room || !n)
			break;
	}
	return (ssize_t)done;
}

int fuse_op_write(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_write_in *in = (const void *)r->args;
	struct fuse_handle *h = fuse_handle_get(s, in->fh, r->h.nodeid, false);
	struct fuse_write_out *out = r->reply;
	struct fuse_setid is;
	ssize_t n;
	int flags;

	if (!h || !h->writable)
		return -EBADF;
	if (in->size > FUSE_PAGES_MAX * 4096UL ||
	    in->size != r->in_len - sizeof(r->h) - sizeof(*in))
		return -EINVAL;
	if (in->offset > (uint64_t)INT64_MAX - in->size)
		return -EFBIG;
	/* Pages from a cache have their places; only a write as such goes to the end. */
	flags = in->flags & O_APPEND && !(in->write_flags & FUSE_WRITE_CACHE) && !s->writes_back
			? RWF_APPEND
			: 0;
	is = fuse_setid_begin(&s->cred, h->fd, in->write_flags & FUSE_WRITE_KILL_SUIDGID);
	n = write_out(s, r, h->fd, in, flags);
	fuse_setid_end(&s->cred, h->fd, &is);
	if (n < 0)
		return (int)n;
	*out = (struct fuse_write_out){ .size = (uint32_t)n };
	return sizeof(*out);
}

/* Of a file or a directory: which one, the opcode says. */
int fuse_op_fsync(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_fsync_in *in = (const void *)r->args;
	struct fuse_handle *h =
		fuse_handle_get(s, in->fh, r->h.nodeid, r->h.opcode == FUSE_FSYNCDIR);

	if (!h)
		return -EBADF;
	if ((in->fsync_flags & FUSE_FSYNC_FDATASYNC ? fdatasync(h->fd) : fsync(h->fd)) < 0)
		return -errno;
	return 0;
}

int fuse_op_fallocate(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_fallocate_in *in = (const void *)r->args;
	struct fuse_handle *h = fuse_handle_get(s, in->fh, r->h.nodeid, false);
	struct fuse_setid is;
	int ret;

	if (!h || !h->writable)
		return -EBADF;
	if (in->offset > INT64_MAX || in->length > INT64_MAX)
		return -EFBIG;
	/* This request has no flag for it: whoever is not root has no CAP_FSETID, nearly always. */
	is = fuse_setid_begin(&s->cred, h->fd, r->h.uid != 0);
	ret = fallocate(h->fd, (int)in->mode, (off_t)in->offset, (off_t)in->length) < 0 ? -errno
											: 0;
	fuse_setid_end(&s->cred, h->fd, &is);
	return ret;
}

int fuse_op_lseek(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_lseek_in *in = (const void *)r->args;
	struct fuse_handle *h = fuse_handle_get(s, in->fh, r->h.nodeid, false);
	struct fuse_lseek_out *out = r->reply;
	off_t at;

	if (!h)
		return -EBADF;
	if (in->whence != SEEK_DATA && in->whence != SEEK_HOLE && in->whence != SEEK_END)
		return -EINVAL;
	at = lseek(h->fd, (off_t)in->offset, (int)in->whence);
	if (at < 0)
		return -errno;
	*out = (struct fuse_lseek_out){ .offset = (uint64_t)at };
	return sizeof(*out);
}

int fuse_op_copy_file_range(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_copy_file_range_in *in = (const void *)r->args;
	struct fuse_handle *from = fuse_handle_get(s, in->fh_in, r->h.nodeid, false);
	struct fuse_handle *to = fuse_handle_get(s, in->fh_out, in->nodeid_out, false);
	struct fuse_write_out *out = r->reply;
	off_t off_in = (off_t)in->off_in, off_out = (off_t)in->off_out;
	struct fuse_setid is;
	ssize_t n;

	if (!from || !to || !to->writable)
		return -EBADF;
	if (in->flags || in->off_in > INT64_MAX || in->off_out > INT64_MAX)
		return -EINVAL;
	/* As with fallocate: no flag says who may keep the bits. */
	is = fuse_setid_begin(&s->cred, to->fd, r->h.uid != 0);
	n = copy_file_range(from->fd, &off_in, to->fd, &off_out,
			    in->len < COPY_MAX ? in->len : COPY_MAX, 0);
	if (n < 0)
		n = -errno;
	fuse_setid_end(&s->cred, to->fd, &is);
	if (n < 0)
		return (int)n;
	*out = (struct fuse_write_out){ .size = (uint32_t)n };
	return sizeof(*out);
}
