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
		r = cg_wait_event(d->fd, "frozen", freeze, cg_now_ms() + CG_DEADLINE_MS);
	}
	if (r < 0 && freeze)
		io_write_file(d->fd, "cgroup.freeze", "0");
	return r < 0 ? failed(d, freeze, -r, e) : 0;
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

int cg_freeze(struct cg *cg, bool freeze, struct err *e)
{
	struct cg_dir *v2 = cg_find_v2(cg), *v1;

	if (v2_can_freeze(v2))
		return freeze_v2(v2, freeze, e);
	v1 = cg_find_v1(cg, "freezer");
	if (v1)
		return freeze_v1(v1, freeze, e);
	return err_set(e, ENOTSUP, "%s: the container has no cgroup that can be frozen",
		       freeze ? "freeze" : "thaw");
}

int cg_is_frozen(struct cg *cg, bool *frozen)
{
	struct cg_dir *d = cg_find_v2(cg);
	char state[32];
	ssize_t n;

	*frozen = false;
	if (v2_can_freeze(d)) {
		n = io_read_small(d->fd, "cgroup.freeze", state, sizeof(state));
		*frozen = n > 0 && str_eq(state, "1");
	} else {
		d = cg_find_v1(cg, "freezer");
		if (!d || cg_dir_fd(d) < 0)
			return 0;
		n = io_read_small(d->fd, "freezer.state", state, sizeof(state));
		*frozen = n > 0 && !str_eq(state, "THAWED");
	}
	return n < 0 && n != -ENOENT && n != -ENODEV ? (int)n : 0;
}
