/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request taken apart, one row of a table called, the answer put together.
 *
 * The table holds what is checked before an operation runs: that its fixed arguments are there,
 * that the answer has room (an operation whose answer got lost would leave a reference that the
 * guest does not know of), and that a read-only server is not asked for changes.
 */
#include "microvm/fuse_server.h"

#include "microvm/fuse_priv.h"
#include "microvm/virtq.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
	INODES = 1 << 20,
	/* Of RLIMIT_NOFILE, but not more than half: three a process of exec, and some. */
	FDS_KEPT = 640,
	FDS_LEAST = 16,  /* what one request may need, and some */
	SOFT_FDS = 4096, /* each holds an inode in the host's memory */
};

/* ---- life ---- */

static int open_proc(int fd, struct err *e)
{
	AUTO_CLOSE int proc = -1;
	struct statfs fs;

	proc = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0)
		       : open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		return err_sys(e, errno, "file server: /proc/self/fd");
	if (fstatfs(proc, &fs) < 0)
		return err_sys(e, errno, "file server: /proc/self/fd");
	if (fs.f_type != PROC_SUPER_MAGIC)
		return err_set(e, EINVAL, "file server: /proc/self/fd is not on a procfs");
	return TAKE_FD(proc);
}

static int set_limits(struct fuse_server *s, const struct fuse_opts *o, struct err *e)
{
	struct rlimit limit;
	size_t fds = o->max_fds;

	if (!fds) {
		if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
			return err_sys(e, errno, "file server: RLIMIT_NOFILE");
		fds = limit.rlim_cur -
		      (limit.rlim_cur / 2 < FDS_KEPT ? limit.rlim_cur / 2 : FDS_KEPT);
	}
	if (fds < FDS_LEAST)
		return err_set(e, EMFILE, "file server: %zu descriptors are not enough", fds);
	s->max_fds = fds < INT32_MAX ? (uint32_t)fds : INT32_MAX;
	s->soft_fds = s->max_fds < SOFT_FDS ? s->max_fds : SOFT_FDS;
	s->max_inodes =
		o->max_inodes && o->max_inodes < INT32_MAX ? (uint32_t)o->max_inodes : INODES;
	return 0;
}

static int find_exclusive(struct fuse_server *s, const char *name, struct err *e)
{
	struct statx x;
	int r;

	if (!name)
		return 0;
	r = str_eq(name, ".") ? 0 : fuse_name_check(name);
	if (r == 0)
		r = fuse_statx(s->root_fd, name, &x);
	if (r < 0)
		return err_sys(e, -r, "file server: %s", name);
	s->has_exclusive = true;
	s->exclusive_mnt = x.stx_mnt_id;
	return 0;
}

static void cleanup_server(struct fuse_server **s)
{
	fuse_server_free(*s);
}

int fuse_server_new(int root_fd, const struct fuse_opts *o, struct fuse_server **out, struct err *e)
{
	AUTO(cleanup_server) struct fuse_server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_sys(e, ENOMEM, "file server");
	s->proc_fd = -1;
	s->read_only = o->read_only;
	s->writeback = o->writeback;
	s->cred.uid = geteuid();
	s->cred.gid = getegid();
	s->root_fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
	if (s->root_fd < 0)
		return err_sys(e, errno, "root of the file server");
	s->proc_fd = open_proc(o->proc_fd, e);
	if (s->proc_fd < 0)
		return s->proc_fd;
	r = set_limits(s, o, e);
	if (r == 0)
		r = fuse_node_init(s, e);
	if (r == 0)
		r = find_exclusive(s, o->exclusive, e);
	if (r == 0)
		*out = TAKE_PTR(s);
	return r;
}

int fuse_server_enter(struct fuse_server *s, struct err *e)
{
	if (unshare(CLONE_FS) < 0)
		return err_sys(e, errno, "file server: a working directory of its own");
	if (fchdir(s->proc_fd) < 0)
		return err_sys(e, errno, "file server: enter /proc/self/fd");
	return fuse_cred_enter(&s->cred, e);
}

void fuse_server_reset(struct fuse_server *s)
{
	fuse_handle_drop_all(s);
	fuse_node_drop_all(s);
	s->inited = false;
}

void fuse_server_free(struct fuse_server *s)
{
	if (!s)
		return;
	fuse_server_reset(s);
	for (size_t i = 0; i < FUSE_DIRBUFS; i++)
		free(s->dirbufs[i].data);
	free(s->handles.v);
	free(s->nodes.slots);
	free(s->nodes.buckets);
	if (s->root_fd >= 0)
		close(s->root_fd);
	if (s->proc_fd >= 0)
		close(s->proc_fd);
	free(s);
}

/* ---- the table ---- */

enum {
	CHANGES = 1,  /* not on a read-only server */
	SILENT = 2,   /* has no answer */
	ALWAYS = 4,   /* even before INIT */
	HAS_DATA = 8, /* only the fixed arguments are copied */
};

struct op {
	fuse_op_fn *run;
	uint16_t in, out; /* fixed arguments, fixed answer */
	uint8_t flags;
};

#define IN(what) sizeof(struct fuse_##what##_in)
#define OUT(what) sizeof(struct fuse_##what##_out)

int fuse_op_refuse(struct fuse_server *s, struct fuse_req *r)
{
	(void)s;
	(void)r;
	return -ENOSYS;
}

int fuse_op_enotty(struct fuse_server *s, struct fuse_req *r)
{
	(void)s;
	(void)r;
	return -ENOTTY;
}

int fuse_op_ignore(struct fuse_server *s, struct fuse_req *r)
{
	(void)s;
	(void)r;
	return 0;
}

/*
 * What is not in the table is ENOSYS, so that the guest's kernel never asks again: ACCESS
 * (default_permissions), locks (local), BMAP, POLL, the DAX window.
 */
static const struct op ops[] = {
	[FUSE_LOOKUP] = { fuse_op_lookup, 1, OUT(entry), 0 },
	[FUSE_FORGET] = { fuse_op_forget, IN(forget), 0, SILENT | ALWAYS },
	[FUSE_GETATTR] = { fuse_op_getattr, IN(getattr), OUT(attr), 0 },
	[FUSE_SETATTR] = { fuse_op_setattr, IN(setattr), OUT(attr), CHANGES },
	[FUSE_READLINK] = { fuse_op_readlink, 0, 0, 0 },
	[FUSE_SYMLINK] = { fuse_op_symlink, 2, OUT(entry), CHANGES },
	[FUSE_MKNOD] = { fuse_op_mknod, IN(mknod), OUT(entry), CHANGES },
	[FUSE_MKDIR] = { fuse_op_mkdir, IN(mkdir), OUT(entry), CHANGES },
	[FUSE_UNLINK] = { fuse_op_unlink, 1, 0, CHANGES },
	[FUSE_RMDIR] = { fuse_op_rmdir, 1, 0, CHANGES },
	[FUSE_RENAME] = { fuse_op_rename, IN(rename), 0, CHANGES },
	[FUSE_LINK] = { fuse_op_link, IN(link), OUT(entry), CHANGES },
	[FUSE_OPEN] = { fuse_op_open, IN(open), OUT(open), 0 },
	[FUSE_READ] = { fuse_op_read, IN(read), 0, 0 },
	[FUSE_WRITE] = { fuse_op_write, IN(write), OUT(write), CHANGES | HAS_DATA },
	[FUSE_STATFS] = { fuse_op_statfs, 0, OUT(statfs), 0 },
	[FUSE_RELEASE] = { fuse_op_release, IN(release), 0, 0 },
	[FUSE_FSYNC] = { fuse_op_fsync, IN(fsync), 0, 0 },
	[FUSE_SETXATTR] = { fuse_op_setxattr, FUSE_COMPAT_SETXATTR_IN_SIZE, 0, CHANGES },
	[FUSE_GETXATTR] = { fuse_op_getxattr, IN(getxattr), 0, 0 },
	[FUSE_LISTXATTR] = { fuse_op_listxattr, IN(getxattr), 0, 0 },
	[FUSE_REMOVEXATTR] = { fuse_op_removexattr, 1, 0, CHANGES },
	[FUSE_FLUSH] = { fuse_op_flush, IN(flush), 0, 0 },
	[FUSE_INIT] = { fuse_op_init, 16, OUT(init), ALWAYS },
	[FUSE_OPENDIR] = { fuse_op_opendir, IN(open), OUT(open), 0 },
	[FUSE_READDIR] = { fuse_op_readdir, IN(read), 0, 0 },
	[FUSE_RELEASEDIR] = { fuse_op_releasedir, IN(release), 0, 0 },
	[FUSE_FSYNCDIR] = { fuse_op_fsync, IN(fsync), 0, 0 },
	[FUSE_CREATE] = { fuse_op_create, IN(create), OUT(entry) + OUT(open), CHANGES },
	[FUSE_INTERRUPT] = { fuse_op_ignore, IN(interrupt), 0, SILENT | ALWAYS },
	[FUSE_DESTROY] = { fuse_op_destroy, 0, 0, ALWAYS },
	[FUSE_IOCTL] = { fuse_op_enotty, IN(ioctl), 0, 0 },
	[FUSE_BATCH_FORGET] = { fuse_op_batch_forget, IN(batch_forget), 0, SILENT | ALWAYS },
	[FUSE_FALLOCATE] = { fuse_op_fallocate, IN(fallocate), 0, CHANGES },
	[FUSE_READDIRPLUS] = { fuse_op_readdirplus, IN(read), 0, 0 },
	[FUSE_RENAME2] = { fuse_op_rename2, IN(rename2), 0, CHANGES },
	[FUSE_LSEEK] = { fuse_op_lseek, IN(lseek), OUT(lseek), 0 },
	[FUSE_COPY_FILE_RANGE] = { fuse_op_copy_file_range, IN(copy_file_range), OUT(write),
				   CHANGES },
	[FUSE_SYNCFS] = { fuse_op_syncfs, IN(syncfs), 0, 0 },
	[FUSE_TMPFILE] = { fuse_op_tmpfile, IN(create), OUT(entry) + OUT(open), CHANGES },
};

static const struct op unknown = { fuse_op_refuse, 0, 0, ALWAYS };

static const struct op *op_of(uint32_t opcode)
{
	return opcode < ARRAY_SIZE(ops) && ops[opcode].run ? &ops[opcode] : &unknown;
}

/* ---- one request ---- */

/* SIZE_MAX, which nothing is as long as, when it is more than a size_t holds. */
static size_t length(const struct iovec *v, unsigned int n)
{
	size_t sum = 0;

	for (unsigned int i = 0; i < n; i++)
		if (__builtin_add_overflow(sum, v[i].iov_len, &sum))
			return SIZE_MAX;
	return sum;
}

static int run(struct fuse_server *s, const struct op *op, struct fuse_req *r)
{
	size_t n = r->in_len - sizeof(r->h), max = op->flags & HAS_DATA ? op->in : sizeof(s->args);

	if (r->h.len != r->in_len || r->h.total_extlen || n < op->in)
		return -EINVAL;
	if (!(op->flags & SILENT) && r->max_reply < op->out)
		return -EINVAL;
	if (!s->inited && !(op->flags & ALWAYS))
		return -ENOTCONN;
	if (s->read_only && op->flags & CHANGES)
		return -EROFS;
	if (n > max) {
		if (!(op->flags & HAS_DATA))
			return -E2BIG;
		n = max;
	}
	r->n_args = iov_copy_out(r->in, r->n_in, sizeof(r->h), s->args, n);
	return op->run(s, r);
}

static size_t answer(const struct fuse_req *r, int ret)
{
	size_t n = ret > 0 ? (size_t)ret : 0;
	struct fuse_out_header h = {
		.len = (uint32_t)(sizeof(h) + n),
		.error = ret < 0 ? ret : 0,
		.unique = r->h.unique,
	};

	iov_copy_in(r->out, r->n_out, 0, &h, sizeof(h));
	if (n && !r->direct)
		iov_copy_in(r->out, r->n_out, sizeof(h), r->reply, n);
	return h.len;
}

size_t fuse_server_handle(struct fuse_server *s, const struct iovec *in, unsigned int n_in,
			  const struct iovec *out, unsigned int n_out)
{
	struct fuse_req r = { .args = s->args,
			      .reply = s->reply,
			      .in = in,
			      .n_in = n_in,
			      .out = out,
			      .n_out = n_out };
	size_t room = length(out, n_out);
	const struct op *op;
	int ret;

	r.in_len = length(in, n_in);
	if (iov_copy_out(in, n_in, 0, &r.h, sizeof(r.h)) < sizeof(r.h))
		return 0;
	op = op_of(r.h.opcode);
	if (!(op->flags & SILENT)) {
		if (room < sizeof(struct fuse_out_header))
			return 0;
		r.max_reply = room - sizeof(struct fuse_out_header);
	}
	/* Only READ has longer answers, and its data is not ours. */
	if (r.max_reply > FUSE_REPLY_MAX && r.h.opcode != FUSE_READ)
		r.max_reply = FUSE_REPLY_MAX;
	s->turn++;
	ret = run(s, op, &r);
	return op->flags & SILENT ? 0 : answer(&r, ret);
}
