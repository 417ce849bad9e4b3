/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cg_internal.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#define MAX_ROUNDS 100

/* A process that has ended meanwhile needs no signal. */
static int signal_all(const pid_t *pids, size_t n, int sig, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (kill(pids[i], sig) < 0 && errno != ESRCH)
			return err_sys(e, errno, "kill process %d with signal %d", (int)pids[i],
				       sig);
	return 0;
}

static bool is_in(pid_t pid, const pid_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == pid)
			return true;
	return false;
}

/* Those of v that are not in old, to the front: they have come since. How many. */
static size_t keep_new(pid_t *v, size_t n, const pid_t *old, size_t n_old)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (!is_in(v[i], old, n_old))
			v[kept++] = v[i];
	return kept;
}

/*
 * Again and again until a listing shows nobody new, each process once: what has forked between the
 * listing and the signal is met in the next one. -EAGAIN when there is no end to it.
 */
static int signal_rounds(struct cg *cg, int sig, struct err *e)
{
	AUTO_FREE pid_t *told = NULL;
	size_t n_told = 0;

	for (int i = 0; i < MAX_ROUNDS; i++) {
		AUTO_FREE pid_t *pids = NULL;
		pid_t *grown;
		size_t n;
		int r = cg_pids(cg, &pids, &n, e);

		if (r < 0)
			return r;
		n = keep_new(pids, n, told, n_told);
		if (n == 0)
			return 0;
		r = signal_all(pids, n, sig, e);
		if (r < 0)
			return r;
		grown = reallocarray(told, n_told + n, sizeof(*told));
		if (!grown)
			return err_sys(e, ENOMEM, "kill the processes of cgroup %s", cg->path);
		told = grown;
		memcpy(told + n_told, pids, n * sizeof(*told));
		n_told += n;
	}
	return -EAGAIN;
}

/* Without any freezer. */
static int kill_rounds(struct cg *cg, struct err *e)
{
	int r = signal_rounds(cg, SIGKILL, e);

	return r == -EAGAIN
		       ? err_set(e, EAGAIN,
				 "kill the processes of cgroup %s: they multiply faster than they die",
				 cg->path)
		       : r;
}

/* What is frozen cannot fork, so one listing is all of them. */
static int kill_frozen(struct cg *cg, struct err *e)
{
	AUTO_FREE pid_t *pids = NULL;
	struct err thaw;
	size_t n;
	int r, t;

	if (cg_freeze(cg, true, &thaw) < 0)
		return kill_rounds(cg, e);
	r = cg_pids(cg, &pids, &n, e);
	if (r == 0)
		r = signal_all(pids, n, SIGKILL, e);
	t = cg_freeze(cg, false, &thaw);
	return r < 0 ? r : t < 0 ? err_set(e, thaw.code, "%s", thaw.msg) : 0;
}

/* One that has gone, or that may not be thawed, keeps nobody from the others. */
static int thaw_level(int fd, void *ctx)
{
	(void)ctx;
	io_write_file(fd, "freezer.state", "THAWED");
	return 0;
}

/* The container may have frozen any that it has made below its own; from the top down. */
void cg_let_die(struct cg *cg)
{
	struct cg_dir *d = cg_find_v1(cg, "freezer");

	if (d)
		cg_tree_walk(AT_FDCWD, d->dir, &(struct cg_visit){ .enter = thaw_level });
}

int cg_kill(struct cg *cg, int sig, struct err *e)
{
	struct cg_dir *v2 = cg_find_v2(cg);
	struct err ignored;
	int r;

	/* Who forks without end and lives on with this signal has been told often enough. */
	if (sig != SIGKILL) {
		r = signal_rounds(cg, sig, e);
		return r == -EAGAIN ? 0 : r;
	}
	/* Before anything else: a tree that is too large to be listed dies as well. */
	r = v2 ? cg_dir_fd(v2) : -ENOENT;
	if (r >= 0)
		r = io_write_file(v2->fd, "cgroup.kill", "1");
	if (r < 0) /* Linux before 5.14, pure v1, or a threaded cgroup */
		r = kill_frozen(cg, e);
	else /* it does not reach a process whose first thread has ended */
		signal_rounds(cg, SIGKILL, &ignored);
	cg_let_die(cg);
	return r;
}
