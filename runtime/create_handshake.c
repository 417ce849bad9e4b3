/* SPDX-License-Identifier: Apache-2.0 */
/* What the parent does for the child while it makes the container, until it is ready. */
#include "create.h"

#include "base/cleanup.h"
#include "console.h"
#include "hooks.h"
#include "namespaces/idmap.h"
#include "process.h"
#include "sync.h"

#include <errno.h>
#include <sys/wait.h>

static int serve(struct create *c, const struct sync_msg *m)
{
	struct err e = {};
	AUTO_CLOSE int fd = c->wl.ops->serve(&c->wl, m, &e);

	return fd >= 0 ? sync_send(c->sync_parent, SYNC_SOURCE_FD, 0, NULL, fd)
		       : sync_send_err(c->sync_parent, &e);
}

static int runtime_hooks(struct create *c, struct err *e)
{
	const struct spec_hooks *h = &c->spec->hooks;
	AUTO(json_out_free) struct json_out j = {};
	int r;

	c->st.pid = c->pid;
	state_out_hook(&j, &c->st, STATUS_CREATING);
	r = hooks_run(h, HOOK_PRESTART, j.buf.s, NULL, c->pidfd, e);
	if (r == 0)
		r = hooks_run(h, HOOK_CREATE_RUNTIME, j.buf.s, NULL, c->pidfd, e);
	if (r < 0)
		return r;
	r = sync_send(c->sync_parent, SYNC_GO, 0, NULL, -1);
	return r < 0 ? err_sys(e, -r, "tell the container's init that the hooks are done") : 0;
}

/* The stage before this one has made it. */
static int network_ready(struct create *c, struct err *e)
{
	int r = sync_send(c->sync_parent, SYNC_GO, 0, NULL, -1);

	return r < 0 ? err_sys(e, -r, "tell the container's init that its network is there") : 0;
}

/* The child has made its user namespace last of all. */
static int late_maps(struct create *c, struct err *e)
{
	int r = idmap_write(c->pid, &c->late_uids, &c->late_gids, e);

	if (r < 0)
		return r;
	r = sync_send(c->sync_parent, SYNC_GO, 0, NULL, -1);
	return r < 0 ? err_sys(e, -r, "tell the container's init that its id maps are there") : 0;
}

/*
 * Inside a user namespace none can be raised, so they are set from here; and only now, because the
 * set-up is no part of the program that they are for.
 */
static int limits(const struct create *c, struct err *e)
{
	if (!c->spec->linux_.ns[NS_USER].wanted || c->machine)
		return 0;
	return process_rlimits(c->pid, &c->spec->process->rlimits, e);
}

int create_unexpected(uint32_t type, struct err *e)
{
	return err_set(e, EPROTO, "container init sent an unexpected message (%u)", type);
}

/* Without a word: it was killed, and who sets a memory limit below its needs does so. */
static int ended(const struct create *c, struct err *e)
{
	const struct spec_resources *r = c->spec->linux_.resources;
	siginfo_t si = {};

	if (waitid(P_PIDFD, (id_t)c->pidfd, &si, WEXITED | WNOWAIT) < 0 || si.si_code == CLD_EXITED)
		return err_set(e, EPIPE, "container init ended while it was set up");
	if (si.si_status == SIGKILL && r && r->memory && r->memory->limit.set &&
	    r->memory->limit.v > 0)
		return err_set(
			e, ENOMEM,
			"container init was killed while it was set up: linux.resources.memory.limit: "
			"%lld bytes are probably too few",
			(long long)r->memory->limit.v);
	return err_set(e, EPIPE, "container init was killed by signal %d while it was set up",
		       si.si_status);
}

int create_recv(struct create *c, struct sync_msg *m, int *fd, struct err *e)
{
	int r = supervise_await(c->sync_parent, "the container was made", e);

	if (r < 0)
		return r;
	r = sync_recv(c->sync_parent, m, fd);
	return r < 0 ? err_sys(e, -r, "await the container's init") : r;
}

/* Once a machine is in its jail, its guest may be the one that speaks. */
static bool may_say(const struct create *c, bool jailed, uint32_t type)
{
	if (!c->machine)
		return type != SYNC_JAILED && type != SYNC_USERNS;
	return jailed ? type == SYNC_READY : type != SYNC_READY;
}

static int answer(struct create *c, const struct sync_msg *m, int fd, struct err *e)
{
	switch (m->type) {
	case SYNC_SOURCE:
	case SYNC_IDMAPPED:
		return serve(c, m);
	case SYNC_HOOKS:
		return runtime_hooks(c, e);
	case SYNC_NETWORK:
		return network_ready(c, e);
	case SYNC_USERNS:
		return late_maps(c, e);
	case SYNC_MASTER:
		c->master = fd;
		/* Before the payload runs: a quick one would see no size. */
		console_user_size(fd);
		return 0;
	case SYNC_JAILED:
		return 0;
	default:
		return create_unexpected(m->type, e);
	}
}

int create_handshake(void *ctx, struct err *e)
{
	struct create *c = ctx;
	bool jailed = false;

	for (;;) {
		struct sync_msg m;
		int fd = -1, r = create_recv(c, &m, &fd, e);

		if (r < 0)
			return r;
		if (r == 0)
			return ended(c, e);
		if (fd >= 0 && (m.type != SYNC_MASTER || jailed))
			close(TAKE_FD(fd));
		if (m.type == SYNC_ERROR) {
			*e = m.err;
			return -m.err.code;
		}
		if (!may_say(c, jailed, m.type))
			return create_unexpected(m.type, e);
		/* Whatever it says, it is in its cgroups since before that. */
		r = c->cg ? cg_placed(c->cg, e) : 0;
		if (r == 0 && m.type == SYNC_READY)
			return limits(c, e);
		jailed |= m.type == SYNC_JAILED;
		if (r == 0)
			r = answer(c, &m, fd, e);
		if (r < 0)
			return r;
	}
}
