/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree of cgroups that a container may have made: as deep and as wide as the kernel lets it. So
 * nothing here recurses, holds a descriptor for each level or spells out a path: the walk steps
 * from a directory to its child by name and back by "..", which is its parent for certain (a cgroup
 * can be renamed, but not moved).
 */
#include "cgroups/cg_internal.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* One level of the walk: its own name, and those of its children that are still to be visited. */
struct level {
	char *name;
	char *names; /* each with its NUL */
	size_t at, len;
};

struct walk {
	const struct cg_visit *visit;
	struct level *v;
	size_t n, cap;
	int fd; /* of the innermost level */
};

static int open_dir(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* The link count tells a leaf without reading the directory: 2, and one more for each child. */
static bool has_children(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 || st.st_nlink != 2;
}

static int add_name(struct level *l, size_t *cap, const char *name)
{
	size_t n = strlen(name) + 1;

	if (l->len + n > *cap) {
		size_t grown = *cap * 2 + n + 64;
		char *names = realloc(l->names, grown);

		if (!names)
			return -ENOMEM;
		l->names = names;
		*cap = grown;
	}
	memcpy(l->names + l->len, name, n);
	l->len += n;
	return 0;
}

static int read_names(int fd, struct level *l)
{
	AUTO_CLOSEDIR DIR *dir = NULL;
	struct dirent *de;
	size_t cap = 0;
	int again, r = 0;

	if (!has_children(fd))
		return 0;
	again = open_dir(fd, ".");
	if (again < 0)
		return cg_is_gone(again) ? 0 : again;
	dir = fdopendir(again);
	if (!dir) {
		r = -errno;
		close(again);
		return r;
	}
	while (r == 0 && (de = readdir(dir)))
		if (de->d_type == DT_DIR && !str_eq(de->d_name, ".") && !str_eq(de->d_name, ".."))
			r = add_name(l, &cap, de->d_name);
	return r;
}

static void pop(struct walk *w)
{
	struct level *l = &w->v[--w->n];

	free(l->name);
	free(l->names);
}

/* Takes fd in any case. */
static int push(struct walk *w, int fd, const char *name)
{
	AUTO_CLOSE int mine = fd;
	struct level *l;
	int r;

	if (w->n == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 8;
		struct level *v = reallocarray(w->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		w->v = v;
		w->cap = cap;
	}
	l = &w->v[w->n++];
	*l = (struct level){ .name = strdup(name) };
	if (!l->name)
		return -ENOMEM;
	r = w->visit->enter ? w->visit->enter(mine, w->visit->ctx) : 0;
	if (r == 0)
		r = read_names(mine, l);
	cleanup_close(&w->fd);
	w->fd = TAKE_FD(mine);
	return r;
}

/* From the innermost level, which is done, to the one around it. */
static int leave(struct walk *w, int parent)
{
	AUTO_CLOSE int up = w->n > 1 ? open_dir(w->fd, "..") : -1;
	int at = w->n > 1 ? up : parent, r = 0;

	if (at < 0 && at != AT_FDCWD)
		return at;
	if (w->visit->leave)
		r = w->visit->leave(at, w->v[w->n - 1].name, w->visit->ctx);
	cleanup_close(&w->fd);
	w->fd = TAKE_FD(up);
	pop(w);
	return r;
}

static int step(struct walk *w, int parent)
{
	struct level *l = &w->v[w->n - 1];
	const char *name = l->names + l->at;
	int fd;

	if (l->at == l->len)
		return leave(w, parent);
	l->at += strlen(name) + 1;
	fd = open_dir(w->fd, name);
	if (fd < 0)
		return cg_is_gone(fd) ? 0 : fd;
	return push(w, fd, name);
}

int cg_tree_walk(int parent, const char *name, const struct cg_visit *visit)
{
	struct walk w = { .visit = visit, .fd = -1 };
	int fd = open_dir(parent, name), r;

	if (fd < 0)
		return cg_is_gone(fd) ? 0 : fd;
	r = push(&w, fd, name);
	while (r == 0 && w.n > 0)
		r = step(&w, parent);
	while (w.n > 0)
		pop(&w);
	cleanup_close(&w.fd);
	free(w.v);
	return r;
}
