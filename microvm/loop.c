/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { EVENTS = 16 };

static int ctl(struct loop *l, int op, int fd, uint32_t events, void *ptr)
{
	struct epoll_event ev = { .events = events, .data.ptr = ptr };

	return epoll_ctl(l->epoll, op, fd, &ev) < 0 ? -errno : 0;
}

static void close_all(struct loop *l)
{
	if (l->epoll >= 0)
		close(l->epoll);
	if (l->quit >= 0)
		close(l->quit);
	l->epoll = l->quit = -1;
}

int loop_init(struct loop *l, const char *name, struct err *e)
{
	int r;

	*l = (struct loop)LOOP_INIT;
	snprintf(l->name, sizeof(l->name), "%s", name);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0)
		return err_sys(e, errno, "event loop: epoll_create1");
	l->quit = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* Its pointer is NULL: the one watch that is the loop's own. */
	r = l->quit < 0 ? -errno : ctl(l, EPOLL_CTL_ADD, l->quit, EPOLLIN, NULL);
	if (r < 0) {
		close_all(l);
		return err_sys(e, -r, "event loop: eventfd");
	}
	return 0;
}

int loop_add(struct loop *l, int fd, uint32_t events, struct loop_watch *w)
{
	return ctl(l, EPOLL_CTL_ADD, fd, events, w);
}

int loop_mod(struct loop *l, int fd, uint32_t events, struct loop_watch *w)
{
	return ctl(l, EPOLL_CTL_MOD, fd, events, w);
}

int loop_del(struct loop *l, int fd)
{
	return ctl(l, EPOLL_CTL_DEL, fd, 0, NULL);
}

static void *run(void *arg)
{
	struct loop *l = arg;
	struct epoll_event ev[EVENTS];

	prctl(PR_SET_NAME, l->name);
	for (;;) {
		int n = epoll_wait(l->epoll, ev, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			struct loop_watch *w = ev[i].data.ptr;

			if (!w)
				return NULL;
			w->fn(w, ev[i].events);
		}
	}
}

int loop_start(struct loop *l, struct err *e)
{
	sigset_t all, old;
	int r;

	/* Signals are for the thread that has a loop for them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&l->thread, NULL, run, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r)
		return err_sys(e, r, "event loop: create the thread %s", l->name);
	l->running = true;
	return 0;
}

int loop_stop(struct loop *l, const struct timespec *deadline)
{
	const uint64_t one = 1;

	if (l->running) {
		if (write(l->quit, &one, sizeof(one)) < 0)
			return -errno;
		if (pthread_clockjoin_np(l->thread, NULL, CLOCK_MONOTONIC, deadline) != 0)
			return -ETIMEDOUT;
	}
	l->running = false;
	close_all(l);
	return 0;
}
