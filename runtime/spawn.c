/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the child comes into its namespaces.
 *
 * New namespaces are made by clone3 itself: one system call, and the child is in the right cgroup
 * (CLONE_INTO_CGROUP) and PID 1 of its pid namespace from its first instruction. Joining comes
 * before making: a new namespace belongs to the user namespace of its maker, and a host's namespace
 * cannot be joined any more from inside a new user namespace. So with a join in play there are
 * three ways:
 *
 *   pid by path          the parent enters it for its children (setns changes pid_for_children
 *                        only), forks, returns
 *   joins, and new ones that depend on a user namespace (new or joined)
 *                        an intermediate child joins, then makes the real child as its sibling
 *                        (CLONE_PARENT)
 *   other joins          the child joins by itself (init.c)
 *
 * Not made by clone3: the cgroup namespace (its root would be the parent's cgroup) and the time
 * namespace (its offsets must be written before anybody is inside). init.c unshares both, but for a
 * time namespace in a user namespace that the intermediate child joins: that one does it.
 */
#include "create.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/sys.h"
#include "namespaces/time_ns.h"
#include "proc.h"
#include "sync.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define END_MS 10000
#define LATE_FLAGS ((uint64_t)CLONE_NEWCGROUP | CLONE_NEWTIME)

static bool joins(const struct ns_plan *p)
{
	for (int k = 0; k < NS_KINDS; k++)
		if (p->fd[k] >= 0 && k != NS_PID)
			return true;
	return false;
}

static bool needs_intermediate(const struct ns_plan *p)
{
	bool new_user = p->new_flags & CLONE_NEWUSER;

	return (joins(p) && new_user) || p->fd[NS_PID] >= 0 ||
	       (p->fd[NS_USER] >= 0 && (p->new_flags & ~LATE_FLAGS));
}

/* The pid namespace of the children to come; *back is our own, to return to. */
static int enter_pid_ns(struct ns_plan *p, int *back, struct err *e)
{
	if (p->fd[NS_PID] < 0)
		return 0;
	*back = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (*back < 0)
		return err_sys(e, errno, "open /proc/self/ns/pid");
	if (setns(p->fd[NS_PID], CLONE_NEWPID) < 0) {
		/*
		 * With the rights of the user namespace it belongs to, the intermediate child may.
		 */
		if (errno == EPERM && p->fd[NS_USER] >= 0) {
			close(TAKE_FD(*back));
			return 0;
		}
		return err_sys(e, errno, "join pid namespace");
	}
	close(p->fd[NS_PID]);
	p->fd[NS_PID] = -1;
	return 0;
}

static pid_t clone_into(struct create *c, uint64_t flags, int *pidfd, struct err *e)
{
	struct clone_args a = {
		.flags = flags | CLONE_PIDFD,
		.exit_signal = SIGCHLD,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
	};
	int into = c->cg ? cg_into_fd(c->cg) : -1;
	pid_t pid;
	int r;

	if (into >= 0) {
		a.flags |= CLONE_INTO_CGROUP;
		a.cgroup = (uint64_t)into;
		pid = sys_clone3(&a);
		if (pid >= 0 || (pid != -EINVAL && pid != -EACCES && pid != -EBUSY &&
				 pid != -EOPNOTSUPP && pid != -E2BIG))
			return pid;
		a.flags &= ~(uint64_t)CLONE_INTO_CGROUP;
		a.cgroup = 0;
		log_debug("clone into the cgroup: %s", strerrordesc_np(-pid));
		c->attach = pid == -EACCES && cg_unit(c->cg);
		if (c->attach)
			return sys_clone3(&a);
		/*
		 * An old kernel, or one that refuses: the child writes itself into all hierarchies.
		 */
		while (c->n_join > 0)
			close(c->join_fd[--c->n_join]);
		r = cg_join_open(c->cg, true, c->join_fd, &c->n_join, e);
		if (r < 0)
			return r;
	}
	return sys_clone3(&a);
}

/*
 * In a joined user namespace the real child is born undumpable and could not write the offsets of
 * its time namespace; so it is born in it.
 */
static int join_and_time(struct create *c, struct err *e)
{
	const struct spec_linux *l = &c->spec->linux_;
	bool user = c->ns.fd[NS_USER] >= 0;
	AUTO_CLOSE int offsets = -1;
	int r = user ? time_ns_open(l, &c->ns, &offsets, e) : 0;

	/*
	 * Who is in there already must not look at us. A new one is empty, and its maps are written
	 * by a parent that may have no rights over who cannot be dumped.
	 */
	if (user)
		prctl(PR_SET_DUMPABLE, 0);
	if (r == 0)
		r = ns_join(&c->ns, e);
	if (r < 0 || offsets < 0)
		return r;
	c->ns.new_flags &= ~(uint64_t)CLONE_NEWTIME;
	return time_ns_make(l, offsets, e);
}

static _Noreturn void intermediate(struct create *c, uint64_t flags)
{
	int pidfd = -1, r;
	struct clone_args a = {
		.flags = flags | CLONE_PARENT | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
	};
	struct err e;
	pid_t pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = cg_join_self(c->join_fd, c->n_join);
	c->n_join = 0;
	if (r < 0)
		err_sys(&e, -r, "join the cgroup");
	else
		r = join_and_time(c, &e);
	if (r < 0) {
		sync_send_err(c->sync_child, &e);
		_exit(1);
	}
	pid = sys_clone3(&a);
	if (pid == 0)
		init_main(c);
	if (pid < 0) {
		err_sys(&e, -pid, "make namespaces");
		sync_send_err(c->sync_child, &e);
		_exit(1);
	}
	r = sync_send(c->sync_child, SYNC_PID, 0, NULL, pidfd);
	_exit(r < 0);
}

/* Takes the first one's pidfd. */
static int await_second(struct create *c, pid_t first, int pidfd, struct err *e)
{
	AUTO_CLOSE int of_first = pidfd;
	struct sync_msg m;
	int r = supervise_await(c->sync_parent, "the container was made", e);

	if (r == 0)
		r = sync_expect(c->sync_parent, SYNC_PID, "the process that joins namespaces", &m,
				&c->pidfd, e);
	if (r < 0) {
		sys_pidfd_send_signal(of_first, SIGKILL, NULL, 0);
		if (c->cg)
			cg_kill(c->cg, SIGKILL, NULL);
	}
	proc_reap(first, of_first, END_MS);
	if (r < 0)
		return r;
	/* A number would be that of the namespace where it was made. */
	r = proc_pid_of(c->pidfd, &c->pid);
	return r < 0 ? err_sys(e, -r, "find the container's init") : 0;
}

int spawn_child(struct create *c, struct err *e)
{
	uint64_t flags = c->ns.new_flags & ~LATE_FLAGS;
	AUTO_CLOSE int back = -1;
	int pidfd = -1, r;
	pid_t pid;

	r = sync_pair(&c->sync_parent, &c->sync_child, e);
	if (r < 0)
		return r;
	r = enter_pid_ns(&c->ns, &back, e);
	if (r < 0)
		return r;
	c->two = needs_intermediate(&c->ns);
	pid = clone_into(c, c->two ? 0 : flags, &pidfd, e);
	if (pid == 0) {
		if (c->two)
			intermediate(c, flags);
		init_main(c);
	}
	close(c->sync_child);
	c->sync_child = -1;
	if (back >= 0 && setns(back, CLONE_NEWPID) < 0)
		log_warn("return to the own pid namespace: %s", strerrordesc_np(errno));
	if (pid < 0)
		return err_sys(e, -pid, "make a process with new namespaces");
	if (c->two) {
		r = await_second(c, pid, pidfd, e);
	} else {
		c->pid = pid;
		c->pidfd = pidfd;
	}
	return r == 0 && c->attach ? cg_attach(c->cg, c->pid, e) : r;
}
