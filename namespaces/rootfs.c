/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each step should do and must not yet do:
 *
 * prepare  Should: cut this namespace's mounts off from the host's before anything is mounted; take
 * /dev/null from the host while the host's tree is still there. Must not: read anything inside the
 * root by a string. enter    Should: leave no way back to the host's tree. Must not: make anything
 * read-only (the console comes yet). protect  Should: run last, because nothing can be made below a
 * read-only or masked path any more.
 */
#include <sys/mount.h>

#include "namespaces/rootfs.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"
#include "namespaces/dev.h"
#include "namespaces/mount_exec.h"
#include "namespaces/path.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define CLONE_FLAGS (OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)

static bool all_cut_off(uint64_t propagation)
{
	return propagation == 0 ||
	       (propagation & MS_REC && propagation & (MS_SLAVE | MS_PRIVATE | MS_UNBINDABLE));
}

/*
 * Where ctr itself lives in a chroot, pivot_root would only swap what is mounted there, and leave
 * the host's tree above the container's root: for whoever breaks out of a chroot, and for setns,
 * which goes to the namespace's own root. Joining our own mount namespace brings us to that root
 * first.
 */
static int to_namespace_root(struct err *e)
{
	AUTO_CLOSE int self = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	if (self < 0 && errno == ENOENT)
		return 0;
	if (self < 0 || setns(self, CLONE_NEWNS) < 0)
		return err_sys(e, errno, "go to the root of the mount namespace");
	return 0;
}

static int same_place(int a, int b, bool *same)
{
	struct statx x, y;

	if (statx(a, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &x) < 0 ||
	    statx(b, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &y) < 0)
		return -errno;
	*same = x.stx_mnt_id == y.stx_mnt_id && x.stx_ino == y.stx_ino;
	return 0;
}

/* The mount namespace's root; *chrooted: it is not ctr's own, to which we come back. */
static int open_namespace_root(bool *chrooted, struct err *e)
{
	AUTO_CLOSE int own = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int top = -1;
	bool same = false;
	int r;

	if (own < 0)
		return err_sys(e, errno, "open /");
	r = to_namespace_root(e);
	if (r < 0)
		return r;
	top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = top < 0 ? -errno : same_place(own, top, &same);
	if (r < 0)
		return err_sys(e, -r, "open the root of the mount namespace");
	*chrooted = !same;
	if (!same && (fchdir(own) < 0 || chroot(".") < 0))
		return err_sys(e, errno, "return to ctr's own root");
	return TAKE_FD(top);
}

static int cut_off(struct rootfs *rootfs, struct err *e)
{
	uint64_t want = rootfs->o->spec->linux_.rootfs_propagation;
	AUTO_CLOSE int fd = open_namespace_root(&rootfs->chrooted, e);
	int r;

	if (fd < 0)
		return fd;
	if (!want)
		want = MS_SLAVE | MS_REC;
	/*
	 * Nothing could be cloned from unbindable mounts: rootfs_protect makes the root so when all
	 * is done.
	 */
	if (want & MS_UNBINDABLE)
		want = MS_PRIVATE | (want & MS_REC);
	r = mount_propagation_fd(fd, want);
	if (r == -ENOSYS || r == -EPERM)
		r = mount(NULL, "/", NULL, want, NULL) < 0 ? -errno : 0;
	if (r < 0)
		return err_sys(e, -r, "set the propagation of /");
	return 0;
}

/* True at the root of a mount; the kernel tells since 5.8. */
static int at_mount_root(int fd)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_TYPE, &stx) < 0)
		return -errno;
	return (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/*
 * pivot_root refuses a shared parent, and what is attached below one would appear on the host. Only
 * needed where linux.rootfsPropagation leaves something shared.
 */
static int make_parent_private(int fd, struct err *e)
{
	AUTO_CLOSE int cur = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	int r;

	while (cur >= 0 && (r = at_mount_root(cur)) == 0) {
		int up = openat(cur, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		close(cur);
		cur = up;
	}
	if (cur < 0)
		return err_sys(e, errno, "find the mount of the root");
	if (r > 0)
		r = mount_propagation_fd(cur, MS_PRIVATE);
	if (r < 0)
		return err_sys(e, -r, "make the parent mount of the root private");
	return 0;
}

/* ---- the root as a mount ---- */

static int clone_root(const struct rootfs_opts *o, struct err *e)
{
	int fd = sys_open_tree(AT_FDCWD, o->path, CLONE_FLAGS | AT_RECURSIVE), r;

	if (fd == -EACCES && o->open_source) {
		fd = o->open_source(o->arg, o->path, AT_RECURSIVE, e);
		/* Made in the host's mount namespace: what is mounted below it must not go back
		 * there. */
		r = fd < 0 ? 0 : mount_propagation_fd(fd, MS_SLAVE | MS_REC);
		if (r < 0) {
			close(fd);
			return err_sys(e, -r, "root.path: %s", o->path);
		}
		return fd;
	}
	if (fd < 0)
		return err_sys(e, -fd, "root.path: %s", o->path);
	return fd;
}

/* Without the new calls: a bind of the directory over itself, by mount(2). */
static int bind_root(const struct rootfs_opts *o, int at, int *root_fd, struct err *e)
{
	int r = mount_legacy_bind(at, true, at, e);

	if (r < 0)
		return r;
	*root_fd = open(o->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *root_fd < 0 ? err_sys(e, errno, "root.path: %s", o->path) : 0;
}

/*
 * Attached over its own path, where createContainer hooks look for it; a root without a path is put
 * on top of "/", which hides nothing from a process whose root is the mount below.
 */
static int attach_root(struct rootfs *r, struct err *e)
{
	const struct rootfs_opts *o = r->o;
	const char *path = o->root_mount >= 0 ? "/" : o->path;
	AUTO_CLOSE int at = -1, root = o->root_mount;
	int ret;

	r->on_top = o->root_mount >= 0;
	at = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0 && !(errno == EACCES && o->open_source))
		return err_sys(e, errno, "root.path: %s", path);
	if (at < 0) {
		/* Not to be reached by name from inside the user namespace: "/" does as well. */
		at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (at < 0)
			return err_sys(e, errno, "open /");
		r->on_top = true;
	}
	if (!all_cut_off(o->spec->linux_.rootfs_propagation) &&
	    (ret = make_parent_private(at, e)) < 0)
		return ret;
	if (root < 0) {
		root = clone_root(o, e);
		if ((root == -ENOSYS || root == -EPERM) && !r->on_top)
			return bind_root(o, at, &r->root_fd, e);
		if (root < 0)
			return root;
	}
	ret = mount_attach(root, at);
	if ((ret == -ENOSYS || ret == -EPERM) && !r->on_top)
		return bind_root(o, at, &r->root_fd, e);
	if (ret < 0)
		return err_sys(e, -ret, "attach the root at %s", path);
	r->root_fd = TAKE_FD(root);
	return 0;
}

/* ---- /dev ---- */

/* Whether the mount is one that an operation of that kind made. */
static bool made_by(const struct rootfs *r, enum mount_op_kind kind, uint64_t mount)
{
	const struct mount_plan *p = r->o->plan;

	for (size_t i = 0; p && i < p->n; i++) {
		AUTO_CLOSE int fd = -1;
		uint64_t id;

		if (p->v[i].kind != kind)
			continue;
		fd = path_open(r->root_fd, p->v[i].target, O_PATH);
		if (path_mount_id(fd, &id) == 0 && id == mount)
			return true;
	}
	return false;
}

static bool binds_dev(const struct mount_plan *p)
{
	for (size_t i = 0; p && i < p->n; i++)
		if (p->v[i].kind == MOUNT_OP_BIND && str_eq(p->v[i].target, "/dev"))
			return true;
	return false;
}

/*
 * A /dev of the host's by a bind mount is left as it is. The names alone do not tell: the image may
 * have a link from another destination to /dev, or from /dev to a place below one.
 */
static bool dev_is_bound(const struct rootfs *r)
{
	AUTO_CLOSE int dev = -1, plain = -1;
	uint64_t root, id;

	if (binds_dev(r->o->plan))
		return true;
	dev = path_open(r->root_fd, "/dev", O_PATH);
	if (path_mount_id(r->root_fd, &root) < 0 || path_mount_id(dev, &id) < 0 || id == root)
		return false;
	if (made_by(r, MOUNT_OP_BIND, id))
		return true;
	/* By a link, and to no mount of ours: one that came along with a recursive bind. */
	plain = sys_openat2(r->root_fd, "dev", O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC, 0,
			    RESOLVE_BENEATH);
	return plain < 0 && !made_by(r, MOUNT_OP_FS, id);
}

/*
 * Masked files show /dev/null. It is taken from the host, before the image has any say, and cloned
 * now because a clone needs a mount of this namespace, which pivot_root leaves behind.
 */
static int take_null(struct rootfs *r, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;

	if (!r->o->spec->linux_.masked_paths.n)
		return 0;
	fd = sys_open_tree(AT_FDCWD, "/dev/null", CLONE_FLAGS);
	/* Then the container's own is verified and used, rootfs_protect.c. */
	if (fd == -ENOSYS || fd == -EPERM)
		return 0;
	if (fd < 0)
		return err_sys(e, -fd, "open /dev/null");
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "stat /dev/null");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return err_set(e, ENODEV, "open /dev/null: it is not the null device");
	r->null_mnt = TAKE_FD(fd);
	return 0;
}

/* ---- steps ---- */

static int prepare_shared(struct rootfs *r, struct err *e)
{
	const struct spec_linux *l = &r->o->spec->linux_;

	if (l->masked_paths.n || l->readonly_paths.n)
		return err_set(e, EINVAL,
			       "linux.%s: needs a mount namespace of the container's own",
			       l->masked_paths.n ? "maskedPaths" : "readonlyPaths");
	if (r->o->plan && r->o->plan->n)
		log_warn(
			"mounts: not made, because the container has no mount namespace of its own");
	if (!r->o->path)
		return err_set(e, EINVAL, "an OS clone needs a mount namespace of its own");
	r->root_fd = open(r->o->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (r->root_fd < 0)
		return err_sys(e, errno, "root.path: %s", r->o->path);
	return 0;
}

static int prepare_own(struct rootfs *r, struct err *e)
{
	AUTO(mount_made_close) struct mount_made made = { 0 };
	int ret;

	if ((ret = cut_off(r, e)) < 0 || (ret = take_null(r, e)) < 0 ||
	    (ret = attach_root(r, e)) < 0 ||
	    (ret = mount_exec(r->root_fd, r->o, &made, &r->late, e)) < 0)
		return ret;
	r->dev_bound = dev_is_bound(r);
	if (r->dev_bound)
		return 0;
	return dev_setup(r->root_fd, r->o->spec, r->o->userns, &made, e);
}

int rootfs_prepare(struct rootfs *r, const struct rootfs_opts *o, struct err *e)
{
	mode_t mask;
	int ret;

	*r = (struct rootfs)ROOTFS_INIT;
	r->o = o;
	/* Modes of what is made are meant as they are written. */
	mask = umask(0);
	ret = o->new_mount_ns ? prepare_own(r, e) : prepare_shared(r, e);
	umask(mask);
	return ret;
}

/*
 * The old root lies on top of the new one after pivot_root(".", "."), so umount2(".") removes it;
 * nothing has to be made in the new root for it.
 */
static int pivot(struct rootfs *r, struct err *e)
{
	AUTO_CLOSE int old = -1;
	int ret = r->chrooted ? to_namespace_root(e) : 0;

	if (ret < 0)
		return ret;
	if (!all_cut_off(r->o->spec->linux_.rootfs_propagation)) {
		old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (old < 0)
			return err_sys(e, errno, "open /");
	}
	if (fchdir(r->root_fd) < 0)
		return err_sys(e, errno, "chdir to the root");
	ret = sys_pivot_root(".", ".");
	if (ret == -EINVAL)
		return err_set(
			e, EINVAL,
			"pivot_root: Invalid argument (is the host's root an initramfs? see --no-pivot)");
	if (ret < 0)
		return err_sys(e, -ret, "pivot_root");
	/* Unmounting a shared tree would unmount it on the host as well. */
	if (old >= 0 && (ret = mount_propagation_fd(old, MS_SLAVE | MS_REC)) < 0)
		return err_sys(e, -ret, "set the propagation of the old root");
	if (umount2(".", MNT_DETACH) < 0)
		return err_sys(e, errno, "unmount the old root");
	if (chdir("/") < 0)
		return err_sys(e, errno, "chdir to /");
	return 0;
}

int rootfs_enter(struct rootfs *r, struct err *e)
{
	if (!r->o->new_mount_ns) {
		if (fchdir(r->root_fd) < 0 || chroot(".") < 0)
			return err_sys(e, errno, "chroot: %s", r->o->path);
		return 0;
	}
	return r->o->no_pivot ? rootfs_move(r, e) : pivot(r, e);
}

void rootfs_close(struct rootfs *r)
{
	if (r->root_fd >= 0)
		close(r->root_fd);
	if (r->null_mnt >= 0)
		close(r->null_mnt);
	mount_late_close(&r->late);
	r->root_fd = r->null_mnt = -1;
}
