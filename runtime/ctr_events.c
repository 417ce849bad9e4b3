/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `events`: three things are waited for at once, by descriptor: the interval's timer, the kernel's
 * word that the container is out of memory, and the end of its init. Nothing is asked in between.
 */
#include "ctr.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "container.h"
#include "proc.h"
#include "stats.h"
#include "transition.h"
#include "vm_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#define NET_DEV_MAX ((size_t)4 << 20)

enum { MACHINE_END_MS = 5000 };

struct events {
	const char *id;
	const struct events_opts *o;
	struct cg *cg;
	pid_t pid;
	bool own_network;
	struct cg_oom oom;
};

enum { ON_TIMER, ON_OOM, ON_OOM_ABOVE, ON_END, ON_COUNT };

/* Its own interfaces only: those of the host are no numbers of the container. */
static char *net_dev(const struct events *v)
{
	char path[48], *text = NULL;

	if (!v->own_network)
		return NULL;
	snprintf(path, sizeof(path), "/proc/%d/net/dev", (int)v->pid);
	return io_read_file(AT_FDCWD, path, NET_DEV_MAX, &text, NULL) < 0 ? NULL : text;
}

static int finish(const struct events *v, struct json_out *j, struct err *e)
{
	json_out_end_object(j);
	if (j->buf.failed)
		return err_sys(e, ENOMEM, "events %s", v->id);
	return v->o->fn(v->o->arg, j, e);
}

static void begin(const struct events *v, struct json_out *j, const char *type)
{
	json_out_object(j);
	json_out_kstr(j, "type", type);
	json_out_kstr(j, "id", v->id);
}

static int emit_oom(const struct events *v, struct err *e)
{
	AUTO(json_out_free) struct json_out j = {};

	begin(v, &j, "oom");
	return finish(v, &j, e);
}

static int emit_stats(const struct events *v, struct err *e)
{
	AUTO(json_out_free) struct json_out j = {};
	AUTO_FREE char *net = net_dev(v);
	struct cg_stat st;
	int r = cg_stat_read(v->cg, &st, e);

	if (r < 0)
		return r;
	begin(v, &j, "stats");
	json_out_key(&j, "data");
	stats_out(&j, &st, net);
	cg_stat_free(&st);
	return finish(v, &j, e);
}

static int make_timer(int64_t ns, struct err *e)
{
	const struct timespec t = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	const struct itimerspec every = { .it_interval = t, .it_value = t };
	AUTO_CLOSE int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0 || timerfd_settime(fd, 0, &every, NULL) < 0)
		return err_sys(e, errno, "timer");
	return TAKE_FD(fd);
}

static int watch(int ep, int fd, uint32_t events, int what, struct err *e)
{
	struct epoll_event ev = { .events = events, .data.u32 = (uint32_t)what };

	return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0 ? err_sys(e, errno, "epoll_ctl") : 0;
}

static int watch_all(int ep, const struct events *v, int timer, int pidfd, struct err *e)
{
	int r = watch(ep, timer, EPOLLIN, ON_TIMER, e);

	if (r == 0)
		r = watch(ep, pidfd, EPOLLIN, ON_END, e);
	if (r == 0 && v->oom.fd >= 0)
		r = watch(ep, v->oom.fd, v->oom.events, ON_OOM, e);
	/* A neighbour's shortage, to know at the end that it was not ours. */
	if (r == 0 && v->oom.above_fd >= 0)
		r = watch(ep, v->oom.above_fd, v->oom.events, ON_OOM_ABOVE, e);
	return r;
}

/* A container that ends while its numbers are read is no failure; the end is seen next. */
static int on_timer(const struct events *v, int timer, int pidfd, struct err *e)
{
	struct err mine;
	uint64_t ticks;
	int r;

	if (read(timer, &ticks, sizeof(ticks)) != sizeof(ticks))
		return 0;
	r = emit_stats(v, &mine);
	if (r < 0 && proc_wait_end(pidfd, 0) == 0)
		return 0;
	if (r < 0)
		*e = mine;
	return r;
}

static int on_oom(struct events *v, struct err *e)
{
	uint64_t n = cg_oom_count(&v->oom);
	int r = 0;

	for (; n > 0 && r == 0; n--)
		r = emit_oom(v, e);
	return r;
}

static int loop(struct events *v, int ep, int timer, int pidfd, struct err *e)
{
	for (;;) {
		struct epoll_event ev[ON_COUNT];
		bool end = false;
		int n = epoll_wait(ep, ev, ON_COUNT, -1), r = 0;

		if (n < 0 && errno != EINTR)
			return err_sys(e, errno, "epoll_wait");
		for (int i = 0; i < n && r == 0; i++) {
			if (ev[i].data.u32 == ON_TIMER)
				r = on_timer(v, timer, pidfd, e);
			end |= ev[i].data.u32 == ON_END;
		}
		/* Asked each time, and last: what killed init may be told after its end. */
		if (r == 0 && n > 0)
			r = on_oom(v, e);
		if (r != 0 || end)
			return r;
	}
}

static int stream(struct events *v, int pidfd, struct err *e)
{
	AUTO_CLOSE int timer = make_timer(v->o->interval, e);
	AUTO_CLOSE int ep = epoll_create1(EPOLL_CLOEXEC);
	struct err none;
	int r;

	if (timer < 0)
		return timer;
	if (ep < 0)
		return err_sys(e, errno, "epoll_create1");
	if (cg_oom_open(v->cg, &v->oom, &none) < 0)
		log_warn("events %s: %s", v->id, none.msg);
	r = watch_all(ep, v, timer, pidfd, e);
	if (r == 0)
		r = loop(v, ep, timer, pidfd, e);
	cg_oom_close(&v->oom);
	return r;
}

static int own_network(const struct container_ref *c, bool *own, struct err *e)
{
	AUTO_SPEC struct spec *spec = NULL;
	int r = store_read_config(c->dir, &spec, e);

	if (r == 0)
		*own = spec->linux_.ns[NS_NETWORK].wanted;
	return r;
}

/* The stream ends with the guest, and the container with the machine: a moment later. */
static int machine_events(const struct container_ref *c, const char *id,
			  const struct events_opts *o, struct err *e)
{
	AUTO_CLOSE int pidfd = proc_pidfd(c->st->pid, c->st->pid_start);
	AUTO_CG struct cg *cg = NULL;
	int r = container_cgroup(c->st, &cg, e);

	if (r == 0)
		r = vm_events(c->dir, id, cg, o, e);

	if (r == 0 && !o->stats && pidfd >= 0)
		proc_wait_end(pidfd, MACHINE_END_MS);
	return r;
}

int ctr_events(const struct ctr_global *g, const char *id, const struct events_opts *o,
	       struct err *e)
{
	AUTO_CONTAINER struct container_ref c = CONTAINER_REF_INIT;
	struct events v = { .id = id, .o = o, .oom = CG_OOM_INIT };
	AUTO_CLOSE int pidfd = -1;
	AUTO_CG struct cg *cg = NULL;
	int r = container_open(&c, g, id, false, e);

	if (r == 0)
		r = transition_check(CMD_EVENTS, id, c.status, e);
	if (r == 0 && container_is_machine(c.st) && o->stats)
		r = vm_awake(c.status, "events", id, e);
	if (r == 0 && container_is_machine(c.st))
		return machine_events(&c, id, o, e);
	if (r == 0)
		r = container_cgroup(c.st, &cg, e);
	if (r == 0)
		r = own_network(&c, &v.own_network, e);
	if (r < 0)
		return r;
	if (!cg)
		return err_set(e, ENOTSUP, "events %s: the container has no cgroup", id);
	v.cg = cg;
	v.pid = c.st->pid;
	pidfd = proc_pidfd(c.st->pid, c.st->pid_start);
	if (pidfd < 0)
		return err_set(e, ESRCH, "events %s: container not running", id);
	return o->stats ? emit_stats(&v, e) : stream(&v, pidfd, e);
}
