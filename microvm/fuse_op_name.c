/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on names: look up, make, remove, rename. */
#include "microvm/fuse_priv.h"

#include "microvm/virtq.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Answers with the object that the name stands for. */
static int entry(struct fuse_server *s, struct fuse_req *r, struct fuse_node *dir, const char *name)
{
	struct fuse_node *n;
	struct statx x;
	int ret = fuse_node_lookup(s, dir, name, &x, &n);

	if (ret < 0)
		return ret;
	fuse_attr_entry(s, n, &x, r->reply);
	return sizeof(struct fuse_entry_out);
}

/*
 * Linux takes all but ENOMEM for the end of a name that it knew, and unmounts what is mounted there
 * or below: when there is no room, that is not so.
 */
static int not_gone(int r)
{
	return r == -ENFILE || r == -EMFILE ? -ENOMEM : r;
}

int fuse_op_lookup(struct fuse_server *s, struct fuse_req *r)
{
	struct fuse_node *dir;
	const char *name;
	int ret = fuse_req_name(r, 0, &name);

	if (ret < 0)
		return ret;
	ret = fuse_node_open(s, r->h.nodeid, &dir);
	if (ret < 0)
		return not_gone(ret);
	ret = entry(s, r, dir, name);
	if (ret != -ENOENT)
		return not_gone(ret);
	/*
	 * That nothing is there may be remembered too; never for long, not even where nobody else
	 * should make files: an engine copies files into a running container.
	 */
	*(struct fuse_entry_out *)r->reply = (struct fuse_entry_out){ .entry_valid = 1 };
	return sizeof(struct fuse_entry_out);
}

int fuse_op_forget(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_forget_in *in = (const void *)r->args;

	fuse_node_forget(s, r->h.nodeid, in->nlookup);
	return 0;
}

int fuse_op_batch_forget(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_batch_forget_in *in = (const void *)r->args;
	const struct fuse_forget_one *one = (const void *)(in + 1);
	size_t n = (r->n_args - sizeof(*in)) / sizeof(*one);

	for (size_t i = 0; i < n && i < in->count; i++)
		fuse_node_forget(s, one[i].nodeid, one[i].nlookup);
	return 0;
}

/* ---- make ---- */

/* Opens the directory of the request and becomes who asks. The directory's descriptor or -errno. */
static int begin(struct fuse_server *s, struct fuse_req *r, uint32_t mask, struct fuse_node **dir)
{
	int fd = fuse_node_open(s, r->h.nodeid, dir);
	int ret = fd < 0 ? fd : fuse_cred_as(&s->cred, r->h.uid, r->h.gid, mask);

	return ret < 0 ? ret : fd;
}

/* The other end of begin: the result of the system call, or what was made. */
static int made(struct fuse_server *s, struct fuse_req *r, struct fuse_node *dir, const char *name,
		int ret)
{
	int err = errno;

	fuse_cred_back(&s->cred);
	return ret < 0 ? -err : entry(s, r, dir, name);
}

int fuse_op_mkdir(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_mkdir_in *in = (const void *)r->args;
	struct fuse_node *dir;
	const char *name;
	int fd, ret = fuse_req_name(r, sizeof(*in), &name);

	if (ret < 0)
		return ret;
	fd = begin(s, r, in->umask, &dir);
	return fd < 0 ? fd : made(s, r, dir, name, mkdirat(fd, name, in->mode & 07777));
}

int fuse_op_symlink(struct fuse_server *s, struct fuse_req *r)
{
	const char *name, *target, *p = r->args;
	struct fuse_node *dir;
	int fd, ret;

	name = fuse_req_string(r, &p);
	target = name ? fuse_req_string(r, &p) : NULL;
	if (!target || p != r->args + r->n_args)
		return -EINVAL;
	ret = fuse_name_check(name);
	if (ret < 0)
		return ret;
	fd = begin(s, r, 0, &dir);
	return fd < 0 ? fd : made(s, r, dir, name, symlinkat(target, fd, name));
}

/*
 * A device node would be the host's device to whoever opens it there; the guest's are on its own
 * devtmpfs. A whiteout is no device.
 */
static int may_make(const struct fuse_mknod_in *in)
{
	switch (in->mode & S_IFMT) {
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	case S_IFCHR:
		return in->rdev ? -EPERM : 0;
	case S_IFBLK:
		return -EPERM;
	}
	return -EINVAL;
}

int fuse_op_mknod(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_mknod_in *in = (const void *)r->args;
	struct fuse_node *dir;
	const char *name;
	int fd, ret = fuse_req_name(r, sizeof(*in), &name);

	if (ret == 0)
		ret = may_make(in);
	if (ret < 0)
		return ret;
	fd = begin(s, r, in->umask, &dir);
	if (fd < 0)
		return fd;
	return made(s, r, dir, name, mknodat(fd, name, in->mode & (S_IFMT | 07777), 0));
}

int fuse_op_link(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_link_in *in = (const void *)r->args;
	struct fuse_node *dir, *n;
	char from[FUSE_PROC_NAME];
	const char *name;
	int fd, dir_fd, ret = fuse_req_name(r, sizeof(*in), &name);

	if (ret < 0)
		return ret;
	fd = fuse_node_open(s, in->oldnodeid, &n);
	if (fd < 0)
		return fd;
	dir_fd = fuse_node_open(s, r->h.nodeid, &dir);
	if (dir_fd < 0)
		return dir_fd;
	/* The last step is the one through /proc: a node that is a link itself is not followed. */
	if (linkat(s->proc_fd, fuse_proc_name(from, fd), dir_fd, name, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	return entry(s, r, dir, name);
}

/* ---- remove ---- */

static int rm(struct fuse_server *s, struct fuse_req *r, int flags)
{
	struct fuse_node *dir, *n;
	const char *name;
	int fd, ret = fuse_req_name(r, 0, &name);

	if (ret < 0)
		return ret;
	fd = fuse_node_open(s, r->h.nodeid, &dir);
	if (fd < 0)
		return fd;
	/* What is about to lose its name can be found by it for the last time. */
	n = fuse_node_at(s, dir, name);
	if (unlinkat(fd, name, flags) < 0)
		return -errno;
	if (n)
		fuse_node_unnamed(s, n, dir, name);
	return 0;
}

int fuse_op_unlink(struct fuse_server *s, struct fuse_req *r)
{
	return rm(s, r, 0);
}

int fuse_op_rmdir(struct fuse_server *s, struct fuse_req *r)
{
	return rm(s, r, AT_REMOVEDIR);
}

/* ---- rename ---- */

static int rename_to(struct fuse_server *s, struct fuse_req *r, size_t skip, uint64_t new_id,
		     unsigned int flags)
{
	struct fuse_node *dir, *to, *n, *other;
	const char *name, *new_name;
	int fd, to_fd, ret = fuse_req_names(r, skip, &name, &new_name);

	if (ret == 0 && flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		ret = -EINVAL;
	if (ret < 0)
		return ret;
	fd = fuse_node_open(s, r->h.nodeid, &dir);
	if (fd < 0)
		return fd;
	to_fd = fuse_node_open(s, new_id, &to);
	if (to_fd < 0)
		return to_fd;
	n = fuse_node_at(s, dir, name);
	other = fuse_node_at(s, to, new_name);
	if (renameat2(fd, name, to_fd, new_name, flags) < 0)
		return -errno;
	/* Two names of one object: nothing was done. */
	if (n == other)
		return 0;
	if (other && flags & RENAME_EXCHANGE)
		fuse_node_moved(s, other, dir, name);
	else if (other)
		fuse_node_unnamed(s, other, to, new_name);
	if (n)
		fuse_node_moved(s, n, to, new_name);
	return 0;
}

int fuse_op_rename(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_rename_in *in = (const void *)r->args;

	return rename_to(s, r, sizeof(*in), in->newdir, 0);
}

int fuse_op_rename2(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_rename2_in *in = (const void *)r->args;

	return rename_to(s, r, sizeof(*in), in->newdir, in->flags);
}
