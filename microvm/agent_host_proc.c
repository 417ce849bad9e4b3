/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of the processes in the guest: streams, and the end that is told once. */
#include "microvm/agent_host_internal.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void host_proc_open(struct agent_host *h, int id, const int fds[3], bool tty, int client)
{
	struct host_proc *p = &h->procs[id];

	*p = (struct host_proc){ .state = PROC_ASKED, .tty = tty, .client = client };
	agent_source_init(&p->in, fds[0], (uint32_t)id, 0);
	agent_sink_init(&p->out[0], fds[1], (uint32_t)id, 1);
	agent_sink_init(&p->out[1], fds[2], (uint32_t)id, 2);
	if (tty) {
		/* One stream carries all; the third descriptor is the same terminal. */
		agent_sink_close(&p->out[1]);
		p->out[1].eof = true;
	}
}

void host_proc_close(struct agent_host *h, int id)
{
	struct host_proc *p = &h->procs[id];

	if (p->state == PROC_FREE)
		return;
	agent_source_close(&p->in);
	agent_sink_close(&p->out[0]);
	agent_sink_close(&p->out[1]);
	*p = (struct host_proc){ .state = PROC_FREE, .client = -1 };
}

void host_proc_unread(struct agent_host *h, int id)
{
	h->procs[id].unread_ms = sys_now_ms() + UNREAD_MS;
}

static void let_go(struct agent_host *h, int id)
{
	struct host_proc *p = &h->procs[id];

	p->unread_ms = 0;
	agent_source_close(&p->in);
	for (int i = 0; i < 2; i++) {
		/* The guest may not know it: it is told when it sends something. */
		if (p->state == PROC_ASKED)
			agent_fd_close(&p->out[i].fd);
		else
			agent_sink_unread(&p->out[i], &h->link);
	}
	host_proc_settle(h, id);
}

int host_proc_expire(struct agent_host *h, int ms)
{
	for (int id = 1; id < AGENT_MAX_PROCS; id++) {
		struct host_proc *p = &h->procs[id];
		int64_t left;

		/* Of one that has ended all is delivered. */
		if (!p->unread_ms || (p->state != PROC_ASKED && p->state != PROC_RUNS))
			continue;
		left = p->unread_ms - sys_now_ms();
		if (left <= 0)
			let_go(h, id);
		else if (ms < 0 || left < ms)
			ms = (int)left;
	}
	return ms;
}

int host_proc_free_id(const struct agent_host *h)
{
	for (int i = 1; i < AGENT_MAX_PROCS; i++)
		if (h->procs[i].state == PROC_FREE)
			return i;
	return -1;
}

bool host_proc_drained(const struct host_proc *p)
{
	for (int i = 0; i < 2; i++)
		if (!p->out[i].ended && p->out[i].len)
			return false;
	return true;
}

static void tell_exit(struct agent_host *h, int id)
{
	struct host_proc *p = &h->procs[id];
	struct agent_frame f = { .type = AGENT_EXIT, .arg = (uint32_t)p->status };
	int client = p->client;

	p->told = true;
	if (p->oom)
		f.flags = AGENT_OOM_HIT;
	if (client < 0)
		return;
	p->client = -1;
	h->clients[client].proc = -1;
	h->clients[client].closing = true;
	host_client_send(h, client, &f);
}

void host_proc_settle(struct agent_host *h, int id)
{
	struct host_proc *p = &h->procs[id];

	if (p->state != PROC_EXITED)
		return;
	if (!p->told && host_proc_drained(p))
		tell_exit(h, id);
	/* What init leaves behind is looked at by agent_host_run. */
	if (id > 0 && p->told && p->out[0].eof && p->out[1].eof && host_proc_drained(p))
		host_proc_close(h, id);
}

/* The answer to EXEC: PID, or (failed) an error, after which nothing comes for this id. */
static int on_exec_answer(struct agent_host *h, const struct agent_frame *f)
{
	struct host_proc *p = &h->procs[f->id];
	bool failed = f->type == AGENT_ERROR;
	int client = p->client;

	if (f->id == 0 || p->state != PROC_ASKED)
		return -EPROTO;
	p->state = PROC_RUNS;
	if (failed) {
		host_proc_close(h, (int)f->id);
		if (client >= 0)
			h->clients[client].proc = -1;
	}
	if (client >= 0) {
		struct agent_frame copy = *f;

		copy.id = 0;
		host_client_send(h, client, &copy);
	}
	return 0;
}

static int on_exit(struct agent_host *h, const struct agent_frame *f)
{
	struct host_proc *p = &h->procs[f->id];

	if (p->state != PROC_RUNS)
		return -EPROTO;
	/* Only what waitpid gives: an exit status, or a signal with or without a core. */
	p->status = (int)(f->arg & 0xff7f);
	if ((p->status & 0x7f) == 0x7f)
		return -EPROTO;
	if (p->status & 0x7f)
		p->status &= 0x7f;
	p->oom = f->flags & AGENT_OOM_HIT;
	p->state = PROC_EXITED;
	agent_source_close(&p->in);
	return 0;
}

int host_proc_frame(struct agent_host *h, const struct agent_frame *f)
{
	struct host_proc *p;
	int r;

	if (f->id >= AGENT_MAX_PROCS || h->procs[f->id].state == PROC_FREE)
		return -EPROTO;
	p = &h->procs[f->id];
	switch (f->type) {
	case AGENT_PID:
	case AGENT_ERROR:
		r = on_exec_answer(h, f);
		break;
	case AGENT_DATA:
		if (f->arg < 1 || f->arg > 2)
			return -EPROTO;
		r = agent_sink_put(&p->out[f->arg - 1], &h->link, f->data, f->len);
		break;
	case AGENT_CREDIT:
		if (f->arg != 0 || f->len != 4)
			return -EPROTO;
		r = agent_source_credit(&p->in, agent_get_u32(f->data));
		break;
	case AGENT_CLOSE:
		if (f->arg != 0)
			return -EPROTO;
		r = agent_source_unread(&p->in, &h->link);
		break;
	case AGENT_EXIT:
		r = on_exit(h, f);
		break;
	default:
		return -EPROTO;
	}
	host_proc_settle(h, (int)f->id);
	return r;
}
