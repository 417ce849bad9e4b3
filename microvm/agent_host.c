/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop: one poll over the guest's port, its console and end, signals, commands and stdio, built
 * anew each turn from what each part can use just now (a stream without credit, or without room in
 * the queue, is not looked at). poll rather than epoll, because stdio may be regular files, and
 * because what is watched changes with every piece of credit.
 */
#include "microvm/agent_host.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "microvm/agent_host_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
	DEFAULT_MS = 60000,
	/* The port is closed or the agent has reported: the machine's own end follows at once. */
	END_MS = 2000,
	/* Init has ended: who takes nothing of something else for so long gets no more of it. */
	STALLED_MS = 2000,
	/* Until a connection that could not be accepted is tried again. */
	ACCEPT_MS = 200,
};

static uint64_t now_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- frames from the guest ---- */

static int on_hello(struct agent_host *h, const struct agent_frame *f)
{
	if (h->phase != HOST_BOOT || f->len < 8)
		return -EPROTO;
	if (agent_get_u32(f->data) != AGENT_VERSION) {
		h->failed = true;
		return err_set(&h->failure, EPROTO,
			       "the guest's agent speaks version %u of the protocol, not %d: its "
			       "initramfs is another ctr's",
			       agent_get_u32(f->data), AGENT_VERSION);
	}
	h->phase = HOST_SETUP;
	h->hello_us = now_us(CLOCK_MONOTONIC);
	return 0;
}

static int on_done(struct agent_host *h)
{
	if (h->phase == HOST_SETUP) {
		h->phase = HOST_CREATED;
		h->created_us = now_us(CLOCK_MONOTONIC);
		return 0;
	}
	if (h->phase != HOST_STARTING)
		return -EPROTO;
	h->phase = HOST_RUNNING;
	return 0;
}

static int on_frame(struct agent_host *h, const struct agent_frame *f)
{
	switch (f->type) {
	case AGENT_HELLO:
		return on_hello(h, f);
	case AGENT_OOM:
		host_client_oom(h);
		return 0;
	case AGENT_DONE:
		if (f->id == 0)
			return on_done(h);
		if (f->id < AGENT_REQUESTS)
			return -EPROTO;
		host_client_answer(h, f);
		return 0;
	case AGENT_ERROR:
		if (f->id >= AGENT_REQUESTS) {
			host_client_answer(h, f);
			return 0;
		}
		if (f->id != 0)
			break;
		if (h->phase >= HOST_RUNNING || h->failed)
			return -EPROTO;
		h->failed = true;
		agent_err_get(f->data, f->len, &h->failure);
		return 0;
	default:
		break;
	}
	return h->phase < HOST_SETUP ? -EPROTO : host_proc_frame(h, f);
}

static int guest_input(struct agent_host *h, struct err *e)
{
	struct agent_frame f = {};
	int r = agent_link_fill(&h->link);

	if (r == -ECONNRESET) {
		h->link_lost = true;
		return 0;
	}
	while (r > 0 && !h->failed && (r = agent_link_next(&h->link, &f)) > 0)
		r = on_frame(h, &f) < 0 ? -EPROTO : 1;
	if (r < 0 && !h->failed)
		return err_sys(e, -r, "the guest's agent breaks the protocol (message %u)", f.type);
	return 0;
}

/* ---- signals, the terminal ---- */

static bool sends_size(struct agent_host *h)
{
	struct winsize ws;
	struct agent_frame f = { .type = AGENT_WINSIZE };

	if (!h->tty || h->tty_fd < 0 || ioctl(h->tty_fd, TIOCGWINSZ, &ws) < 0)
		return false;
	f.arg = (uint32_t)ws.ws_row << 16 | ws.ws_col;
	agent_link_send(&h->link, &f);
	return true;
}

static void on_signal(struct agent_host *h, int sig)
{
	uint8_t init[4] = {};
	struct agent_frame f = { .type = AGENT_SIGNAL,
				 .id = AGENT_QUIET,
				 .arg = (uint32_t)sig,
				 .len = 4,
				 .data = init };

	if (sig == SIGCHLD || sig == SIGPIPE || sig == SIGURG)
		return;
	if (sig == SIGWINCH && h->tty) {
		sends_size(h);
		return;
	}
	if (h->tty && (sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU))
		return;
	if (h->phase == HOST_STARTING || h->phase == HOST_RUNNING)
		agent_link_send(&h->link, &f);
	else if (h->phase == HOST_ENDED)
		h->give_up |= host_asks_to_end(sig);
}

static void read_signals(struct agent_host *h)
{
	struct signalfd_siginfo si[16];
	ssize_t n;

	while ((n = read(h->sigfd, si, sizeof(si))) > 0)
		for (ssize_t i = 0; i < n / (ssize_t)sizeof(si[0]); i++)
			on_signal(h, (int)si[i].ssi_signo);
}

/* ---- the loop ---- */

static void watch(struct agent_host *h, int fd, short events, enum host_what what, int index,
		  int stream)
{
	if (fd < 0 || !events || h->n_polls == HOST_POLL)
		return;
	h->polls[h->n_polls] = (struct pollfd){ .fd = fd, .events = events };
	h->watches[h->n_polls++] =
		(struct host_watch){ .what = what, .index = index, .stream = stream };
}

static void watch_all(struct agent_host *h, int extra)
{
	h->n_polls = 0;
	if (!h->link_lost)
		watch(h, h->link.fd, POLLIN | (agent_link_pending(&h->link) ? POLLOUT : 0),
		      WATCH_LINK, 0, 0);
	watch(h, h->vmm->console, POLLIN, WATCH_CONSOLE, 0, 0);
	if (!h->machine_ended)
		watch(h, h->vmm->ended, POLLIN, WATCH_ENDED, 0, 0);
	watch(h, h->sigfd, POLLIN, WATCH_SIGNAL, 0, 0);
	watch(h, extra, POLLIN, WATCH_EXTRA, 0, 0);
	for (int i = 0; i < HOST_CLIENTS; i++) {
		struct host_client *c = &h->clients[i];

		if (c->used)
			watch(h, c->link.fd, POLLIN | (agent_link_pending(&c->link) ? POLLOUT : 0),
			      WATCH_CLIENT, i, 0);
	}
	/* After those who have hung up and made room. */
	if (!h->listen_off)
		watch(h, h->listen, POLLIN, WATCH_LISTEN, 0, 0);
	/* Nothing of stdin may come to the guest before it knows what for. */
	for (int i = 0; h->configured && i < AGENT_MAX_PROCS; i++) {
		struct host_proc *p = &h->procs[i];

		if (p->state == PROC_FREE)
			continue;
		watch(h, p->in.fd.fd, agent_source_events(&p->in, &h->link), WATCH_IN, i, 0);
		for (int k = 0; k < 2; k++)
			watch(h, p->out[k].fd.fd, agent_sink_events(&p->out[k]), WATCH_OUT, i, k);
	}
}

static int client_ready(struct agent_host *h, int index, short events)
{
	if (h->clients[index].used && events & POLLOUT)
		host_client_flush(h, index);
	if (h->clients[index].used && events & ~POLLOUT)
		host_client_input(h, index);
	return 0;
}

static int ready(struct agent_host *h, const struct host_watch *w, short events, struct err *e)
{
	struct host_proc *p;
	int r = 0;

	switch (w->what) {
	case WATCH_LINK:
		return events & ~POLLOUT ? guest_input(h, e) : 0;
	case WATCH_CONSOLE:
		host_console_read(h);
		return 0;
	case WATCH_ENDED:
		h->machine_ended = true;
		return 0;
	case WATCH_SIGNAL:
		read_signals(h);
		return 0;
	case WATCH_LISTEN:
		host_client_accept(h);
		return 0;
	case WATCH_CLIENT:
		return client_ready(h, w->index, events);
	case WATCH_IN:
		p = &h->procs[w->index];
		r = p->state == PROC_FREE ? 0 : agent_source_pump(&p->in, &h->link);
		break;
	case WATCH_OUT:
		p = &h->procs[w->index];
		r = p->state == PROC_FREE ? 0 : agent_sink_pump(&p->out[w->stream], &h->link);
		host_proc_settle(h, w->index);
		break;
	case WATCH_EXTRA:
		break;
	}
	return r < 0 ? err_sys(e, -r, "stdio of the guest") : 0;
}

/* A port whose other side is gone says so when it is read. */
static void flush(struct agent_host *h)
{
	if (!h->link_lost && agent_link_flush(&h->link) < 0)
		h->link_lost = true;
}

/*
 * What the guest sent before its end, however the two are told. Not for ever: what is called ended
 * may be a part of the machine, and another part of it go on sending.
 */
static int read_the_rest(struct agent_host *h, struct err *e)
{
	int r = 0;

	if (!h->rest_until_us)
		h->rest_until_us = now_us(CLOCK_MONOTONIC) + END_MS * 1000ULL;
	while (r == 0 && !h->link_lost && !h->failed) {
		struct pollfd p = { .fd = h->link.fd, .events = POLLIN };

		if (poll(&p, 1, 0) <= 0)
			break;
		r = guest_input(h, e);
		if (now_us(CLOCK_MONOTONIC) >= h->rest_until_us)
			h->link_lost = true;
	}
	return r;
}

/* One turn: waits at most ms (-1: for ever). 1 extra is readable, 0, or -errno. */
static int turn(struct agent_host *h, int extra, int ms, struct err *e)
{
	bool found = false, deaf = h->listen_off;
	int n, r = 0;

	ms = host_proc_expire(h, ms);
	flush(h);
	watch_all(h, extra);
	n = poll(h->polls, h->n_polls, deaf && (ms < 0 || ms > ACCEPT_MS) ? ACCEPT_MS : ms);
	if (deaf)
		h->listen_off = false;
	if (n < 0 && errno != EINTR)
		return err_sys(e, errno, "wait for the guest");
	for (size_t i = 0; n > 0 && i < h->n_polls && r == 0; i++) {
		if (!h->polls[i].revents)
			continue;
		found |= h->watches[i].what == WATCH_EXTRA;
		r = ready(h, &h->watches[i], h->polls[i].revents, e);
	}
	if (r == 0 && h->machine_ended)
		r = read_the_rest(h, e);
	return r < 0 ? r : found;
}

/* The agent has hung up or reported its end: waits for the machine's, which says more. */
static void await_end(struct agent_host *h)
{
	struct pollfd p = { .fd = h->vmm->ended, .events = POLLIN };

	if (!h->machine_ended && poll(&p, 1, END_MS) > 0)
		h->machine_ended = true;
}

static int lost(struct agent_host *h, struct err *e)
{
	if (h->failed) {
		*e = h->failure;
		return -e->code;
	}
	await_end(h);
	return host_why(h, 0, e);
}

/* Turns until the phase is reached or ms are over. */
static int until(struct agent_host *h, enum host_phase phase, unsigned int ms, struct err *e)
{
	uint64_t end = now_us(CLOCK_MONOTONIC) + (uint64_t)ms * 1000;

	while (h->phase < phase) {
		uint64_t now = now_us(CLOCK_MONOTONIC);
		int r;

		if (h->failed || h->machine_ended || h->link_lost)
			return lost(h, e);
		if (now >= end)
			return host_why(h, ms, e);
		r = turn(h, -1, (int)((end - now) / 1000 + 1), e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- create ---- */

static int block_signals(struct agent_host *h, struct err *e)
{
	sigset_t set;

	sigfillset(&set);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys(e, errno, "block signals");
	h->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return h->sigfd < 0 ? err_sys(e, errno, "signalfd") : 0;
}

static int dup_fd(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int open_stdio(struct agent_host *h, const struct agent_host_opts *o, struct err *e)
{
	struct termios t;
	int fds[3];

	h->tty = o->tty;
	if (o->tty && tcgetattr(o->stdio[0], &t) == 0) {
		cfmakeraw(&t);
		if (tcsetattr(o->stdio[0], TCSANOW, &t) < 0)
			return err_sys(e, errno, "prepare the terminal");
	}
	h->tty_fd = o->tty ? dup_fd(o->stdio[0]) : -1;
	for (int i = 0; i < 3; i++)
		fds[i] = dup_fd(o->stdio[i]);
	host_proc_open(h, 0, fds, o->tty, -1);
	h->procs[0].state = PROC_RUNS;
	return 0;
}

static int make(struct agent_host **out, const struct agent_host_opts *o, struct err *e)
{
	struct agent_host *h = calloc(1, sizeof(*h));
	int ctl, r;

	if (!h)
		return err_sys(e, ENOMEM, "the guest's agent");
	h->vmm = o->vmm;
	h->listen = o->listen;
	h->kernel = o->kernel;
	h->console_log = o->console_log;
	h->setup_ms = o->setup_ms ? o->setup_ms : DEFAULT_MS;
	h->sigfd = h->tty_fd = -1;
	h->next_request = AGENT_REQUESTS;
	h->link = (struct agent_link)AGENT_LINK_INIT;
	h->started_us = now_us(CLOCK_MONOTONIC);
	for (int i = 0; i < AGENT_MAX_PROCS; i++)
		h->procs[i].client = -1;
	for (int i = 0; i < HOST_CLIENTS; i++)
		h->clients[i] = (struct host_client){ .proc = -1, .link = AGENT_LINK_INIT };
	*out = h;
	ctl = dup_fd(o->vmm->ctl);
	if (ctl < 0)
		return err_sys(e, errno, "the guest's agent");
	r = agent_link_open(&h->link, ctl, AGENT_REPLY_MAX, e);
	if (r == 0)
		r = block_signals(h, e);
	return r == 0 ? open_stdio(h, o, e) : r;
}

static int send_setup(struct agent_host *h, const struct agent_host_opts *o, struct err *e)
{
	struct agent_setup s = {
		.time_ns = now_us(CLOCK_REALTIME) * 1000,
		.flags = (o->share ? AGENT_SETUP_SHARE : 0) | (o->tty ? AGENT_SETUP_TTY : 0) |
			 (log_debugging() ? AGENT_SETUP_DEBUG : 0) |
			 (o->image ? AGENT_SETUP_IMAGE : 0) |
			 (o->image_ro ? AGENT_SETUP_IMAGE_RO : 0),
	};
	struct agent_frame f = { .type = AGENT_SETUP,
				 .len = sizeof(s),
				 .data = (const uint8_t *)&s };
	struct agent_frame config = { .type = AGENT_CONFIG };
	int r;

	if (strlen(o->id) >= sizeof(s.id))
		return err_set(e, ENAMETOOLONG, "%s: too long for a guest", o->id);
	strcpy(s.id, o->id);
	if (getrandom(s.seed, sizeof(s.seed), 0) != (ssize_t)sizeof(s.seed))
		return err_sys(e, errno, "random bytes for the guest");
	sends_size(h);
	r = agent_link_send(&h->link, &f);
	if (r == 0)
		r = agent_link_send_text(&h->link, &config, o->config, o->config_len);
	h->configured = r == 0;
	if (r == 0)
		r = agent_source_pump(&h->procs[0].in, &h->link);
	return r < 0 ? err_sys(e, -r, "send the configuration to the guest") : 0;
}

int agent_host_create(struct agent_host **out, const struct agent_host_opts *o, struct err *e)
{
	struct agent_host *h = NULL;
	int r = make(&h, o, e);

	if (r == 0)
		r = until(h, HOST_SETUP, o->boot_ms ? o->boot_ms : DEFAULT_MS, e);
	if (r == 0)
		r = send_setup(h, o, e);
	if (r == 0)
		r = until(h, HOST_CREATED, h->setup_ms, e);
	if (r < 0) {
		agent_host_free(h);
		return r;
	}
	*out = h;
	return 0;
}

/* ---- afterwards ---- */

int agent_host_wait(struct agent_host *h, int fd, struct err *e)
{
	for (;;) {
		int r;

		if (h->procs[0].state == PROC_EXITED)
			return err_set(e, ESRCH, "the container was killed before it was started");
		if (h->failed || h->machine_ended || h->link_lost)
			return lost(h, e);
		r = turn(h, fd, -1, e);
		if (r != 0)
			return r < 0 ? r : 0;
	}
}

int agent_host_start(struct agent_host *h, struct err *e)
{
	struct agent_frame f = { .type = AGENT_START };
	int r = agent_link_send(&h->link, &f);

	if (r < 0)
		return err_sys(e, -r, "tell the guest to start");
	h->phase = HOST_STARTING;
	return until(h, HOST_RUNNING, h->setup_ms, e);
}

/* The bytes that other processes than init wrote and nobody has taken yet. */
static size_t undelivered(const struct agent_host *h)
{
	size_t n = 0;

	for (int i = 1; i < AGENT_MAX_PROCS; i++)
		for (int k = 0; h->procs[i].state != PROC_FREE && k < 2; k++)
			n += h->procs[i].out[k].ended ? 0 : h->procs[i].out[k].len;
	for (int i = 0; i < HOST_CLIENTS; i++)
		if (h->clients[i].used)
			n += agent_link_pending(&h->clients[i].link);
	return n;
}

/* Init's end is told and its output taken; that of the others, while somebody takes it. */
static void deliver(struct agent_host *h)
{
	size_t left = undelivered(h), before = left;
	uint64_t moved = now_us(CLOCK_MONOTONIC);

	while (!h->give_up) {
		bool init_waits = !host_proc_drained(&h->procs[0]);
		uint64_t now = now_us(CLOCK_MONOTONIC);
		int64_t ms = STALLED_MS - (int64_t)(now - moved) / 1000;

		if (!init_waits && (!left || ms <= 0))
			return;
		if (turn(h, -1, init_waits ? -1 : (int)ms, NULL) < 0)
			return;
		left = undelivered(h);
		if (left != before)
			moved = now_us(CLOCK_MONOTONIC);
		before = left;
	}
}

int agent_host_run(struct agent_host *h, int *status, struct err *e)
{
	const struct host_proc *init = &h->procs[0];
	struct agent_frame bye = { .type = AGENT_SHUTDOWN };
	int r;

	while (init->state != PROC_EXITED) {
		if (h->machine_ended || h->link_lost)
			return lost(h, e);
		r = turn(h, -1, -1, e);
		if (r < 0)
			return r;
	}
	h->phase = HOST_ENDED;
	*status = init->status;
	agent_link_send(&h->link, &bye);
	deliver(h);
	flush(h);
	return 0;
}

int agent_host_stderr(const struct agent_host *h)
{
	const struct agent_sink *err = &h->procs[0].out[1];

	return err->ended ? -1 : err->fd.fd;
}

void agent_host_free(struct agent_host *h)
{
	if (!h)
		return;
	for (int i = 0; i < AGENT_MAX_PROCS; i++)
		host_proc_close(h, i);
	for (int i = 0; i < HOST_CLIENTS; i++)
		host_client_close(h, i);
	agent_link_close(&h->link);
	cleanup_close(&h->sigfd);
	cleanup_close(&h->tty_fd);
	free(h);
}

void agent_host_times(const struct agent_host *h, uint64_t *hello_us, uint64_t *setup_us)
{
	*hello_us = h->hello_us - h->started_us;
	*setup_us = h->created_us - h->hello_us;
}
