/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mount.h>

#include "namespaces/mount_exec.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"
#include "namespaces/idmap.h"
#include "namespaces/path.h"
#include "oci/names.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

struct exec {
	int root_fd;
	const struct rootfs_opts *o;
	struct mount_made *made;
	struct mount_late *late;
};

void mount_made_close(struct mount_made *m)
{
	while (m->n)
		close(m->fd[--m->n]);
}

int mount_attach(int mnt_fd, int target_fd)
{
	return sys_move_mount(mnt_fd, "", target_fd, "",
			      MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

int mount_attr_fd(int fd, bool recursive, uint64_t set, uint64_t clr)
{
	struct mount_attr a = { .attr_set = set, .attr_clr = clr };

	return sys_mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &a);
}

int mount_propagation_fd(int fd, uint64_t ms)
{
	struct mount_attr a = { .propagation = ms & ~(uint64_t)MS_REC };

	return sys_mount_setattr(fd, "", AT_EMPTY_PATH | (ms & MS_REC ? AT_RECURSIVE : 0), &a);
}

static bool not_to_be_had(int r)
{
	return r == -ENOSYS || r == -EPERM;
}

/* ---- what is mounted ---- */

/* What goes onto /proc must be a procfs, whatever its type was said to be. */
static int check_procfs(int mnt_fd, const struct mount_op *op, struct err *e)
{
	struct statfs fs;

	if (!str_eq(op->target, "/proc"))
		return 0;
	if (fstatfs(mnt_fd, &fs) < 0)
		return err_sys(e, errno, "statfs of the mount for /proc");
	if (fs.f_type != PROC_SUPER_MAGIC)
		return err_set(e, EPERM,
			       "mounts[%zu]: /proc cannot be mounted over: it is not of type proc",
			       op->index);
	return 0;
}

/* ---- sources ---- */

static int idmap_clone(int mnt_fd, const struct mount_op *op, int userns_fd, struct err *e)
{
	struct mount_attr a = { .attr_set = MOUNT_ATTR_IDMAP };
	AUTO_CLOSE int own = -1;
	int r;

	if (op->uid_mappings) {
		r = idmap_userns_fd(op->uid_mappings, op->gid_mappings, &own, e);
		if (r < 0)
			return r;
		userns_fd = own;
	}
	if (userns_fd < 0)
		return err_set(e, EINVAL, "mounts[%zu]: idmap: no mappings", op->index);
	a.userns_fd = (uint64_t)userns_fd;
	r = sys_mount_setattr(mnt_fd, "", AT_EMPTY_PATH | (op->ridmap ? AT_RECURSIVE : 0), &a);
	if (r < 0)
		return err_sys(e, -r, "mounts[%zu]: id-map %s", op->index,
			       op->source ?: op->fstype);
	return 0;
}

unsigned int mount_source_flags(const struct mount_op *op)
{
	return (op->recursive ? AT_RECURSIVE : 0) |
	       (op->links & (MOUNT_LINK_SRC | MOUNT_LINK_COPY) ? AT_SYMLINK_NOFOLLOW : 0);
}

static int clone_source(const struct mount_op *op)
{
	return sys_open_tree(AT_FDCWD, op->source,
			     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | mount_source_flags(op));
}

static int source_error(const struct mount_op *op, int r, struct err *e)
{
	return err_sys(e, -r, "mounts[%zu].source: %s", op->index, op->source);
}

int mount_source_open(const struct mount_op *op, int userns_fd, struct err *e)
{
	AUTO_CLOSE int fd = clone_source(op);
	int r;

	if (fd < 0)
		return source_error(op, fd, e);
	if (op->idmap) {
		r = idmap_clone(fd, op, userns_fd, e);
		if (r < 0)
			return r;
	}
	return TAKE_FD(fd);
}

/* The container's own maps as a user namespace, for a mount that names none. */
static int own_userns(const struct exec *x, const struct mount_op *op, int *fd, struct err *e)
{
	const struct spec_linux *l = &x->o->spec->linux_;

	if (op->uid_mappings)
		return 0;
	return idmap_userns_fd(&l->uid_mappings, &l->gid_mappings, fd, e);
}

/*
 * A clone that the parent made comes from the host's mount namespace: what is mounted below it here
 * must not go back there.
 */
static int from_parent(const struct mount_op *op, int mnt_fd, struct err *e)
{
	AUTO_CLOSE int fd = mnt_fd;
	int r;

	if (fd < 0)
		return fd;
	r = mount_propagation_fd(fd, MS_SLAVE | MS_REC);
	return r < 0 ? source_error(op, r, e) : TAKE_FD(fd);
}

static int open_source(const struct exec *x, const struct mount_op *op, struct err *e)
{
	const struct rootfs_opts *o = x->o;
	AUTO_CLOSE int userns = -1;
	int fd, r;

	if (op->idmap && o->open_idmapped)
		return from_parent(op, o->open_idmapped(o->arg, (size_t)(op - o->plan->v), e), e);
	if (op->idmap) {
		r = own_userns(x, op, &userns, e);
		return r < 0 ? r : mount_source_open(op, userns, e);
	}
	fd = clone_source(op);
	/*
	 * EINVAL: mounts below, which a user namespace holds where they are and only the caller can
	 * leave out.
	 */
	if ((fd == -EACCES || (fd == -EINVAL && o->userns && !op->recursive)) && o->open_source)
		return from_parent(
			op, o->open_source(o->arg, op->source, mount_source_flags(op), e), e);
	return fd < 0 ? source_error(op, fd, e) : fd;
}

/* ---- attributes ---- */

/*
 * In a user namespace the flags that a mount came with are locked. Nobody asks for a certain access
 * time at the price of the mount, so that wish is given up; any other is an error.
 */
static int set_attrs(int fd, const struct mount_op *op)
{
	int r = 0;

	if (op->rec_attr_set | op->rec_attr_clr)
		r = mount_attr_fd(fd, true, op->rec_attr_set, op->rec_attr_clr);
	if (r < 0 || !(op->attr_set | op->attr_clr))
		return r;
	r = mount_attr_fd(fd, false, op->attr_set, op->attr_clr);
	if (r == -EPERM && op->attr_clr & MOUNT_ATTR__ATIME)
		r = mount_attr_fd(fd, false, op->attr_set & ~(uint64_t)MOUNT_ATTR__ATIME,
				  op->attr_clr & ~(uint64_t)MOUNT_ATTR__ATIME);
	return r;
}

static int set_propagation(int fd, const struct mount_op *op, struct err *e)
{
	for (size_t i = 0; i < op->n_propagation; i++) {
		int r = mount_propagation_fd(fd, op->propagation[i]);

		if (not_to_be_had(r))
			r = mount_legacy_propagation(fd, op->propagation[i], NULL);
		if (r < 0)
			return err_sys(e, -r, "mounts[%zu]: propagation of %s", op->index,
				       op->target);
	}
	return 0;
}

static int wrap(const struct mount_op *op, int r, struct err *e)
{
	err_wrap(e, "mounts[%zu]: mount %s", op->index, op->target);
	return r;
}

/* copy-symlink: what would be bound is a link, src, and the same one is made in its place. */
static int copy_link(const struct exec *x, const struct mount_op *op, int src, struct err *e)
{
	const char *name = strrchr(op->target, '/') + 1;
	AUTO_FREE char *parent = strndup(op->target, (size_t)(name - op->target));
	AUTO_CLOSE int dir = -1;
	char text[PATH_MAX], there[PATH_MAX];
	ssize_t n = readlinkat(src, "", text, sizeof(text) - 1);

	if (n < 0 || !parent)
		return source_error(op, n < 0 ? -errno : -ENOMEM, e);
	text[n] = '\0';
	dir = path_make(x->root_fd, parent, true, 0755, e);
	if (dir < 0)
		return wrap(op, dir, e);
	if (symlinkat(text, dir, name) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(e, errno, "mounts[%zu]: link %s", op->index, op->target);
	if (readlinkat(dir, name, there, sizeof(there)) == n && memcmp(there, text, (size_t)n) == 0)
		return 0;
	return err_set(e, EEXIST,
		       "mounts[%zu].destination: %s: something else than a link to %s is there",
		       op->index, op->target, text);
}

/* ---- the old way, when the calls above are refused ---- */

/* After mount(2) only the path leads to the new mount. */
static int finish_legacy(const struct exec *x, const struct mount_op *op, struct err *e)
{
	struct stat st;
	bool existed;
	AUTO_CLOSE int fd =
		op->links & MOUNT_LINK_DEST
			? path_make_nofollow(x->root_fd, op->target, false, 0755, &st, &existed)
			: path_resolve(x->root_fd, op->target, NULL);
	int r;

	if (fd < 0)
		return err_sys(e, -fd, "open %s in the container", op->target);
	if (op->rec_attr_set | op->rec_attr_clr)
		return err_set(
			e, ENOSYS,
			"mounts[%zu]: recursive options need mount_setattr, which is refused here",
			op->index);
	if ((r = check_procfs(fd, op, e)) < 0)
		return r;
	if (op->kind == MOUNT_OP_BIND && op->attr_set | op->attr_clr &&
	    (r = mount_legacy_attr(fd, op->attr_set, op->attr_clr, e)) < 0)
		return wrap(op, r, e);
	r = set_propagation(fd, op, e);
	return r < 0 ? r : mount_late_keep(x->late, op, fd, e);
}

static int fs_legacy(const struct exec *x, const struct mount_op *op, const struct mount_target *t,
		     const char *mode, struct err *e)
{
	int r;

	log_debug("mount %s: the new mount calls are refused, mount(2) is used", op->target);
	if (op->copy_up || op->idmap)
		return err_set(e, ENOSYS, "mounts[%zu]: %s needs fsopen, which is refused here",
			       op->index, op->copy_up ? "tmpcopyup" : "idmap");
	r = mount_legacy_fs(op, t->fd, mode, e);
	return r < 0 ? wrap(op, r, e) : finish_legacy(x, op, e);
}

static int bind_legacy(const struct exec *x, const struct mount_op *op, struct err *e)
{
	AUTO_MOUNT_TARGET struct mount_target t = { .fd = -1 };
	AUTO_CLOSE int src = -1;
	struct stat st;
	int r;

	log_debug("mount %s: the new mount calls are refused, mount(2) is used", op->target);
	if (op->idmap)
		return err_set(e, ENOSYS,
			       "mounts[%zu]: idmap needs mount_setattr, which is refused here",
			       op->index);
	src = open(op->source,
		   O_PATH | O_CLOEXEC |
			   (mount_source_flags(op) & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0));
	if (src < 0 || fstat(src, &st) < 0)
		return source_error(op, -errno, e);
	if (S_ISLNK(st.st_mode) && op->links & MOUNT_LINK_COPY)
		return copy_link(x, op, src, e);
	if ((r = mount_target_open(x->root_fd, op, S_ISDIR(st.st_mode), &t, e)) < 0)
		return wrap(op, r, e);
	r = mount_legacy_bind(src, op->recursive, t.fd, e);
	return r < 0 ? wrap(op, r, e) : finish_legacy(x, op, e);
}

/* ---- operations ---- */

static int do_bind(const struct exec *x, const struct mount_op *op, struct err *e)
{
	AUTO_MOUNT_TARGET struct mount_target t = { .fd = -1 };
	AUTO_CLOSE int mnt = open_source(x, op, e);
	struct stat st;
	int r;

	if (mnt < 0)
		return not_to_be_had(mnt) && !op->idmap ? bind_legacy(x, op, e) : mnt;
	if (fstat(mnt, &st) < 0)
		return source_error(op, -errno, e);
	if (S_ISLNK(st.st_mode) && op->links & MOUNT_LINK_COPY)
		return copy_link(x, op, mnt, e);
	r = set_attrs(mnt, op);
	if (r == -ENOSYS)
		return bind_legacy(x, op, e);
	if (r < 0)
		return err_sys(e, -r, "mounts[%zu]: set options of %s", op->index, op->target);
	if ((r = check_procfs(mnt, op, e)) < 0)
		return r;
	if ((r = mount_target_open(x->root_fd, op, S_ISDIR(st.st_mode), &t, e)) < 0)
		return wrap(op, r, e);
	r = mount_attach(mnt, t.fd);
	if (not_to_be_had(r) && !op->idmap)
		return bind_legacy(x, op, e);
	if (r < 0)
		return err_sys(e, -r, "mounts[%zu]: mount %s on %s", op->index, op->source,
			       op->target);
	return set_propagation(mnt, op, e);
}

static bool has_mode(const struct spec_strings *data)
{
	for (size_t i = 0; i < data->n; i++)
		if (str_after(data->v[i], "mode="))
			return true;
	return false;
}

/* Where a cgroup file system gives no new mount, the container's own directory of the host's does.
 */
static int fs_fallback(const struct exec *x, const struct mount_op *op, struct err *e)
{
	struct mount_op bind = *op;

	log_debug("mount %s: %s; %s is bound instead", op->target, e->msg, op->fallback);
	bind.kind = MOUNT_OP_BIND;
	bind.source = op->fallback;
	bind.fallback = NULL;
	bind.fstype = NULL;
	bind.recursive = true;
	bind.data.n = 0;
	return do_bind(x, &bind, e);
}

static int new_fs(const struct mount_op *op, const char *mode, bool *refused, struct err *e)
{
	const struct mount_fs f = {
		.fstype = op->fstype,
		.source = op->source,
		.data = &op->data,
		.flags = &op->sb_set,
		.mode = mode,
		.attrs = op->attr_set,
	};

	*refused = op->ms_flags != 0;
	return *refused ? err_sys(e, EPERM, "mount %s", op->fstype) : mount_fs_new(&f, refused, e);
}

/* What is behind a refusal that the kernel gives without a word. */
static int explain(const struct mount_op *op, int r, struct err *e)
{
	const char *why = NULL;

	if (r == -EPERM && mount_op_is(op, "proc"))
		why = "a user namespace needs a new pid namespace and an outer /proc without mounts over it";
	else if (r == -EPERM && mount_op_is(op, "sysfs"))
		why = "a user namespace needs a new network namespace too; a bind of /sys does not";
	if (why)
		return err_set(e, EPERM, "mounts[%zu]: mount %s: Operation not permitted (%s)",
			       op->index, op->target, why);
	return wrap(op, r, e);
}

static int do_fs(const struct exec *x, const struct mount_op *op, struct err *e)
{
	AUTO_MOUNT_TARGET struct mount_target t = { .fd = -1 };
	char buf[16];
	const char *mode = NULL;
	AUTO_CLOSE int mnt = -1;
	bool refused;
	int r;

	if ((r = mount_target_open(x->root_fd, op, true, &t, e)) < 0)
		return wrap(op, r, e);
	/* A tmpfs over a directory of the image keeps that directory's mode (/tmp stays 1777). */
	if (mount_op_is(op, "tmpfs") && t.existed && !has_mode(&op->data)) {
		snprintf(buf, sizeof(buf), "%o", t.st.st_mode & 07777);
		mode = buf;
	}
	mnt = new_fs(op, mode, &refused, e);
	if (mnt < 0 && op->fallback)
		return fs_fallback(x, op, e);
	if (mnt < 0 && !refused)
		return explain(op, mnt, e);
	if (mnt < 0)
		return fs_legacy(x, op, &t, mode, e);
	if ((r = check_procfs(mnt, op, e)) < 0 ||
	    (op->idmap && (r = idmap_clone(mnt, op, -1, e)) < 0))
		return r;
	if (op->rec_attr_set | op->rec_attr_clr) {
		r = mount_attr_fd(mnt, true, op->rec_attr_set, op->rec_attr_clr);
		if (r < 0)
			return err_sys(e, -r, "mounts[%zu]: set options of %s", op->index,
				       op->target);
	}
	if (op->copy_up && (r = mount_copy_up(t.fd, mnt, &op->data, e)) < 0)
		return wrap(op, r, e);
	r = mount_attach(mnt, t.fd);
	if (not_to_be_had(r) && !op->copy_up && !op->idmap)
		return fs_legacy(x, op, &t, mode, e);
	if (r < 0)
		return err_sys(e, -r, "mounts[%zu]: mount %s on %s", op->index, op->fstype,
			       op->target);
	r = set_propagation(mnt, op, e);
	if (r == 0)
		r = mount_late_keep(x->late, op, mnt, e);
	if (mount_op_is(op, "tmpfs") && x->made->n < MOUNT_MADE_MAX)
		x->made->fd[x->made->n++] = TAKE_FD(mnt);
	return r;
}

static int do_remount(const struct exec *x, const struct mount_op *op, struct err *e)
{
	AUTO_CLOSE int fd = path_resolve(x->root_fd, op->target, NULL);
	int r;

	if (fd < 0)
		return err_sys(e, -fd, "mounts[%zu]: remount %s", op->index, op->target);
	if (op->sb_set.n + op->sb_clear.n + op->data.n) {
		r = mount_fs_reconfigure(fd, op, e);
		if (r < 0)
			return wrap(op, r, e);
	}
	if (op->ms_flags)
		return err_set(e, EINVAL, "mounts[%zu]: iversion cannot be changed by a remount",
			       op->index);
	r = set_attrs(fd, op);
	if (not_to_be_had(r) && !(op->rec_attr_set | op->rec_attr_clr))
		r = mount_legacy_attr(fd, op->attr_set, op->attr_clr, NULL);
	if (r < 0)
		return err_sys(e, -r, "mounts[%zu]: remount %s", op->index, op->target);
	return set_propagation(fd, op, e);
}

static int do_symlink(const struct exec *x, const struct mount_op *op, struct err *e)
{
	const char *name = strrchr(op->target, '/') + 1;
	AUTO_FREE char *dir = strndup(op->target, (size_t)(name - op->target));
	AUTO_CLOSE int fd = dir ? path_open(x->root_fd, dir, O_PATH | O_DIRECTORY) : -ENOMEM;

	if (fd < 0)
		return err_sys(e, -fd, "mounts[%zu]: link %s", op->index, op->target);
	if (symlinkat(op->source, fd, name) < 0 && errno != EEXIST)
		return err_sys(e, errno, "mounts[%zu]: link %s", op->index, op->target);
	return 0;
}

static int do_op(const struct exec *x, const struct mount_op *op, struct err *e)
{
	switch (op->kind) {
	case MOUNT_OP_FS:
		return do_fs(x, op, e);
	case MOUNT_OP_BIND:
		return do_bind(x, op, e);
	case MOUNT_OP_REMOUNT:
		return do_remount(x, op, e);
	case MOUNT_OP_SYMLINK:
		return do_symlink(x, op, e);
	}
	return err_set(e, EINVAL, "mounts[%zu]: unknown operation", op->index);
}

int mount_exec(int root_fd, const struct rootfs_opts *o, struct mount_made *made,
	       struct mount_late *late, struct err *e)
{
	const struct exec x = { .root_fd = root_fd, .o = o, .made = made, .late = late };

	for (size_t i = 0; o->plan && i < o->plan->n; i++) {
		int r = do_op(&x, &o->plan->v[i], e);

		if (r < 0)
			return r;
	}
	return 0;
}
