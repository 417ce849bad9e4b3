/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes. A guest has those that mean the same on both sides. What the host's security
 * modules and its overlays (trusted.*) keep in attributes decides about the host, so it is neither
 * shown nor changed.
 *
 * The calls take the name of a descriptor in the directory /proc/self/fd, where the serving thread
 * stands: it works for every kind of object, opens none, and follows no link that is one.
 */
#include "microvm/fuse_priv.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <errno.h>
#include <linux/xattr.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

static bool is_shared(const char *name)
{
	return str_after(name, XATTR_USER_PREFIX) || str_eq(name, XATTR_NAME_CAPS) ||
	       str_eq(name, XATTR_NAME_POSIX_ACL_ACCESS) ||
	       str_eq(name, XATTR_NAME_POSIX_ACL_DEFAULT);
}

static int check_name(const char *name)
{
	if (!*name || strlen(name) > XATTR_NAME_MAX)
		return -ERANGE;
	return is_shared(name) ? 0 : -EOPNOTSUPP;
}

/* The attribute's name, alone at the end of the arguments. */
static int name_arg(const struct fuse_req *r, size_t skip, const char **name)
{
	const char *p = r->args + skip;

	*name = fuse_req_string(r, &p);
	if (!*name || p != r->args + r->n_args)
		return -EINVAL;
	return check_name(*name);
}

static int open_node(struct fuse_server *s, const struct fuse_req *r, char path[FUSE_PROC_NAME])
{
	struct fuse_node *n;
	int fd = fuse_node_open(s, r->h.nodeid, &n);

	if (fd < 0)
		return fd;
	fuse_proc_name(path, fd);
	return fd;
}

/* An ACL set by who is not in the file's group takes SGID away. */
static int kill_sgid(int fd, const char *path)
{
	struct statx x;
	int r = fuse_statx(fd, "", &x);

	if (r < 0 || !(x.stx_mode & S_ISGID))
		return r;
	return chmod(path, x.stx_mode & 07777 & ~(mode_t)S_ISGID) < 0 ? -errno : 0;
}

int fuse_op_setxattr(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_setxattr_in *in = (const void *)r->args;
	size_t head = s->setxattr_ext ? sizeof(*in) : FUSE_COMPAT_SETXATTR_IN_SIZE;
	char path[FUSE_PROC_NAME];
	const char *name, *value;
	int fd, ret;

	if (r->n_args < head)
		return -EINVAL;
	value = r->args + head;
	name = fuse_req_string(r, &value);
	if (!name || in->size != r->n_args - (size_t)(value - r->args))
		return -EINVAL;
	ret = check_name(name);
	if (ret < 0)
		return ret;
	fd = open_node(s, r, path);
	if (fd < 0)
		return fd;
	if (setxattr(path, name, value, in->size, (int)in->flags) < 0)
		return -errno;
	if (s->setxattr_ext && in->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID)
		return kill_sgid(fd, path);
	return 0;
}

/* The answer to a guest that has asked how long it is (size 0), or that gets it. */
static int sized(struct fuse_req *r, uint32_t size, ssize_t len)
{
	if (len < 0)
		return (int)len;
	if (size)
		return (size_t)len > size || (size_t)len > r->max_reply ? -ERANGE : (int)len;
	*(struct fuse_getxattr_out *)r->reply = (struct fuse_getxattr_out){ .size = (uint32_t)len };
	return sizeof(struct fuse_getxattr_out);
}

int fuse_op_getxattr(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_getxattr_in *in = (const void *)r->args;
	size_t max = in->size < FUSE_REPLY_MAX ? in->size : FUSE_REPLY_MAX;
	char path[FUSE_PROC_NAME];
	const char *name;
	int ret = name_arg(r, sizeof(*in), &name);
	ssize_t len;

	if (ret < 0)
		return ret;
	if (!in->size && r->max_reply < sizeof(struct fuse_getxattr_out))
		return -EINVAL;
	ret = open_node(s, r, path);
	if (ret < 0)
		return ret;
	len = getxattr(path, name, r->reply, max);
	return sized(r, in->size, len < 0 ? -errno : len);
}

int fuse_op_listxattr(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_getxattr_in *in = (const void *)r->args;
	char path[FUSE_PROC_NAME], *list = r->reply;
	int ret = open_node(s, r, path);
	ssize_t all, kept = 0;

	if (ret < 0)
		return ret;
	if (!in->size && r->max_reply < sizeof(struct fuse_getxattr_out))
		return -EINVAL;
	all = listxattr(path, list, FUSE_REPLY_MAX);
	if (all < 0)
		return -errno;
	for (ssize_t at = 0; at < all;) {
		size_t n = strnlen(list + at, (size_t)(all - at)) + 1;

		if (is_shared(list + at)) {
			memmove(list + kept, list + at, n);
			kept += (ssize_t)n;
		}
		at += (ssize_t)n;
	}
	return sized(r, in->size, kept);
}

int fuse_op_removexattr(struct fuse_server *s, struct fuse_req *r)
{
	char path[FUSE_PROC_NAME];
	const char *name;
	int ret = name_arg(r, 0, &name);

	if (ret < 0)
		return ret;
	ret = open_node(s, r, path);
	if (ret < 0)
		return ret;
	return removexattr(path, name) < 0 ? -errno : 0;
}
