/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Being told that a container is out of memory. cgroup v1: an eventfd registered for
 * memory.oom_control, which the removal of the cgroup triggers as well. cgroup v2: memory.events
 * can be polled; its oom_kill counts. systemd removes the cgroup of a scope as soon as its last
 * process has ended, and with it the number that says why: it is left in the cgroup above.
 */
#include "cgroups/cg_internal.h"
#include "cgroups/cg_stat.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum { REMOVAL_MS = 200 };

static int open_v1(struct cg_dir *d, struct cg_oom *o, struct err *e)
{
	AUTO_CLOSE int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	AUTO_CLOSE int control = openat(d->fd, "memory.oom_control", O_RDONLY | O_CLOEXEC);
	char text[32];
	int r;

	if (event < 0)
		return err_sys(e, errno, "eventfd");
	if (control < 0)
		return err_sys(e, errno, "open %s/memory.oom_control", d->dir);
	snprintf(text, sizeof(text), "%d %d", event, control);
	r = io_write_file(d->fd, "cgroup.event_control", text);
	if (r < 0)
		return err_sys(e, -r, "write %s/cgroup.event_control", d->dir);
	o->dir = strdup(d->dir);
	if (!o->dir)
		return err_sys(e, ENOMEM, "out-of-memory events");
	o->fd = TAKE_FD(event);
	o->events = EPOLLIN;
	return 0;
}

/* The counter, read through the polled descriptor: reading is what arms it again. */
static int read_kills(int fd, uint64_t *out)
{
	char buf[1024];
	const char *p;
	ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);

	if (n < 0)
		return -errno;
	buf[n] = '\0';
	p = strstr(buf, "\noom_kill ");
	if (!p)
		return -ENOENT;
	*out = strtoull(p + strlen("\noom_kill "), NULL, 10);
	return 0;
}

static void close_above(struct cg_oom *o)
{
	if (o->above_fd >= 0)
		close(o->above_fd);
	o->above_fd = -1;
}

static int open_v2(struct cg_dir *d, struct cg_oom *o, struct err *e)
{
	AUTO_CLOSE int fd = openat(d->fd, "memory.events", O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : read_kills(fd, &o->kills);

	if (r < 0)
		return err_sys(e, r == -ENOENT ? ENOTSUP : -r, "read %s/memory.events", d->dir);
	o->fd = TAKE_FD(fd);
	o->events = EPOLLPRI;
	o->v2 = true;
	o->above_fd = openat(d->fd, "../memory.events", O_RDONLY | O_CLOEXEC);
	if (o->above_fd >= 0 && read_kills(o->above_fd, &o->above) < 0)
		close_above(o);
	return 0;
}

/*
 * Above, the neighbours are counted too. What is there while ours can still be read is theirs, or
 * has been told: only what comes between the last look and the removal is taken for ours, and as
 * one, which is what a container ends of.
 */
static uint64_t count_v2(struct cg_oom *o)
{
	uint64_t before = o->kills, above = o->above;
	bool counted = o->above_fd >= 0 && read_kills(o->above_fd, &o->above) == 0;
	int r = read_kills(o->fd, &o->kills);

	if (r == -ENODEV) {
		close_above(o); /* what it counts from now on is not ours */
		return counted && o->above > above;
	}
	if (r < 0 || o->kills <= before)
		return 0;
	/* It may have happened between the two. */
	if (counted)
		read_kills(o->above_fd, &o->above);
	return o->kills - before;
}

int cg_oom_open(struct cg *cg, struct cg_oom *o, struct err *e)
{
	bool v2 = !cg_host_v1(&cg->host, "memory");
	struct cg_dir *d = v2 ? cg_find_v2(cg) : cg_find_v1(cg, "memory");
	int r = d ? cg_dir_fd(d) : -ENOTSUP;

	*o = (struct cg_oom)CG_OOM_INIT;
	if (!d)
		return err_set(e, ENOTSUP,
			       "out-of-memory events: the container has no memory cgroup");
	if (r < 0)
		return err_sys(e, -r, "open %s", d->dir);
	return v2 ? open_v2(d, o, e) : open_v1(d, o, e);
}

/*
 * The kernel tells of a removal from a worker of its own, a moment later: one event of a cgroup
 * that is gone is its last shortage when another one follows.
 */
static uint64_t without_removal(struct cg_oom *o, uint64_t n)
{
	struct pollfd p = { .fd = o->fd, .events = POLLIN };
	uint64_t more = 0;

	if (n == 1 && poll(&p, 1, REMOVAL_MS) > 0 && read(o->fd, &more, sizeof(more)) > 0)
		n += more;
	return n - 1;
}

uint64_t cg_oom_count(struct cg_oom *o)
{
	uint64_t n = 0;

	if (o->fd < 0)
		return 0;
	if (o->v2)
		return count_v2(o);
	if (read(o->fd, &n, sizeof(n)) != sizeof(n))
		return 0;
	return n > 0 && access(o->dir, F_OK) < 0 ? without_removal(o, n) : n;
}

void cg_oom_close(struct cg_oom *o)
{
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
	close_above(o);
	free(o->dir);
	o->dir = NULL;
}
