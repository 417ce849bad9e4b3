/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mount.h>

#include "namespaces/rootfs.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "namespaces/mount_exec.h"
#include "namespaces/overlay.h"
#include "namespaces/path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define CLONE_FLAGS (OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)

/*
 * A mount that covers several places. The first use attaches it; the next ones clone it from there,
 * because older kernels clone attached mounts only. Once `fd` was attached, it stays a handle of
 * it.
 */
struct cover {
	int fd;
	bool attached;
};

static bool not_to_be_had(int r)
{
	return r == -ENOSYS || r == -EPERM;
}

static int cover(struct cover *c, int target_fd)
{
	AUTO_CLOSE int clone = -1;
	int r;

	if (c->fd < 0)
		return -ENOSYS;
	if (!c->attached) {
		r = mount_attach(c->fd, target_fd);
		c->attached = r == 0;
		return r;
	}
	clone = sys_open_tree(c->fd, "", CLONE_FLAGS);
	return clone < 0 ? clone : mount_attach(clone, target_fd);
}

/* Missing paths are nothing to protect. */
static bool missing(int r)
{
	return r == -ENOENT || r == -ENOTDIR;
}

/* ---- masked ---- */

static int empty_dir(struct err *e)
{
	const struct mount_fs f = {
		.fstype = "tmpfs",
		.source = "tmpfs",
		.mode = "555",
		.attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			 MOUNT_ATTR_NOEXEC,
	};

	return mount_fs_new(&f, NULL, e);
}

/* Where the new calls are refused, each path gets a mount of its own by mount(2). */
static int mask_legacy(const struct rootfs *r, const char *path, int fd, bool dir, struct err *e)
{
	AUTO_CLOSE int null = -1;
	struct stat st;
	const struct mount_op op = {
		.fstype = "tmpfs",
		.source = "tmpfs",
		.target = path,
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			    MOUNT_ATTR_NOEXEC,
	};

	if (dir)
		return mount_legacy_fs(&op, fd, "555", e);
	null = path_open(r->root_fd, "/dev/null", O_PATH | O_NOFOLLOW);
	if (null < 0 || fstat(null, &st) < 0)
		return err_sys(e, errno, "open /dev/null in the container");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return err_set(e, ENODEV,
			       "open /dev/null in the container: it is not the null device");
	return mount_legacy_bind(null, false, fd, e);
}

static int mask_one(const struct rootfs *r, const char *path, struct cover *dirs,
		    struct cover *files, struct err *e)
{
	struct stat st;
	AUTO_CLOSE int fd = path_resolve(r->root_fd, path, &st);
	bool dir;
	int ret;

	if (missing(fd))
		return 0;
	if (fd < 0)
		return err_sys(e, -fd, "linux.maskedPaths: %s", path);
	dir = S_ISDIR(st.st_mode);
	if (dir && dirs->fd < 0) {
		dirs->fd = empty_dir(e);
		if (dirs->fd < 0 && !not_to_be_had(dirs->fd))
			return err_wrap(e, "linux.maskedPaths: mask %s", path);
	}
	ret = cover(dir ? dirs : files, fd);
	if (not_to_be_had(ret)) {
		ret = mask_legacy(r, path, fd, dir, e);
		return ret < 0 ? err_wrap(e, "linux.maskedPaths: mask %s", path) : 0;
	}
	if (ret < 0)
		return err_sys(e, -ret, "linux.maskedPaths: mask %s", path);
	return 0;
}

static int mask_all(const struct rootfs *r, struct err *e)
{
	const struct spec_strings *l = &r->o->spec->linux_.masked_paths;
	struct cover dirs = { .fd = -1 }, files = { .fd = r->null_mnt };
	int ret = 0;

	for (size_t i = 0; i < l->n && ret == 0; i++)
		ret = mask_one(r, l->v[i], &dirs, &files, e);
	if (dirs.fd >= 0)
		close(dirs.fd);
	return ret;
}

/* ---- read-only ---- */

static int ro_legacy(const struct rootfs *r, const char *path, int fd, struct err *e)
{
	AUTO_CLOSE int top = -1;
	int ret = mount_legacy_bind(fd, true, fd, e);

	if (ret < 0)
		return ret;
	top = path_resolve(r->root_fd, path, NULL);
	return top < 0 ? err_sys(e, -top, "open %s", path)
		       : mount_legacy_attr(top, MOUNT_ATTR_RDONLY, 0, e);
}

static int ro_one(const struct rootfs *r, const char *path, struct err *e)
{
	AUTO_CLOSE int fd = path_resolve(r->root_fd, path, NULL);
	AUTO_CLOSE int clone = -1;
	int ret;

	if (missing(fd))
		return 0;
	if (fd < 0)
		return err_sys(e, -fd, "linux.readonlyPaths: %s", path);
	clone = sys_open_tree(fd, "", CLONE_FLAGS | AT_RECURSIVE);
	ret = clone < 0 ? clone : mount_attr_fd(clone, false, MOUNT_ATTR_RDONLY, 0);
	if (ret == 0)
		ret = mount_attach(clone, fd);
	if (not_to_be_had(ret))
		ret = ro_legacy(r, path, fd, e);
	if (ret < 0)
		return err_sys(e, -ret, "linux.readonlyPaths: make %s read-only", path);
	return 0;
}

static int ro_root(const struct rootfs *r, struct err *e)
{
	int ret;

	if (!r->o->spec->root || !r->o->spec->root->readonly)
		return 0;
	/* Without a mount of its own, the root cannot be read-only for this container alone. */
	if (!r->o->new_mount_ns)
		return err_set(e, EINVAL,
			       "root.readonly: needs a mount namespace of the container's own");
	for (size_t i = 0; r->o->below && i < r->o->below->n; i++) {
		ret = mount_attr_fd(r->o->below->fd[i], false, MOUNT_ATTR_RDONLY, 0);
		if (ret < 0)
			return err_sys(e, -ret, "root.readonly: a file system of the clone");
	}
	ret = mount_attr_fd(r->root_fd, false, MOUNT_ATTR_RDONLY, 0);
	if (not_to_be_had(ret))
		return mount_legacy_attr(r->root_fd, MOUNT_ATTR_RDONLY, 0, e);
	return ret < 0 ? err_sys(e, -ret, "root.readonly") : 0;
}

/*
 * The last of all: what is cloned for the paths above could not be cloned from unbindable mounts.
 */
static int set_root_propagation(const struct rootfs *r, struct err *e)
{
	uint64_t want = r->o->spec->linux_.rootfs_propagation;
	int ret = want ? mount_propagation_fd(r->root_fd, want) : 0;

	if (not_to_be_had(ret))
		return mount_legacy_propagation(r->root_fd, want, e);
	return ret < 0 ? err_sys(e, -ret, "linux.rootfsPropagation") : 0;
}

int rootfs_protect(struct rootfs *r, struct err *e)
{
	const struct spec_strings *ro = &r->o->spec->linux_.readonly_paths;
	int ret;

	if (!r->o->new_mount_ns)
		return ro_root(r, e);
	for (size_t i = 0; i < ro->n; i++)
		if ((ret = ro_one(r, ro->v[i], e)) < 0)
			return ret;
	if ((ret = mask_all(r, e)) < 0 || (ret = mount_exec_late(&r->late, e)) < 0 ||
	    (ret = ro_root(r, e)) < 0)
		return ret;
	return set_root_propagation(r, e);
}
