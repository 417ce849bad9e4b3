/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/agent_client.h"

#include "base/cleanup.h"
#include "base/fdpass.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* For what the guest does at once; the VMM process may be paused, or its guest hang. */
enum { ANSWER_MS = 60000 };

static int lost(int code, struct err *e)
{
	if (code == -ECONNRESET || code == -EPIPE) {
		err_set(e, ESRCH, "the micro-VM has ended");
		return -ECONNRESET;
	}
	return err_sys(e, -code, "speak with the micro-VM");
}

int agent_client_open(struct agent_client *c, int sock, struct err *e)
{
	int r = agent_link_open(&c->link, sock, AGENT_TEXT_MAX, e);

	c->link.passes_fds = true;
	return r;
}

void agent_client_close(struct agent_client *c)
{
	agent_link_close(&c->link);
}

static int flush(struct agent_link *l, struct err *e)
{
	while (agent_link_pending(l)) {
		struct pollfd p = { .fd = l->fd, .events = POLLOUT };
		int r = agent_link_flush(l);

		if (r < 0)
			return lost(r, e);
		if (agent_link_pending(l) && poll(&p, 1, ANSWER_MS) == 0)
			return err_set(e, ETIMEDOUT, "the micro-VM does not take a request");
	}
	return 0;
}

static int send_frame(struct agent_client *c, const struct agent_frame *f, struct err *e)
{
	int r = agent_link_send(&c->link, f);

	return r < 0 ? lost(r, e) : flush(&c->link, e);
}

/* A message that has come; ERROR becomes the error that it is. 1, 0: none there, -errno. */
static int take(struct agent_link *l, struct agent_frame *f, struct err *e)
{
	int r = agent_link_next(l, f);

	if (r > 0 && f->type == AGENT_ERROR) {
		agent_err_get(f->data, f->len, e);
		return -e->code;
	}
	return r < 0 ? lost(r, e) : r;
}

static int expect(struct agent_client *c, enum agent_type type, struct agent_frame *f,
		  struct err *e)
{
	int r;

	while ((r = take(&c->link, f, e)) == 0) {
		struct pollfd p = { .fd = c->link.fd, .events = POLLIN };

		if (poll(&p, 1, ANSWER_MS) == 0)
			return err_set(e, ETIMEDOUT, "the micro-VM does not answer");
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
	r = flush(&c->link, e);
	if (r == 0)
		r = expect(c, AGENT_DONE, &f, e);
	if (r == 0 && reply) {
		*reply = strndup((const char *)f.data, f.len);
		if (!*reply)
			return err_sys(e, ENOMEM, "the micro-VM's answer");
	}
	return r;
}

static int send_signal(struct agent_client *c, int sig, uint32_t whom, struct err *e)
{
	uint8_t bytes[4];
	struct agent_frame f = {
		.type = AGENT_SIGNAL, .arg = (uint32_t)sig, .len = 4, .data = bytes
	};

	agent_put_u32(bytes, whom);
	return send_frame(c, &f, e);
}

int agent_client_signal(struct agent_client *c, int sig, bool all, struct err *e)
{
	struct agent_frame f;
	int r = send_signal(c, sig, all ? AGENT_ALL : 0, e);

	if (r == 0)
		r = expect(c, AGENT_DONE, &f, e);
	/* Nothing says better that the signal was heard. */
	return r == -ECONNRESET ? 0 : r;
}

/* The descriptors go with the first byte of the text. */
static int send_first(struct agent_link *l, const int fds[3], struct err *e)
{
	struct pollfd p = { .fd = l->fd, .events = POLLOUT };
	int r;

	if (poll(&p, 1, ANSWER_MS) == 0)
		return err_set(e, ETIMEDOUT, "the micro-VM does not take a request");
	r = fdpass_send(l->fd, l->out + l->out_from, 1, fds, AGENT_LINK_FDS);
	if (r < 0)
		return lost(r, e);
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
	r = send_first(&c->link, stdio, e);
	if (r == 0)
		r = flush(&c->link, e);
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

static int pass_on(struct agent_client *c, int sig, int tty, struct err *e)
{
	struct winsize ws;
	struct agent_frame f = { .type = AGENT_WINSIZE };

	if (sig == SIGCHLD || sig == SIGPIPE || sig == SIGURG || (tty >= 0 && stops_only_us(sig)))
		return 0;
	if (sig != SIGWINCH || tty < 0)
		return send_signal(c, sig, 0, e);
	if (ioctl(tty, TIOCGWINSZ, &ws) < 0)
		return 0;
	f.arg = (uint32_t)ws.ws_row << 16 | ws.ws_col;
	return send_frame(c, &f, e);
}

static int read_signals(struct agent_client *c, int sigfd, int tty, struct err *e)
{
	struct signalfd_siginfo si[16];
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = read(sigfd, si, sizeof(si))) > 0)
		for (ssize_t i = 0; i < n / (ssize_t)sizeof(si[0]) && r == 0; i++)
			r = pass_on(c, (int)si[i].ssi_signo, tty, e);
	return r;
}

int agent_client_wait(struct agent_client *c, int sigfd, int tty, int *status, struct err *e)
{
	for (;;) {
		struct pollfd p[2] = { { .fd = c->link.fd, .events = POLLIN },
				       { .fd = sigfd, .events = POLLIN } };
		struct agent_frame f;
		int r = take(&c->link, &f, e);

		if (r < 0)
			return r;
		if (r > 0 && f.type == AGENT_EXIT) {
			*status = (int)(f.arg & 0xffff);
			return 0;
		}
		if (r > 0)
			continue;
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return err_sys(e, errno, "wait for the micro-VM");
		/* A process that has ended is no reason not to hear of it. */
		if (p[1].revents)
			read_signals(c, sigfd, tty, NULL);
		r = p[0].revents ? agent_link_fill(&c->link) : 0;
		if (r < 0)
			return lost(r, e);
	}
}

int agent_client_events(struct agent_client *c, struct err *e)
{
	struct agent_frame f = { .type = AGENT_EVENTS };
	int r = send_frame(c, &f, e);

	return r == 0 ? expect(c, AGENT_DONE, &f, e) : r;
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
