/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/str.h"
#include "notify.h"
#include "rootless.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static char *default_root(void)
{
	const char *runtime = rootless_runtime_dir();

	if (runtime)
		return str_printf("%s/ctr", runtime);
	if (geteuid() == 0)
		return strdup(STORE_DEFAULT);
	return str_printf("/tmp/ctr-%u", (unsigned int)geteuid());
}

static int make_parents(const char *path, struct err *e)
{
	AUTO_FREE char *p = strdup(path);

	if (!p)
		return err_sys(e, ENOMEM, "state root %s", path);
	for (char *s = p + 1; *s; s++) {
		if (*s != '/')
			continue;
		*s = '\0';
		if (mkdir(p, 0755) < 0 && errno != EEXIST)
			return err_sys(e, errno, "make state root %s: %s", path, p);
		*s = '/';
	}
	if (mkdir(p, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "make state root %s", path);
	return 0;
}

/* Somebody else's directory in a place that all can write is not a place for state. */
static int check_owner(int fd, const char *path, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "state root %s", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(e, EPERM, "state root %s: belongs to user %u", path, st.st_uid);
	return 0;
}

int store_open(struct store *s, const char *path, bool make, struct err *e)
{
	AUTO_FREE char *root = path ? realpath(path, NULL) : default_root();
	AUTO_CLOSE int fd = -1;
	int r;

	if (!root && path && errno == ENOENT)
		root = path[0] == '/' ? strdup(path) : NULL;
	if (!root && path && errno == ENOENT) {
		char cwd[PATH_MAX];

		root = getcwd(cwd, sizeof(cwd)) ? str_printf("%s/%s", cwd, path) : NULL;
	}
	if (!root)
		return err_sys(e, errno ? errno : ENOMEM, "state root %s", path ? path : "");
	if (str_eq(root, "/"))
		return err_set(e, EINVAL,
			       "state root /: refused: give a directory of its own with --root");
	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && make) {
		r = make_parents(root, e);
		if (r < 0)
			return r;
		fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0 && (errno != ENOENT || make))
		return err_sys(e, errno, "open state root %s", root);
	if (fd >= 0) {
		r = check_owner(fd, root, e);
		if (r < 0)
			return r;
	}
	s->path = TAKE_PTR(root);
	s->fd = TAKE_FD(fd);
	return 0;
}

void store_close(struct store *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->path);
	s->fd = -1;
	s->path = NULL;
}

int store_cache(const struct store *s)
{
	int fd = openat(s->fd, ".cache", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && mkdirat(s->fd, ".cache", 0700) == 0)
		fd = openat(s->fd, ".cache", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd;
}

static int lock_dir(int fd, const char *id, struct err *e)
{
	int r = lock_wait(fd, LOCK_SECONDS);

	if (r == -EBUSY)
		return err_set(e, EBUSY,
			       "lock container %s: another ctr has held it for %d seconds", id,
			       LOCK_SECONDS);
	return r < 0 ? err_sys(e, -r, "lock container %s", id) : 0;
}

bool store_has(const struct store *s, const char *id, int dir)
{
	struct stat a, b;

	return fstat(dir, &a) == 0 && fstatat(s->fd, id, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

int store_make(const struct store *s, const char *id, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	int r;

	if (mkdirat(s->fd, id, 0700) < 0) {
		if (errno == EEXIST)
			return err_set(e, EEXIST,
				       "create %s: container with given ID already exists", id);
		return err_sys(e, errno, "create %s: make state directory in %s", id, s->path);
	}
	fd = openat(s->fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return err_sys(e, errno, "create %s: open state directory in %s", id, s->path);
	r = fd < 0 ? 0 : lock_dir(fd, id, e);
	if (r < 0)
		return r;
	/* A `delete --force` that came between took it for a leftover. */
	if (fd < 0 || !store_has(s, id, fd))
		return err_set(e, ENOENT, "create %s: deleted while it was created", id);
	/*
	 * What we have opened may be the directory of a later create, when ours was removed before
	 * that: whoever had its lock first has it. Taking it for ours would end in removing it
	 * under a living container.
	 */
	if (faccessat(fd, STORE_CONFIG, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(e, EEXIST, "create %s: container with given ID already exists", id);
	return TAKE_FD(fd);
}

bool store_is_locked(int dir)
{
	AUTO_CLOSE int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return again >= 0 && flock(again, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

void store_unlock(int dir)
{
	flock(dir, LOCK_UN);
}

int store_lock(const struct store *s, const char *id, int dir, struct err *e)
{
	int r = lock_dir(dir, id, e);

	if (r < 0)
		return r;
	return store_has(s, id, dir)
		       ? 0
		       : err_kind(e, ERR_NO_CONTAINER, ENOENT, "%s: container does not exist", id);
}

int store_get(const struct store *s, const char *id, struct err *e)
{
	int fd = -1;

	if (s->fd >= 0)
		fd = openat(s->fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	else
		errno = ENOENT;
	if (fd < 0 && errno == ENOENT)
		return err_kind(e, ERR_NO_CONTAINER, ENOENT, "%s: container does not exist", id);
	return fd < 0 ? err_sys(e, errno, "open state of container %s", id) : fd;
}

/* In this order, last: what is left of a removal that was interrupted is still a container. */
static const char *const last_files[] = { STORE_CONFIG, STORE_STATE };

static bool is_last(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(last_files); i++)
		if (str_eq(name, last_files[i]))
			return true;
	return false;
}

static int remove_entry(int dir, const char *name)
{
	if (str_eq(name, NOTIFY_DIR))
		return notify_remove(dir);
	return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* The directory is private and, but for that of the notifications, flat: we made what is in it. */
int store_remove(const struct store *s, const char *id, struct err *e)
{
	int r, fd = openat(s->fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO_CLOSEDIR DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *de;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, errno, "remove state of container %s", id);
	while ((de = readdir(d)) != NULL) {
		if (str_eq(de->d_name, ".") || str_eq(de->d_name, "..") || is_last(de->d_name))
			continue;
		r = remove_entry(fd, de->d_name);
		if (r < 0)
			return err_sys(e, -r, "remove state of container %s: %s", id, de->d_name);
	}
	for (size_t i = 0; i < ARRAY_SIZE(last_files); i++) {
		r = remove_entry(fd, last_files[i]);
		if (r < 0)
			return err_sys(e, -r, "remove state of container %s: %s", id,
				       last_files[i]);
	}
	if (unlinkat(s->fd, id, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(e, errno, "remove state of container %s", id);
	return 0;
}

int store_write_state(int dir, const struct state *st, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t len;
	int r = state_format(st, &text, &len, e);

	if (r < 0)
		return r;
	r = io_write_atomic(dir, STORE_STATE, text, len, 0600);
	return r < 0 ? err_sys(e, -r, "write state of container %s", st->id) : 0;
}

int store_read_state(int dir, struct state **out, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t len;
	int r = io_read_file(dir, STORE_STATE, SPEC_MAX_BYTES, &text, &len);

	if (r < 0)
		return err_sys(e, -r, "read " STORE_STATE);
	return state_parse(text, len, out, e);
}

int store_write_config(int dir, const char *text, size_t len, struct err *e)
{
	AUTO_CLOSE int fd =
		openat(dir, STORE_CONFIG, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : io_write_full(fd, text, len);

	return r < 0 ? err_sys(e, -r, "keep a copy of the configuration") : 0;
}

int store_read_config(int dir, struct spec **out, struct err *e)
{
	return spec_load(dir, STORE_CONFIG, true, out, NULL, NULL, e);
}

/* sun_path is short and state roots may be long: the directory's fd stands for it. */
static void start_address(int dir, struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(a->sun_path, sizeof(a->sun_path), "/proc/self/fd/%d/" STORE_START, dir);
}

int store_start_listen(int dir, struct err *e)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un a;

	start_address(dir, &a);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 4) < 0)
		return err_sys(e, errno, "make the start socket");
	return TAKE_FD(fd);
}

int store_start_connect(int dir, struct err *e)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un a;

	start_address(dir, &a);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_sys(e, errno, "connect to the start socket");
	return TAKE_FD(fd);
}
