/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, creating and closing files. */
#include "microvm/fuse_priv.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

/* How often something may come and go between a failed creation and the look at it. */
#define CREATE_TRIES 16

/*
 * The flags of open(2) that mean something here. Not O_APPEND: each write says whether it appends.
 * Not O_DIRECT: that is about the guest's cache; its buffers need not be aligned for ours.
 */
static int open_flags(const struct fuse_server *s, uint32_t guest)
{
	int flags = (int)guest & (O_TRUNC | O_SYNC | O_DSYNC | O_NOATIME);
	int mode = (int)guest & O_ACCMODE;

	if (mode == O_ACCMODE)
		mode = O_RDWR;
	/* To write part of a page, a guest that caches writes reads the rest. */
	if (s->writes_back && mode == O_WRONLY)
		mode = O_RDWR;
	if (s->read_only)
		flags |= O_NOATIME;
	return flags | mode;
}

static bool is_change(uint32_t guest)
{
	return (guest & O_ACCMODE) != O_RDONLY || guest & O_TRUNC;
}

/* With less than was asked for, where the host's owner allows no more. */
static int reopen(struct fuse_server *s, int node_fd, uint32_t guest)
{
	int flags = open_flags(s, guest);
	int fd = fuse_handle_reopen(s, node_fd, flags);

	if (fd == -EPERM && flags & O_NOATIME) {
		flags &= ~O_NOATIME;
		fd = fuse_handle_reopen(s, node_fd, flags);
	}
	/* A file that can only be appended to (chattr +a) is opened so, or not at all. */
	if (fd == -EPERM && guest & O_APPEND)
		fd = fuse_handle_reopen(s, node_fd, flags | O_APPEND);
	if (fd == -EACCES && (guest & O_ACCMODE) == O_WRONLY && (flags & O_ACCMODE) == O_RDWR)
		fd = fuse_handle_reopen(s, node_fd, (flags & ~O_ACCMODE) | O_WRONLY);
	return fd;
}

/*
 * A file that others may change: as it was when the guest opened it last? Otherwise its pages go,
 * out of the processes that have it mapped as well: each start of a program would cost them all.
 * A file without blocks may be one whose contents its times do not follow, as in sysfs.
 */
static bool unchanged(struct fuse_seen *seen, int fd)
{
	struct statx x;

	if (fuse_statx(fd, "", &x) < 0 || !S_ISREG(x.stx_mode) || !x.stx_blocks)
		return false;
	return fuse_attr_unchanged(seen, &x, time(NULL));
}

/* File systems that say only at close(2) what became of a write. */
static bool tells_at_close(int fd)
{
	static const unsigned long types[] = {
		NFS_SUPER_MAGIC,  CIFS_SUPER_MAGIC, SMB2_SUPER_MAGIC, FUSE_SUPER_MAGIC,
		CEPH_SUPER_MAGIC, V9FS_MAGIC,       AFS_SUPER_MAGIC,
	};
	struct statfs s;

	if (fstatfs(fd, &s) < 0)
		return false;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if ((unsigned long)s.f_type == types[i])
			return true;
	return false;
}

/* Gives the guest a handle for *fd (counted; taken on success). */
static int hand_out(struct fuse_server *s, struct fuse_node *n, int *fd, uint32_t guest,
		    struct fuse_open_out *out)
{
	struct fuse_seen seen = n->seen;
	bool dir = n->type == S_IFDIR, writable = (guest & O_ACCMODE) != O_RDONLY;
	int r;

	*out = (struct fuse_open_out){};
	if (fuse_attr_exclusive(s, n))
		out->open_flags = dir ? FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR : FOPEN_KEEP_CACHE;
	else if (!dir && unchanged(&seen, *fd))
		out->open_flags = FOPEN_KEEP_CACHE;
	/* Each close(2) would cost a request. */
	if (!dir && !(writable && tells_at_close(*fd)))
		out->open_flags |= FOPEN_NOFLUSH;
	r = fuse_handle_new(s, fuse_node_id(s, n), fd, dir, writable, &out->fh);
	if (r == 0)
		n->seen = seen;
	return r;
}

static int open_file(struct fuse_server *s, struct fuse_node *n, const struct fuse_open_in *in,
		     struct fuse_open_out *out)
{
	struct fuse_setid is;
	int fd, ret;

	/* Whatever else there is may block, or be a device of the host. */
	if (n->type != S_IFREG)
		return n->type == S_IFDIR ? -EISDIR : -ENXIO;
	if (s->read_only && is_change(in->flags))
		return -EROFS;
	is = fuse_setid_begin(&s->cred, n->fd, in->open_flags & FUSE_OPEN_KILL_SUIDGID);
	fd = reopen(s, n->fd, in->flags);
	fuse_setid_end(&s->cred, fd, &is);
	if (fd < 0)
		return fd;
	ret = hand_out(s, n, &fd, in->flags, out);
	fuse_handle_unopen(s, &fd);
	return ret;
}

int fuse_op_open(struct fuse_server *s, struct fuse_req *r)
{
	struct fuse_node *n;
	int fd = fuse_node_open(s, r->h.nodeid, &n);
	int ret = fd < 0 ? fd : open_file(s, n, (const void *)r->args, r->reply);

	return ret < 0 ? ret : (int)sizeof(struct fuse_open_out);
}

int fuse_op_opendir(struct fuse_server *s, struct fuse_req *r)
{
	struct fuse_node *n;
	int fd = fuse_node_open(s, r->h.nodeid, &n), ret;

	if (fd < 0)
		return fd;
	if (n->type != S_IFDIR)
		return -ENOTDIR;
	fd = fuse_handle_reopen(s, fd, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	ret = hand_out(s, n, &fd, O_RDONLY, r->reply);
	fuse_handle_unopen(s, &fd);
	return ret < 0 ? ret : (int)sizeof(struct fuse_open_out);
}

/*
 * One of the guest's descriptors of a handle is closed: what a close(2) says here is what it says
 * there. A guest that keeps writes back asks always, and its tree is not on such a file system.
 */
int fuse_op_flush(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_flush_in *in = (const void *)r->args;
	struct fuse_handle *h;
	int fd;

	if (s->writes_back)
		return -ENOSYS;
	h = fuse_handle_get(s, in->fh, r->h.nodeid, false);
	if (!h)
		return -EBADF;
	if (!h->writable)
		return 0;
	fd = fcntl(h->fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 || close(fd) < 0 ? -errno : 0;
}

static int release(struct fuse_server *s, const struct fuse_req *r, bool dir)
{
	const struct fuse_release_in *in = (const void *)r->args;

	return fuse_handle_close(s, in->fh, r->h.nodeid, dir);
}

int fuse_op_release(struct fuse_server *s, struct fuse_req *r)
{
	return release(s, r, false);
}

int fuse_op_releasedir(struct fuse_server *s, struct fuse_req *r)
{
	return release(s, r, true);
}

/* ---- create ---- */

struct created {
	struct fuse_entry_out entry;
	struct fuse_open_out open;
};

/*
 * Makes the file that `name` (NULL: none, O_TMPFILE) shall be, as the guest's user; it never opens
 * what is there already. The descriptor (counted) or -errno.
 */
static int make_file(struct fuse_server *s, const struct fuse_req *r, const struct fuse_node *dir,
		     const char *name, const struct fuse_create_in *in)
{
	uint64_t flags = (uint64_t)open_flags(s, in->flags) & ~(uint64_t)(O_TRUNC | O_NOATIME);
	uint64_t how = name ? O_CREAT | O_EXCL | O_NOFOLLOW : O_TMPFILE | (in->flags & O_EXCL);
	int fd = fuse_node_room(s);

	if (fd == 0)
		fd = fuse_cred_as(&s->cred, r->h.uid, r->h.gid, in->umask);
	if (fd < 0)
		return fd;
	fd = sys_openat2(dir->fd, name ? name : ".", flags | how | O_CLOEXEC, in->mode & 07777,
			 RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
	fuse_cred_back(&s->cred);
	if (fd >= 0)
		s->n_fds++;
	return fd;
}

/* A new file, open as *fd: its node, its handle. */
static int present(struct fuse_server *s, struct fuse_node *dir, const char *name, int *fd,
		   uint32_t flags, struct created *out)
{
	struct fuse_node *n;
	struct statx x;
	int path = fuse_handle_reopen(s, *fd, O_PATH), ret;

	if (path < 0)
		return path;
	/* The node counts its own descriptor. */
	s->n_fds--;
	ret = fuse_node_adopt(s, name ? dir : NULL, name, &path, &x, &n);
	if (path >= 0)
		close(path);
	if (ret < 0)
		return ret;
	fuse_attr_entry(s, n, &x, &out->entry);
	ret = hand_out(s, n, fd, flags, &out->open);
	if (ret < 0)
		fuse_node_forget(s, out->entry.nodeid, 1);
	return ret;
}

/* Somebody else has made the name meanwhile. */
static int open_existing(struct fuse_server *s, struct fuse_node *dir, const char *name,
			 const struct fuse_create_in *in, struct created *out)
{
	struct fuse_open_in open = { .flags = in->flags, .open_flags = in->open_flags };
	struct fuse_node *n;
	struct statx x;
	int ret = fuse_node_lookup(s, dir, name, &x, &n);

	if (ret < 0)
		return ret;
	n->turn = s->turn;
	ret = open_file(s, n, &open, &out->open);
	/* O_TRUNC may have changed it. */
	if (ret == 0)
		ret = fuse_statx(n->fd, "", &x);
	if (ret == 0)
		fuse_attr_entry(s, n, &x, &out->entry);
	else
		fuse_node_forget(s, fuse_node_id(s, n), 1);
	return ret;
}

int fuse_op_create(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_create_in *in = (const void *)r->args;
	struct fuse_node *dir;
	const char *name;
	int fd, ret = fuse_req_name(r, sizeof(*in), &name);

	if (ret < 0)
		return ret;
	ret = fuse_node_open(s, r->h.nodeid, &dir);
	if (ret < 0)
		return ret;
	for (int i = 0; i < CREATE_TRIES; i++) {
		fd = make_file(s, r, dir, name, in);
		if (fd >= 0) {
			ret = present(s, dir, name, &fd, in->flags, r->reply);
			fuse_handle_unopen(s, &fd);
			break;
		}
		if (fd != -EEXIST || in->flags & O_EXCL)
			return fd;
		ret = open_existing(s, dir, name, in, r->reply);
		if (ret != -ENOENT)
			break;
	}
	return ret < 0 ? ret : (int)sizeof(struct created);
}

int fuse_op_tmpfile(struct fuse_server *s, struct fuse_req *r)
{
	const struct fuse_create_in *in = (const void *)r->args;
	struct fuse_node *dir;
	int fd, ret = fuse_node_open(s, r->h.nodeid, &dir);

	if (ret < 0)
		return ret;
	fd = make_file(s, r, dir, NULL, in);
	if (fd < 0)
		return fd;
	ret = present(s, dir, NULL, &fd, in->flags, r->reply);
	fuse_handle_unopen(s, &fd);
	return ret < 0 ? ret : (int)sizeof(struct created);
}
