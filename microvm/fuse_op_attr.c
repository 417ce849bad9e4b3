/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on attributes, and on the file system as a whole. */
#include "microvm/fuse_priv.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/statfs.h>
#include <unistd.h>

static int attr_reply(struct fuse_server *s, struct fuse_req *r, const struct fuse_node *n)
{
	struct statx x;
	int ret = fuse_statx(n->fd, "", &x);

	if (ret < 0)
		return ret;
	fuse_attr_out(s, n, &x, r->reply);
	return sizeof(struct fuse_attr_out);
}

int fuse_op_getattr(struct fuse_server *s, struct fuse_req *r)
{
	struct fuse_node *n;
	int fd = fuse_node_open(s, r->h.nodeid, &n);

	return fd < 0 ? fd : attr_reply(s, r, n);
}

/* ---- setattr ---- */

static int set_owner(int fd, const struct fuse_setattr_in *in)
{
	uid_t uid = in->valid & FATTR_UID ? in->uid : (uid_t)-1;
	gid_t gid = in->valid & FATTR_GID ? in->gid : (gid_t)-1;

	if ((in->valid & FATTR_UID && uid == (uid_t)-1) ||
	    (in->valid & FATTR_GID && gid == (gid_t)-1))
		return -EINVAL;
	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int set_mode(struct fuse_server *s, int fd, const struct fuse_setattr_in *in)
{
	char name[FUSE_PROC_NAME];

	if (fchmodat(s->proc_fd, fuse_proc_name(name, fd), in->mode & 07777, 0) < 0)
		return -errno;
	return 0;
}

static int truncate_to(struct fuse_server *s, const struct fuse_req *r, const struct fuse_node *n,
		       const struct fuse_setattr_in *in)
{
	struct fuse_handle *h = NULL;
	struct fuse_setid is;
	int fd, ret;

	if (n->type != S_IFREG)
		return n->type == S_IFDIR ? -EISDIR : -EINVAL;
	if (in->size > INT64_MAX)
		return -EFBIG;
	if (in->valid & FATTR_FH)
		h = fuse_handle_get(s, in->fh, r->h.nodeid, false);
	fd = h && h->writable ? h->fd : fuse_handle_reopen(s, n->fd, O_WRONLY);
	if (fd < 0)
		return fd;
	is = fuse_setid_begin(&s->cred, fd, in->valid & FATTR_KILL_SUIDGID);
	ret = ftruncate(fd, (off_t)in->size) < 0 ? -errno : 0;
	fuse_setid_end(&s->cred, fd, &is);
	if (!h || fd != h->fd)
		fuse_handle_unopen(s, &fd);
	return ret;
}

static struct timespec time_of(uint32_t valid, uint32_t set, uint32_t now, uint64_t sec,
			       uint32_t nsec)
{
	if (valid & now)
		return (struct timespec){ .tv_nsec = UTIME_NOW };
	if (!(valid & set))
		return (struct timespec){ .tv_nsec = UTIME_OMIT };
	/* UTIME_NOW and UTIME_OMIT are no times that a guest may name. */
	return (struct timespec){ (time_t)sec, nsec > 999999999 ? -1 : (long)nsec };
}

static int set_times(int fd, const struct fuse_setattr_in *in)
{
	struct timespec t[2] = {
		time_of(in->valid, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec),
		time_of(in->valid, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec),
	};

	return utimensat(fd, "", t, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/* The owner goes first: a change of it takes SUID and SGID away, which a mode may set again. */
int fuse_op_setattr(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_setattr_in *in = (const void *)r->args;
	struct fuse_node *n;
	int fd = fuse_node_open(s, r->h.nodeid, &n), ret = 0;

	if (fd < 0)
		return fd;
	if (in->valid & (FATTR_UID | FATTR_GID))
		ret = set_owner(fd, in);
	if (ret == 0 && in->valid & FATTR_MODE)
		ret = set_mode(s, fd, in);
	if (ret == 0 && in->valid & FATTR_SIZE)
		ret = truncate_to(s, r, n, in);
	if (ret == 0 && in->valid & (FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW | FATTR_MTIME_NOW))
		ret = set_times(fd, in);
	return ret < 0 ? ret : attr_reply(s, r, n);
}

/* ---- the rest ---- */

int fuse_op_readlink(struct fuse_server *s, struct fuse_req *r)
{
	struct fuse_node *n;
	int fd = fuse_node_open(s, r->h.nodeid, &n);
	size_t max = r->max_reply < PATH_MAX ? r->max_reply : PATH_MAX;
	ssize_t len;

	if (fd < 0)
		return fd;
	if (n->type != S_IFLNK)
		return -EINVAL;
	len = readlinkat(fd, "", r->reply, max);
	return len < 0 ? -errno : (int)len;
}

int fuse_op_statfs(struct fuse_server *s, struct fuse_req *r)
{
	struct fuse_statfs_out *out = r->reply;
	struct fuse_node *n;
	struct statfs fs;
	int fd = fuse_node_open(s, r->h.nodeid, &n);

	if (fd < 0)
		return fd;
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	*out = (struct fuse_statfs_out){ .st = {
						 .blocks = fs.f_blocks,
						 .bfree = fs.f_bfree,
						 .bavail = fs.f_bavail,
						 .files = fs.f_files,
						 .ffree = fs.f_ffree,
						 .bsize = (uint32_t)fs.f_bsize,
						 .namelen = (uint32_t)fs.f_namelen,
						 .frsize = (uint32_t)fs.f_frsize,
					 } };
	return sizeof(*out);
}

int fuse_op_syncfs(struct fuse_server *s, struct fuse_req *r)
{
	struct fuse_node *n;
	int fd = fuse_node_open(s, r->h.nodeid, &n), ret;

	if (fd < 0)
		return fd;
	if (n->type != S_IFDIR)
		return -EINVAL;
	/*
	 * The guest's agent, at the machine's end: what it still had has come by now, and that of
	 * the whole host is not to be waited for. The end of a container writes nothing out either.
	 */
	if (r->h.pid == 1)
		return 0;
	fd = fuse_handle_reopen(s, fd, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	ret = syncfs(fd) < 0 ? -errno : 0;
	fuse_handle_unopen(s, &fd);
	return ret;
}
