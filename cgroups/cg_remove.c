/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cgroup can be removed when nobody is in it, and a killed process leaves a moment after it has
 * been killed. That moment is waited for by event: `populated` of cgroup.events on v2, the pidfds
 * of the remaining processes on v1.
 */
#include "cgroups/cg_internal.h"
#include "cgroups/cg_systemd.h"
#include "cgroups/cg_systemd_props.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#define SHOWN_PIDS 8

static int wait_v2(struct cg_dir *d, int64_t deadline)
{
	int r = cg_dir_fd(d);

	return r < 0 ? r : cg_wait_event(d->fd, "populated", false, deadline);
}

/* Until one of the remaining processes is gone; the caller tries again then. */
static int wait_v1(struct cg_dir *d, int64_t deadline)
{
	struct cg_pid_list l = { 0 };
	struct pollfd p = { .fd = -1, .events = POLLIN };
	int64_t left = deadline - cg_now_ms();
	int r = cg_dir_pids(AT_FDCWD, d->dir, &l);

	if (r == 0 && l.n > 0) {
		p.fd = sys_pidfd_open(l.v[0], 0);
		/* Gone already is as good as gone; so is a thread that is not a leader, seen a
		 * moment later. */
		r = p.fd == -ESRCH ? 0 : p.fd < 0 ? p.fd : 0;
	}
	if (r == 0 && left <= 0)
		r = -ETIMEDOUT;
	else if (r == 0 && poll(&p, p.fd >= 0, p.fd >= 0 ? (int)left : 1) < 0 && errno != EINTR)
		r = -errno;
	if (p.fd >= 0)
		close(p.fd);
	free(l.v);
	return r;
}

int cg_wait_empty(struct cg *cg, int ms)
{
	int64_t deadline = cg_now_ms() + ms;
	struct cg_dir *d = cg_find_v2(cg);
	int r = d ? wait_v2(d, deadline) : 0;

	if (d)
		return cg_is_gone(r) ? 0 : r;
	for (d = cg_find_any(cg); d && r == 0;) {
		AUTO_FREE pid_t *pids = NULL;
		size_t n;

		r = cg_pids(cg, &pids, &n, NULL);
		if (r == 0 && n == 0)
			return 0;
		if (r == 0)
			r = wait_v1(d, deadline);
	}
	return r;
}

static int still_there(struct cg_dir *d, int code, struct err *e)
{
	struct str_buf b = { 0 };
	struct cg_pid_list l = { 0 };
	int r;

	cg_dir_pids(AT_FDCWD, d->dir, &l);
	for (size_t i = 0; i < l.n && i < SHOWN_PIDS; i++)
		str_buf_addf(&b, " %d", (int)l.v[i]);
	if (l.n > SHOWN_PIDS)
		str_buf_addf(&b, " and %zu more", l.n - SHOWN_PIDS);
	if (l.n)
		r = err_set(e, code, "remove cgroup %s: processes remain:%s", d->dir,
			    b.s ? b.s : "");
	else
		r = err_sys(e, code, "remove cgroup %s", d->dir);
	str_buf_free(&b);
	free(l.v);
	return r;
}

static int remove_one(struct cg_dir *d, int64_t deadline, struct err *e)
{
	for (int again = 0;; again++) {
		int r = cg_dir_remove(d->dir), w;

		if (r == 0)
			return 0;
		if (r != -EBUSY)
			return err_sys(e, -r, "remove cgroup %s", d->dir);
		w = d->hier->v2 ? wait_v2(d, deadline) : wait_v1(d, deadline);
		if (w == -ENOENT || w == -ENODEV)
			continue;
		/* Empty and still busy: the kernel is about to finish, and has no event for that.
		 */
		if (w == 0 && again > 0)
			poll(NULL, 0, 1);
		if (w < 0 || cg_now_ms() >= deadline)
			return still_there(d, EBUSY, e);
	}
}

/*
 * The parent that containers share by default goes with the last of them, and so do levels below
 * it. The slices of systemd that ctr had to make where systemd itself does not go as well. Parents
 * anywhere else are the caller's.
 */
static void remove_parents(const struct cg *cg, const struct cg_dir *d)
{
	size_t keep = strlen(d->hier->mount);
	AUTO_FREE char *dir = NULL;
	char *slash;

	if (cg->unit ? cg_systemd_owns(d->hier) : !str_after(cg->path, CG_PARENT "/"))
		return;
	dir = strdup(d->dir);
	while (dir && (slash = strrchr(dir, '/')) && (size_t)(slash - dir) > keep) {
		*slash = '\0';
		if (rmdir(dir) < 0)
			break;
	}
}

/* All hierarchies are tried; the first failure is the one reported. */
int cg_remove_until(struct cg *cg, int64_t deadline, struct err *e)
{
	int r = 0;

	/* v2 first: it has the best event, and who has left it has left the others. */
	for (int v2 = 1; v2 >= 0; v2--) {
		for (size_t i = 0; i < cg->n; i++) {
			struct cg_dir *d = &cg->dir[i];
			int one;

			if (!d->present || d->hier->v2 != v2)
				continue;
			one = remove_one(d, deadline, r < 0 ? NULL : e);
			if (one == 0) {
				d->present = false;
				remove_parents(cg, d);
			}
			r = r < 0 ? r : one;
		}
	}
	return r;
}

int cg_remove(struct cg *cg, struct err *e)
{
	if (cg->unit)
		cg_systemd_stop(cg);
	return cg_remove_until(cg, cg_now_ms() + CG_DEADLINE_MS, e);
}

/*
 * With the systemd driver the unit has usually gone with the process that was parked in it. What is
 * left is in the v1 hierarchies that systemd does not manage.
 */
static void remove_unused_unit(const char *id, const char *cgroups_path)
{
	AUTO_FREE char *slice = NULL, *path = NULL;
	AUTO_CG struct cg *cg = NULL;
	AUTO_FREE pid_t *pids = NULL;
	struct cg_unit_names n;
	struct err ignored;
	bool found = false;
	size_t n_pids;

	if (cg_unit_names(id, cgroups_path, false, &n, &ignored) < 0 ||
	    cg_slice_path(n.is_slice ? n.unit : n.slice, &slice) < 0)
		return;
	path = n.is_slice ? strdup(slice)
			  : str_printf("%s/%s", str_eq(slice, "/") ? "" : slice, n.unit);
	if (!path || cg_open(path, n.unit, CG_DRIVER_SYSTEMD, &cg, &ignored) < 0)
		return;
	for (size_t i = 0; i < cg->n; i++)
		found |= cg_systemd_owns(cg->dir[i].hier) && cg->dir[i].present;
	/* A scope whose process died while systemd was putting it there can stay, empty. */
	if (found && cg_pids(cg, &pids, &n_pids, &ignored) == 0 && n_pids == 0)
		cg_systemd_stop(cg);
	for (size_t i = 0; i < cg->n; i++)
		if (!cg_systemd_owns(cg->dir[i].hier) && rmdir(cg->dir[i].dir) == 0)
			remove_parents(cg, &cg->dir[i]);
}

/* Nothing ever ran in them, so nothing can be below them: one that is in use belongs to somebody
 * else. */
int cg_remove_unused(const char *id, const char *cgroups_path, struct err *e)
{
	AUTO_FREE char *path = NULL;
	AUTO_CG struct cg *cg = NULL;
	int r = cg_path_resolve(id, cgroups_path, &path, e);

	if (r == 0)
		r = cg_open(path, NULL, CG_DRIVER_CGROUPFS, &cg, e);
	remove_unused_unit(id, cgroups_path);
	for (size_t i = 0; r == 0 && i < cg->n; i++) {
		struct cg_dir *d = &cg->dir[i];

		if (rmdir(d->dir) == 0 || errno == ENOENT)
			remove_parents(cg, d);
		else if (errno == EBUSY)
			log_warn("cgroup %s: in use, left alone", d->dir);
		else
			r = err_sys(e, errno, "remove cgroup %s", d->dir);
	}
	return r;
}
