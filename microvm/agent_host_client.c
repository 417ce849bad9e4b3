/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands on the host, each with a connection of its own: one request, or one exec and what
 * belongs to it. They are the container's owner and may do what he may, but are checked all the
 * same.
 */
#include "microvm/agent_host_internal.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void host_client_close(struct agent_host *h, int index)
{
	struct host_client *c = &h->clients[index];
	uint8_t whom[4];

	if (!c->used)
		return;
	/* Who stood for the process on the host was killed: it is meant. */
	if (c->proc >= 0) {
		struct agent_frame f = { .type = AGENT_SIGNAL,
					 .id = AGENT_QUIET,
					 .arg = SIGKILL,
					 .len = 4,
					 .data = whom };

		agent_put_u32(whom, (uint32_t)c->proc);
		agent_link_send(&h->link, &f);
		h->procs[c->proc].client = -1;
		host_proc_unread(h, c->proc);
	}
	agent_link_close(&c->link);
	*c = (struct host_client){ .proc = -1, .link = AGENT_LINK_INIT };
	h->listen_off = false;
}

void host_client_flush(struct agent_host *h, int index)
{
	struct host_client *c = &h->clients[index];

	if (agent_link_flush(&c->link) < 0 || (c->closing && !agent_link_pending(&c->link)))
		host_client_close(h, index);
}

void host_client_send(struct agent_host *h, int index, const struct agent_frame *f)
{
	struct host_client *c = &h->clients[index];
	int r = agent_type_text(f->type)
			? agent_link_send_text(&c->link, f, (const char *)f->data, f->len)
			: agent_link_send(&c->link, f);

	if (r < 0)
		host_client_close(h, index);
	else
		host_client_flush(h, index);
}

static void refuse(struct agent_host *h, int index, const struct err *e)
{
	struct host_client *c = &h->clients[index];

	if (agent_link_send_err(&c->link, 0, e) < 0)
		host_client_close(h, index);
	else
		host_client_flush(h, index);
}

static int free_clients(const struct agent_host *h)
{
	int n = 0;

	for (int i = 0; i < HOST_CLIENTS; i++)
		n += !h->clients[i].used;
	return n;
}

static int full(struct err *e)
{
	return err_set(e, EAGAIN, "the micro-VM serves %d commands already", HOST_CLIENTS);
}

/* Best effort: a new connection has room for an error. */
static void turn_away(int fd)
{
	AUTO(agent_link_close) struct agent_link l = AGENT_LINK_INIT;
	struct err e;

	full(&e);
	if (agent_link_open(&l, fd, AGENT_FRAME_MAX, NULL) < 0)
		return;
	l.passes_fds = true;
	if (agent_link_send_err(&l, 0, &e) == 0)
		agent_link_flush(&l);
}

void host_client_accept(struct agent_host *h)
{
	int fd = accept4(h->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), i;

	if (fd < 0) {
		/* Without descriptors it would be ready for ever. */
		h->listen_off = errno != EAGAIN && errno != EINTR && errno != ECONNABORTED;
		return;
	}
	for (i = 0; i < HOST_CLIENTS && h->clients[i].used; i++)
		;
	if (i == HOST_CLIENTS) {
		turn_away(fd);
		return;
	}
	h->clients[i] = (struct host_client){ .used = true, .proc = -1 };
	if (agent_link_open(&h->clients[i].link, fd, AGENT_TEXT_MAX, NULL) < 0)
		host_client_close(h, i);
	h->clients[i].link.passes_fds = true;
}

/* ---- what they ask ---- */

static int running(const struct agent_host *h, struct err *e)
{
	if (h->phase >= HOST_CREATED && h->phase < HOST_ENDED)
		return 0;
	return err_set(e, EBUSY, "the guest is not ready for commands");
}

static int exec(struct agent_host *h, int index, const struct agent_frame *f, struct err *e)
{
	struct host_client *c = &h->clients[index];
	struct agent_frame ask = { .type = AGENT_EXEC,
				   .flags = f->flags & AGENT_TTY,
				   .arg = f->arg };
	int fds[AGENT_LINK_FDS], id, r;
	size_t n = agent_link_take_fds(&c->link, fds);

	id = host_proc_free_id(h);
	r = running(h, e);
	if (r == 0 && (c->proc >= 0 || c->request || n != AGENT_LINK_FDS))
		r = err_set(e, EPROTO, "exec: a second request, or not three descriptors");
	if (r == 0 && id < 0)
		r = err_set(e, EAGAIN, "exec: %d processes are being served already",
			    AGENT_MAX_PROCS);
	if (r < 0) {
		for (size_t i = 0; i < n; i++)
			close(fds[i]);
		return r;
	}
	ask.id = (uint32_t)id;
	host_proc_open(h, id, fds, f->flags & AGENT_TTY, index);
	r = agent_link_send_text(&h->link, &ask, (const char *)f->data, f->len);
	if (r == 0)
		r = agent_source_pump(&h->procs[id].in, &h->link);
	if (r < 0) {
		host_proc_close(h, id);
		return err_sys(e, -r, "exec: ask the guest");
	}
	c->proc = id;
	return 0;
}

bool host_asks_to_end(int sig)
{
	return sig == SIGTERM || sig == SIGINT || sig == SIGHUP || sig == SIGQUIT;
}

/* Its program has ended: what is left is output that nobody reads. */
static int signal_the_end(struct agent_host *h, int index, int sig)
{
	const struct agent_frame done = { .type = AGENT_DONE };

	h->give_up |= sig == SIGKILL || host_asks_to_end(sig);
	host_client_send(h, index, &done);
	return 0;
}

/* A signal for init, for all, or (the sender has an exec) for that process. */
static int signal_to(struct agent_host *h, int index, const struct agent_frame *f, struct err *e)
{
	struct host_client *c = &h->clients[index];
	struct agent_frame ask = { .type = AGENT_SIGNAL, .arg = f->arg, .len = 4 };
	uint8_t whom[4];
	int r;

	if (h->phase == HOST_ENDED && c->proc < 0)
		return signal_the_end(h, index, (int)f->arg);
	r = running(h, e);
	if (r < 0)
		return r;
	if (f->len != 4 || (c->proc < 0 && c->request))
		return err_set(e, EPROTO, "signal: a malformed request");
	ask.data = whom;
	if (c->proc >= 0) {
		ask.id = AGENT_QUIET;
		agent_put_u32(whom, (uint32_t)c->proc);
	} else {
		ask.id = c->request = h->next_request++;
		memcpy(whom, f->data, 4);
	}
	r = agent_link_send(&h->link, &ask);
	return r < 0 ? err_sys(e, -r, "signal: ask the guest") : 0;
}

static int winsize(struct agent_host *h, int index, const struct agent_frame *f, struct err *e)
{
	struct host_client *c = &h->clients[index];
	struct agent_frame tell = { .type = AGENT_WINSIZE, .arg = f->arg };
	int r;

	if (c->proc < 0)
		return err_set(e, EPROTO, "window size: this connection has no process");
	tell.id = (uint32_t)c->proc;
	r = agent_link_send(&h->link, &tell);
	return r < 0 ? err_sys(e, -r, "window size: tell the guest") : 0;
}

static int ask(struct agent_host *h, int index, const struct agent_frame *f, struct err *e)
{
	struct host_client *c = &h->clients[index];
	struct agent_frame a = *f;
	int r = running(h, e);

	if (r < 0)
		return r;
	if (c->request || c->proc >= 0)
		return err_set(e, EPROTO, "a second request on one connection");
	a.id = c->request = h->next_request++;
	r = agent_type_text(f->type)
		    ? agent_link_send_text(&h->link, &a, (const char *)f->data, f->len)
		    : agent_link_send(&h->link, &a);
	return r < 0 ? err_sys(e, -r, "ask the guest") : 0;
}

static int events(struct agent_host *h, int index, struct err *e)
{
	struct agent_frame done = { .type = AGENT_DONE };

	if (free_clients(h) < HOST_CLIENTS_FREE)
		return full(e);
	h->clients[index].events = true;
	host_client_send(h, index, &done);
	return 0;
}

static int serve(struct agent_host *h, int index, const struct agent_frame *f, struct err *e)
{
	switch (f->type) {
	case AGENT_EXEC:
		return exec(h, index, f, e);
	case AGENT_SIGNAL:
		return signal_to(h, index, f, e);
	case AGENT_WINSIZE:
		return winsize(h, index, f, e);
	case AGENT_STATS:
	case AGENT_PS:
	case AGENT_UPDATE:
		return ask(h, index, f, e);
	case AGENT_EVENTS:
		return events(h, index, e);
	default:
		return err_set(e, EPROTO, "a request of an unknown kind (%u)", f->type);
	}
}

void host_client_input(struct agent_host *h, int index)
{
	struct host_client *c = &h->clients[index];
	struct agent_frame f;
	struct err e;
	int r = agent_link_fill(&c->link);

	while (r > 0 && c->used && !c->closing && (r = agent_link_next(&c->link, &f)) > 0)
		if (serve(h, index, &f, &e) < 0)
			refuse(h, index, &e);
	if (r < 0 && c->used)
		host_client_close(h, index);
}

/* ---- what the guest answers ---- */

void host_client_answer(struct agent_host *h, const struct agent_frame *f)
{
	for (int i = 0; i < HOST_CLIENTS; i++) {
		struct host_client *c = &h->clients[i];
		struct agent_frame a = *f;

		if (!c->used || c->request != f->id)
			continue;
		c->request = 0;
		a.id = 0;
		host_client_send(h, i, &a);
		return;
	}
	/* Who asked has hung up. */
}

void host_client_oom(struct agent_host *h)
{
	struct agent_frame f = { .type = AGENT_OOM };

	for (int i = 0; i < HOST_CLIENTS; i++)
		if (h->clients[i].used && h->clients[i].events &&
		    agent_link_room(&h->clients[i].link))
			host_client_send(h, i, &f);
}
