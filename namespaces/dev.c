/* SPDX-License-Identifier: Apache-2.0 */
#include "namespaces/dev.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"
#include "namespaces/mount_exec.h"
#include "namespaces/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

/* Majors of the slave sides of Unix98 ptys. */
#define PTY_SLAVE_MIN 136
#define PTY_SLAVE_MAX 143

/* A node that shall be: at name below dir. */
struct node {
	const char *path; /* in the container, for errors and as the host's path of a bind */
	mode_t mode;      /* type and permissions */
	dev_t rdev;
	uid_t uid;
	gid_t gid;
	const char *field; /* "linux.devices[2].path"; NULL: a default one, nobody asked for it */
};

/* What nodes are put into. */
struct tree {
	int root_fd;
	bool userns;
	const struct mount_made *made; /* may be NULL */
};

/* Whose an entry is that is there already. */
enum owner {
	OWNER_TREE,  /* the image's, or this set-up's */
	OWNER_MOUNT, /* something is mounted over it */
	OWNER_OTHER, /* that of the file system which is mounted there: the host's, say */
};

/* makedev() for small numbers, as a constant. */
#define SMALL_DEV(ma, mi) ((dev_t)((ma) << 8 | (mi)))

static const struct node defaults[] = {
	{ .path = "/dev/null", .mode = S_IFCHR | 0666, .rdev = SMALL_DEV(1, 3) },
	{ .path = "/dev/zero", .mode = S_IFCHR | 0666, .rdev = SMALL_DEV(1, 5) },
	{ .path = "/dev/full", .mode = S_IFCHR | 0666, .rdev = SMALL_DEV(1, 7) },
	{ .path = "/dev/random", .mode = S_IFCHR | 0666, .rdev = SMALL_DEV(1, 8) },
	{ .path = "/dev/urandom", .mode = S_IFCHR | 0666, .rdev = SMALL_DEV(1, 9) },
	{ .path = "/dev/tty", .mode = S_IFCHR | 0666, .rdev = SMALL_DEV(5, 0) },
};

static const struct {
	const char *name, *text;
} links[] = {
	{ "fd", "/proc/self/fd" },
	{ "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" },
	{ "stderr", "/proc/self/fd/2" },
};

static bool same_node(const struct stat *st, const struct node *n)
{
	if ((st->st_mode & S_IFMT) != (n->mode & S_IFMT))
		return false;
	return S_ISFIFO(n->mode) || st->st_rdev == n->rdev;
}

/* An O_PATH fd of exactly name below dir, and its inode: no link is followed. */
static int open_entry(int dir, const char *name, struct stat *st)
{
	AUTO_CLOSE int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, st) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/*
 * dir keeps its mount whoever renames what, and unlinkat refuses a mount point: what is found here
 * holds when the entry is removed. What cannot be told is not ours.
 */
static enum owner owner_of(const struct tree *t, int dir, int entry)
{
	uint64_t mount, id;

	if (path_mount_id(dir, &mount) < 0 || path_mount_id(entry, &id) < 0)
		return OWNER_OTHER;
	if (id != mount)
		return OWNER_MOUNT;
	if (path_mount_id(t->root_fd, &id) == 0 && id == mount)
		return OWNER_TREE;
	for (size_t i = 0; t->made && i < t->made->n; i++)
		if (path_mount_id(t->made->fd[i], &id) == 0 && id == mount)
			return OWNER_TREE;
	return OWNER_OTHER;
}

static void describe(const struct stat *st, char out[48])
{
	mode_t type = st->st_mode & S_IFMT;

	if (type == S_IFCHR || type == S_IFBLK)
		snprintf(out, 48, "%s device %u:%u", type == S_IFCHR ? "character" : "block",
			 major(st->st_rdev), minor(st->st_rdev));
	else
		snprintf(out, 48, "%s",
			 type == S_IFREG   ? "regular file"
			 : type == S_IFDIR ? "directory"
			 : type == S_IFLNK ? "symbolic link"
			 : type == S_IFIFO ? "pipe"
					   : "socket");
}

/*
 * Whether what is there, and is not the node, stays. The specification wants an error, but an image
 * may have had anything there, and engines list all devices of the host for privileged containers
 * with mounts of their own over some (/dev/null on /dev/kmsg): runc and crun start them.
 */
static bool other_stays(const struct stat *st, enum owner owner, const struct node *n)
{
	char what[48];

	describe(st, what);
	if (owner == OWNER_OTHER || (owner == OWNER_MOUNT && n->field))
		log_warn("%s%s%s: a %s is kept as it is in what is mounted there, though not that "
			 "device",
			 n->field ?: "", n->field ? ": " : "", n->path, what);
	else if (owner == OWNER_TREE && n->field && !S_ISDIR(st->st_mode))
		log_warn("%s: %s: a %s was there, and the device takes its place", n->field,
			 n->path, what);
	return owner != OWNER_TREE;
}

/* ---- mknod ---- */

/* mknodat never follows a link, so what it has made needs no look; only its owner may be another.
 */
static int own_node(int dir, const char *name, const struct node *n, struct err *e)
{
	struct stat st;
	AUTO_CLOSE int fd = open_entry(dir, name, &st);

	if (fd < 0)
		return err_sys(e, -fd, "open %s", n->path);
	if (!same_node(&st, n))
		return err_set(e, EEXIST, "make %s: something else was put in its place", n->path);
	if ((st.st_uid != n->uid || st.st_gid != n->gid) &&
	    fchownat(fd, "", n->uid, n->gid, AT_EMPTY_PATH) < 0)
		return err_sys(e, errno, "chown %s", n->path);
	return 0;
}

/* What the image brought is kept when it is that node already, and replaced otherwise. */
static int existing_stays(const struct tree *t, int dir, const char *name, const struct node *n,
			  struct err *e)
{
	struct stat st;
	AUTO_CLOSE int fd = open_entry(dir, name, &st);
	enum owner owner;

	if (fd < 0)
		return err_sys(e, -fd, "open %s", n->path);
	if (same_node(&st, n) && (st.st_mode & 07777) == (n->mode & 07777) && st.st_uid == n->uid &&
	    st.st_gid == n->gid)
		return 1;
	owner = owner_of(t, dir, fd);
	return same_node(&st, n) ? owner != OWNER_TREE : other_stays(&st, owner, n);
}

static int make_node(const struct tree *t, int dir, const char *name, const struct node *n,
		     struct err *e)
{
	int r = mknodat(dir, name, n->mode, n->rdev) < 0 ? -errno : 0;

	if (r == -EEXIST) {
		r = existing_stays(t, dir, name, n, e);
		if (r != 0)
			return r < 0 ? r : 0;
		if (unlinkat(dir, name, 0) < 0)
			return err_sys(e, errno, "replace %s", n->path);
		r = mknodat(dir, name, n->mode, n->rdev) < 0 ? -errno : 0;
	}
	if (r == -EPERM)
		return r;
	if (r < 0)
		return err_sys(e, -r, "make %s", n->path);
	/* Made by root for root, as nearly all are: nothing to change. */
	return n->uid || n->gid ? own_node(dir, name, n, e) : 0;
}

/* ---- bind ---- */

/*
 * A mount over another's file takes nothing away; links and directories are left alone. An empty
 * file of the image is a place that was made to be mounted on.
 */
static bool stays_unbound(const struct tree *t, int dir, int fd, const struct stat *st,
			  const struct node *n)
{
	enum owner owner = owner_of(t, dir, fd);
	bool free = owner == OWNER_OTHER && !S_ISLNK(st->st_mode) && !S_ISDIR(st->st_mode);

	if (owner == OWNER_TREE)
		free = S_ISREG(st->st_mode) && !st->st_size;
	if (free || same_node(st, n))
		return owner == OWNER_MOUNT;
	return other_stays(st, owner, n);
}

/*
 * A place to mount on: an entry that is neither a link nor a directory. Without t it is made in any
 * case; with t -EALREADY, without *e, tells of what has to stay as it is.
 */
static int mount_point(const struct tree *t, int dir, const char *name, const struct node *n,
		       struct err *e)
{
	const char *path = n->path;
	struct stat st;
	AUTO_CLOSE int fd = -1;

	for (int tries = 0; tries < 2; tries++) {
		bool found = mknodat(dir, name, S_IFREG | 0644, 0) < 0;

		if (found && errno != EEXIST)
			return err_sys(e, errno, "make %s", path);
		fd = open_entry(dir, name, &st);
		if (fd < 0)
			return err_sys(e, -fd, "open %s", path);
		if (found && t && stays_unbound(t, dir, fd, &st, n))
			return -EALREADY;
		if (!S_ISLNK(st.st_mode))
			break;
		close(TAKE_FD(fd));
		if (unlinkat(dir, name, 0) < 0)
			return err_sys(e, errno, "replace the link %s", path);
	}
	if (fd < 0 || S_ISDIR(st.st_mode))
		return err_set(e, EEXIST, "make %s: a link or directory is in its place", path);
	return TAKE_FD(fd);
}

static int bind_node(const struct tree *t, int dir, const char *name, const struct node *n,
		     struct err *e)
{
	AUTO_CLOSE int src = sys_open_tree(AT_FDCWD, n->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	AUTO_CLOSE int at = -1;
	struct stat st;
	bool legacy = src == -ENOSYS || src == -EPERM;
	int r;

	if (legacy)
		src = open(n->path, O_PATH | O_CLOEXEC);
	if (src < 0)
		return err_sys(e, legacy ? errno : -src, "open the host's %s", n->path);
	if (fstat(src, &st) < 0)
		return err_sys(e, errno, "stat the host's %s", n->path);
	if (!same_node(&st, n))
		return err_set(e, ENODEV, "bind %s: the host's is another device", n->path);
	at = mount_point(t, dir, name, n, e);
	if (at < 0)
		return at == -EALREADY ? 0 : at;
	if (legacy)
		return mount_legacy_bind(src, false, at, e);
	r = mount_attach(src, at);
	return r < 0 ? err_sys(e, -r, "bind %s", n->path) : 0;
}

/* A fifo needs no right, so it is made even where devices are bound. */
static int put_node(const struct tree *t, int dir, const char *name, const struct node *n,
		    struct err *e)
{
	int r = -EPERM;

	if (!t->userns || S_ISFIFO(n->mode))
		r = make_node(t, dir, name, n, e);
	if (r != -EPERM)
		return r;
	return bind_node(t, dir, name, n, e);
}

/* ---- linux.devices ---- */

static mode_t type_bits(char type)
{
	return type == 'b' ? S_IFBLK : type == 'p' ? S_IFIFO : S_IFCHR;
}

static int put_spec_device(const struct tree *t, const struct spec_device *d, size_t i,
			   struct err *e)
{
	char field[48];
	const char *slash = strrchr(d->path, '/'), *name = slash ? slash + 1 : d->path;
	AUTO_FREE char *parent = str_printf("/%.*s", (int)(name - d->path), d->path);
	AUTO_CLOSE int dir = -1;
	const struct node n = {
		.path = d->path,
		.mode = type_bits(d->type) |
			(d->file_mode.set ? (mode_t)d->file_mode.v & 07777 : 0666),
		.rdev = d->type == 'p' ? 0
				       : makedev((unsigned int)d->major, (unsigned int)d->minor),
		.uid = (uid_t)(d->uid.set ? d->uid.v : 0),
		.gid = (gid_t)(d->gid.set ? d->gid.v : 0),
		.field = field,
	};

	snprintf(field, sizeof(field), "linux.devices[%zu].path", i);
	if (!parent)
		return err_sys(e, ENOMEM, "linux.devices: %s", d->path);
	if (!*name || str_eq(name, ".") || str_eq(name, ".."))
		return err_set(e, EINVAL, "linux.devices: \"%s\": not the path of a device",
			       d->path);
	dir = path_make(t->root_fd, parent, true, 0755, e);
	return dir < 0 ? dir : put_node(t, dir, name, &n, e);
}

static bool in_spec(const struct spec_devices *l, const char *path)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i].path, path))
			return true;
	return false;
}

/* ---- links ---- */

static int put_link(int dir, const char *name, const char *text, struct err *e)
{
	if (symlinkat(text, dir, name) < 0 && errno != EEXIST)
		return err_sys(e, errno, "link /dev/%s", name);
	return 0;
}

/* The container's ptys are those of its own devpts, so whatever else is called ptmx goes away. */
static int put_ptmx(const struct tree *t, int dir, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;
	char text[16];
	ssize_t n;

	if (symlinkat("pts/ptmx", dir, "ptmx") == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(e, errno, "link /dev/ptmx");
	n = readlinkat(dir, "ptmx", text, sizeof(text) - 1);
	if (n > 0) {
		text[n] = '\0';
		if (str_eq(text, "pts/ptmx"))
			return 0;
	}
	fd = open_entry(dir, "ptmx", &st);
	if (fd < 0)
		return err_sys(e, -fd, "open /dev/ptmx");
	if (owner_of(t, dir, fd) != OWNER_TREE)
		return 0;
	if (unlinkat(dir, "ptmx", 0) < 0)
		return err_sys(e, errno, "replace /dev/ptmx");
	if (symlinkat("pts/ptmx", dir, "ptmx") < 0)
		return err_sys(e, errno, "link /dev/ptmx");
	return 0;
}

static int put_links(const struct tree *t, int dir, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(links) && r == 0; i++)
		r = put_link(dir, links[i].name, links[i].text, e);
	if (r == 0 && access("/proc/kcore", F_OK) == 0)
		r = put_link(dir, "core", "/proc/kcore", e);
	return r < 0 ? r : put_ptmx(t, dir, e);
}

int dev_setup(int root_fd, const struct spec *spec, bool userns, const struct mount_made *made,
	      struct err *e)
{
	const struct tree t = { .root_fd = root_fd, .userns = userns, .made = made };
	const struct spec_devices *own = &spec->linux_.devices;
	AUTO_CLOSE int dir = path_make(root_fd, "/dev", true, 0755, e);
	int r = 0;

	if (dir < 0)
		return dir;
	for (size_t i = 0; i < ARRAY_SIZE(defaults) && r == 0; i++)
		if (!in_spec(own, defaults[i].path))
			r = put_node(&t, dir, defaults[i].path + strlen("/dev/"), &defaults[i], e);
	for (size_t i = 0; i < own->n && r == 0; i++)
		r = put_spec_device(&t, &own->v[i], i, e);
	return r < 0 ? r : put_links(&t, dir, e);
}

/* ---- the console ---- */

/* -ENOENT without *e: there is nothing to mount over. */
static int foreign_mount_point(int dir, const char *name, const char *path, struct err *e)
{
	struct stat st;
	AUTO_CLOSE int fd = open_entry(dir, name, &st);

	if (fd == -ENOENT || (fd >= 0 && (S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode)))) {
		log_debug("%s: none to mount the terminal over in the /dev that is bound", path);
		return -ENOENT;
	}
	return fd < 0 ? err_sys(e, -fd, "open %s", path) : TAKE_FD(fd);
}

int dev_console(int root_fd, int slave_fd, bool foreign, struct err *e)
{
	static const struct node console = { .path = "/dev/console" };
	AUTO_CLOSE int dir = -1, at = -1, mnt = -1;
	struct stat st;
	int r;

	if (fstat(slave_fd, &st) < 0)
		return err_sys(e, errno, "stat the console's pty");
	if (!S_ISCHR(st.st_mode) || major(st.st_rdev) < PTY_SLAVE_MIN ||
	    major(st.st_rdev) > PTY_SLAVE_MAX)
		return err_set(e, ENOTTY, "mount /dev/console: the descriptor is no pty slave");
	dir = path_make(root_fd, "/dev", true, 0755, e);
	if (dir < 0)
		return dir;
	at = foreign ? foreign_mount_point(dir, "console", "/dev/console", e)
		     : mount_point(NULL, dir, "console", &console, e);
	if (at < 0)
		return foreign && at == -ENOENT ? 0 : at;
	mnt = sys_open_tree(slave_fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	r = mnt < 0 ? mnt : mount_attach(mnt, at);
	if (r == -ENOSYS || r == -EPERM)
		return mount_legacy_bind(slave_fd, false, at, e);
	return r < 0 ? err_sys(e, -r, "mount /dev/console") : 0;
}

/* In a devpts, and on no mount over it, "ptmx" can be nothing but the kernel's multiplexer. */
static int open_master(int root_fd, struct err *e)
{
	AUTO_CLOSE int dir = path_open(root_fd, "/dev/pts", O_PATH | O_DIRECTORY);
	AUTO_CLOSE int fd = -1;
	struct statfs fs;
	struct stat st;

	if (dir < 0)
		return err_sys(e, -dir, "open /dev/pts in the container");
	if (fstatfs(dir, &fs) < 0)
		return err_sys(e, errno, "statfs /dev/pts in the container");
	if (fs.f_type != DEVPTS_SUPER_MAGIC)
		return err_set(e, ENODEV, "open /dev/pts in the container: it is not a devpts");
	fd = sys_openat2(dir, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC, 0,
			 RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
	if (fd < 0)
		return err_sys(e, -fd, "open /dev/pts/ptmx in the container");
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "stat /dev/pts/ptmx in the container");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2))
		return err_set(
			e, ENODEV,
			"open /dev/pts/ptmx in the container: it is not the pty multiplexer");
	return TAKE_FD(fd);
}

int dev_open_pty(int root_fd, int *master, int *slave, struct err *e)
{
	AUTO_CLOSE int m = open_master(root_fd, e);
	int unlock = 0, s;

	if (m < 0)
		return m;
	if (ioctl(m, TIOCSPTLCK, &unlock) < 0)
		return err_sys(e, errno, "unlock a pty");
	s = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (s < 0)
		return err_sys(e, errno, "open the slave of a pty");
	*master = TAKE_FD(m);
	*slave = s;
	return 0;
}
