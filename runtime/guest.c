/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's agent: one poll loop over the port, the signals of children, the answers of
 * operations, and stdio. The host is trusted; what it asks is done by the same code as on a host
 * (guest_jobs.c), in children (guest_work.c).
 */
#include "guest_internal.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "container.h"
#include "microvm/guest/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	/* After the last word: how long the host is waited for before the machine is reset. */
	LAST_WORD_MS = 5000,
};

static void answer(struct guest *g, uint32_t id, const struct err *e, const char *text, size_t len)
{
	struct agent_frame f = { .type = AGENT_DONE, .id = id };

	struct err much;

	if (id == AGENT_QUIET)
		return;
	if (e->code == 0 && len > AGENT_REPLY_MAX) {
		err_set(&much, EFBIG, "the answer of the guest has %zu bytes, the limit is %d", len,
			AGENT_REPLY_MAX);
		e = &much;
	}
	if (e->code)
		agent_link_send_err(&g->link, id, e);
	else
		agent_link_send_text(&g->link, &f, text ? text : "", len);
}

/* ---- what the host asks ---- */

static int on_setup(struct guest *g, const struct agent_frame *f, struct err *e)
{
	struct agent_setup s;
	int r = 0;

	if (f->len != sizeof(s))
		return err_set(e, EPROTO, "guest: the host is another version of ctr");
	memcpy(&s, f->data, sizeof(s));
	s.id[sizeof(s.id) - 1] = '\0';
	strcpy(g->id, s.id);
	g->setup = s.flags;
	if (s.flags & AGENT_SETUP_DEBUG)
		log_setup(-1, LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG);
	if (!g->machine)
		return 0;
	guest_set_time(s.time_ns);
	guest_add_entropy(s.seed, sizeof(s.seed));
	if (s.flags & AGENT_SETUP_SHARE)
		r = guest_share(e);
	if (r == 0 && s.flags & AGENT_SETUP_IMAGE)
		r = guest_image(s.flags & AGENT_SETUP_IMAGE_RO, e);
	return r;
}

static int on_config(struct guest *g, const struct agent_frame *f, struct err *e)
{
	if (!g->id[0] || g->procs[0].state != GUEST_PROC_FREE)
		return err_set(e, EPROTO, "guest: a configuration at the wrong time");
	return guest_proc_begin(g, 0, g->setup & AGENT_SETUP_TTY, guest_job_create,
				(const char *)f->data, f->len, e);
}

static int begin(struct guest *g, enum guest_work_kind kind, const struct agent_frame *f,
		 guest_job_fn *fn, struct err *e)
{
	int stdio[3] = { -1, -1, -1 };
	struct guest_job j = { .id = f->id, .arg = (int32_t)f->arg };

	if (agent_type_text(f->type)) {
		j.text = (const char *)f->data;
		j.len = f->len;
	}
	return guest_work_begin(g, kind, &j, fn, stdio, e);
}

/* Init and processes of exec are our children: nobody else can have their pid yet. */
static int on_signal(struct guest *g, const struct agent_frame *f, struct err *e)
{
	uint32_t whom = f->len == 4 ? agent_get_u32(f->data) : AGENT_ALL;
	const struct guest_proc *p;
	int r = 0;

	if (whom == AGENT_ALL)
		return begin(g, WORK_REQUEST, f, guest_job_kill_all, e);
	/* SIGKILL may mean more than init. */
	if (whom == 0 && f->arg == SIGKILL)
		return begin(g, WORK_REQUEST, f, guest_job_kill, e);
	if (whom >= AGENT_MAX_PROCS)
		return err_set(e, EPROTO, "guest: a signal for process %u", whom);
	p = &g->procs[whom];
	if (p->state == GUEST_PROC_MADE)
		guest_proc_signal_later(g, whom, f->arg);
	else if (p->state != GUEST_PROC_RUNS)
		r = err_set(e, ESRCH, "kill %s: container not running", g->id);
	else if (kill(p->pid, (int)f->arg) < 0)
		r = err_sys(e, errno, "kill %s: signal %u", g->id, f->arg);
	if (r == 0)
		answer(g, f->id, &(struct err){}, NULL, 0);
	return r;
}

static int on_exec(struct guest *g, const struct agent_frame *f, struct err *e)
{
	if (f->id == 0 || f->id >= AGENT_MAX_PROCS || g->procs[f->id].state != GUEST_PROC_FREE)
		return err_set(e, EPROTO, "guest: exec of process %u", f->id);
	g->procs[f->id].size = 0;
	return guest_proc_begin(g, f->id, f->flags & AGENT_TTY, guest_job_exec,
				(const char *)f->data, f->len, e);
}

static int on_frame(struct guest *g, const struct agent_frame *f, struct err *e)
{
	switch (f->type) {
	case AGENT_SETUP:
		return on_setup(g, f, e);
	case AGENT_CONFIG:
		return on_config(g, f, e);
	case AGENT_START:
		return begin(g, WORK_START, f, guest_job_start, e);
	case AGENT_EXEC:
		return on_exec(g, f, e);
	case AGENT_SIGNAL:
		return on_signal(g, f, e);
	case AGENT_STATS:
		return begin(g, WORK_REQUEST, f, guest_job_stats, e);
	case AGENT_PS:
		return begin(g, WORK_REQUEST, f, guest_job_ps, e);
	case AGENT_UPDATE:
		return begin(g, WORK_REQUEST, f, guest_job_update, e);
	case AGENT_WINSIZE:
		if (f->id < AGENT_MAX_PROCS)
			guest_proc_size(g, f->id, f->arg);
		return 0;
	case AGENT_TIME:
		if (g->machine && f->len == 8)
			guest_set_time(agent_get_u64(f->data));
		return 0;
	case AGENT_RESEED:
		if (g->machine)
			guest_add_entropy(f->data, f->len);
		return 0;
	case AGENT_SHUTDOWN:
		g->over = true;
		return 0;
	default:
		return guest_proc_frame(g, f);
	}
}

/* Where an error of a frame goes: process, request, or (0) the set-up. */
static uint32_t error_id(const struct agent_frame *f)
{
	return f->type == AGENT_SETUP || f->type == AGENT_CONFIG ? 0 : f->id;
}

static void read_port(struct guest *g)
{
	struct agent_frame f;
	int r = agent_link_fill(&g->link);

	if (r < 0) {
		g->lost = true;
		return;
	}
	while (r > 0 && (r = agent_link_next(&g->link, &f)) > 0) {
		struct err e = {};
		uint32_t id = error_id(&f);

		if (on_frame(g, &f, &e) < 0 && id != AGENT_QUIET) {
			if (!e.code)
				err_set(&e, EPROTO, "guest: message %u of the host", f.type);
			agent_link_send_err(&g->link, id, &e);
		}
	}
	/* Nothing that follows could be understood. */
	g->lost |= r < 0;
}

/* ---- what operations answer ---- */

static void watch_oom(struct guest *g)
{
	AUTO_CONTAINER struct container_ref c = CONTAINER_REF_INIT;
	AUTO_CG struct cg *cg = NULL;
	struct err e;
	int r = container_open(&c, &g->global, g->id, false, &e);

	if (r == 0)
		r = container_cgroup(c.st, &cg, &e);
	if (r == 0 && cg)
		r = cg_oom_open(cg, &g->oom, &e);
	g->oom_open = r == 0 && cg;
	if (r < 0)
		log_debug("guest: %s", e.msg);
}

static void on_oom(struct guest *g)
{
	struct agent_frame f = { .type = AGENT_OOM };
	uint64_t n = g->oom_open ? cg_oom_count(&g->oom) : 0;

	g->oom_kills += n;
	for (; n > 0; n--)
		agent_link_send(&g->link, &f);
}

static void on_report(struct guest *g, struct guest_work *w)
{
	struct guest_report *r = &w->report;

	switch (w->kind) {
	case WORK_CREATE:
	case WORK_EXEC:
		guest_proc_made(g, w->id, r->pid, &r->err);
		if (w->kind == WORK_CREATE && r->err.code == 0) {
			watch_oom(g);
			answer(g, 0, &r->err, NULL, 0);
		}
		break;
	case WORK_START:
	case WORK_REQUEST:
		answer(g, w->id, &r->err, w->text, r->text_len);
		break;
	}
	guest_work_free(w);
}

static void read_reports(struct guest *g)
{
	for (int i = 0; i < GUEST_WORKS; i++)
		if (g->works[i].used && guest_work_read(&g->works[i], false))
			on_report(g, &g->works[i]);
}

/*
 * What an operation has started becomes our child when the operation has ended, and it has answered
 * before that: with all answers read after a child was seen to have ended, each is known.
 */
static void reap(struct guest *g)
{
	siginfo_t si;
	int status;

	for (;;) {
		si.si_pid = 0;
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0)
			return;
		read_reports(g);
		if (waitpid(si.si_pid, &status, __WALL) != si.si_pid)
			continue;
		for (int i = 0; i < GUEST_WORKS; i++)
			if (g->works[i].used && g->works[i].pid == si.si_pid &&
			    guest_work_read(&g->works[i], true))
				on_report(g, &g->works[i]);
		on_oom(g);
		guest_proc_exited(g, si.si_pid, status);
	}
}

static void read_signals(struct guest *g)
{
	struct signalfd_siginfo si[8];

	while (read(g->sigfd, si, sizeof(si)) > 0)
		;
	reap(g);
}

/* ---- the loop ---- */

static void watch(struct guest *g, int fd, short events, enum guest_what what, int index,
		  int stream)
{
	if (fd < 0 || !events)
		return;
	g->polls[g->n_polls] = (struct pollfd){ .fd = fd, .events = events };
	g->watches[g->n_polls++] =
		(struct guest_watch){ .what = what, .index = index, .stream = stream };
}

static void watch_all(struct guest *g)
{
	g->n_polls = 0;
	watch(g, g->link.fd, POLLIN | (agent_link_pending(&g->link) ? POLLOUT : 0), GUEST_LINK, 0,
	      0);
	watch(g, g->sigfd, POLLIN, GUEST_SIGNAL, 0, 0);
	if (g->oom_open)
		watch(g, g->oom.fd, (short)g->oom.events, GUEST_OOM, 0, 0);
	for (int i = 0; i < GUEST_WORKS; i++)
		if (g->works[i].used)
			watch(g, g->works[i].pipe, POLLIN, GUEST_WORK, i, 0);
	for (int i = 0; i < AGENT_MAX_PROCS; i++) {
		struct guest_proc *p = &g->procs[i];

		if (p->state == GUEST_PROC_FREE)
			continue;
		watch(g, p->in.fd.fd, agent_sink_events(&p->in), GUEST_IN, i, 0);
		for (int k = 0; k < 2; k++)
			watch(g, p->out[k].fd.fd, agent_source_events(&p->out[k], &g->link),
			      GUEST_OUT, i, k);
	}
}

static void ready(struct guest *g, const struct guest_watch *w, short events)
{
	struct guest_proc *p = &g->procs[w->index];

	switch (w->what) {
	case GUEST_LINK:
		if (events & ~POLLOUT)
			read_port(g);
		break;
	case GUEST_SIGNAL:
		read_signals(g);
		break;
	case GUEST_OOM:
		on_oom(g);
		break;
	case GUEST_WORK:
		if (g->works[w->index].used && guest_work_read(&g->works[w->index], false))
			on_report(g, &g->works[w->index]);
		break;
	case GUEST_IN:
		if (p->state != GUEST_PROC_FREE)
			agent_sink_pump(&p->in, &g->link);
		break;
	case GUEST_OUT:
		if (p->state != GUEST_PROC_FREE)
			agent_source_pump(&p->out[w->stream], &g->link);
		break;
	}
}

/* True when there may be more to do at once: output of a process that has ended. */
static bool settle(struct guest *g)
{
	bool more = false;

	for (uint32_t i = 0; i < AGENT_MAX_PROCS; i++) {
		const struct guest_proc *p = &g->procs[i];

		if (p->state != GUEST_PROC_EXITED)
			continue;
		guest_proc_settle(g, i);
		if (p->state != GUEST_PROC_EXITED || p->told)
			continue;
		for (int k = 0; k < 2; k++)
			more |= !p->out[k].dry && agent_source_events(&p->out[k], &g->link);
	}
	return more;
}

static void loop(struct guest *g)
{
	int ms = -1;

	while (!g->lost && !g->over) {
		bool more = settle(g);
		int n;

		if (agent_link_flush(&g->link) < 0)
			return;
		if (g->gone)
			ms = LAST_WORD_MS;
		watch_all(g);
		n = poll(g->polls, g->n_polls, more ? 0 : ms);
		if (n == 0 && g->gone && !more && !agent_link_pending(&g->link))
			return;
		for (size_t i = 0; n > 0 && i < g->n_polls; i++)
			if (g->polls[i].revents)
				ready(g, &g->watches[i], g->polls[i].revents);
	}
}

/* ---- begin ---- */

static int say_hello(struct guest *g, struct err *e)
{
	uint8_t hello[AGENT_HEADER + 8];
	struct agent_frame f = { .type = AGENT_HELLO, .len = 8 };

	agent_frame_header(hello, &f);
	agent_put_u32(hello + AGENT_HEADER, AGENT_VERSION);
	agent_put_u32(hello + AGENT_HEADER + 4, 0);
	/* Still blocking: the port waits here until the host has opened its side. */
	if (write(g->link.fd, hello, sizeof(hello)) != (ssize_t)sizeof(hello))
		return err_sys(e, errno, "guest: speak with the host");
	return 0;
}

static int prepare(struct guest *g, struct err *e)
{
	sigset_t set;

	if (mkdir(g->dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "guest: make %s", g->dir);
	snprintf(g->root, sizeof(g->root), "%s/state", g->dir);
	g->global = (struct ctr_global){ .root = g->root, .root_given = true };
	g->oom = (struct cg_oom)CG_OOM_INIT;
	for (int i = 0; i < AGENT_MAX_PROCS; i++)
		g->procs[i].console = g->procs[i].slave = -1;
	sigfillset(&set);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys(e, errno, "guest: block signals");
	g->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (g->sigfd < 0)
		return err_sys(e, errno, "guest: signalfd");
	/* For PID 1 it is so already. */
	if (!g->machine && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return err_sys(e, errno, "guest: become the reaper");
	return 0;
}

static int serve(int port, const char *dir, bool machine, struct err *e)
{
	struct guest *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return err_sys(e, ENOMEM, "guest: the agent");
	g->machine = machine;
	snprintf(g->dir, sizeof(g->dir), "%s", dir);
	g->link = (struct agent_link){ .fd = port };
	r = say_hello(g, e);
	if (r == 0)
		r = agent_link_open(&g->link, port, AGENT_TEXT_MAX, e);
	if (r == 0)
		r = prepare(g, e);
	if (r == 0)
		loop(g);
	if (!machine) {
		for (uint32_t i = 0; i < AGENT_MAX_PROCS; i++)
			guest_proc_close(g, i);
		for (int i = 0; i < GUEST_WORKS; i++)
			guest_work_free(&g->works[i]);
		cg_oom_close(&g->oom);
		agent_link_close(&g->link);
		close(g->sigfd);
		free(g);
	}
	return r;
}

int guest_serve(int port, const char *dir, struct err *e)
{
	return serve(port, dir, false, e);
}

bool guest_wanted(const char *argv0)
{
	return guest_is_init(argv0);
}

_Noreturn void guest_main(void)
{
	struct err e = {};
	int port = -1, r;

	log_setup(-1, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	r = guest_boot(&e);
	if (r == 0) {
		port = guest_port(&e);
		r = port < 0 ? port : 0;
	}
	if (r == 0)
		r = serve(port, "/run/ctr", true, &e);
	if (r < 0)
		guest_last_words(e.msg);
	guest_reset();
}
