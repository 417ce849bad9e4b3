/* SPDX-License-Identifier: Apache-2.0 */
/* How processes get into the container's cgroups, and which are there. */
#include "cgroups/cg_internal.h"
#include "cgroups/cg_systemd.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <stdio.h>

static int open_join(struct cg *cg, struct cg_dir *d, int *fds, size_t *n, struct err *e)
{
	/* v1 `tasks` moves one thread, which in a fresh child is all of it, and takes no global
	 * lock. */
	const char *file = d->hier->v2 ? "cgroup.procs" : "tasks";
	char path[4096];
	int fd;

	if (!d->present && cg->rootless)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", d->dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "open %s", path);
	fds[(*n)++] = fd;
	return 0;
}

int cg_join_open(struct cg *cg, bool with_v2, int *fds, size_t *n, struct err *e)
{
	int r = 0;

	*n = 0;
	for (size_t i = 0; i < cg->n && r == 0; i++)
		if (!cg->dir[i].hier->v2 || with_v2)
			r = open_join(cg, &cg->dir[i], fds, n, e);
	if (r < 0) {
		while (*n > 0)
			close(fds[--*n]);
	}
	return r;
}

int cg_join_self(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (write(fds[i], "0", 1) != 1)
			return -errno;
	return 0;
}

int cg_attach(struct cg *cg, pid_t pid, struct err *e)
{
	char text[24];

	snprintf(text, sizeof(text), "%d", (int)pid);
	for (size_t i = 0; i < cg->n; i++) {
		struct cg_dir *d = &cg->dir[i];
		int r;

		if (!d->present && cg->rootless)
			continue;
		r = cg_dir_fd(d);
		if (r >= 0)
			r = io_write_file(d->fd, "cgroup.procs", text);
		/* A user may not move what is outside of his own cgroups; the machine's systemd
		 * does it for his. */
		if (r == -EACCES && cg->unit && d->hier->v2)
			return cg_systemd_attach(
				cg, d->dir + strlen(d->hier->mount) + strlen(cg->path), pid, e);
		if (r < 0)
			return err_sys(e, -r, "put process %d into cgroup %s", (int)pid, d->dir);
	}
	return 0;
}

/* Every process is in every hierarchy, so one of them tells; the v2 one is the cheapest to read. */
int cg_pids(struct cg *cg, pid_t **pids, size_t *n, struct err *e)
{
	struct cg_pid_list l = { 0 };
	struct cg_dir *d = cg_find_any(cg);
	int r = 0;

	if (d)
		r = cg_dir_pids(AT_FDCWD, d->dir, &l);
	if (r < 0) {
		free(l.v);
		return err_sys(e, -r, "list the processes of cgroup %s", d->dir);
	}
	*pids = l.v;
	*n = l.n;
	return 0;
}
