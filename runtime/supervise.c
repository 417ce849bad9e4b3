/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/supervise.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/ending.h"
#include "runtime/notify.h"
#include "runtime/relay.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Output that is still taken after the end, when other processes of the terminal never stop
 * writing.
 */
#define ROUNDS_AFTER_END 64

enum { TAG_SIGNAL, TAG_CHILD, TAG_TERMINAL, TAG_NOTIFY };

struct watcher {
	struct supervise *s;
	int epfd, sigfd;
	struct relay relay;
	bool tty;   /* relay is in use */
	bool ended; /* status is known */
	/* a signal asked us to end while the last output waits for the user's terminal */
	bool give_up;
	int status;
};

static void forwarded_set(sigset_t *set)
{
	/* Blocked ones that the kernel raises for a fault of our own kill us all the same. */
	sigfillset(set);
	sigdelset(set, SIGKILL);
	sigdelset(set, SIGSTOP);
}

int supervise_block(struct err *e)
{
	struct sigaction sa;
	sigset_t set;

	forwarded_set(&set);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys(e, errno, "block signals");
	/*
	 * With SIGCHLD ignored (as some callers leave it) there would be no exit status to wait
	 * for.
	 */
	if (sigaction(SIGCHLD, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN)
		signal(SIGCHLD, SIG_DFL);
	return 0;
}

int supervise_await(int fd, const char *what, struct err *e)
{
	AUTO_ENDING struct ending w = ENDING_INIT;
	int r = ending_watch(&w, e), sig;

	if (r < 0)
		return r;

	struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = w.fd, .events = POLLIN } };

	do
		r = poll(p, ARRAY_SIZE(p), -1);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(e, errno, "wait until %s", what);
	sig = p[0].revents ? 0 : ending_taken(&w);
	return sig ? err_set(e, EINTR, "ended by signal %d before %s", sig, what) : 0;
}

static bool stops_only_us(int sig)
{
	return sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

static void on_signal(struct watcher *w, int sig)
{
	if (sig == SIGCHLD || sig == SIGPIPE || sig == SIGURG)
		return;
	if (w->tty && sig == SIGWINCH) {
		relay_resize(&w->relay);
		return;
	}
	if (w->tty && stops_only_us(sig))
		return;
	if (w->tty && sig == SIGCONT)
		relay_continue(&w->relay);
	if (w->ended)
		w->give_up |= ending_asks(sig);
	else /* ESRCH: it has ended, which the pidfd tells as well */
		sys_pidfd_send_signal(w->s->pidfd, sig, NULL, 0);
}

static void read_signals(struct watcher *w)
{
	struct signalfd_siginfo si[16];
	ssize_t n;

	do {
		n = read(w->sigfd, si, sizeof(si));
		for (ssize_t i = 0; n > 0 && i < n / (ssize_t)sizeof(si[0]); i++)
			on_signal(w, (int)si[i].ssi_signo);
	} while (n > 0 || (n < 0 && errno == EINTR));
}

/* Every child that has ended, ours and those that were reparented to us. */
static int reap(struct watcher *w, struct err *e)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG | __WALL);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0 && errno == ECHILD && !w->ended)
			return err_sys(e, ECHILD, "wait for process %d", w->s->pid);
		if (pid <= 0)
			return 0;
		if (pid != w->s->pid)
			continue;
		w->ended = true;
		w->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		/* Level-triggered it would be ready for ever. */
		epoll_ctl(w->epfd, EPOLL_CTL_DEL, w->s->pidfd, NULL);
	}
}

static int watch(struct watcher *w, int fd, uint64_t tag)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = tag };

	return epoll_ctl(w->epfd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int start(struct watcher *w, struct err *e)
{
	sigset_t set;
	int r;

	w->epfd = epoll_create1(EPOLL_CLOEXEC);
	forwarded_set(&set);
	w->sigfd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (w->epfd < 0 || w->sigfd < 0)
		return err_sys(e, errno, "watch process %d", w->s->pid);
	r = watch(w, w->sigfd, TAG_SIGNAL);
	if (r == 0)
		r = watch(w, w->s->pidfd, TAG_CHILD);
	if (r == 0 && w->s->notify && w->s->notify->fd >= 0)
		r = watch(w, w->s->notify->fd, TAG_NOTIFY);
	if (r < 0)
		return err_sys(e, -r, "watch process %d", w->s->pid);
	if (w->s->master < 0)
		return 0;
	w->tty = true;
	r = relay_start(&w->relay, w->s->master, w->epfd, TAG_TERMINAL, e);
	w->relay.remote = w->s->remote;
	return r;
}

/* True when the process has ended and the user has its last output. */
static bool finished(struct watcher *w, int *rounds)
{
	if (!w->ended)
		return false;
	return !w->tty || w->give_up || relay_drained(&w->relay) || ++*rounds > ROUNDS_AFTER_END;
}

static int loop(struct watcher *w, struct err *e)
{
	int rounds = 0, n, r;

	for (;;) {
		struct epoll_event ev[8];
		bool more = w->tty && relay_pump(&w->relay, !w->ended);

		if (finished(w, &rounds))
			return 0;
		n = epoll_wait(w->epfd, ev, ARRAY_SIZE(ev), more ? 0 : -1);
		if (n < 0 && errno != EINTR)
			return err_sys(e, errno, "wait for process %d", w->s->pid);
		for (int i = 0; i < n; i++) {
			if (ev[i].data.u64 == TAG_TERMINAL)
				continue; /* the pump comes first in the loop anyway */
			if (ev[i].data.u64 == TAG_NOTIFY) {
				notify_pump(w->s->notify, 0);
				continue;
			}
			read_signals(w);
			r = reap(w, e);
			if (r < 0)
				return r;
		}
	}
}

static void stop(struct watcher *w)
{
	if (w->tty)
		relay_stop(&w->relay);
	cleanup_close(&w->sigfd);
	cleanup_close(&w->epfd);
}

int supervise_wait(struct supervise *s, int *status, struct err *e)
{
	AUTO_FREE struct watcher *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return err_sys(e, ENOMEM, "watch process %d", s->pid);
	/*
	 * Field by field: the buffers of the relay stay untouched pages when there is no terminal.
	 */
	w->s = s;
	w->epfd = w->sigfd = -1;
	r = start(w, e);
	if (r == 0)
		r = loop(w, e);
	if (r == 0)
		*status = w->status;
	stop(w);
	if (s->notify)
		notify_end(s->notify);
	return r;
}
