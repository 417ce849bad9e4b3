/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hook is somebody else's program that may hang, never read its stdin, fill its stderr, or leave
 * a daemon behind which keeps the pipes open. So: stdin is a memfd (nothing to block on), both
 * outputs are read while it runs and only their ends kept, and the end is told by its pidfd, not by
 * EOF.
 */
#include "runtime/hooks.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/sys.h"
#include "oci/names.h"
#include "runtime/ending.h"
#include "runtime/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TAIL_MAX 1024
#define KILL_WAIT_MS 10000 /* for a process that is stuck in the kernel */

/* The end of what came through a pipe. */
struct tail {
	int fd;
	int copy; /* where all of it goes too; 0: nowhere */
	size_t len;
	char text[TAIL_MAX];
};

struct hook_run {
	pid_t pid;
	int pidfd;
	int failed; /* says why it is not executed: an errno */
	struct tail out, err;
};

/* What else ends the wait for a hook. */
struct watch {
	struct ending ending;
	int init; /* a pidfd, borrowed, or -1 */
	int sig;  /* the one that came */
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void tail_add(struct tail *t, const char *buf, size_t n)
{
	if (n >= TAIL_MAX) {
		memcpy(t->text, buf + n - TAIL_MAX, TAIL_MAX);
		t->len = TAIL_MAX;
		return;
	}
	if (t->len + n > TAIL_MAX) {
		size_t drop = t->len + n - TAIL_MAX;

		memmove(t->text, t->text + drop, t->len - drop);
		t->len -= drop;
	}
	memcpy(t->text + t->len, buf, n);
	t->len += n;
}

/* Reads what is there, at most rounds buffers; at end of file the fd is closed. */
static void tail_read(struct tail *t, int rounds)
{
	char buf[4096];

	while (t->fd >= 0 && rounds-- > 0) {
		ssize_t n = read(t->fd, buf, sizeof(buf));

		if (n > 0) {
			tail_add(t, buf, (size_t)n);
			/* A log that is full must not end the container. */
			if (t->copy > 0 && io_write_full(t->copy, buf, (size_t)n) < 0)
				t->copy = 0;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		close(t->fd);
		t->fd = -1;
	}
}

static void hook_run_release(struct hook_run *h)
{
	cleanup_close(&h->pidfd);
	cleanup_close(&h->failed);
	cleanup_close(&h->out.fd);
	cleanup_close(&h->err.fd);
}

static int make_stdin(const char *text)
{
	AUTO_CLOSE int fd = memfd_create("state", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = io_write_full(fd, text, strlen(text));
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* A pipe whose read end, *fd, never blocks. The write end or -errno. */
static int make_pipe(int *fd)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	*fd = p[0];
	if (fcntl(p[0], F_SETFL, O_NONBLOCK) < 0) {
		close(p[1]);
		return -errno;
	}
	return p[1];
}

/* Moves fd out of 0..2, where setting up the child's would overwrite it. */
static int above_stdio(int fd)
{
	int moved;

	if (fd < 0 || fd > 2)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	close(fd);
	return moved < 0 ? -errno : moved;
}

struct child {
	const struct spec_hook *hook;
	char *const *env;
	int dir; /* or -1 */
	int in, out, err, failed;
	pid_t parent;
};

/* An errno, when it comes back. */
static int child_exec(const struct child *c)
{
	static char *const no_env[] = { NULL };
	char *const only_path[] = { c->hook->path, NULL };
	pid_t parent;
	int r;

	/* Whoever comes to undo it must not be followed by what a hook without us still does. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	parent = getppid();
	/* 0: it is in another pid namespace; -1: a seccomp profile forbids to ask. */
	if (parent > 0 && parent != c->parent)
		return ECANCELED;
	setpgid(0, 0);
	if (c->dir >= 0 && fchdir(c->dir) < 0)
		return errno;
	if (dup2(c->in, 0) < 0 || dup2(c->out, 1) < 0 || dup2(c->err, 2) < 0)
		return errno;
	r = process_cloexec_from(3);
	if (r < 0)
		return -r;
	process_reset_signals();
	execve(c->hook->path, c->hook->args.n ? c->hook->args.v : only_path, c->env ?: no_env);
	return errno;
}

static _Noreturn void child_main(const struct child *c)
{
	int code = child_exec(c);

	io_write_full(c->failed, &code, sizeof(code));
	_exit(127);
}

/* 0, or why the hook, which has ended, was not executed. */
static int exec_failure(const struct hook_run *h)
{
	int code = 0;

	return read(h->failed, &code, sizeof(code)) == sizeof(code) ? code : 0;
}

/* It is not waited for its execve, which may take as long as the file system below it likes. */
static int hook_spawn(const struct spec_hook *hook, const char *state_json, char *const *env,
		      int dir, struct hook_run *h)
{
	AUTO_CLOSE int in = above_stdio(make_stdin(state_json));
	AUTO_CLOSE int out = in < 0 ? in : above_stdio(make_pipe(&h->out.fd));
	AUTO_CLOSE int err = out < 0 ? out : above_stdio(make_pipe(&h->err.fd));
	AUTO_CLOSE int failed = err < 0 ? err : above_stdio(make_pipe(&h->failed));
	struct child c = {
		.hook = hook,
		.env = hook->env.n ? hook->env.v : env,
		.dir = dir,
		.in = in,
		.out = out,
		.err = err,
		.failed = failed,
		.parent = getpid(),
	};

	if (failed < 0)
		return failed;
	h->pid = fork();
	if (h->pid == 0)
		child_main(&c);
	if (h->pid < 0)
		return -errno;
	setpgid(h->pid, h->pid); /* whoever comes first: it must be so before it may be killed */
	/* Not yet waited for, so the pid cannot be anybody else's. */
	h->pidfd = sys_pidfd_open(h->pid, 0);
	if (h->pidfd < 0) {
		kill(-h->pid, SIGKILL);
		waitpid(h->pid, NULL, 0);
		return h->pidfd;
	}
	return 0;
}

/*
 * Waits for the end, reading the outputs. 0, -ETIMEDOUT at the deadline (ms; -1: none), -EINTR and
 * -EPIPE for what w watches (NULL: nothing), or -errno.
 */
static int hook_wait(struct hook_run *h, int64_t deadline, struct watch *w)
{
	for (;;) {
		struct pollfd p[] = {
			{ .fd = h->pidfd, .events = POLLIN },
			{ .fd = h->out.fd, .events = POLLIN },
			{ .fd = h->err.fd, .events = POLLIN },
			{ .fd = w ? w->ending.fd : -1, .events = POLLIN },
			{ .fd = w ? w->init : -1, .events = POLLIN },
		};
		int64_t left = deadline < 0 ? -1 : deadline - now_ms();

		if (deadline >= 0 && left <= 0)
			return -ETIMEDOUT;
		if (poll(p, ARRAY_SIZE(p), left > INT_MAX ? INT_MAX : (int)left) < 0 &&
		    errno != EINTR)
			return -errno;
		/* At the end a full pipe of each: what the hook itself has written is then read. */
		tail_read(&h->out, p[0].revents ? 256 : 1);
		tail_read(&h->err, p[0].revents ? 256 : 1);
		if (p[0].revents)
			return 0;
		if (p[3].revents && (w->sig = ending_taken(&w->ending)))
			return -EINTR;
		if (p[4].revents)
			return -EPIPE;
	}
}

/* Takes the exit status, so that no zombie stays. */
static int hook_reap(struct hook_run *h, int *status)
{
	pid_t pid;

	do
		pid = waitpid(h->pid, status, 0);
	while (pid < 0 && errno == EINTR);
	return pid < 0 ? -errno : 0;
}

/* The last words of the hook: of stderr, or of stdout when that is silent; terminated in buf. */
static const char *last_words(const struct hook_run *h, char buf[TAIL_MAX + 3])
{
	const struct tail *t = h->err.len ? &h->err : &h->out;
	size_t from = 0, to = t->len;

	while (to > 0 && strchr(" \t\r\n", t->text[to - 1]))
		to--;
	while (from < to && strchr(" \t\r\n", t->text[from]))
		from++;
	if (from == to)
		return "";
	memcpy(buf, ": ", 2);
	memcpy(buf + 2, t->text + from, to - from);
	buf[2 + to - from] = '\0';
	return buf;
}

static int judge(const struct hook_run *h, const char *path, int status, struct err *e)
{
	char words[TAIL_MAX + 3];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return err_set(e, EIO, "%s: killed by signal %d (%s)%s", path, WTERMSIG(status),
			       sigabbrev_np(WTERMSIG(status)) ?: "real-time", last_words(h, words));
	return err_set(e, EIO, "%s: exit status %d%s", path, WEXITSTATUS(status),
		       last_words(h, words));
}

/* Why the wait for a hook, which is killed now, ended before it. */
static int give_up(struct hook_run *h, const struct spec_hook *hook, int why, const struct watch *w,
		   struct err *e)
{
	char words[TAIL_MAX + 3];
	int status;

	kill(-h->pid, SIGKILL);
	if (hook_wait(h, now_ms() + KILL_WAIT_MS, NULL) == 0)
		hook_reap(h, &status);
	switch (why) {
	case -ETIMEDOUT:
		return err_set(e, ETIMEDOUT, "%s: timed out after %lld s%s", hook->path,
			       (long long)hook->timeout.v, last_words(h, words));
	case -EINTR:
		return err_set(e, EINTR, "%s: interrupted by signal %d (%s)%s", hook->path, w->sig,
			       sigabbrev_np(w->sig), last_words(h, words));
	case -EPIPE:
		return err_set(e, EPIPE, "%s: container init was killed while it ran%s", hook->path,
			       last_words(h, words));
	default:
		return err_sys(e, -why, "%s: wait", hook->path);
	}
}

static int run_one(const struct spec_hooks *all, const struct spec_hook *hook,
		   const char *state_json, char *const *env, int dir, struct watch *w,
		   struct err *e)
{
	__attribute__((cleanup(hook_run_release))) struct hook_run h = {
		.pidfd = -1,
		.failed = -1,
		.out = { .fd = -1, .copy = all->out_fd },
		.err = { .fd = -1, .copy = all->err_fd },
	};
	int64_t deadline = -1;
	int r, status;

	/* Beyond some ten million years the sum would overflow. */
	if (hook->timeout.set && hook->timeout.v < INT64_MAX / 2000)
		deadline = now_ms() + hook->timeout.v * 1000;
	r = hook_spawn(hook, state_json, env, dir, &h);
	if (r < 0)
		return err_sys(e, -r, "%s", hook->path);
	r = hook_wait(&h, deadline, w);
	if (r < 0)
		return give_up(&h, hook, r, w, e);
	r = hook_reap(&h, &status);
	if (r < 0)
		return err_sys(e, -r, "%s: read the exit status", hook->path);
	r = exec_failure(&h);
	return r ? err_sys(e, r, "%s", hook->path) : judge(&h, hook->path, status, e);
}

/* With SIGCHLD ignored (as some callers leave it) the kernel would throw the exit status away. */
static void keep_exit_statuses(void)
{
	struct sigaction sa;

	if (sigaction(SIGCHLD, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN)
		signal(SIGCHLD, SIG_DFL);
}

static int open_output(const char *path, const char *key, int *out, struct err *e)
{
	int fd;

	if (!path)
		return 0;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
	fd = fd < 0 ? -errno : above_stdio(fd);
	if (fd < 0)
		return err_sys(e, -fd, "annotations[\"run.oci.hooks.%s\"]: open %s", key, path);
	*out = fd;
	return 0;
}

int hooks_open_output(struct spec_hooks *h, const struct annotations *n, struct err *e)
{
	int r = open_output(n->hooks_stdout, "stdout", &h->out_fd, e);

	return r < 0 ? r : open_output(n->hooks_stderr, "stderr", &h->err_fd, e);
}

void hooks_close_output(struct spec_hooks *h)
{
	int *fds[] = { &h->out_fd, &h->err_fd };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] > 0)
			close(*fds[i]);
		*fds[i] = 0;
	}
}

/*
 * startContainer hooks are in the container, where that directory is not. A bundle may be gone by
 * now.
 */
static int open_dir(const struct spec_hooks *h, enum hook_kind kind)
{
	if (!h->dir || kind == HOOK_START_CONTAINER)
		return -1;
	return above_stdio(open(h->dir, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

static void watch_close(struct watch *w)
{
	ending_close(&w->ending);
}

/* The container's init runs these. */
static bool in_container(enum hook_kind kind)
{
	return kind == HOOK_CREATE_CONTAINER || kind == HOOK_START_CONTAINER;
}

static int run_nth(const struct spec_hooks *h, enum hook_kind kind, size_t i,
		   const char *state_json, char *const *env, struct watch *w, struct err *e)
{
	AUTO_CLOSE int dir = open_dir(h, kind);
	int r = run_one(h, &h->kind[kind].v[i], state_json, env, dir, w, e);

	if (r < 0)
		err_wrap(e, "error running %s hook #%zu", table_name(&names_hooks, kind), i);
	return r;
}

int hooks_run(const struct spec_hooks *h, enum hook_kind kind, const char *state_json,
	      char *const *env, int init, struct err *e)
{
	AUTO(watch_close) struct watch w = { .ending = ENDING_INIT, .init = init };
	int r = 0;

	if (!h->kind[kind].n)
		return 0;
	keep_exit_statuses();
	if (!in_container(kind))
		r = ending_watch(&w.ending, e);
	for (size_t i = 0; i < h->kind[kind].n && r == 0; i++)
		r = run_nth(h, kind, i, state_json, env, &w, e);
	return r;
}

void hooks_run_all(const struct spec_hooks *h, enum hook_kind kind, const char *state_json)
{
	AUTO(watch_close) struct watch w = { .ending = ENDING_INIT, .init = -1 };
	struct err e = {};

	if (!h->kind[kind].n)
		return;
	keep_exit_statuses();
	if (ending_watch(&w.ending, &e) < 0)
		log_warn("%s", e.msg);
	while (ending_taken(&w.ending))
		;
	for (size_t i = 0; i < h->kind[kind].n; i++) {
		e = (struct err){};
		if (run_nth(h, kind, i, state_json, NULL, &w, &e) < 0)
			log_warn("%s", e.msg);
	}
}
