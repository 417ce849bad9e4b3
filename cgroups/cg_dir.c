/* SPDX-License-Identifier: Apache-2.0 */
/* One cgroup directory: made, listed, removed. */
#include "cgroups/cg_internal.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define MAX_MAKE_TRIES 100 /* another container may remove the common parent in between */

int64_t cg_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int cg_dir_fd(struct cg_dir *d)
{
	if (d->fd < 0) {
		/* Readable, not O_PATH: the kernel wants a real file to attach a BPF program to. */
		d->fd = open(d->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (d->fd < 0)
			return -errno;
	}
	return d->fd;
}

struct cg_dir *cg_find_v2(struct cg *cg)
{
	for (size_t i = 0; i < cg->n; i++)
		if (cg->dir[i].present && cg->dir[i].hier->v2)
			return &cg->dir[i];
	return NULL;
}

struct cg_dir *cg_find_v1(struct cg *cg, const char *controller)
{
	const struct cg_hier *h = cg_host_v1(&cg->host, controller);

	for (size_t i = 0; h && i < cg->n; i++)
		if (cg->dir[i].hier == h)
			return cg->dir[i].present ? &cg->dir[i] : NULL;
	return NULL;
}

struct cg_dir *cg_find_any(struct cg *cg)
{
	struct cg_dir *d = cg_find_v2(cg);

	for (size_t i = 0; i < cg->n && !d; i++)
		if (cg->dir[i].present)
			d = &cg->dir[i];
	return d;
}

bool cg_is_gone(int r)
{
	return r == -ENOENT || r == -ENODEV;
}

/* ---- make ---- */

static int make_level(struct cg_dir *d, const char *dir)
{
	if (mkdir(dir, 0755) == 0) {
		d->made++;
		d->made_len = strlen(dir);
		return 0;
	}
	if (errno != EEXIST)
		return cg_is_gone(-errno) ? -ENOENT : -errno;
	d->made = 0;
	return 0;
}

/* -ENOENT says, as everywhere here, that the level has gone meanwhile. */
static int enable_at(const char *dir, unsigned int need, unsigned int want, struct err *e)
{
	if (!(need | want))
		return 0;
	AUTO_CLOSE int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "open %s", dir);
	return cg_v2_enable(fd, dir, need, want, e);
}

/* From the root down: controllers are enabled in each level before the next is made. */
static int make_levels(struct cg_dir *d, const char *path, unsigned int need, unsigned int want,
		       struct err *e)
{
	size_t mount_len = strlen(d->hier->mount);
	AUTO_FREE char *dir = strdup(d->dir);
	const char *p = path;
	int r;

	if (!dir)
		return err_sys(e, ENOMEM, "create cgroup %s", d->dir);
	d->made = 0;
	do {
		const char *next = strchr(p + 1, '/');

		dir[mount_len + (size_t)(p - path)] = '\0';
		r = enable_at(dir, need, want, e);
		dir[mount_len + (size_t)(p - path)] = '/';
		if (r < 0)
			return r;
		if (next)
			dir[mount_len + (size_t)(next - path)] = '\0';
		r = make_level(d, dir);
		if (r < 0)
			return err_sys(e, -r, "create cgroup %s", dir);
		if (next)
			dir[mount_len + (size_t)(next - path)] = '/';
		p = next;
	} while (p);
	return 0;
}

int cg_dir_make(struct cg_dir *d, const char *path, unsigned int need, unsigned int want,
		struct err *e)
{
	int r = -ENOENT;

	if (!(need | want)) { /* the parent is nearly always there */
		if (mkdir(d->dir, 0755) == 0) {
			d->made = 1;
			d->made_len = strlen(d->dir);
			return 0;
		}
		if (errno == EEXIST)
			return 0;
		if (!cg_is_gone(-errno))
			return err_sys(e, errno, "create cgroup %s", d->dir);
	}
	for (int i = 0; r == -ENOENT && i < MAX_MAKE_TRIES; i++) {
		if (i > 0)
			cg_dir_unmake(d);
		r = make_levels(d, path, need, want, e);
	}
	return r;
}

void cg_dir_unmake(struct cg_dir *d)
{
	AUTO_FREE char *dir = strdup(d->dir);

	if (dir && d->made)
		dir[d->made_len] = '\0';
	for (; dir && d->made > 0; d->made--) {
		char *slash = strrchr(dir, '/');

		/* A parent that another container uses by now stays: rmdir refuses. */
		if (rmdir(dir) < 0 && errno != ENOENT)
			break;
		*slash = '\0';
	}
	d->made = 0;
}

/* ---- list ---- */

static int add_pid(struct cg_pid_list *l, pid_t pid)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		pid_t *v = reallocarray(l->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = pid;
	return 0;
}

/* 0 is a process outside of our pid namespace: nothing can be done with it. */
static int parse_pids(const char *text, struct cg_pid_list *l)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		char num[24];
		int64_t v;
		int r;

		if (len == 0 || len >= sizeof(num))
			return -EBADMSG;
		memcpy(num, text, len);
		num[len] = '\0';
		r = str_to_i64(num, 0, INT32_MAX, &v);
		if (r == 0 && v > 0)
			r = add_pid(l, (pid_t)v);
		if (r < 0)
			return r;
		text += len + (text[len] == '\n');
	}
	return 0;
}

static int list_level(int fd, void *list)
{
	AUTO_FREE char *text = NULL;
	int r = io_read_file(fd, "cgroup.procs", (size_t)64 << 20, &text, NULL);

	/* A threaded cgroup has no list: its processes are in the one of its domain, above it. */
	if (cg_is_gone(r) || r == -EOPNOTSUPP)
		return 0;
	return r < 0 ? r : parse_pids(text, list);
}

int cg_dir_pids(int dirfd, const char *name, struct cg_pid_list *l)
{
	return cg_tree_walk(dirfd, name, &(struct cg_visit){ .enter = list_level, .ctx = l });
}

int cg_dir_key(int dirfd, const char *file, const char *key, uint64_t *value)
{
	AUTO_FREE char *text = NULL;
	size_t len = strlen(key);
	char *save = NULL;
	int r = io_read_file(dirfd, file, (size_t)1 << 20, &text, NULL);

	if (r < 0)
		return r;
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		if (strncmp(l, key, len) == 0 && l[len] == ' ')
			return str_to_u64(l + len + 1, UINT64_MAX, value);
	return -ENOENT;
}

/* ---- remove ---- */

static int remove_level(int parent, const char *name, void *ctx)
{
	(void)ctx;
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || cg_is_gone(-errno))
		return 0;
	return errno == ENOTEMPTY ? -EBUSY : -errno;
}

int cg_dir_remove(const char *dir)
{
	int r = remove_level(AT_FDCWD, dir, NULL);

	/* Busy is also one that has others below it. */
	return r == -EBUSY
		       ? cg_tree_walk(AT_FDCWD, dir, &(struct cg_visit){ .leave = remove_level })
		       : r;
}
