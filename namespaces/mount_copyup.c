/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tmpcopyup. The tree is the image's, so nothing in it is trusted: every entry is opened relative
 * to its directory's fd without following links, and the walk keeps a stack of its own with a
 * bound.
 */
#include "namespaces/mount_exec.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define DEPTH_MAX 256
#define XATTR_NAMES_MAX 65536
#define XATTR_VALUE_MAX 65536

/* One directory that is being copied. */
struct level {
	DIR *src;
	int dst;     /* owned but for the first */
	size_t path; /* length of the walk's path up to here */
};

/* A file with more than one name: where its first copy is, relative to the top. */
struct inode {
	dev_t dev;
	ino_t ino;
	char path[];
};

struct walk {
	int top;
	const struct spec_strings
		*options; /* of the file system: of the top's owner, group, mode */
	struct level *stack;
	size_t depth;
	void *inodes; /* tsearch tree of struct inode */
	char path[PATH_MAX];
	struct err *e;
};

static int fail(const struct walk *w, int code, const char *what)
{
	return err_sys(w->e, code, "copy up: %s %s", what, w->path[0] ? w->path : ".");
}

static int inode_cmp(const void *a, const void *b)
{
	const struct inode *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* 1 when this inode has been copied before and was linked now, 0 when it is new. */
static int link_known(struct walk *w, const struct stat *st, int dst, const char *name)
{
	struct inode *key, **found;
	size_t len = strlen(w->path) + 1;

	if (st->st_nlink < 2)
		return 0;
	key = malloc(sizeof(*key) + len);
	if (!key)
		return fail(w, ENOMEM, "remember");
	key->dev = st->st_dev;
	key->ino = st->st_ino;
	memcpy(key->path, w->path, len);
	found = tsearch(key, &w->inodes, inode_cmp);
	if (!found || *found == key) {
		if (found)
			return 0;
		free(key);
		return fail(w, ENOMEM, "remember");
	}
	free(key);
	if (linkat(w->top, (*found)->path, dst, name, 0) < 0)
		return fail(w, errno, "link");
	return 1;
}

int mount_copy_xattrs(int src, int dst, const char **what)
{
	AUTO_FREE char *names = malloc(XATTR_NAMES_MAX), *value = malloc(XATTR_VALUE_MAX);
	ssize_t n, len;

	*what = "list attributes of";
	if (!names || !value)
		return -ENOMEM;
	n = flistxattr(src, names, XATTR_NAMES_MAX);
	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (const char *s = names; s < names + n; s += strlen(s) + 1) {
		*what = "read an attribute of";
		len = fgetxattr(src, s, value, XATTR_VALUE_MAX);
		if (len < 0)
			return -errno;
		*what = "set an attribute of";
		if (fsetxattr(dst, s, value, (size_t)len, 0) < 0 && errno != EOPNOTSUPP &&
		    errno != EPERM)
			return -errno;
	}
	return 0;
}

/* Whether the mount itself says what the top shall have. */
static bool says(const struct walk *w, int dst, const char *key)
{
	for (size_t i = 0; dst == w->top && i < w->options->n; i++)
		if (str_after(w->options->v[i], key))
			return true;
	return false;
}

/* Owner before mode, because chown clears setuid; times last. */
static int copy_meta(const struct walk *w, int src, int dst, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	const char *what;
	int r;

	if (fchown(dst, says(w, dst, "uid=") ? (uid_t)-1 : st->st_uid,
		   says(w, dst, "gid=") ? (gid_t)-1 : st->st_gid) < 0)
		return fail(w, errno, "chown");
	if (!says(w, dst, "mode=") && fchmod(dst, st->st_mode & 07777) < 0)
		return fail(w, errno, "chmod");
	r = mount_copy_xattrs(src, dst, &what);
	if (r < 0)
		return fail(w, -r, what);
	if (futimens(dst, times) < 0)
		r = fail(w, errno, "set times of");
	return r;
}

static int copy_data(const struct walk *w, int src, int dst)
{
	AUTO_FREE char *buf = malloc(65536);
	ssize_t n, done, m;

	if (!buf)
		return fail(w, ENOMEM, "copy");
	while ((n = read(src, buf, 65536)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(w, errno, "read");
		for (done = 0; done < n; done += m) {
			m = write(dst, buf + done, (size_t)(n - done));
			if (m < 0 && errno == EINTR)
				m = 0;
			else if (m < 0)
				return fail(w, errno, "write");
		}
	}
	return 0;
}

static int copy_file(const struct walk *w, int sdir, int ddir, const char *name,
		     const struct stat *st)
{
	AUTO_CLOSE int src = openat(sdir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	AUTO_CLOSE int dst = -1;
	struct stat now;
	int r;

	if (src < 0 || fstat(src, &now) < 0)
		return fail(w, errno, "open");
	if (!S_ISREG(now.st_mode))
		return fail(w, ESTALE, "open");
	dst = openat(ddir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (dst < 0)
		return fail(w, errno, "make");
	r = copy_data(w, src, dst);
	return r < 0 ? r : copy_meta(w, src, dst, st);
}

static int copy_link(const struct walk *w, int sdir, int ddir, const char *name,
		     const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	char text[PATH_MAX];
	ssize_t n = readlinkat(sdir, name, text, sizeof(text) - 1);

	if (n < 0)
		return fail(w, errno, "read link");
	text[n] = '\0';
	if (symlinkat(text, ddir, name) < 0 ||
	    fchownat(ddir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    utimensat(ddir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(w, errno, "make link");
	return 0;
}

/* Devices, fifos and sockets. The mode of the mknod holds: the umask is 0 during the set-up. */
static int copy_node(const struct walk *w, int ddir, const char *name, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (mknodat(ddir, name, st->st_mode, st->st_rdev) < 0 ||
	    fchownat(ddir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    utimensat(ddir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(w, errno, "make node");
	return 0;
}

static int push(struct walk *w, int src_fd, int dst_fd, size_t path)
{
	struct level *l = &w->stack[w->depth];

	if (w->depth == DEPTH_MAX) {
		close(src_fd);
		close(dst_fd);
		return fail(w, ELOOP, "too deep:");
	}
	l->src = fdopendir(src_fd);
	if (!l->src) {
		close(src_fd);
		close(dst_fd);
		return fail(w, errno, "read");
	}
	l->dst = dst_fd;
	l->path = path;
	w->depth++;
	return 0;
}

static int enter_dir(struct walk *w, int sdir, int ddir, const char *name)
{
	AUTO_CLOSE int src = openat(sdir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO_CLOSE int dst = -1;

	if (src < 0)
		return fail(w, errno, "open");
	if (mkdirat(ddir, name, 0700) < 0)
		return fail(w, errno, "make");
	dst = openat(ddir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dst < 0)
		return fail(w, errno, "open the copy of");
	return push(w, TAKE_FD(src), TAKE_FD(dst), strlen(w->path));
}

/* The directory is complete: its own attributes come last, for its times change with each entry. */
static int leave_dir(struct walk *w)
{
	struct level *l = &w->stack[w->depth - 1];
	struct stat st;
	int r;

	w->path[l->path] = '\0';
	r = fstat(dirfd(l->src), &st) < 0 ? fail(w, errno, "stat")
					  : copy_meta(w, dirfd(l->src), l->dst, &st);
	closedir(l->src);
	if (l->dst != w->top)
		close(l->dst);
	w->depth--;
	return r;
}

static int copy_entry(struct walk *w, const char *name)
{
	const struct level *l = &w->stack[w->depth - 1];
	int sdir = dirfd(l->src), r;
	struct stat st;

	r = snprintf(w->path + l->path, sizeof(w->path) - l->path, "%s%s", l->path ? "/" : "",
		     name);
	if ((size_t)r >= sizeof(w->path) - l->path)
		return fail(w, ENAMETOOLONG, "copy");
	if (fstatat(sdir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(w, errno, "stat");
	if (S_ISDIR(st.st_mode))
		return enter_dir(w, sdir, l->dst, name);
	r = link_known(w, &st, l->dst, name);
	if (r != 0)
		return r < 0 ? r : 0;
	if (S_ISREG(st.st_mode))
		return copy_file(w, sdir, l->dst, name, &st);
	if (S_ISLNK(st.st_mode))
		return copy_link(w, sdir, l->dst, name, &st);
	return copy_node(w, l->dst, name, &st);
}

static int run(struct walk *w)
{
	int r = 0;

	while (w->depth && r == 0) {
		const struct dirent *d;

		errno = 0;
		d = readdir(w->stack[w->depth - 1].src);
		if (!d)
			r = errno ? fail(w, errno, "read") : leave_dir(w);
		else if (!str_eq(d->d_name, ".") && !str_eq(d->d_name, ".."))
			r = copy_entry(w, d->d_name);
	}
	return r;
}

int mount_copy_up(int src_fd, int dst_fd, const struct spec_strings *options, struct err *e)
{
	AUTO_FREE struct walk *w = calloc(1, sizeof(*w));
	AUTO_FREE struct level *stack = calloc(DEPTH_MAX, sizeof(*stack));
	int src = openat(src_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), top, r;

	if (src < 0)
		return err_sys(e, errno, "copy up: open the directory below");
	/* A mount fd is an O_PATH one, which fchown and fsetxattr refuse. */
	top = openat(dst_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!w || !stack || top < 0) {
		r = err_sys(e, top < 0 ? errno : ENOMEM, "copy up");
		close(src);
		if (top >= 0)
			close(top);
		return r;
	}
	w->top = top;
	w->stack = stack;
	w->options = options;
	w->e = e;
	stack[0].src = fdopendir(src);
	stack[0].dst = top;
	if (!stack[0].src) {
		close(src);
		close(top);
		return err_sys(e, ENOMEM, "copy up");
	}
	w->depth = 1;
	r = run(w);
	while (w->depth) {
		struct level *l = &stack[--w->depth];

		closedir(l->src);
		if (l->dst != top)
			close(l->dst);
	}
	close(top);
	tdestroy(w->inodes, free);
	return r;
}
