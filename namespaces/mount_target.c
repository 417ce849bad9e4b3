/* SPDX-License-Identifier: Apache-2.0 */
/* The place in the container's root that an operation mounts on. */
#include "namespaces/mount_exec.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "base/sys.h"
#include "namespaces/path.h"
#include "oci/names.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

void mount_target_close(struct mount_target *t)
{
	if (t->fd >= 0)
		close(t->fd);
}

bool mount_op_is(const struct mount_op *op, const char *fstype)
{
	return op->fstype && str_eq(op->fstype, fstype);
}

/*
 * Where LSM attributes and sysctls are written: the image must not be able to lead these mounts
 * elsewhere by a symlink, nor the writes by a path that is no longer /proc.
 */
static bool wants_ordinary(const struct mount_op *op)
{
	return mount_op_is(op, "proc") || mount_op_is(op, "sysfs") || str_eq(op->target, "/proc") ||
	       str_eq(op->target, "/sys");
}

static int open_ordinary(int root_fd, const struct mount_op *op, struct mount_target *t,
			 struct err *e)
{
	t->fd = sys_openat2(root_fd, op->target, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0,
			    RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
	if (t->fd == -ELOOP || t->fd == -ENOTDIR)
		return err_set(e, ENOTDIR, "mounts[%zu]: %s must be mounted on ordinary directory",
			       op->index, op->target);
	if (t->fd < 0)
		return t->fd == -ENOENT
			       ? -ENOENT
			       : err_sys(e, -t->fd, "open %s in the container", op->target);
	if (fstat(t->fd, &t->st) < 0)
		return err_sys(e, errno, "stat %s in the container", op->target);
	if (!S_ISDIR(t->st.st_mode))
		return err_set(e, ENOTDIR, "mounts[%zu]: %s must be mounted on ordinary directory",
			       op->index, op->target);
	return 0;
}

static int open_ordinary_make(int root_fd, const struct mount_op *op, struct mount_target *t,
			      struct err *e)
{
	int fd, r = open_ordinary(root_fd, op, t, e);

	t->existed = r == 0;
	if (r != -ENOENT)
		return r;
	fd = path_make(root_fd, op->target, true, 0755, e);
	if (fd < 0)
		return fd;
	close(fd);
	r = open_ordinary(root_fd, op, t, e);
	return r == -ENOENT ? err_sys(e, ENOENT, "open %s in the container", op->target) : r;
}

static int open_any(int root_fd, const struct mount_op *op, bool want_dir, struct mount_target *t,
		    struct err *e)
{
	t->fd = op->links & MOUNT_LINK_DEST
			? path_make_nofollow(root_fd, op->target, want_dir, 0755, &t->st,
					     &t->existed)
			: path_make_stat(root_fd, op->target, want_dir, 0755, &t->st, &t->existed);
	if (t->fd < 0)
		return err_sys(e, -t->fd, "open %s in the container", op->target);
	if (want_dir && !S_ISDIR(t->st.st_mode))
		return err_sys(e, ENOTDIR, "%s in the container", op->target);
	if (!want_dir && S_ISDIR(t->st.st_mode))
		return err_sys(e, EISDIR, "%s in the container", op->target);
	return 0;
}

int mount_target_open(int root_fd, const struct mount_op *op, bool want_dir, struct mount_target *t,
		      struct err *e)
{
	struct statfs fs;
	int r;

	if (wants_ordinary(op))
		return open_ordinary_make(root_fd, op, t, e);
	r = open_any(root_fd, op, want_dir, t, e);
	if (r < 0)
		return r;
	/*
	 * The plan has judged the names below /proc; a link of the image may lead there by another.
	 * What was missing a moment ago may have become such a link meanwhile.
	 */
	if (str_after(op->target, "/proc/"))
		return 0;
	if (fstatfs(t->fd, &fs) < 0)
		return err_sys(e, errno, "statfs %s in the container", op->target);
	if (fs.f_type == PROC_SUPER_MAGIC)
		return err_set(e, EPERM, "mounts[%zu].destination: %s: is inside /proc", op->index,
			       op->target);
	return 0;
}
