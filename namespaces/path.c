/* SPDX-License-Identifier: Apache-2.0 */
#include "namespaces/path.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#define IN_ROOT (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
#define ONE_STEP (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)

/* As many links as the kernel itself follows in one path. */
#define LINKS_MAX 40

/* The inode number of every procfs root. */
#define PROC_ROOT_INO 1

int path_open(int root_fd, const char *path, int flags)
{
	return sys_openat2(root_fd, path, (uint64_t)(flags | O_CLOEXEC), 0, IN_ROOT);
}

int path_resolve(int root_fd, const char *path, struct stat *st)
{
	AUTO_CLOSE int fd = path_open(root_fd, path, O_PATH);

	if (fd < 0)
		return fd;
	if (st && fstat(fd, st) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/*
 * The fd of the longest prefix of path that exists; *rest is where the missing part starts. Tried
 * from the end, because usually only the last component is missing.
 */
static int longest_prefix(int root_fd, const char *path, const char **rest)
{
	char buf[PATH_MAX];
	size_t len = strlen(path);
	int fd;

	if (len >= sizeof(buf))
		return -ENAMETOOLONG;
	memcpy(buf, path, len + 1);
	for (;;) {
		while (len && buf[len - 1] == '/')
			len--;
		while (len && buf[len - 1] != '/')
			len--;
		*rest = path + len;
		buf[len] = '\0';
		fd = path_open(root_fd, len ? buf : "/", O_PATH | O_DIRECTORY);
		if (fd != -ENOENT || !len)
			return fd;
	}
}

/* The next component of *s into buf; false at the end. */
static bool next_component(const char **s, char buf[NAME_MAX + 1], int *r)
{
	size_t n;

	for (;;) {
		*s += strspn(*s, "/");
		n = strcspn(*s, "/");
		if (n != 1 || **s != '.')
			break;
		*s += 1;
	}
	*r = 0;
	if (!n)
		return false;
	if (n > NAME_MAX) {
		*r = -ENAMETOOLONG;
		return false;
	}
	memcpy(buf, *s, n);
	buf[n] = '\0';
	*s += n;
	return true;
}

static int check_kind(const struct stat *st, bool want_dir)
{
	if (want_dir && !S_ISDIR(st->st_mode))
		return -ENOTDIR;
	if (!want_dir && S_ISDIR(st->st_mode))
		return -EISDIR;
	return 0;
}

/* Makes one component below dir and opens it. -ELOOP when a symlink is there. */
static int make_step(int dir, const char *name, bool want_dir, mode_t mode, struct stat *st)
{
	AUTO_CLOSE int fd = -1;
	int r;

	/* mknodat never follows a link and never opens what it finds, unlike O_CREAT. */
	r = want_dir ? mkdirat(dir, name, mode) : mknodat(dir, name, S_IFREG | 0644, 0);
	if (r < 0 && errno != EEXIST)
		return -errno;
	fd = sys_openat2(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, RESOLVE_BENEATH);
	if (fd < 0)
		return fd;
	if (fstat(fd, st) < 0)
		return -errno;
	if (S_ISLNK(st->st_mode))
		return -ELOOP;
	r = check_kind(st, want_dir);
	return r < 0 ? r : TAKE_FD(fd);
}

/*
 * A dangling link was found at name below dir: the path to go on with, which the kernel resolves
 * inside the root again. Relative link texts start where the link is: in the part of path before
 * it.
 */
static int follow_dangling(int dir, const char *name, const char *path, const char *at,
			   const char *rest, char **out)
{
	char text[PATH_MAX];
	struct statfs fs;
	ssize_t n;

	/* What a procfs has there is a door to an open file, and its text only looks like a path.
	 */
	if (fstatfs(dir, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC)
		return -ELOOP;
	n = readlinkat(dir, name, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	*out = text[0] == '/' ? str_printf("%s/%s", text, rest)
			      : str_printf("%.*s/%s/%s", (int)(at - path), path, text, rest);
	return *out ? 0 : -ENOMEM;
}

/* One attempt. -ELOOP with *again set: a dangling link was met, go on with that path. */
static int make_once(int root_fd, const char *path, bool want_dir, mode_t mode, struct stat *st,
		     char **again)
{
	char name[NAME_MAX + 1], after[NAME_MAX + 1], *p = NULL;
	const char *s, *at, *peek;
	AUTO_CLOSE int dir = longest_prefix(root_fd, path, &s);
	bool more, made = false;
	int fd, r, ignored;

	if (dir < 0)
		return dir;
	for (;;) {
		s += strspn(s, "/");
		at = s;
		if (!next_component(&s, name, &r))
			return r ? r : !made && fstat(dir, st) < 0 ? -errno : TAKE_FD(dir);
		if (str_eq(name, ".."))
			return -EINVAL;
		peek = s;
		more = next_component(&peek, after, &ignored) || ignored;
		fd = make_step(dir, name, more || want_dir, mode, st);
		if (fd == -ELOOP) {
			r = follow_dangling(dir, name, path, at, s, &p);
			if (r == 0)
				*again = p;
			return r ? r : -ELOOP;
		}
		if (fd < 0)
			return fd;
		close(dir);
		dir = fd;
		made = true;
	}
}

int path_make_stat(int root_fd, const char *path, bool want_dir, mode_t mode, struct stat *st,
		   bool *existed)
{
	AUTO_FREE char *cur = NULL;
	int fd;

	*existed = false;
	for (int links = 0; links < LINKS_MAX; links++) {
		const char *p = cur ? cur : path;
		char *again = NULL;

		fd = path_resolve(root_fd, p, st);
		*existed = fd >= 0 && !links;
		if (fd == -ENOENT)
			fd = make_once(root_fd, p, want_dir, mode, st, &again);
		if (!again)
			return fd;
		free(cur);
		cur = again;
	}
	return -ELOOP;
}

int path_make_nofollow(int root_fd, const char *path, bool want_dir, mode_t mode, struct stat *st,
		       bool *existed)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	AUTO_FREE char *parent = str_printf("/%.*s", (int)(name - path), path);
	AUTO_CLOSE int dir = -1, fd = -1;

	if (!parent)
		return -ENOMEM;
	if (!*name || str_eq(name, ".") || str_eq(name, ".."))
		return -EINVAL;
	dir = path_make_stat(root_fd, parent, true, mode, st, existed);
	if (dir < 0)
		return dir;
	fd = sys_openat2(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0,
			 RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
	*existed = fd != -ENOENT;
	if (fd == -ENOENT)
		return make_step(dir, name, want_dir, mode, st);
	if (fd < 0)
		return fd;
	return fstat(fd, st) < 0 ? -errno : TAKE_FD(fd);
}

int path_make(int root_fd, const char *path, bool want_dir, mode_t mode, struct err *e)
{
	struct stat st;
	bool existed;
	AUTO_CLOSE int fd = path_make_stat(root_fd, path, want_dir, mode, &st, &existed);
	int r = fd < 0 ? fd : check_kind(&st, want_dir);

	return r < 0 ? err_sys(e, -r, "make %s in the container", path) : TAKE_FD(fd);
}

int path_mount_id(int fd, uint64_t *id)
{
	struct statx x;

	if (fd < 0)
		return fd;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &x) < 0)
		return -errno;
	if (!(x.stx_mask & STATX_MNT_ID))
		return -ENOSYS;
	*id = x.stx_mnt_id;
	return 0;
}

/* ---- procfs ---- */

static int procfs_detached(void)
{
	AUTO_CLOSE int fs = sys_fsopen("proc", FSOPEN_CLOEXEC);
	int r;

	if (fs < 0)
		return fs;
	r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (r < 0)
		return r;
	return sys_fsmount(fs, FSMOUNT_CLOEXEC,
			   MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

static int procfs_in_place(void)
{
	AUTO_CLOSE int fd = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statfs fs;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (fs.f_type != PROC_SUPER_MAGIC || st.st_ino != PROC_ROOT_INO)
		return -EXDEV;
	return TAKE_FD(fd);
}

int path_procfs(struct err *e)
{
	int fd = procfs_detached();

	if (fd >= 0)
		return fd;
	fd = procfs_in_place();
	if (fd == -EXDEV)
		return err_set(e, EXDEV, "open /proc: it is not the root of a procfs");
	if (fd < 0)
		return err_sys(e, -fd, "open /proc");
	return fd;
}

/*
 * "self" and "thread-self" are ordinary links of the procfs; behind them no link at all is
 * followed, and no mount is crossed anywhere, so that nothing that was put over a file of it is
 * ever used.
 */
static int procfs_open(int proc_fd, const char *path, int flags)
{
	static const char *const tasks[] = { "self", "thread-self" };
	uint64_t how = ONE_STEP | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;

	for (size_t i = 0; i < ARRAY_SIZE(tasks); i++) {
		const char *rest = str_after(path, tasks[i]);
		AUTO_CLOSE int dir = -1;

		if (!rest || (*rest && *rest != '/'))
			continue;
		dir = sys_openat2(proc_fd, tasks[i], O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
				  how & ~(uint64_t)RESOLVE_NO_SYMLINKS);
		if (dir < 0)
			return dir;
		rest += strspn(rest, "/");
		return sys_openat2(dir, *rest ? rest : ".", (uint64_t)(flags | O_CLOEXEC), 0, how);
	}
	return sys_openat2(proc_fd, path, (uint64_t)(flags | O_CLOEXEC), 0, how);
}

int path_procfs_open(int proc_fd, const char *path, int flags, struct err *e)
{
	int fd = procfs_open(proc_fd, path, flags);

	/*
	 * AppArmor of an outer container cannot name a file on a detached mount and refuses it: the
	 * verified one in place is used then. It is no weaker, only able to fail when something is
	 * mounted over the file.
	 */
	if (fd == -EACCES) {
		AUTO_CLOSE int proc = procfs_in_place();

		if (proc >= 0)
			fd = procfs_open(proc, path, flags);
	}
	if (fd < 0)
		return err_sys(e, -fd, "open /proc/%s", path);
	return fd;
}
