/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three processes: the test plays the user, a child of it the supervisor with the user's stdin and
 * stdout, a child of that the payload, with or without a pty of its own.
 */
#ifndef CTR_TEST_RIG_H
#define CTR_TEST_RIG_H

#include "runtime/supervise.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "runtime/console.h"
#include "runtime/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define STOPPED_WRONG 240 /* exit status of a supervisor that failed */

struct rig {
	pid_t sup;
	int in, out; /* the user's ends; the same fd when the user has a terminal */
};

static inline int failed(const char *what)
{
	fprintf(stderr, "supervisor: %s\n", what);
	return STOPPED_WRONG;
}

static inline pid_t start_payload(int (*fn)(void), int master, int slave)
{
	pid_t pid = fork();
	struct err e = {};

	if (pid != 0)
		return pid;
	process_reset_signals();
	setsid();
	if (slave >= 0) {
		close(master);
		if (console_adopt(slave, NULL, 0, &e) < 0)
			_exit(99);
		close(slave);
	}
	_exit(fn());
}

/* The supervisor's whole life; its exit status is the payload's. */
static inline int supervise(int (*fn)(void), bool tty)
{
	struct supervise s = { .master = -1 };
	struct termios settings = {}, settings_now = {};
	int slave = -1, status = -1;
	sigset_t before, after;
	struct err e = {};

	/* Looked at here, because the terminal is reset when the leader of its session ends. */
	tcgetattr(0, &settings);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (tty && openpty(&s.master, &slave, NULL, NULL, NULL) < 0)
		return failed("openpty");
	sigemptyset(&before);
	sigaddset(&before, SIGUSR2);
	sigprocmask(SIG_SETMASK, &before, NULL);
	signal(SIGCHLD, SIG_IGN); /* as a careless caller leaves it */
	if (supervise_block(&e) < 0)
		return failed(e.msg);
	s.pid = start_payload(fn, s.master, slave);
	s.pidfd = sys_pidfd_open(s.pid, 0);
	if (slave >= 0)
		close(slave);
	if (supervise_wait(&s, &status, &e) < 0)
		return failed(e.msg);
	tcgetattr(0, &settings_now);
	if (memcmp(&settings, &settings_now, sizeof(settings)) != 0)
		return failed("terminal not restored");
	sigprocmask(SIG_SETMASK, NULL, &after);
	if (!sigismember(&after, SIGUSR2) || !sigismember(&after, SIGTERM))
		return failed("signals not blocked until the end");
	if (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD)
		return failed("a child was left");
	if (fcntl(0, F_GETFL) & O_NONBLOCK || fcntl(1, F_GETFL) & O_NONBLOCK)
		return failed("the user's descriptors were changed");
	return status;
}

static inline void rig_start(struct rig *r, int in, int out, int (*fn)(void), bool tty)
{
	r->sup = fork();
	assert_true(r->sup >= 0);
	if (r->sup == 0) {
		if (in >= 0 && (dup2(in, 0) < 0 || dup2(out, 1) < 0))
			_exit(STOPPED_WRONG);
		sys_close_range(3, ~0U, 0);
		_exit(supervise(fn, tty));
	}
}

/* stdin and stdout are pipes. */
static inline struct rig rig_pipes(int (*fn)(void), bool tty)
{
	struct rig r;
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	rig_start(&r, in[0], out[1], fn, tty);
	close(in[0]);
	close(out[1]);
	r.in = in[1];
	r.out = out[0];
	return r;
}

static inline int rig_end(struct rig *r)
{
	int status;

	assert_int_equal(waitpid(r->sup, &status, 0), r->sup);
	if (r->in >= 0)
		close(r->in);
	if (r->out >= 0 && r->out != r->in)
		close(r->out);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), STOPPED_WRONG);
	return WEXITSTATUS(status);
}

/* Reads until text has come. */
static inline void expect(int fd, const char *text)
{
	char buf[4096];
	size_t n = 0;

	while (n < sizeof(buf) - 1) {
		ssize_t k = read(fd, buf + n, sizeof(buf) - 1 - n);

		buf[n + (k > 0 ? (size_t)k : 0)] = '\0';
		if (strstr(buf, text))
			return;
		if (k <= 0)
			break;
		n += (size_t)k;
	}
	fail_msg("wanted \"%s\", have \"%s\"", text, buf);
}

/* A payload that tells every signal that it gets, until SIGUSR2. */
static inline int lists_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	dprintf(1, "ready\n");
	for (;;) {
		int sig = sigwaitinfo(&all, NULL);

		dprintf(1, "<%d>\n", sig);
		if (sig == SIGUSR2)
			return 11;
	}
}

#endif
