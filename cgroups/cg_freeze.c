/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Freezing. Every v2 cgroup but the root has cgroup.freeze (Linux 5.2), with or without
 * controllers, so it is used wherever a v2 hierarchy holds the container; it tells by an event when
 * it is done and lets SIGKILL through. The v1 freezer does neither: it is for hosts without v2.
 */
#include "cgroups/cg_internal.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
	SOON_MS = 50,               /* a cgroup of processes is frozen by then */
	PROCS_MAX = 1 << 20,        /* bytes */
	KERNEL_THREAD = 0x00200000, /* PF_KTHREAD */
};

static int failed(const struct cg_dir *d, bool freeze, int code, struct err *e)
{
	const char *what = freeze ? "freeze" : "thaw";

	if (code == ETIMEDOUT)
		return err_set(e, code, "%s cgroup %s: not done within %d s", what, d->dir,
			       CG_DEADLINE_MS / 1000);
	if (code == EDEADLK)
		return err_set(e, EBUSY, "%s cgroup %s: a cgroup above it is frozen", what, d->dir);
	return err_sys(e, code, "%s cgroup %s", what, d->dir);
}

/* One line of cgroup.events, read through an fd whose changes poll(2) reports as POLLPRI. */
static int read_event(int fd, const char *key, bool *value)
{
	char buf[256];
	const char *p = buf;
	ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);

	if (n < 0)
		return -errno;
	buf[n] = '\0';
	while (*p) {
		const char *rest = str_after(p, key);

		if (rest && *rest == ' ') {
			*value = rest[1] == '1';
			return 0;
		}
		p = strchrnul(p, '\n');
		p += *p == '\n';
	}
	return -ENOENT;
}

int cg_wait_event(int dirfd, const char *key, bool want, int64_t deadline_ms)
{
	AUTO_CLOSE int fd = openat(dirfd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	struct pollfd p = { .fd = fd, .events = POLLPRI };

	if (fd < 0)
		return -errno;
	for (;;) {
		int64_t left = deadline_ms - cg_now_ms();
		bool now;
		int r = read_event(fd, key, &now);

		if (r < 0)
			return r;
		if (now == want)
			return 0;
		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
			return -errno;
	}
}

/* Field 9 of /proc/PID/stat says it; the second one, a name in parentheses, may hold anything. */
static bool is_kernel_thread(const char *pid)
{
	char path[64], buf[512];
	unsigned int flags;
	const char *p;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	if (io_read_small(AT_FDCWD, path, buf, sizeof(buf)) < 0)
		return false;
	p = strrchr(buf, ')');
	return p && sscanf(p, ") %*c %*d %*d %*d %*d %*d %u", &flags) == 1 &&
	       (flags & KERNEL_THREAD);
}

/*
 * A kernel thread does not freeze, and a cgroup with one never is frozen. KVM before Linux 6.14 has
 * one for each machine ("kvm-nx-lpage-recovery"), in the cgroup of who made the machine. It goes to
 * the root's, where such threads are at home; who may not do that learns it by the deadline.
 */
static bool move_kernel_threads(struct cg_dir *d)
{
	AUTO_FREE char *text = NULL, *root = str_printf("%s/cgroup.procs", d->hier->mount);
	char *save = NULL;
	bool moved = false;
	size_t len;

	if (!root || io_read_file(d->fd, "cgroup.procs", PROCS_MAX, &text, &len) < 0)
		return false;
	for (char *pid = strtok_r(text, "\n", &save); pid; pid = strtok_r(NULL, "\n", &save))
		moved |= is_kernel_thread(pid) && io_write_file(AT_FDCWD, root, pid) == 0;
	return moved;
}

/* Thawed itself, but below one that is not. */
static bool is_held(struct cg_dir *d)
{
	AUTO_FREE char *where = NULL;

	return cg_dir_frozen(d, &where) > 0;
}

static int freeze_v2(struct cg_dir *d, bool freeze, struct err *e)
{
	int r = cg_dir_fd(d);

	if (r < 0)
		return err_sys(e, -r, "open %s", d->dir);
	r = io_write_file(d->fd, "cgroup.freeze", freeze ? "1" : "0");
	if (r < 0)
		return failed(d, freeze, -r, e);
	r = cg_wait_event(d->fd, "frozen", freeze, cg_now_ms() + SOON_MS);
	if (r == -ETIMEDOUT) {
		/* That such a thread went away counts once it is told again. */
		if (freeze && move_kernel_threads(d) &&
		    io_write_file(d->fd, "cgroup.freeze", "0") == 0)
			io_write_file(d->fd, "cgroup.freeze", "1");
		r = !freeze && is_held(d)
			    ? -EDEADLK
			    : cg_wait_event(d->fd, "frozen", freeze, cg_now_ms() + CG_DEADLINE_MS);
	}
	if (r < 0 && freeze)
		io_write_file(d->fd, "cgroup.freeze", "0");
	return r < 0 ? failed(d, freeze, -r, e) : 0;
}

static bool parent_is_freezing(const struct cg_dir *d)
{
	char value[8];

	return io_read_small(d->fd, "freezer.parent_freezing", value, sizeof(value)) > 0 &&
	       str_eq(value, "1");
}

/*
 * The v1 freezer may stop half-way (FREEZING) until it is told again, and has no event: reading the
 * state is what makes it look. So this one wait is a poll, 1 ms at first, then ever slower.
 */
static int wait_v1(struct cg_dir *d, const char *want)
{
	int64_t deadline = cg_now_ms() + CG_DEADLINE_MS;

	for (int pause = 1;; pause = pause < 100 ? pause * 2 : 100) {
		char state[32];
		ssize_t n;
		int r = io_write_file(d->fd, "freezer.state", want);

		if (r < 0)
			return r;
		n = io_read_small(d->fd, "freezer.state", state, sizeof(state));
		if (n < 0)
			return (int)n;
		if (str_eq(state, want))
			return 0;
		if (str_eq(want, "THAWED") && parent_is_freezing(d))
			return -EDEADLK;
		if (cg_now_ms() >= deadline)
			return -ETIMEDOUT;
		poll(NULL, 0, pause);
	}
}

static int freeze_v1(struct cg_dir *d, bool freeze, struct err *e)
{
	int r = cg_dir_fd(d);

	if (r < 0)
		return err_sys(e, -r, "open %s", d->dir);
	r = wait_v1(d, freeze ? "FROZEN" : "THAWED");
	if (r < 0 && freeze)
		io_write_file(d->fd, "freezer.state", "THAWED");
	return r < 0 ? failed(d, freeze, -r, e) : 0;
}

static bool v2_can_freeze(struct cg_dir *d)
{
	return d && cg_dir_fd(d) >= 0 && faccessat(d->fd, "cgroup.freeze", F_OK, 0) == 0;
}

/* Beside a v2 cgroup the v1 freezer is not used here; others may have frozen it. */
int cg_freeze(struct cg *cg, bool freeze, struct err *e)
{
	struct cg_dir *v2 = cg_find_v2(cg), *v1 = cg_find_v1(cg, "freezer");
	bool use_v2 = v2_can_freeze(v2);
	int r = use_v2 ? freeze_v2(v2, freeze, e) : 0;

	if (!use_v2 && !v1)
		return err_set(e, ENOTSUP, "%s: the container has no cgroup that can be frozen",
			       freeze ? "freeze" : "thaw");
	if (r == 0 && v1 && !(use_v2 && freeze))
		r = freeze_v1(v1, freeze, e);
	return r;
}

static ssize_t read_state(struct cg_dir *d, const char *file, const char *thawed, bool *frozen)
{
	char state[32];
	ssize_t n = cg_dir_fd(d);

	if (n >= 0)
		n = io_read_small(d->fd, file, state, sizeof(state));
	*frozen = n > 0 && !str_eq(state, thawed);
	return n == -ENOENT || n == -ENODEV ? 0 : n;
}

/* What is above counts for v1 only: so do other runtimes tell it. */
int cg_is_frozen(struct cg *cg, bool *frozen)
{
	struct cg_dir *v2 = cg_find_v2(cg), *v1 = cg_find_v1(cg, "freezer");
	ssize_t n = 0;

	*frozen = false;
	if (v2)
		n = read_state(v2, "cgroup.freeze", "0", frozen);
	if (n >= 0 && !*frozen && v1)
		n = read_state(v1, "freezer.state", "THAWED", frozen);
	return n < 0 ? (int)n : 0;
}

/* From here up to the root, which has no such file: a frozen one holds all below it. */
static int frozen_above(const struct cg_dir *d, char **where)
{
	AUTO_FREE char *dir = strdup(d->dir);
	size_t keep = strlen(d->hier->mount);

	if (!dir)
		return -ENOMEM;
	while (strlen(dir) > keep) {
		AUTO_FREE char *file = str_printf("%s/cgroup.freeze", dir);
		char state[8];

		if (!file)
			return -ENOMEM;
		if (io_read_small(AT_FDCWD, file, state, sizeof(state)) > 0 && str_eq(state, "1")) {
			*where = TAKE_PTR(dir);
			return 1;
		}
		*strrchr(dir, '/') = '\0';
	}
	return 0;
}

int cg_dir_frozen(struct cg_dir *d, char **where)
{
	bool frozen;
	int r;

	*where = NULL;
	if (d->hier->v2)
		return frozen_above(d, where);
	r = (int)read_state(d, "freezer.state", "THAWED", &frozen);
	if (r < 0 || !frozen)
		return r < 0 ? r : 0;
	*where = strdup(d->dir);
	return *where ? 1 : -ENOMEM;
}

int cg_check_thawed(struct cg *cg, struct err *e)
{
	struct cg_dir *of[] = { cg_find_v2(cg), cg_find_v1(cg, "freezer") };

	for (size_t i = 0; i < ARRAY_SIZE(of); i++) {
		AUTO_FREE char *where = NULL;
		int r = of[i] ? cg_dir_frozen(of[i], &where) : 0;

		if (r < 0)
			return err_sys(e, -r, "read the state of cgroup %s", of[i]->dir);
		if (r > 0)
			return err_set(e, EBUSY, "cgroup %s is frozen", where);
	}
	return 0;
}
