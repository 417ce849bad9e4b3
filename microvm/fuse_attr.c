/* SPDX-License-Identifier: Apache-2.0 */
/* Names and attributes between the protocol's form and the host's. */
#include "microvm/fuse_priv.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

enum {
	LONG_SECONDS = 86400, /* what nobody else changes; memory pressure drops it before */
	SHORT_SECONDS = 1,
	/*
	 * More than the step of any file system's times (FAT: 2 s), than what two hosts' clocks
	 * differ by, and than a write takes, whose time is that of its begin.
	 */
	SETTLED_SECONDS = 30,
};

/* ---- names ---- */

const char *fuse_req_string(const struct fuse_req *r, const char **p)
{
	const char *s = *p;
	const char *nul = memchr(s, '\0', r->n_args - (size_t)(s - r->args));

	if (!nul)
		return NULL;
	*p = nul + 1;
	return s;
}

int fuse_name_check(const char *name)
{
	if (!*name || str_eq(name, ".") || str_eq(name, "..") || strchr(name, '/'))
		return -EINVAL;
	return strlen(name) > NAME_MAX ? -ENAMETOOLONG : 0;
}

int fuse_req_name(const struct fuse_req *r, size_t skip, const char **name)
{
	const char *p = r->args + skip;

	*name = fuse_req_string(r, &p);
	if (!*name || p != r->args + r->n_args)
		return -EINVAL;
	return fuse_name_check(*name);
}

int fuse_req_names(const struct fuse_req *r, size_t skip, const char **one, const char **two)
{
	const char *p = r->args + skip;
	int ret;

	*one = fuse_req_string(r, &p);
	if (!*one)
		return -EINVAL;
	ret = fuse_name_check(*one);
	return ret < 0 ? ret : fuse_req_name(r, (size_t)(p - r->args), two);
}

const char *fuse_proc_name(char buf[FUSE_PROC_NAME], int fd)
{
	snprintf(buf, FUSE_PROC_NAME, "%d", fd);
	return buf;
}

/* ---- attributes ---- */

int fuse_statx(int fd, const char *name, struct statx *x)
{
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH);

	if (statx(fd, name, flags, STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, x) < 0)
		return -errno;
	return 0;
}

/* The kernel's own packing of a device number into 32 bits. */
static uint32_t pack_dev(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~0xffU) << 12;
}

void fuse_attr_fill(struct fuse_attr *a, const struct statx *x, bool submount)
{
	*a = (struct fuse_attr){
		.ino = x->stx_ino,
		.size = x->stx_size,
		.blocks = x->stx_blocks,
		.atime = (uint64_t)x->stx_atime.tv_sec,
		.mtime = (uint64_t)x->stx_mtime.tv_sec,
		.ctime = (uint64_t)x->stx_ctime.tv_sec,
		.atimensec = x->stx_atime.tv_nsec,
		.mtimensec = x->stx_mtime.tv_nsec,
		.ctimensec = x->stx_ctime.tv_nsec,
		.mode = x->stx_mode,
		.nlink = x->stx_nlink,
		.uid = x->stx_uid,
		.gid = x->stx_gid,
		.rdev = pack_dev(x->stx_rdev_major, x->stx_rdev_minor),
		.blksize = x->stx_blksize,
		.flags = submount ? FUSE_ATTR_SUBMOUNT : 0,
	};
}

static int64_t ns_of(const struct statx_timestamp *t)
{
	return t->tv_sec * INT64_C(1000000000) + t->tv_nsec;
}

bool fuse_attr_unchanged(struct fuse_seen *seen, const struct statx *x, time_t now)
{
	const struct fuse_seen is = {
		.mtime = ns_of(&x->stx_mtime),
		.ctime = ns_of(&x->stx_ctime),
		.size = x->stx_size,
		.settled = x->stx_ctime.tv_sec < now - SETTLED_SECONDS,
	};
	bool same = seen->settled && is.mtime == seen->mtime && is.ctime == seen->ctime &&
		    is.size == seen->size;

	*seen = is;
	return same;
}

bool fuse_attr_exclusive(const struct fuse_server *s, const struct fuse_node *n)
{
	return s->has_exclusive && n->mnt == s->exclusive_mnt;
}

void fuse_attr_entry(const struct fuse_server *s, const struct fuse_node *n, const struct statx *x,
		     struct fuse_entry_out *out)
{
	uint64_t valid = fuse_attr_exclusive(s, n) ? LONG_SECONDS : SHORT_SECONDS;

	*out = (struct fuse_entry_out){
		.nodeid = fuse_node_id(s, n),
		.entry_valid = valid,
		.attr_valid = valid,
	};
	fuse_attr_fill(&out->attr, x, n->submount);
}

void fuse_attr_out(const struct fuse_server *s, const struct fuse_node *n, const struct statx *x,
		   struct fuse_attr_out *out)
{
	*out = (struct fuse_attr_out){
		.attr_valid = fuse_attr_exclusive(s, n) ? LONG_SECONDS : SHORT_SECONDS,
	};
	fuse_attr_fill(&out->attr, x, n->submount);
}
