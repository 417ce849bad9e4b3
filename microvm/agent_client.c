/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/agent_client.h"

#include "base/cleanup.h"
#include "base/fdpass.h"
#include "base/sys.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* For an answer that nobody may want any more. */
enum { STOP_MS = 2000 };

static int lost(int code, struct err *e)
{
	if (code == -ECONNRESET || code == -EPIPE) {
		err_set(e, ESRCH, "the micro-VM has ended");
		return -ECONNRESET;
	}
	return err_sys(e, -code, "speak with the micro-VM");
}

int agent_client_open(struct agent_client *c, int sock, int ms, struct err *e)
{
	int r = agent_link_open(&c->link, sock, AGENT_TEXT_MAX, e);

	c->link.passes_fds = true;
	c->until_ms = sys_now_ms() + ms;
	return r;
}

void agent_client_close(struct agent_client *c)
{
	agent_link_close(&c->link);
}

/* The VMM process may be paused, or its guest hang. */
static int ready(struct agent_client *c, short events, struct err *e)
{
	for (;;) {
		struct pollfd p[2] = { { .fd = c->link.fd, .events = events },
				       { .fd = c->stop, .events = POLLIN } };
		int64_t now = sys_now_ms();
		int n = poll(p, 2, now < c->until_ms ? (int)(c->until_ms - now) : 0);

		if (n < 0 && errno != EINTR)
			return err_sys(e, errno, "wait for the micro-VM");
		/* What it was asked for may run already, and its answer be on the way. */
		if (n > 0 && p[1].revents) {
			c->stopped = true;
			c->stop = -1;
			if (c->until_ms > now + STOP_MS)
				c->until_ms = now + STOP_MS;
		}
		if (n > 0 && p[0].revents)
			return 0;
		if (n == 0 && c->stopped)
			return err_set(e, EINTR, "ended by a signal before the micro-VM answered");
		if (n == 0)
			return events & POLLOUT
				       ? err_set(e, ETIMEDOUT,
						 "the micro-VM does not take a request")
				       : err_set(e, ETIMEDOUT, "the micro-VM does not answer");
	}
}

/* A message that has come; ERROR becomes the error that it is. 1, 0: none there, -errno. */
static int take(struct agent_link *l, struct agent_frame *f, struct err *e)
{
	int r = agent_link_next(l, f);

	if (r > 0 && f->type == AGENT_ERROR)
		return agent_err_get(f->data, f->len, e);
	return r < 0 ? lost(r, e) : r;
}

/* Who hangs up on us before we have asked may have said why. */
static int refused(struct agent_link *l, int code, struct err *e)
{
	struct agent_frame f;
	struct err why;

	if (agent_link_fill(l) > 0 && agent_link_next(l, &f) > 0 && f.type == AGENT_ERROR) {
		agent_err_get(f.data, f.len, &why);
		if (e)
			*e = why;
		return -why.code;
	}
	return lost(code, e);
}

static int flush(struct agent_client *c, struct err *e)
{
	struct agent_link *l = &c->link;
	int r = 0;

	while (r == 0 && agent_link_pending(l)) {
		r = agent_link_flush(l);
		if (r < 0)
			return refused(l, r, e);
		if (agent_link_pending(l))
			r = ready(c, POLLOUT, e);
	}
	return r;
}

static int send_frame(struct agent_client *c, const struct agent_frame *f, struct err *e)
{
	int r = agent_link_send(&c->link, f);

	return r < 0 ? lost(r, e) : flush(c, e);
}

static int expect(struct agent_client *c, enum agent_type type, struct agent_frame *f,
		  struct err *e)
{
	int r;

	while ((r = take(&c->link, f, e)) == 0) {
		r = ready(c, POLLIN, e);
		if (r < 0)
			return r;
		r = agent_link_fill(&c->link);
		if (r < 0)
			return lost(r, e);
	}
	if (r > 0 && f->type != type)
		return err_set(e, EPROTO, "the micro-VM sent an unexpected message (%u)", f->type);
	return r < 0 ? r : 0;
}

int agent_client_ask(struct agent_client *c, enum agent_type what, const char *text, size_t len,
		     char **reply, struct err *e)
{
	struct agent_frame f = { .type = (uint16_t)what };
	int r = text ? agent_link_send_text(&c->link, &f, text, len)
		     : agent_link_send(&c->link, &f);

	if (r < 0)
		return lost(r, e);
	r = flush(c, e);
	if (r == 0)
		r = expect(c, AGENT_DONE, &f, e);
	if (r == 0 && reply) {
		*reply = strndup((const char *)f.data, f.len);
		if (!*reply)
			return err_sys(e, ENOMEM, "the micro-VM's answer");
	}
	return r;
}

int agent_client_signal(struct agent_client *c, int sig, bool all, struct err *e)
{
	uint8_t whom[4];
	struct agent_frame f = {
		.type = AGENT_SIGNAL, .arg = (uint32_t)sig, .len = 4, .data = whom
	};
	int r;

	agent_put_u32(whom, all ? AGENT_ALL : 0);
	r = send_frame(c, &f, e);
	if (r == 0)
		r = expect(c, AGENT_DONE, &f, e);
	/* Nothing says better that the signal was heard. */
	return r == -ECONNRESET ? 0 : r;
}

/* The descriptors go with the first byte of the text. */
static int send_first(struct agent_client *c, const int fds[3], struct err *e)
{
	struct agent_link *l = &c->link;
	int r = ready(c, POLLOUT, e);

	if (r < 0)
		return r;
	r = fdpass_send(l->fd, l->out + l->out_from, 1, fds, AGENT_LINK_FDS);
	if (r < 0)
		return refused(l, r, e);
	l->out_from++;
	return 0;
}

int agent_client_exec(struct agent_client *c, const char *text, size_t len, const int stdio[3],
		      bool tty, struct err *e)
{
	struct agent_frame f = { .type = AGENT_EXEC, .flags = tty ? AGENT_TTY : 0 };
	int r = agent_link_send_text(&c->link, &f, text, len);

	if (r < 0)
		return lost(r, e);
	r = send_first(c, stdio, e);
	if (r == 0)
		r = flush(c, e);
	if (r == 0)
		r = expect(c, AGENT_PID, &f, e);
	if (r < 0)
		return r;
	return f.arg > 0 && f.arg <= INT32_MAX
		       ? (int)f.arg
		       : err_set(e, EPROTO, "the micro-VM gives no process id");
}

/* ---- while the process runs ---- */

static bool stops_only_us(int sig)
{
	return sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

/* Queued only: a machine that takes nothing just now gets it when it does. */
static void pass_on(struct agent_client *c, int sig, int tty)
{
	uint8_t init[4] = {};
	struct winsize ws;
	struct agent_frame f = { .type = AGENT_WINSIZE };

	if (sig == SIGCHLD || sig == SIGPIPE || sig == SIGURG || (tty >= 0 && stops_only_us(sig)))
		return;
	if (sig != SIGWINCH || tty < 0)
		f = (struct agent_frame){
			.type = AGENT_SIGNAL, .arg = (uint32_t)sig, .len = 4, .data = init
		};
	else if (ioctl(tty, TIOCGWINSZ, &ws) < 0)
		return;
	else
		f.arg = (uint32_t)ws.ws_row << 16 | ws.ws_col;
	agent_link_send(&c->link, &f);
}

static void read_signals(struct agent_client *c, int sigfd, int tty)
{
	struct signalfd_siginfo si[16];
	ssize_t n;

	while ((n = read(sigfd, si, sizeof(si))) > 0)
		for (ssize_t i = 0; i < n / (ssize_t)sizeof(si[0]); i++)
			pass_on(c, (int)si[i].ssi_signo, tty);
}

int agent_client_wait(struct agent_client *c, int sigfd, int tty, int *status, struct err *e)
{
	struct agent_link *l = &c->link;

	for (;;) {
		struct pollfd p[2] = { { .fd = l->fd, .events = POLLIN },
				       { .fd = sigfd, .events = POLLIN } };
		struct agent_frame f;
		int r = take(l, &f, e);

		if (r < 0)
			return r;
		if (r > 0 && f.type == AGENT_EXIT) {
			*status = (int)(f.arg & 0xffff);
			return 0;
		}
		if (r > 0)
			continue;
		if (agent_link_pending(l))
			p[0].events |= POLLOUT;
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return err_sys(e, errno, "wait for the micro-VM");
		if (p[1].revents)
			read_signals(c, sigfd, tty);
		/* A process that has ended is no reason not to hear of it: what comes says more. */
		agent_link_flush(l);
		r = p[0].revents & ~POLLOUT ? agent_link_fill(l) : 0;
		if (r < 0)
			return lost(r, e);
	}
}

int agent_client_events(struct agent_client *c, struct err *e)
{
	struct agent_frame f = { .type = AGENT_EVENTS };

	return send_frame(c, &f, e);
}

int agent_client_event(struct agent_client *c, struct err *e)
{
	struct agent_frame f;
	int n = 0, r = agent_link_fill(&c->link);

	if (r < 0)
		return r == -ECONNRESET ? r : lost(r, e);
	while ((r = take(&c->link, &f, e)) > 0)
		n += f.type == AGENT_OOM;
	return r < 0 ? r : n;
}
