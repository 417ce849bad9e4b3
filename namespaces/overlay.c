/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the merged root is made. An overlay takes its layers by path, and older kernels take only
 * layers that are mounted in the caller's namespace. So the upper file system and the merged root
 * are attached on top of "/" while they are put together: a process whose root is the mount below
 * walks past them, and /proc/self/fd names them without a path. At the end the whole tree is cloned
 * as a detached one.
 */
#include <sys/mount.h>

#include "namespaces/overlay.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"
#include "namespaces/mount_exec.h"
#include "namespaces/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#define MOUNTINFO_MAX ((size_t)16 << 20)

/* Where the clone has mounts of its own, and what the host has there is not to be seen. */
static const char *const replaced[] = { "/proc", "/sys", "/dev", "/run", "/tmp" };

/*
 * File systems that hold an operating system or its data. All others are views of the kernel, of
 * another machine, or (overlay) of some other container.
 */
static const char *const ordinary[] = {
	"ext4",     "ext3",  "ext2",     "xfs",  "btrfs", "f2fs",  "zfs",      "bcachefs", "jfs",
	"reiserfs", "erofs", "squashfs", "vfat", "ntfs3", "exfat", "virtiofs", "9p",
};

struct build {
	int root;  /* "/" of the host */
	int upper; /* the upper file system's mount, attached */
	int merged;
	unsigned int n; /* overlays made so far */
};

/* Unmounts what fd refers to, by the one name that it surely has. */
static void detach(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	umount2(path, MNT_DETACH);
}

/* ---- the upper layer ---- */

static int upper_tmpfs(uint64_t size, struct err *e)
{
	char text[40], *v[2] = { text, NULL };
	const struct spec_strings data = { .v = v, .n = size ? 1 : 0 };
	const struct mount_fs f = {
		.fstype = "tmpfs", .source = "ctr-clone", .data = &data, .mode = "755"
	};

	snprintf(text, sizeof(text), "size=%llu", (unsigned long long)size);
	return mount_fs_new(&f, NULL, e);
}

/*
 * A directory below the upper mount with the mode and owner of the directory that it lies over. It
 * is called after the place (/var/log: "upper:var:log"), so that a kept disk finds its layers
 * again.
 */
static int layer_dir(const struct build *b, const char *kind, const char *where, int lower,
		     struct err *e)
{
	AUTO_FREE char *name = str_printf("%s%s", kind, str_eq(where, "/") ? "" : where);
	AUTO_CLOSE int fd = -1;
	struct stat st;

	if (!name)
		return err_sys(e, ENOMEM, "make the upper layer");
	for (char *s = name; *s; s++)
		if (*s == '/')
			*s = ':';
	if (mkdirat(b->upper, name, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "make the upper layer");
	fd = openat(b->upper, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "open the upper layer");
	if (lower >= 0 && (fstat(lower, &st) < 0 || fchown(fd, st.st_uid, st.st_gid) < 0 ||
			   fchmod(fd, st.st_mode & 07777) < 0))
		return err_sys(e, errno, "make the upper layer");
	return TAKE_FD(fd);
}

/* ---- one overlay ---- */

static int set_layers(int lower, int upper, int work, bool redirect, struct err *e)
{
	char opt[4][64], *v[6];
	const struct spec_strings data = { .v = v, .n = redirect ? 6 : 5 };
	const struct mount_fs f = { .fstype = "overlay", .source = "ctr-clone", .data = &data };

	snprintf(opt[0], sizeof(opt[0]), "lowerdir=/proc/self/fd/%d", lower);
	snprintf(opt[1], sizeof(opt[1]), "upperdir=/proc/self/fd/%d", upper);
	snprintf(opt[2], sizeof(opt[2]), "workdir=/proc/self/fd/%d", work);
	v[0] = opt[0];
	v[1] = opt[1];
	v[2] = opt[2];
	v[3] = (char *)"index=off";
	v[4] = (char *)"metacopy=off";
	/* Without it, renaming a directory of the lower layer gives EXDEV, which few programs
	 * expect. */
	v[5] = (char *)"redirect_dir=on";
	return mount_fs_new(&f, NULL, e);
}

/* The overlay over the directory lower, detached. */
static int overlay_one(struct build *b, int lower, const char *where, struct err *e)
{
	AUTO_CLOSE int upper = layer_dir(b, "upper", where, lower, e);
	struct statfs fs;
	AUTO_CLOSE int work = upper < 0 ? -1 : layer_dir(b, "work", where, -1, e);
	int fd;

	if (upper < 0 || work < 0)
		return upper < 0 ? upper : work;
	fd = set_layers(lower, upper, work, true, e);
	if (fd == -EINVAL)
		fd = set_layers(lower, upper, work, false, e);
	if (fd == -EINVAL && fstatfs(lower, &fs) == 0 && fs.f_type == OVERLAYFS_SUPER_MAGIC)
		return err_set(
			e, EINVAL,
			"overlay of %s: it is two overlays deep already, the most that the kernel stacks",
			where);
	if (fd < 0) {
		err_wrap(e, "overlay of %s", where);
		return fd;
	}
	b->n++;
	return fd;
}

/* ---- file systems below "/" ---- */

static bool in_list(const char *const *list, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(list[i], s))
			return true;
	return false;
}

static bool is_replaced(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(replaced); i++) {
		const char *rest = str_after(path, replaced[i]);

		if (rest && (*rest == '/' || *rest == '\0'))
			return true;
	}
	return false;
}

/* One line of mountinfo: the mount's id and its (escaped) place, or NULL when it is none of ours.
 */
static char *candidate(char *line, uint64_t *id)
{
	char *save = NULL, *type = strstr(line, " - "), *point, *num;

	if (!type)
		return NULL;
	*type = '\0';
	type += 3;
	type[strcspn(type, " ")] = '\0';
	num = strtok_r(line, " ", &save);
	for (int i = 0; i < 3; i++)
		strtok_r(NULL, " ", &save);
	point = strtok_r(NULL, " ", &save);
	/* Blanks are escaped (\040), and a colon is our own separator: such mount points are left
	 * alone. */
	if (!num || !point || str_eq(point, "/") || strpbrk(point, "\\:") || is_replaced(point))
		return NULL;
	if (!in_list(ordinary, ARRAY_SIZE(ordinary), type) || str_to_u64(num, UINT64_MAX, id) < 0)
		return NULL;
	return point;
}

/*
 * What is read-only on the host, and what cannot be a layer (a file system without case, like vfat
 * of /boot/efi), is shown as it is and cannot be written.
 */
static int read_only_view(int lower, const char *point, struct err *e)
{
	AUTO_CLOSE int fd =
		sys_open_tree(lower, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	int r = fd < 0 ? fd : mount_attr_fd(fd, false, MOUNT_ATTR_RDONLY, 0);

	return r < 0 ? err_sys(e, -r, "show %s in the clone", point) : TAKE_FD(fd);
}

static int view_of(struct build *b, int lower, const char *point, struct err *e)
{
	struct statvfs vfs;
	int fd;

	if (fstatvfs(lower, &vfs) < 0)
		return err_sys(e, errno, "statfs %s", point);
	if (vfs.f_flag & ST_RDONLY)
		return read_only_view(lower, point, e);
	fd = overlay_one(b, lower, point, e);
	if (fd != -EINVAL)
		return fd;
	log_debug("%s; it is read-only in the clone", e->msg);
	return read_only_view(lower, point, e);
}

/* Puts an overlay of the mount at point (host path) onto the same place of the merged root. */
static int add_mount(struct build *b, const char *point, uint64_t id, struct err *e)
{
	AUTO_CLOSE int lower = path_open(b->root, point, O_PATH | O_DIRECTORY);
	AUTO_CLOSE int at = -1, mnt = -1;
	struct statx stx;
	int r;

	if (lower < 0) /* hidden by another mount, or a single file */
		return 0;
	if (statx(lower, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0)
		return err_sys(e, errno, "statx %s", point);
	if (stx.stx_mask & STATX_MNT_ID && stx.stx_mnt_id != id)
		return 0;
	at = path_open(b->merged, point, O_PATH | O_DIRECTORY);
	if (at < 0)
		return at == -ENOENT ? 0 : err_sys(e, -at, "open %s in the clone", point);
	mnt = view_of(b, lower, point, e);
	if (mnt < 0)
		return mnt;
	r = mount_attach(mnt, at);
	return r < 0 ? err_sys(e, -r, "attach the overlay of %s", point) : 0;
}

static int add_mounts(struct build *b, unsigned int *added, struct err *e)
{
	AUTO_CLOSE int proc = path_procfs(e);
	AUTO_CLOSE int fd = -1;
	AUTO_FREE char *text = NULL;
	char *save = NULL, *line, *point;
	unsigned int before = b->n;
	uint64_t id;
	size_t len;
	int r;

	if (proc < 0)
		return proc;
	fd = path_procfs_open(proc, "self/mountinfo", O_RDONLY, e);
	if (fd < 0)
		return fd;
	r = io_read_all(fd, MOUNTINFO_MAX, &text, &len);
	if (r < 0)
		return err_sys(e, -r, "read /proc/self/mountinfo");
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		point = candidate(line, &id);
		if (point && (r = add_mount(b, point, id, e)) < 0)
			return r;
	}
	*added = b->n - before;
	return 0;
}

/* ---- the whole ---- */

static int attach_on_root(const struct build *b, int fd, struct err *e)
{
	int r = mount_attach(fd, b->root);

	return r < 0 ? err_sys(e, -r, "attach a part of the clone's root") : 0;
}

/* The merged root, attached while the others are put below it, then as a detached tree. */
static int merge(struct build *b, int *out, struct err *e)
{
	AUTO_CLOSE int merged = overlay_one(b, b->root, "/", e);
	unsigned int added = 0;
	int r, tree;

	if (merged < 0)
		return merged;
	b->merged = merged;
	r = attach_on_root(b, merged, e);
	if (r < 0)
		return r;
	r = add_mounts(b, &added, e);
	if (r == 0) {
		tree = sys_open_tree(merged, "",
				     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
					     AT_RECURSIVE);
		if (tree < 0)
			r = err_sys(e, -tree, "clone the merged root");
		else
			*out = tree;
	}
	detach(merged);
	log_debug("clone: the root and %u file systems below it are overlaid", added);
	return r;
}

int overlay_root(int disk_fd, uint64_t tmpfs_size, int *root_fd, struct err *e)
{
	AUTO_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int upper = -1;
	struct build b = { .root = root, .merged = -1 };
	mode_t mask;
	int r;

	if (root < 0)
		return err_sys(e, errno, "open /");
	/* What is attached on "/" for the time of the work must not show up on the host. */
	r = mount_propagation_fd(root, MS_SLAVE | MS_REC);
	if (r < 0)
		return err_sys(e, -r, "set the propagation of /");
	upper = disk_fd >= 0 ? fcntl(disk_fd, F_DUPFD_CLOEXEC, 3) : upper_tmpfs(tmpfs_size, e);
	if (upper < 0 && disk_fd >= 0)
		return err_sys(e, errno, "upper layer of the clone");
	if (upper < 0) {
		err_wrap(e, "upper layer of the clone");
		return upper;
	}
	r = attach_on_root(&b, upper, e);
	if (r < 0)
		return r;
	b.upper = upper;
	mask = umask(0);
	r = merge(&b, root_fd, e);
	umask(mask);
	detach(upper);
	return r;
}
