/* SPDX-License-Identifier: Apache-2.0 */
/* Commands on a running micro-VM but exec (vm_exec.c): a connection, a request, its answer. */
#include "vm_ops.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "base/sys.h"
#include "microvm/agent_client.h"
#include "oci/json_text.h"
#include "vm_connect.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>

enum {
	BACKLOG = 64,
	/* Well below what a command waits for the container's lock. */
	UPDATE_MS = 10000,
};

/* By the directory's descriptor: its path may be longer than a socket's name can be. */
static void address(int dir, struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(a->sun_path, sizeof(a->sun_path), "/proc/self/fd/%d/" VM_SOCKET, dir);
}

int vm_listen(int dir, struct err *e)
{
	AUTO_CLOSE int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a;
	mode_t mask;
	int r;

	address(dir, &a);
	if (s < 0)
		return err_sys(e, errno, "socket of the micro-VM");
	mask = umask(0177);
	r = bind(s, (struct sockaddr *)&a, sizeof(a));
	umask(mask);
	if (r < 0 || listen(s, BACKLOG) < 0)
		return err_sys(e, errno, "socket of the micro-VM");
	return TAKE_FD(s);
}

bool vm_stdin_is_ours(bool detached)
{
	return !isatty(STDIN_FILENO) || (!detached && tcgetpgrp(STDIN_FILENO) == getpgrp());
}

/* A listener whose queue is full makes connect wait: as long as a send may. */
static int limit_wait(int s, int ms)
{
	const struct timeval t = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	return setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

int vm_connect(int dir, const char *what, const char *id, int ms, struct agent_client *c,
	       struct err *e)
{
	AUTO_CLOSE int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t left, begin = sys_now_ms();
	struct sockaddr_un a;

	address(dir, &a);
	if (s < 0 || limit_wait(s, ms) < 0)
		return err_sys(e, errno, "%s %s: socket", what, id);
	if (connect(s, (struct sockaddr *)&a, sizeof(a)) < 0) {
		if (errno == ECONNREFUSED || errno == ENOENT)
			return err_set(e, ESRCH, "%s %s: container not running", what, id);
		if (errno == EAGAIN)
			return err_set(e, ETIMEDOUT, "%s %s: the micro-VM takes no commands", what,
				       id);
		return err_sys(e, errno, "%s %s: connect to its micro-VM", what, id);
	}
	left = begin + ms - sys_now_ms();
	return agent_client_open(c, TAKE_FD(s), left > 0 ? (int)left : 0, e);
}

int vm_awake(enum status status, const char *what, const char *id, struct err *e)
{
	if (status != STATUS_PAUSED)
		return 0;
	return err_set(e, EBUSY, "%s %s: the micro-VM is paused, its guest cannot answer", what,
		       id);
}

int vm_signal(int dir, const char *id, int sig, bool all, int ms, struct err *e)
{
	AUTO_AGENT_CLIENT struct agent_client c = AGENT_CLIENT_INIT;
	int r = vm_connect(dir, "kill", id, ms, &c, e);

	if (r == 0)
		r = agent_client_signal(&c, sig, all, e);
	return r;
}

static int ask(int dir, const char *id, enum agent_type what, const char *word, const char *text,
	       size_t len, char **reply, struct err *e)
{
	AUTO_AGENT_CLIENT struct agent_client c = AGENT_CLIENT_INIT;
	int ms = what == AGENT_UPDATE ? UPDATE_MS : AGENT_CLIENT_MS;
	int r = vm_connect(dir, word, id, ms, &c, e);

	return r == 0 ? agent_client_ask(&c, what, text, len, reply, e) : r;
}

int vm_ps(int dir, const char *id, char **text, struct err *e)
{
	int r = ask(dir, id, AGENT_PS, "ps", NULL, 0, text, e);

	/* Line by line: what a program calls itself goes to somebody's terminal. */
	for (char *p = r == 0 ? *text : NULL; p && *p; p += *p == '\n') {
		size_t n = strcspn(p, "\n");

		str_clean(p, n, '?');
		p += n;
	}
	return r;
}

int vm_update(int dir, const char *id, const char *text, size_t len, struct err *e)
{
	return ask(dir, id, AGENT_UPDATE, "update", text, len, NULL, e);
}

int vm_stats(int dir, const char *id, struct json_out *j, struct err *e)
{
	AUTO_FREE char *text = NULL;
	int r = ask(dir, id, AGENT_STATS, "events", NULL, 0, &text, e);

	if (r < 0)
		return r;
	/* The guest says the numbers, not whose they are. */
	json_out_object(j);
	json_out_kstr(j, "type", "stats");
	json_out_kstr(j, "id", id);
	json_out_key(j, "data");
	r = json_text_member(j, "the guest's numbers", text, strlen(text), "data", e);
	json_out_end_object(j);
	return r;
}

/* ---- events ---- */

static int emit_stats(int dir, const char *id, const struct events_opts *o, struct err *e)
{
	AUTO(json_out_free) struct json_out j = {};
	int r = vm_stats(dir, id, &j, e);

	return r == 0 ? o->fn(o->arg, &j, e) : r;
}

static int emit_oom(const char *id, const struct events_opts *o, struct err *e)
{
	AUTO(json_out_free) struct json_out j = {};

	json_out_object(&j);
	json_out_kstr(&j, "type", "oom");
	json_out_kstr(&j, "id", id);
	json_out_end_object(&j);
	if (j.buf.failed)
		return err_sys(e, ENOMEM, "events %s", id);
	return o->fn(o->arg, &j, e);
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

/* 1: the machine has ended. */
static int on_event(struct agent_client *c, const char *id, const struct events_opts *o,
		    struct err *e)
{
	int n = agent_client_event(c, e), r = 0;

	if (n == -ECONNRESET)
		return 1;
	for (; n > 0 && r == 0; n--)
		r = emit_oom(id, o, e);
	return n < 0 ? n : r;
}

static bool asleep(struct cg *cg)
{
	bool is = false;

	return cg && cg_is_frozen(cg, &is) == 0 && is;
}

/*
 * A container that ends meanwhile is no failure: the end is seen next. Nor is a guest that has no
 * answer this time: it was paused in between, or hangs, or its machine is asked for too much.
 */
static int on_tick(int dir, const char *id, struct cg *cg, const struct events_opts *o,
		   struct err *e)
{
	struct err mine;
	int r = asleep(cg) ? 0 : emit_stats(dir, id, o, &mine);

	if (r == -ESRCH || r == -ECONNRESET || r == -EBUSY || r == -ETIMEDOUT || r == -EAGAIN)
		return 0;
	if (r < 0)
		*e = mine;
	return r;
}

int vm_events(int dir, const char *id, struct cg *cg, const struct events_opts *o, struct err *e)
{
	AUTO_AGENT_CLIENT struct agent_client c = AGENT_CLIENT_INIT;
	AUTO_CLOSE int timer = -1;
	int r;

	if (o->stats)
		return emit_stats(dir, id, o, e);
	r = vm_connect(dir, "events", id, AGENT_CLIENT_MS, &c, e);
	if (r == 0)
		r = agent_client_events(&c, e);
	if (r == 0)
		r = timer = make_timer(o->interval, e);
	while (r >= 0) {
		struct pollfd p[2] = { { .fd = timer, .events = POLLIN },
				       { .fd = c.link.fd, .events = POLLIN } };
		uint64_t ticks;

		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents && (r = on_event(&c, id, o, e)) != 0)
			return r < 0 ? r : 0;
		if (p[0].revents && read(timer, &ticks, sizeof(ticks)) == sizeof(ticks))
			r = on_tick(dir, id, cg, o, e);
	}
	return r;
}
