/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading all files costs more than all else of a clone's start together, so the result is kept:
 * a line for each directory and file that it came from, with the time of its last change, and one
 * for each directory to make. Files that said nothing are not looked at again: what is added to one
 * of them in place, without a change of its directory, is seen when the cache is gone.
 */
#include "namespaces/run_dirs.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "namespaces/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define FILE_MAX ((size_t)256 << 10)
#define NAMES_MAX ((size_t)4 << 20)
#define CACHE_MAX ((size_t)256 << 10)
#define CACHE_NAME "run-dirs"
#define CACHE_HEAD "ctr run-dirs 1\n"

static const struct place {
	const char *path, *suffix;
	int (*read)(struct run_dirs *d, const char *text, const struct run_dirs_names *names);
} places[] = {
	{ "/etc/tmpfiles.d", ".conf", run_dirs_tmpfiles },
	{ "/usr/lib/tmpfiles.d", ".conf", run_dirs_tmpfiles },
	{ "/etc/systemd/system", ".service", run_dirs_unit },
	{ "/usr/lib/systemd/system", ".service", run_dirs_unit },
	{ "/lib/systemd/system", ".service", run_dirs_unit },
};

static const char *const name_files[] = { "/etc/passwd", "/etc/group" };

struct scan {
	int root;
	struct run_dirs *out;
	struct run_dirs_names names;
	struct str_buf *sources; /* of the cache, or NULL */
	dev_t dev;               /* of the place read last */
	ino_t ino;
};

static void note(struct scan *s, const char *path, const char *name, const struct stat *st)
{
	if (s->sources)
		str_buf_addf(s->sources, "f %lld.%09ld %s%s%s\n", (long long)st->st_mtim.tv_sec,
			     st->st_mtim.tv_nsec, path, *name ? "/" : "", name);
}

static int read_one(struct scan *s, const struct place *p, int dir, const char *name)
{
	AUTO_CLOSE int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	AUTO_FREE char *text = NULL;
	size_t before = s->out->n;
	struct stat st;
	int r;

	/* A link is another name of a unit, or a masked one. */
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    io_read_all(fd, FILE_MAX, &text, NULL) < 0)
		return 0;
	r = p->read(s->out, text, &s->names);
	if (s->out->n != before)
		note(s, p->path, name, &st);
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In the order of their names: which one counts must not depend on the file system. */
static int sorted(DIR *d, const char *suffix, struct str_list *out)
{
	struct dirent *de;
	int r = 0;

	while (r == 0 && (de = readdir(d)) != NULL)
		if ((de->d_type == DT_REG || de->d_type == DT_UNKNOWN) &&
		    str_ends(de->d_name, suffix) && !strchr(de->d_name, '\n'))
			r = str_list_add(out, de->d_name);
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_name);
	return r;
}

static int read_place(struct scan *s, const struct place *p)
{
	AUTO_CLOSE int fd = path_open(s->root, p->path, O_RDONLY | O_DIRECTORY);
	AUTO(str_list_free) struct str_list files = {};
	AUTO_CLOSEDIR DIR *d = NULL;
	struct stat st = {};
	int r;

	if (fd < 0 || fstat(fd, &st) < 0) {
		note(s, p->path, "", &st);
		return 0;
	}
	note(s, p->path, "", &st);
	/* /lib is /usr/lib by now */
	if (st.st_dev == s->dev && st.st_ino == s->ino)
		return 0;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	d = fdopendir(fd);
	if (!d)
		return -errno;
	r = sorted(d, p->suffix, &files);
	for (size_t i = 0; i < files.n && r == 0; i++)
		r = read_one(s, p, fd, files.v[i]);
	fd = -1; /* the DIR's */
	return r;
}

static int scan_all(int root_fd, struct run_dirs *out, struct str_buf *sources, struct err *e)
{
	AUTO_FREE char *passwd = NULL, *group = NULL;
	char **texts[] = { &passwd, &group };
	struct scan s = { .root = root_fd, .out = out, .sources = sources };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(name_files); i++) {
		AUTO_CLOSE int fd = path_open(root_fd, name_files[i], O_RDONLY | O_NONBLOCK);
		struct stat st = {};

		if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		    io_read_all(fd, NAMES_MAX, texts[i], NULL) < 0)
			*texts[i] = strdup("");
		if (!*texts[i])
			return err_sys(e, ENOMEM, "directories below /run");
		note(&s, name_files[i], "", &st);
	}
	s.names = (struct run_dirs_names){ passwd, group };
	for (size_t i = 0; i < ARRAY_SIZE(places) && r == 0; i++)
		r = read_place(&s, &places[i]);
	return r < 0 ? err_sys(e, -r, "directories below /run") : 0;
}

int run_dirs_scan(int root_fd, struct run_dirs *out, struct err *e)
{
	AUTO(run_dirs_free) struct run_dirs d = {};
	int r = scan_all(root_fd, &d, NULL, e);

	if (r == 0) {
		*out = d;
		d = (struct run_dirs){};
	}
	return r;
}

/* ---- the cache ---- */

static void save(int cache, struct str_buf *b, const struct run_dirs *d)
{
	for (size_t i = 0; i < d->n; i++)
		str_buf_addf(b, "d %o %u %u %s\n", d->v[i].mode, d->v[i].uid, d->v[i].gid,
			     d->v[i].path);
	if (b->failed || io_write_atomic(cache, CACHE_NAME, b->s, b->len, 0600) < 0)
		log_debug("the list of directories below /run is not kept");
}

/* TIME PATH: whether it is as it was. */
static bool unchanged(char *line)
{
	char *space = strchr(line, ' '), now[48];
	struct stat st = {};

	if (!space)
		return false;
	*space = '\0';
	/* One that does not exist has the time 0. */
	if (stat(space + 1, &st) < 0)
		st = (struct stat){};
	snprintf(now, sizeof(now), "%lld.%09ld", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	return str_eq(line, now);
}

/* MODE UID GID PATH */
static int cached_dir(struct run_dirs *d, const char *line)
{
	struct run_dir *v, x;
	int at = 0;

	if (sscanf(line, "%o %u %u %n", &x.mode, &x.uid, &x.gid, &at) < 3 || !at || !line[at])
		return -EINVAL;
	v = reallocarray(d->v, d->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	d->v = v;
	x.path = strdup(line + at);
	if (!x.path)
		return -ENOMEM;
	v[d->n++] = x;
	return 0;
}

static int from_cache(int cache, struct run_dirs *out)
{
	AUTO(run_dirs_free) struct run_dirs d = {};
	AUTO_FREE char *text = NULL;
	char *save_ptr = NULL, *rest;
	int r = io_read_file(cache, CACHE_NAME, CACHE_MAX, &text, NULL);

	if (r < 0)
		return r;
	rest = (char *)(uintptr_t)str_after(text, CACHE_HEAD);
	if (!rest)
		return -EINVAL;
	for (char *s = strtok_r(rest, "\n", &save_ptr); s; s = strtok_r(NULL, "\n", &save_ptr)) {
		if (s[0] == 'f' && s[1] == ' ')
			r = unchanged(s + 2) ? 0 : -ESTALE;
		else if (s[0] == 'd' && s[1] == ' ')
			r = cached_dir(&d, s + 2);
		else
			r = -EINVAL;
		if (r < 0)
			return r;
	}
	*out = d;
	d = (struct run_dirs){};
	return 0;
}

int run_dirs_load(int cache, struct run_dirs *out, struct err *e)
{
	AUTO(run_dirs_free) struct run_dirs d = {};
	AUTO(str_buf_free) struct str_buf sources = {};
	AUTO_CLOSE int root = -1;
	int r;

	if (cache >= 0 && from_cache(cache, out) == 0)
		return 0;
	root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(e, errno, "open /");
	str_buf_add(&sources, CACHE_HEAD);
	r = scan_all(root, &d, &sources, e);
	if (r < 0)
		return r;
	if (cache >= 0)
		save(cache, &sources, &d);
	*out = d;
	d = (struct run_dirs){};
	return 0;
}
