/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of the container as the agent sees them: stdio, terminal, end. */
#include "guest_internal.h"

#include "base/cleanup.h"
#include "base/fdpass.h"
#include "base/log.h"
#include "microvm/guest/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

void guest_path(const struct guest *g, char out[PATH_MAX], const char *name, uint32_t id)
{
	snprintf(out, PATH_MAX, "%s/%s.%u", g->dir, name, id);
}

/* Where the operation sends the terminal that it makes. */
static int listen_console(const struct guest *g, uint32_t id, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	AUTO_CLOSE int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char path[PATH_MAX];

	guest_path(g, path, "console", id);
	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(e, ENAMETOOLONG, "guest: %s: too long for a socket", path);
	memcpy(a.sun_path, path, strlen(path) + 1);
	unlink(path);
	if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(s, 1) < 0)
		return err_sys(e, errno, "guest: console socket");
	return TAKE_FD(s);
}

/* Three pipes: ours and the process's ends. */
static int make_pipes(int ours[3], int theirs[3])
{
	for (int i = 0; i < 3; i++)
		ours[i] = theirs[i] = -1;
	for (int i = 0; i < 3; i++) {
		int p[2];

		if (pipe2(p, O_CLOEXEC) < 0)
			return -errno;
		ours[i] = p[i == 0];
		theirs[i] = p[i != 0];
		fcntl(ours[i], F_SETFL, O_NONBLOCK);
	}
	return 0;
}

static int open_streams(struct guest *g, uint32_t id, int theirs[3], struct err *e)
{
	struct guest_proc *p = &g->procs[id];
	int ours[3] = { -1, -1, -1 };

	for (int i = 0; i < 3; i++)
		theirs[i] = -1;
	if (p->tty) {
		p->console = listen_console(g, id, e);
		if (p->console < 0)
			return p->console;
	} else if (make_pipes(ours, theirs) < 0) {
		for (int i = 0; i < 3; i++) {
			if (ours[i] >= 0)
				close(ours[i]);
			if (theirs[i] >= 0)
				close(theirs[i]);
		}
		return err_sys(e, errno, "guest: pipe");
	}
	agent_sink_init(&p->in, ours[0], id, 0);
	agent_source_init(&p->out[0], ours[1], id, 1);
	agent_source_init(&p->out[1], ours[2], id, 2);
	p->in.pending = p->in.tty = p->tty;
	if (p->tty)
		agent_source_close(&p->out[1]);
	return 0;
}

int guest_proc_begin(struct guest *g, uint32_t id, bool tty, guest_job_fn *fn, const char *text,
		     size_t len, struct err *e)
{
	struct guest_proc *p = &g->procs[id];
	struct guest_job j = { .id = id, .text = text, .len = len };
	uint32_t size = p->size;
	int stdio[3], r;

	*p = (struct guest_proc){
		.state = GUEST_PROC_MADE, .tty = tty, .console = -1, .slave = -1
	};
	p->size = size;
	r = open_streams(g, id, stdio, e);
	if (r == 0)
		r = guest_work_begin(g, id ? WORK_EXEC : WORK_CREATE, &j, fn, stdio, e);
	if (r < 0)
		guest_proc_close(g, id);
	return r;
}

static void close_slave(struct guest_proc *p)
{
	if (p->slave >= 0)
		close(TAKE_FD(p->slave));
}

void guest_proc_close(struct guest *g, uint32_t id)
{
	struct guest_proc *p = &g->procs[id];
	char path[PATH_MAX];

	if (p->state == GUEST_PROC_FREE)
		return;
	if (p->console >= 0) {
		close(p->console);
		guest_path(g, path, "console", id);
		unlink(path);
	}
	close_slave(p);
	agent_sink_close(&p->in);
	agent_source_close(&p->out[0]);
	agent_source_close(&p->out[1]);
	*p = (struct guest_proc){ .state = GUEST_PROC_FREE, .console = -1, .slave = -1 };
}

static void set_size(int master, uint32_t size)
{
	struct winsize ws = { .ws_row = (unsigned short)(size >> 16),
			      .ws_col = (unsigned short)size };

	if (size)
		ioctl(master, TIOCSWINSZ, &ws);
}

void guest_proc_size(struct guest *g, uint32_t id, uint32_t size)
{
	struct guest_proc *p = &g->procs[id];

	p->size = size;
	if (p->state != GUEST_PROC_FREE && p->tty && p->out[0].fd.fd >= 0)
		set_size(p->out[0].fd.fd, size);
}

/* The operation has sent it before it answered: it is there. */
static int take_terminal(struct guest *g, uint32_t id, struct err *e)
{
	struct guest_proc *p = &g->procs[id];
	AUTO_CLOSE int s = accept4(p->console, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	char name[256];
	int fd = -1, second;
	size_t n = 1;

	if (s < 0 || fdpass_recv(s, name, sizeof(name), &fd, &n) <= 0 || n != 1)
		return err_set(e, EPROTO, "guest: no terminal came");
	fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
	second = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	set_size(fd, p->size);
	/* As long as it may be opened again, that nobody has it open is not its end. */
	p->slave = ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	agent_source_init(&p->out[0], fd, id, 1);
	agent_sink_attach(&p->in, second);
	return second < 0 ? err_sys(e, errno, "guest: terminal") : 0;
}

/*
 * Until the machine is reset: the last process of a mount namespace unmounts what is only in there,
 * and Linux 6.1 does not wait for what the file server still reads for pages of a virtio-fs that is
 * not the whole share (general protection fault in the worker that takes the answer).
 */
static void keep_mounts(struct guest *g, pid_t pid)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	if (g->machine)
		g->mounts = open(path, O_RDONLY | O_CLOEXEC);
	if (g->machine && g->mounts < 0)
		log_warn("guest: keep the mounts of the container: %s", strerrordesc_np(errno));
}

void guest_proc_made(struct guest *g, uint32_t id, pid_t pid, struct err *e)
{
	struct guest_proc *p = &g->procs[id];

	if (p->state == GUEST_PROC_FREE)
		return;
	if (e->code == 0 && p->tty && take_terminal(g, id, e) < 0)
		kill(pid, SIGKILL);
	if (e->code) {
		agent_link_send_err(&g->link, id, e);
		guest_proc_close(g, id);
		return;
	}
	p->pid = pid;
	p->state = GUEST_PROC_RUNS;
	if (id == 0)
		keep_mounts(g, pid);
	if (id) {
		struct agent_frame f = { .type = AGENT_PID, .id = id, .arg = (uint32_t)pid };

		agent_link_send(&g->link, &f);
	}
	agent_sink_pump(&p->in, &g->link);
	for (int sig = 1; sig <= 64; sig++)
		if (p->signals & UINT64_C(1) << (sig - 1))
			kill(pid, sig);
}

/* It may run already; only its pid has not been told. */
void guest_proc_signal_later(struct guest *g, uint32_t id, uint32_t sig)
{
	if (sig >= 1 && sig <= 64)
		g->procs[id].signals |= UINT64_C(1) << (sig - 1);
}

void guest_proc_exited(struct guest *g, pid_t pid, int status)
{
	for (uint32_t i = 0; i < AGENT_MAX_PROCS; i++) {
		struct guest_proc *p = &g->procs[i];

		if (p->state != GUEST_PROC_RUNS || p->pid != pid)
			continue;
		p->state = GUEST_PROC_EXITED;
		p->status = status;
		close_slave(p);
		agent_sink_close(&p->in);
		/* What it wrote last is looked for once more. */
		p->out[0].dry = p->out[1].dry = false;
		return;
	}
}

int guest_proc_frame(struct guest *g, const struct agent_frame *f)
{
	struct guest_proc *p;

	if (f->id >= AGENT_MAX_PROCS)
		return -EPROTO;
	p = &g->procs[f->id];
	/* It has ended, and the host did not know yet. */
	if (p->state == GUEST_PROC_FREE)
		return 0;
	switch (f->type) {
	case AGENT_DATA:
		return agent_sink_put(&p->in, &g->link, f->data, f->len);
	case AGENT_CREDIT:
		if (f->len != 4 || f->arg < 1 || f->arg > 2)
			return -EPROTO;
		return agent_source_credit(&p->out[f->arg - 1], agent_get_u32(f->data));
	case AGENT_CLOSE:
		if (f->arg < 1 || f->arg > 2)
			return -EPROTO;
		return agent_source_unread(&p->out[f->arg - 1], &g->link);
	default:
		return -EPROTO;
	}
}

static bool delivered(const struct agent_source *s)
{
	return s->ended || s->dry;
}

void guest_proc_settle(struct guest *g, uint32_t id)
{
	struct guest_proc *p = &g->procs[id];
	struct agent_frame f = { .type = AGENT_EXIT, .id = id, .arg = (uint32_t)p->status };

	if (p->state != GUEST_PROC_EXITED)
		return;
	for (int i = 0; i < 2; i++)
		if (!delivered(&p->out[i]))
			agent_source_pump(&p->out[i], &g->link);
	if (!p->told && delivered(&p->out[0]) && delivered(&p->out[1])) {
		p->told = true;
		if (g->oom_kills && WIFSIGNALED(p->status) && WTERMSIG(p->status) == SIGKILL)
			f.flags = AGENT_OOM_HIT;
		if (id == 0 && g->machine)
			guest_sync();
		agent_link_send(&g->link, &f);
		g->gone |= id == 0;
	}
	if (p->told && p->out[0].ended && p->out[1].ended)
		guest_proc_close(g, id);
}
