/* SPDX-License-Identifier: Apache-2.0 */
/* create, start, run. */
#include "ctr.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/sys.h"
#include "container.h"
#include "create.h"
#include "hooks.h"
#include "notify.h"
#include "proc.h"
#include "supervise.h"
#include "sync.h"
#include "transition.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

int ctr_create(const struct ctr_global *g, const struct create_opts *o, struct err *e)
{
	struct create c = { .g = g, .o = o };
	int r = create_run(&c, e);

	create_close(&c);
	return r;
}

/*
 * A signal may kill `start` here (see release_init). In run, dir is -1, it must not: there it ends
 * the wait for hooks of the container, as it does everywhere else before the program runs.
 */
static int await_init(int sock, int dir, struct err *e)
{
	return dir < 0 ? supervise_await(sock, "the container was started", e) : 0;
}

/*
 * Tells the waiting init to go and learns how it ended: EXEC and end of file, the payload runs; an
 * ERROR before or after EXEC, it does not. dir: of a created container (else -1). Its start socket
 * is what makes it "created", so it goes between the hooks and the program, which waits for that:
 * whenever we are killed, init still waits for a start, or has ended, or runs without the socket.
 */
static int release_init(int sock, int dir, struct err *e)
{
	struct sync_msg m;
	int r = sync_send(sock, SYNC_START, 0, NULL, -1);

	if (r < 0)
		return err_sys(e, -r, "tell the container's init to start");
	r = await_init(sock, dir, e);
	if (r == 0)
		r = sync_expect(sock, SYNC_EXEC, "container init", NULL, NULL, e);
	if (r < 0)
		return r;
	if (dir >= 0) {
		unlinkat(dir, STORE_START, 0);
		r = sync_send(sock, SYNC_GO, 0, NULL, -1);
		if (r < 0)
			return err_sys(e, -r, "let the container's program run");
	}
	r = await_init(sock, dir, e);
	if (r < 0)
		return r;
	r = sync_recv(sock, &m, NULL);
	if (r == 0)
		return 0;
	if (r < 0)
		return err_sys(e, -r, "await the container's program");
	if (m.type != SYNC_ERROR)
		return err_set(e, EPROTO, "container init sent an unexpected message (%u)", m.type);
	*e = m.err;
	return -m.err.code;
}

/*
 * The specification: a failed poststart hook stops the container. One that was deleted meanwhile,
 * and what has its name or its cgroup by now, is left alone.
 */
static void stop_failed(const struct ctr_global *g, const struct container_ref *c, const char *id)
{
	struct err ignored = {};
	AUTO_CG struct cg *cg = NULL;

	if (store_lock(&c->store, id, c->dir, &ignored) < 0 && ignored.kind == ERR_NO_CONTAINER)
		return;
	if (container_cgroup(c->st, &cg, &ignored) == 0 && cg)
		cg_kill(cg, SIGKILL, &ignored);
	ctr_kill(g, id, SIGKILL, false, &ignored);
}

/* A service has started when it says so. Meanwhile others may work with the container. */
static void await_ready(const struct container_ref *c, struct notify *n)
{
	AUTO_CLOSE int pidfd = n->fd >= 0 ? proc_pidfd(c->st->pid, c->st->pid_start) : -1;

	store_unlock(c->dir);
	if (pidfd >= 0)
		notify_wait(n, pidfd, c->st->pid);
	else
		notify_end(n);
}

int ctr_start(const struct ctr_global *g, const char *id, struct err *e)
{
	AUTO_CONTAINER struct container_ref c = CONTAINER_REF_INIT;
	AUTO_NOTIFY struct notify n = NOTIFY_INIT;
	AUTO_CLOSE int sock = -1;
	int r = container_open(&c, g, id, true, e);

	if (r == 0)
		r = transition_check(CMD_START, id, c.status, e);
	if (r < 0)
		return r;
	sock = store_start_connect(c.dir, e);
	if (sock < 0)
		return err_wrap(e, "start %s", id);
	r = notify_open(&n, c.dir, e);
	if (r == 0)
		r = release_init(sock, c.dir, e);
	if (r < 0)
		return err_wrap(e, "start %s", id);
	r = container_hooks(&c, HOOK_POSTSTART, STATUS_RUNNING, e);
	if (r < 0)
		stop_failed(g, &c, id);
	else
		await_ready(&c, &n);
	return r;
}

static int poststart(struct create *c, struct err *e)
{
	struct json_out j = {};
	int r;

	if (!c->spec->hooks.kind[HOOK_POSTSTART].n)
		return 0;
	/* Who wants to delete it must not wait for them. */
	store_unlock(c->dir);
	state_out_hook(&j, &c->st, STATUS_RUNNING);
	r = hooks_run(&c->spec->hooks, HOOK_POSTSTART, j.buf.s, NULL, -1, e);
	json_out_free(&j);
	return r;
}

/* What a delete that came during the poststart hooks has left to us. */
static void undo_started(struct create *c)
{
	struct err e = {};

	sys_pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
	if (store_lock(&c->store, c->o->id, c->dir, &e) == 0)
		create_undo(c);
	else if (e.kind != ERR_NO_CONTAINER)
		log_warn("%s", e.msg);
	else if (c->pid_file_written)
		unlink(c->o->pid_file);
}

/* Somebody may have deleted it meanwhile, and made another of its name: that is no error. */
static int destroy(struct create *c, struct err *e)
{
	struct container_ref ref = { .store = c->store, .dir = c->dir };
	int r = store_lock(&c->store, c->o->id, c->dir, e);

	if (r < 0)
		return e->kind == ERR_NO_CONTAINER ? 0 : r;
	r = store_read_state(c->dir, &ref.st, e);
	r = r < 0 ? err_wrap(e, "container %s", c->o->id) : container_destroy(&ref, c->o->id, e);
	state_free(ref.st);
	return r;
}

/*
 * The foreground: wait, then leave nothing (unless asked to keep the state for `delete`), also when
 * there could be no waiting. What cannot be removed changes nothing of how the program ended.
 */
static int in_foreground(struct create *c, struct notify *n, int *status, struct err *e)
{
	struct err late = {};
	int r;

	c->sup.pid = c->pid;
	c->sup.pidfd = c->pidfd;
	c->sup.master = c->master;
	c->sup.notify = n;
	c->sup.remote = c->machine;
	r = supervise_wait(&c->sup, status, e);
	if (c->o->keep)
		return r;
	if (destroy(c, &late) < 0)
		log_warn("%s", late.msg);
	return r;
}

int ctr_run(const struct ctr_global *g, const struct create_opts *o, int *status, struct err *e)
{
	struct create c = { .g = g, .o = o, .wait_here = true };
	AUTO_NOTIFY struct notify n = NOTIFY_INIT;
	int r = create_run(&c, e);

	*status = 0;
	if (r == 0) {
		r = notify_open(&n, c.dir, e);
		if (r == 0)
			r = release_init(c.sync_parent, -1, e);
		if (r == 0)
			r = poststart(&c, e);
		if (r < 0) {
			undo_started(&c);
		} else {
			/* From here on others may work with the container. */
			store_unlock(c.dir);
			if (!o->detach)
				r = in_foreground(&c, &n, status, e);
			else
				notify_wait(&n, c.pidfd, c.pid);
		}
	}
	create_close(&c);
	return r;
}
