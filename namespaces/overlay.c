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

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#define MOUNTINFO_MAX ((size_t)16 << 20)
#define NEW_LAYER ":new" /* no layer's name begins so */
#define ACL "system.posix_acl_access"

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
	char **points;  /* of those below "/", where they are asked for */
	size_t n_points;
	bool want_points;
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
 * Called after the place (/var/log: "upper:var:log"), so that a kept disk finds its layers again. A
 * name that no file can have is cut, and its hash (FNV-1a) tells it from others.
 */
static char *layer_name(const char *kind, const char *where)
{
	char *name = str_printf("%s%s", kind, str_eq(where, "/") ? "" : where);
	uint64_t hash = 0xcbf29ce484222325;

	for (char *s = name; s && *s; s++) {
		hash = (hash ^ (unsigned char)*s) * 0x100000001b3;
		if (*s == '/')
			*s = ':';
	}
	if (name && strlen(name) > NAME_MAX)
		snprintf(name + 200, 32, ":%016llx", (unsigned long long)hash);
	return name;
}

/* Owner, mode and attributes of lower. With an ACL the mode's group bits are its mask. */
static int copy_owner(int lower, int fd)
{
	AUTO_CLOSE int src = openat(lower, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *what;
	struct stat st;
	int r;

	if (src < 0 || fstat(src, &st) < 0 || fchown(fd, st.st_uid, st.st_gid) < 0 ||
	    fchmod(fd, st.st_mode & 07777) < 0)
		return -errno;
	r = mount_copy_xattrs(src, fd, &what);
	if (r == 0 && fgetxattr(src, ACL, NULL, 0) > 0 && fgetxattr(fd, ACL, NULL, 0) < 0 &&
	    fchmod(fd, st.st_mode & 07707) < 0)
		r = -errno;
	return r;
}

/*
 * A layer's directory below the upper mount; one that covers a directory, lower, begins with what
 * that has, and gets its name when it has all.
 */
static int layer_dir(const struct build *b, const char *kind, const char *where, int lower,
		     struct err *e)
{
	AUTO_FREE char *name = layer_name(kind, where);
	AUTO_CLOSE int fd = -1;
	int r = name ? 0 : -ENOMEM;

	if (r == 0)
		fd = openat(b->upper, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r == 0 && fd < 0 && errno == ENOENT) {
		/* one that is there is half of what a killed ctr was making */
		unlinkat(b->upper, NEW_LAYER, AT_REMOVEDIR);
		if (mkdirat(b->upper, NEW_LAYER, 0700) < 0)
			r = -errno;
		fd = openat(b->upper, NEW_LAYER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (r == 0 && fd >= 0 && lower >= 0)
			r = copy_owner(lower, fd);
		if (r == 0 && fd >= 0 && renameat(b->upper, NEW_LAYER, b->upper, name) < 0)
			r = -errno;
	}
	if (r == 0 && fd < 0)
		r = -errno;
	return r < 0 ? err_sys(e, -r, "make the upper layer of %s", where) : TAKE_FD(fd);
}

/* ---- one overlay ---- */

/* What the host forbids on the file system below. */
static uint64_t forbidden(int lower)
{
	struct statvfs v;

	if (fstatvfs(lower, &v) < 0)
		return 0;
	return (v.f_flag & ST_NOSUID ? MOUNT_ATTR_NOSUID : 0) |
	       (v.f_flag & ST_NODEV ? MOUNT_ATTR_NODEV : 0) |
	       (v.f_flag & ST_NOEXEC ? MOUNT_ATTR_NOEXEC : 0);
}

static int set_layers(int lower, int upper, int work, bool redirect, struct err *e)
{
	char opt[4][64], *v[6];
	const struct spec_strings data = { .v = v, .n = redirect ? 6 : 5 };
	const struct mount_fs f = {
		.fstype = "overlay",
		.source = "ctr-clone",
		.data = &data,
		.attrs = forbidden(lower),
	};

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

/* One line of mountinfo: the mount's id, type and (escaped) place, or NULL when it is none of ours.
 */
static char *candidate(char *line, uint64_t *id, const char **fstype)
{
	char *save = NULL, *type = strstr(line, " - "), *point, *num;

	if (!type)
		return NULL;
	*type = '\0';
	type += 3;
	type[strcspn(type, " ")] = '\0';
	*fstype = type;
	num = strtok_r(line, " ", &save);
	for (int i = 0; i < 3; i++)
		strtok_r(NULL, " ", &save);
	point = strtok_r(NULL, " ", &save);
	/* Blanks are escaped (\040), and a colon is our own separator: such mount points are left
	 * alone. */
	if (!num || !point || str_eq(point, "/") || strpbrk(point, "\\:") || is_replaced(point))
		return NULL;
	return str_to_u64(num, UINT64_MAX, id) < 0 ? NULL : point;
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

static int keep_point(struct build *b, const char *point, struct err *e)
{
	char **v = reallocarray(b->points, b->n_points + 1, sizeof(*v));

	if (v)
		b->points = v;
	if (!v || !(v[b->n_points] = strdup(point)))
		return err_sys(e, ENOMEM, "overlay of %s", point);
	b->n_points++;
	return 0;
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
	if (r < 0)
		return err_sys(e, -r, "attach the overlay of %s", point);
	return b->want_points ? keep_point(b, point, e) : 0;
}

static bool is_empty(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while ((entry = readdir(d)) && (str_eq(entry->d_name, ".") || str_eq(entry->d_name, "..")))
		;
	closedir(d);
	return !entry;
}

/*
 * Where the host has a file system that the clone cannot have, what lies below is not to be seen
 * either: the host's users do not see it. The host's own file system there is not touched: its
 * server may be gone, and a look would mount it.
 */
static int cover(const struct build *b, const char *point, const char *type, struct err *e)
{
	const struct mount_fs f = {
		.fstype = "tmpfs",
		.source = "ctr-clone",
		.mode = "755",
		.attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			 MOUNT_ATTR_NOEXEC,
	};
	AUTO_CLOSE int at = path_open(b->merged, point, O_PATH | O_DIRECTORY);
	AUTO_CLOSE int mnt = -1;
	int r;

	if (at < 0 || is_empty(at))
		return 0;
	log_warn("the clone has nothing of %s, a file system of type %s", point, type);
	mnt = mount_fs_new(&f, NULL, e);
	r = mnt < 0 ? mnt : mount_attach(mnt, at);
	if (mnt >= 0 && r < 0)
		err_sys(e, -r, "cover %s", point);
	return r;
}

static int add_mounts(struct build *b, unsigned int *added, struct err *e)
{
	AUTO_CLOSE int proc = path_procfs(e);
	AUTO_CLOSE int fd = -1;
	AUTO_FREE char *text = NULL;
	char *save = NULL, *line, *point;
	const char *type;
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
		point = candidate(line, &id, &type);
		if (!point)
			continue;
		r = in_list(ordinary, ARRAY_SIZE(ordinary), type) ? add_mount(b, point, id, e)
								  : cover(b, point, type, e);
		if (r < 0)
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

void overlay_below_close(struct overlay_below *o)
{
	while (o->n > 0)
		close(o->fd[--o->n]);
	free(o->fd);
	o->fd = NULL;
}

/* What is in the finished tree at the places that were kept; those under one another, too. */
static int open_below(const struct build *b, int tree, struct overlay_below *o, struct err *e)
{
	o->fd = b->n_points ? calloc(b->n_points, sizeof(*o->fd)) : NULL;
	if (b->n_points && !o->fd)
		return err_sys(e, ENOMEM, "open the clone's file systems");
	for (size_t i = 0; i < b->n_points; i++) {
		int fd = path_open(tree, b->points[i], O_PATH | O_DIRECTORY);

		if (fd < 0)
			return err_sys(e, -fd, "open %s in the clone", b->points[i]);
		o->fd[o->n++] = fd;
	}
	return 0;
}

static void forget_points(struct build *b)
{
	while (b->n_points > 0)
		free(b->points[--b->n_points]);
	free(b->points);
}

int overlay_root(int disk_fd, uint64_t tmpfs_size, struct overlay_below *below, int *root_fd,
		 struct err *e)
{
	AUTO_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int upper = -1;
	struct build b = { .root = root, .merged = -1, .want_points = below };
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
	if (r == 0 && below)
		r = open_below(&b, *root_fd, below, e);
	forget_points(&b);
	return r;
}
