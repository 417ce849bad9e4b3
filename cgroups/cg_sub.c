/* SPDX-License-Identifier: Apache-2.0 */
/* Where in the container's cgroups one more process goes, when that is not their top. */
#include "cgroups/cg_internal.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Appends the components of sub to base, ".." never above it. *out is malloc'ed. */
static int join_below(const char *base, const char *sub, char **out)
{
	size_t floor = strlen(base), len = floor;
	AUTO_FREE char *path = malloc(floor + strlen(sub) + 2);

	if (!path)
		return -ENOMEM;
	memcpy(path, base, floor + 1);
	for (const char *p = sub; *p;) {
		size_t n;

		p += strspn(p, "/");
		n = strcspn(p, "/");
		if (n == 2 && memcmp(p, "..", 2) == 0) {
			if (len == floor)
				return -EXDEV;
			while (path[--len] != '/')
				;
		} else if (n && !(n == 1 && *p == '.')) {
			path[len++] = '/';
			memcpy(path + len, p, n);
			len += n;
		}
		path[len] = '\0';
		p += n;
	}
	*out = TAKE_PTR(path);
	return 0;
}

static void set_dir(struct cg_dir *d, char *path)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	free(d->dir);
	d->dir = path;
}

static int move_dir(struct cg_dir *d, const char *sub, const char *word, struct err *e)
{
	AUTO_FREE char *path = NULL;
	int r = join_below(d->dir, sub, &path);

	if (r == -EXDEV)
		return err_set(e, EINVAL, "exec --cgroup %s: bad sub cgroup path: %s", word, sub);
	if (r < 0)
		return err_sys(e, -r, "exec --cgroup %s", word);
	if (access(path, F_OK) < 0)
		return err_sys(e, errno, "exec --cgroup %s: open %s", word, path);
	set_dir(d, TAKE_PTR(path));
	return 0;
}

/* The hierarchy of a controller; "unified" is the v2 one beside v1 hierarchies. */
static size_t find_hierarchy(struct cg *cg, const char *controller)
{
	const struct cg_hier *h = str_eq(controller, "unified") ? cg_host_v2(&cg->host)
								: cg_host_v1(&cg->host, controller);

	for (size_t i = 0; h && i < cg->n; i++)
		if (cg->dir[i].hier == h && cg->dir[i].present)
			return i;
	return cg->n;
}

/* CTRL,CTRL:PATH. Two controllers of one hierarchy are one move. */
static int move_named(struct cg *cg, const char *word, bool moved[CG_MAX_HIER], struct err *e)
{
	const char *path = strchr(word, ':') + 1;
	bool mine[CG_MAX_HIER] = { false };

	for (const char *p = word; p < path;) {
		size_t n = strcspn(p, ",:"), i;
		char name[64];

		snprintf(name, sizeof(name), "%.*s", (int)n, p);
		i = find_hierarchy(cg, name);
		if (n == 0 || n >= sizeof(name) || i == cg->n)
			return err_set(e, EINVAL, "exec --cgroup %s: unknown controller \"%s\"",
				       word, name);
		if (moved[i])
			return err_set(e, EINVAL,
				       "exec --cgroup %s: controller %s specified multiple times",
				       word, name);
		mine[i] = true;
		p += n + 1;
	}
	for (size_t i = 0; i < cg->n; i++) {
		int r = mine[i] ? move_dir(&cg->dir[i], path, word, e) : 0;

		if (r < 0)
			return r;
		moved[i] |= mine[i];
	}
	return 0;
}

static int move_all(struct cg *cg, const char *path, struct err *e)
{
	for (size_t i = 0; i < cg->n; i++) {
		int r = cg->dir[i].present ? move_dir(&cg->dir[i], path, path, e) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

int cg_sub_select(struct cg *cg, const struct spec_strings *words, struct err *e)
{
	bool moved[CG_MAX_HIER] = { false };

	for (size_t i = 0; i < words->n; i++) {
		const char *word = words->v[i];
		int r;

		if (strchr(word, ':'))
			r = move_named(cg, word, moved, e);
		else if (words->n > 1)
			r = err_set(e, EINVAL,
				    "exec --cgroup %s: CONTROLLER: is missing, with more than one",
				    word);
		else
			r = move_all(cg, word, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int cg_sub_of(struct cg *cg, pid_t pid, struct err *e)
{
	struct cg_dir *d = cg_find_v2(cg);
	AUTO_FREE char *text = NULL;
	char file[32], *save = NULL;
	int r;

	if (!d)
		return 0;
	snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)pid);
	r = io_read_file(AT_FDCWD, file, (size_t)1 << 20, &text, NULL);
	if (r < 0)
		return err_sys(e, -r, "read %s", file);
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		const char *path = str_after(l, "0::");
		const char *below = path ? str_after(path, cg->path) : NULL;

		if (below && *below == '/')
			return move_dir(d, below, below, e);
	}
	return 0;
}
