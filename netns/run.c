/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is a file in memory: it takes all at once, and a program that does not read it harms
 * nobody. What is waited for is the end of the process; then the pipes have what it wrote.
 */
#include "netns/run.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

enum { OUT, ERR, END, POLLED };

struct run {
	const struct run_request *q;
	struct run_result *r;
	size_t cap, err_len;
	struct pollfd fd[POLLED];
};

static void run_close(struct run *s)
{
	for (int i = 0; i < POLLED; i++)
		cleanup_close(&s->fd[i].fd);
}

void run_result_free(struct run_result *r)
{
	free(r->out);
	r->out = NULL;
}

static void __attribute__((noreturn))
child(const struct run_request *q, pid_t parent, int in, int out, int err)
{
	sigset_t none;

	/* Whoever comes to undo it must not be followed by what a program without us still does. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		_exit(127);
	/* Ours are close-on-exec, those of who called us need not be. */
	sys_close_range(3, ~0U, 0); /* since Linux 5.9; before that they stay */
	execve(q->path, q->argv, q->envp);
	_exit(127);
}

static int input(const struct run_request *q, struct err *e)
{
	AUTO_CLOSE int fd = q->in_fd ? fcntl(q->in_fd, F_DUPFD_CLOEXEC, 3)
				     : memfd_create("ctr-input", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	if (r == 0 && q->in)
		r = io_write_full(fd, q->in, q->in_len);
	if (r == 0 && !q->in_fd && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? err_sys(e, -r, "run %s: input", q->path) : TAKE_FD(fd);
}

static int ms_left(const struct timespec *end)
{
	struct timespec now;
	int64_t ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (int64_t)(end->tv_sec - now.tv_sec) * 1000 + (end->tv_nsec - now.tv_nsec) / 1000000;
	return ms < 0 ? 0 : (int)ms;
}

/* What is there now, to the end of the buffer's size. */
static int take_out(struct run *s)
{
	struct run_result *r = s->r;
	ssize_t n;

	if (s->cap - r->len < 2) {
		char *grown = realloc(r->out, s->cap ? s->cap * 2 : 4096);

		if (!grown)
			return -ENOMEM;
		r->out = grown;
		s->cap = s->cap ? s->cap * 2 : 4096;
	}
	n = read(s->fd[OUT].fd, r->out + r->len, s->cap - r->len - 1);
	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	r->len += (size_t)n;
	r->out[r->len] = '\0';
	return r->len > s->q->out_max ? -EFBIG : n > 0;
}

static int take_err(struct run *s)
{
	const size_t half = RUN_STDERR_KEPT / 2;
	char *buf = s->r->err;
	ssize_t n;

	if (s->err_len > half) {
		memmove(buf, buf + s->err_len - half, half);
		s->err_len = half;
	}
	n = read(s->fd[ERR].fd, buf + s->err_len, RUN_STDERR_KEPT - 1 - s->err_len);
	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	s->err_len += (size_t)n;
	buf[s->err_len] = '\0';
	return n > 0;
}

/* 1: more may come; 0: its end; -EAGAIN: nothing now. */
static int take(struct run *s, int i)
{
	int r = i == OUT ? take_out(s) : take_err(s);

	if (r == 0)
		cleanup_close(&s->fd[i].fd), s->fd[i].fd = -1;
	return r;
}

static int drain(struct run *s)
{
	int r = 0;

	for (int i = OUT; i <= ERR; i++) {
		while (s->fd[i].fd >= 0 && (r = take(s, i)) > 0)
			;
		if (r < 0 && r != -EAGAIN)
			return r;
	}
	return 0;
}

static int wait_end(struct run *s)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += s->q->seconds;
	for (;;) {
		int r = poll(s->fd, POLLED, ms_left(&end));

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : -ETIMEDOUT;
		if (s->fd[END].revents)
			return drain(s);
		for (int i = OUT; i <= ERR; i++) {
			r = s->fd[i].revents ? take(s, i) : 0;
			if (r < 0 && r != -EAGAIN)
				return r;
		}
	}
}

/* Ready to be polled: the pipes without blocking, the process by its descriptor. */
static int start(struct run *s, pid_t *pid, struct err *e)
{
	AUTO_CLOSE int in = input(s->q, e);
	AUTO_CLOSE int out = -1, err = -1;
	pid_t self;
	int p[2];

	if (in < 0)
		return in;
	for (int i = OUT; i <= ERR; i++) {
		if (pipe2(p, O_CLOEXEC) < 0 || fcntl(p[0], F_SETFL, O_NONBLOCK) < 0)
			return err_sys(e, errno, "run %s: pipe", s->q->path);
		s->fd[i].fd = p[0];
		*(i == OUT ? &out : &err) = p[1];
	}
	self = getpid();
	*pid = fork();
	if (*pid == 0)
		child(s->q, self, in, out, err);
	if (*pid < 0)
		return err_sys(e, errno, "run %s: fork", s->q->path);
	setpgid(*pid, *pid); /* whoever comes first: it must be so before it may be killed */
	s->fd[END].fd = sys_pidfd_open(*pid, 0);
	if (s->fd[END].fd < 0) {
		kill(-*pid, SIGKILL);
		waitpid(*pid, NULL, 0);
		return err_sys(e, -s->fd[END].fd, "run %s: pidfd", s->q->path);
	}
	return 0;
}

int run_program(const struct run_request *q, struct run_result *out, struct err *e)
{
	AUTO(run_close) struct run s = { .q = q, .r = out };
	pid_t pid = -1;
	int r;

	*out = (struct run_result){};
	for (int i = 0; i < POLLED; i++)
		s.fd[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	if (access(q->path, X_OK) < 0)
		return err_sys(e, errno, "run %s", q->path);
	r = start(&s, &pid, e);
	if (r < 0)
		return r;
	r = wait_end(&s);
	if (r < 0)
		kill(-pid, SIGKILL);
	while (waitpid(pid, &out->status, 0) < 0 && errno == EINTR)
		;
	while (s.err_len && strchr("\n\r ", out->err[s.err_len - 1]))
		out->err[--s.err_len] = '\0';
	if (r == -ETIMEDOUT)
		return err_set(e, ETIMEDOUT, "run %s: no end within %d s", q->path, q->seconds);
	return r < 0 ? err_sys(e, -r, "run %s: its output", q->path) : 0;
}
