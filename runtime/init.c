/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child's half of create: from the first instruction after clone3 to the payload's execve.
 *
 *   die with parent    must: be first; an orphan in the middle of set-up would stay for ever
 *   await maps         must: wait until the id maps are written, then become root in the user
 *                      namespace
 *   cgroup             must: come before the cgroup namespace is made (its root is where we are)
 *   namespaces         join what is joined, make the cgroup and the time namespace
 *   identity           session, keyring, host and domain name, loopback
 *   enter              the workload: root file system, terminal, sysctls, privileges (see wl_*.c);
 *                      must not: start anything of the payload
 *   hand over          tells the parent; must: outlive it only after it has recorded us
 *   await start        blocks: this is the state "created"
 *   run                startContainer hooks, the last filter, execve
 */
#include "create.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/stage.h"
#include "keyring.h"
#include "namespaces/time_ns.h"
#include "netns/link.h"
#include "process.h"
#include "sync.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct init {
	struct create *c;
	int reply;   /* where errors go: the sync socket, later the connection of `start` */
	int offsets; /* time_ns_open */
};

static int die_with_parent(void *ctx, struct err *e)
{
	(void)ctx;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_sys(e, errno, "set the parent-death signal");
	return 0;
}

static int become_root(const struct create *c, struct err *e)
{
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(e, errno, "become root in the user namespace");
	if (!c->notes.keep_groups && setgroups(0, NULL) < 0 && errno != EPERM)
		return err_sys(e, errno, "clear the groups in the user namespace");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return 0;
}

static int await_maps(void *ctx, struct err *e)
{
	struct init *i = ctx;
	struct create *c = i->c;
	int r = time_ns_open(&c->spec->linux_, &c->ns, &i->offsets, e);

	if (r < 0)
		return r;
	if (create_init_waits(c)) {
		r = sync_expect(c->sync_child, SYNC_GO, "ctr", NULL, NULL, e);
		if (r < 0)
			return r;
	}
	/* In the joined one already, when there was an intermediate child (spawn.c). */
	if (c->spec->linux_.ns[NS_USER].wanted && c->ns.fd[NS_USER] < 0 && !c->late_uids.n) {
		r = become_root(c, e);
		if (r < 0)
			return r;
	}
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(e, errno, "clear the dumpable flag");
	return 0;
}

static int join_cgroup(void *ctx, struct err *e)
{
	struct create *c = ((struct init *)ctx)->c;
	int r = cg_join_self(c->join_fd, c->n_join);

	if (r < 0)
		return err_sys(e, -r, "join the cgroup %s", c->cg ? cg_path(c->cg) : "");
	while (c->n_join > 0)
		close(c->join_fd[--c->n_join]);
	process_reset_affinity();
	return 0;
}

static int namespaces(void *ctx, struct err *e)
{
	struct init *i = ctx;
	struct create *c = i->c;
	AUTO_CLOSE int offsets = TAKE_FD(i->offsets);
	bool user = c->ns.fd[NS_USER] >= 0;
	int r = ns_join(&c->ns, e);

	if (r == 0 && user)
		r = become_root(c, e);
	if (r < 0)
		return r;
	if ((c->ns.new_flags & CLONE_NEWCGROUP) && unshare(CLONE_NEWCGROUP) < 0)
		return err_sys(e, errno, "make cgroup namespace");
	if (!(c->ns.new_flags & CLONE_NEWTIME))
		return 0;
	/* What unshare makes is for children; one setns brings us into it too. */
	r = time_ns_make(&c->spec->linux_, offsets, e);
	return r < 0 ? r : time_ns_enter(e);
}

static int identity(void *ctx, struct err *e)
{
	struct create *c = ((struct init *)ctx)->c;
	const struct spec *s = c->spec;
	int r;

	setsid();
	r = c->st.no_new_keyring ? 0 : keyring_join(c->st.id, s->process->selinux_label, e);
	if (r < 0)
		return r;
	if (s->hostname && sethostname(s->hostname, strlen(s->hostname)) < 0)
		return err_sys(e, errno, "hostname: set to %s", s->hostname);
	if (s->domainname && setdomainname(s->domainname, strlen(s->domainname)) < 0)
		return err_sys(e, errno, "domainname: set to %s", s->domainname);
	if (c->ns.new_flags & CLONE_NEWNET)
		return link_loopback_up(e);
	return 0;
}

static int enter(void *ctx, struct err *e)
{
	struct create *c = ((struct init *)ctx)->c;

	return c->wl.ops->enter(&c->wl, e);
}

static int hand_over(void *ctx, struct err *e)
{
	struct init *i = ctx;
	struct create *c = i->c;
	int r;

	/* The change of user cleared it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = sync_send(c->sync_child, SYNC_READY, 0, NULL, -1);
	if (r < 0)
		return err_sys(e, -r, "report readiness");
	r = sync_expect(c->sync_child, SYNC_GO, "ctr", NULL, NULL, e);
	if (r < 0)
		return r;
	if (prctl(PR_SET_PDEATHSIG, 0) < 0)
		return err_sys(e, errno, "clear the parent-death signal");
	return 0;
}

static int await(struct create *c, int fd, struct err *e)
{
	return c->wl.ops->await ? c->wl.ops->await(&c->wl, fd, e) : 0;
}

static int await_start(void *ctx, struct err *e)
{
	struct init *i = ctx;
	struct create *c = i->c;
	int r;

	if (c->wait_here) {
		r = await(c, c->sync_child, e);
		return r < 0 ? r : sync_expect(c->sync_child, SYNC_START, "ctr", NULL, NULL, e);
	}
	close(c->sync_child);
	i->reply = c->sync_child = -1;
	for (;;) {
		int conn;

		r = await(c, c->start_fd, e);
		if (r < 0)
			return r;
		conn = accept4(c->start_fd, NULL, NULL, SOCK_CLOEXEC);
		if (conn < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (conn < 0)
			return err_sys(e, errno, "await start");
		i->reply = conn;
		/* Who hung up without a word did not start us. */
		if (sync_expect(conn, SYNC_START, "ctr start", NULL, NULL, NULL) == 0)
			break;
		close(conn);
		i->reply = -1;
	}
	close(c->start_fd);
	c->start_fd = -1;
	return 0;
}

static int run(void *ctx, struct err *e)
{
	struct init *i = ctx;

	return i->c->wl.ops->run(&i->c->wl, i->reply, e);
}

static const struct stage init_stages[] = {
	{ "die with parent", die_with_parent, NULL },
	{ "await maps", await_maps, NULL },
	{ "cgroup", join_cgroup, NULL },
	{ "namespaces", namespaces, NULL },
	{ "identity", identity, NULL },
	{ "enter", enter, NULL },
	{ "hand over", hand_over, NULL },
	{ "await start", await_start, NULL },
	{ "run", run, NULL },
};

/* What the parent needs and we must not keep: an open state directory would hold its lock. */
static void drop_parents_fds(struct create *c)
{
	int *mine[] = { &c->sync_parent, &c->dir, &c->store.fd };

	for (size_t i = 0; i < ARRAY_SIZE(mine); i++) {
		if (*mine[i] >= 0)
			close(*mine[i]);
		*mine[i] = -1;
	}
}

_Noreturn void init_main(struct create *c)
{
	struct init i = { .c = c, .reply = c->sync_child, .offsets = -1 };
	struct err e = {};

	drop_parents_fds(c);
	stage_run("init", init_stages, ARRAY_SIZE(init_stages), &i, &e);
	if (i.reply >= 0)
		sync_send_err(i.reply, &e);
	else
		log_error("%s", e.msg);
	_exit(1);
}
