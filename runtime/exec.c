/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec: one more process in a running container. The parent enters the pid namespace for its child,
 * the child is made inside the container's cgroups, joins the other namespaces by init's pidfd in
 * one call, and goes the same way to execve as init did (payload.c). The pid file, the only sign of
 * success that some callers look at, is written when the program runs, never before.
 */
#include "ctr.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/sys.h"
#include "console.h"
#include "container.h"
#include "exec_spec.h"
#include "keyring.h"
#include "namespaces/ns.h"
#include "payload.h"
#include "proc.h"
#include "process.h"
#include "rdt.h"
#include "rootless.h"
#include "supervise.h"
#include "sync.h"
#include "terminal.h"
#include "transition.h"
#include "vm_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define BEFORE "the process was made"
#define LEAVING_MS 1000 /* for an init whose end something else has met already */
#define END_MS 1000    /* what was killed stays only where somebody has frozen it */

struct exec {
	const struct exec_opts *o;
	struct container_ref c;
	struct exec_spec spec;
	struct seccomp_prog seccomp;
	struct seccomp_receiver receiver;
	struct cg *cg;
	int join_fd[CG_MAX_HIER];
	size_t n_join;
	struct listen_fds listen;
	uint64_t ns_flags; /* of the container, without pid */
	bool attach;       /* only systemd may move a process into the cgroup: it is asked to */
	bool own_pid_ns, userns, keep_groups;
	int init_pidfd;
	int root; /* init's root, when it shares our mount namespace; else -1 */
	int sync_parent, sync_child, console, master, pidfd;
	pid_t pid;
	struct supervise sup;
};

/* ---- the child ---- */

/* The parent has set what it can set on us only while nobody inside can look at us yet. */
static int await_parent(struct exec *x, struct err *e)
{
	return x->userns ? sync_expect(x->sync_child, SYNC_GO, "ctr", NULL, NULL, e) : 0;
}

static int enter_namespaces(struct exec *x, struct err *e)
{
	if (x->ns_flags && setns(x->init_pidfd, (int)x->ns_flags) < 0)
		return err_sys(e, errno, "join the container's namespaces");
	if (x->root >= 0 && (fchdir(x->root) < 0 || chroot(".") < 0))
		return err_sys(e, errno, "enter the container's root");
	if (!x->userns)
		return 0;
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(e, errno, "become root in the user namespace");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return 0;
}

static int keyring(const struct exec *x, struct err *e)
{
	const struct state *st = x->c.st;
	int r;

	if (st->no_new_keyring)
		return 0;
	r = keyring_join(st->id, x->spec.process->selinux_label, e);
	/* The container's keys are all used up: keyring_leave has given it one. */
	return r == -EDQUOT ? 0 : r;
}

static int terminal(struct exec *x, struct err *e)
{
	AUTO_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct terminal_opts o = {
		.root_fd = root,
		.console_sock = x->console,
		.sync_sock = x->sync_child,
		.process = x->spec.process,
	};

	if (root < 0)
		return err_sys(e, errno, "open the container's root");
	return terminal_setup(&o, e);
}

/* In the container's cgroups: what its cpuset allows, or less by configuration. */
static int affinity(const struct exec *x, struct err *e)
{
	const struct spec_cpu_affinity *cpus = x->spec.process->exec_cpu_affinity;

	if (cpus && cpus->final)
		return process_affinity(cpus->final, e);
	/* With the initial one alone the kernel has decided what is left of it in the cpuset. */
	if (!cpus || !cpus->initial)
		process_reset_affinity();
	return 0;
}

/* Before the working directory is entered, and before a filter can forbid it. */
static int close_the_rest(const struct exec *x, const struct payload *p, struct err *e)
{
	int keep[] = { x->sync_child, x->receiver.sock, log_fd(), log_socket() };
	int r = process_close_but(payload_first_fd(p), keep, ARRAY_SIZE(keep));

	return r < 0 ? err_sys(e, -r, "close descriptors") : 0;
}

static int child(struct exec *x, struct err *e)
{
	struct payload p = {
		.process = x->spec.process,
		.personality = x->spec.personality,
		.memory = x->spec.memory,
		.seccomp = &x->seccomp,
		.receiver = &x->receiver,
		.report = x->sync_child,
		.landlock = x->spec.notes.landlock,
		.keep_groups = x->spec.notes.keep_groups || x->keep_groups,
		.limits_set = x->userns,
		.cwd_must_exist = true,
		.preserve_fds = x->o->preserve_fds,
		.listen = x->listen,
	};
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = await_parent(x, e);
	if (r < 0)
		return r;
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(e, errno, "clear the dumpable flag");
	r = cg_join_self(x->join_fd, x->n_join);
	if (r < 0)
		return err_sys(e, -r, "join the cgroup");
	setsid();
	r = seccomp_receiver_state(&x->receiver, x->spec.container->linux_.seccomp, x->c.st,
				   STATUS_RUNNING, e);
	if (r == 0)
		r = affinity(x, e);
	if (r == 0 && !x->c.st->no_new_keyring)
		r = keyring_leave(e);
	if (r == 0)
		r = enter_namespaces(x, e);
	if (r == 0)
		r = keyring(x, e);
	if (r == 0 && x->spec.process->terminal)
		r = terminal(x, e);
	if (r < 0)
		return r;
	r = close_the_rest(x, &p, e);
	if (r == 0)
		r = payload_settle(&p, e);
	if (r < 0)
		return r;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = sync_send(x->sync_child, SYNC_READY, 0, NULL, -1);
	if (r < 0)
		return err_sys(e, -r, "report readiness");
	r = sync_expect(x->sync_child, SYNC_GO, "ctr", NULL, NULL, e);
	if (r < 0)
		return r;
	prctl(PR_SET_PDEATHSIG, 0);
	return payload_exec(&p, e);
}

static _Noreturn void child_main(struct exec *x)
{
	struct err e = {};

	child(x, &e);
	sync_send_err(x->sync_child, &e);
	_exit(255);
}

/*
 * The pid namespace of a user without rights can be entered from its user namespace only, and only
 * for children: this process goes there and makes the real one as its sibling.
 */
static _Noreturn void intermediate(struct exec *x)
{
	int pidfd = -1, r;
	struct clone_args a = { .flags = CLONE_PARENT | CLONE_PIDFD, .pidfd = (uintptr_t)&pidfd };
	struct err e = {};
	pid_t pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		err_sys(&e, errno, "clear the dumpable flag");
	else if ((r = cg_join_self(x->join_fd, x->n_join)) < 0)
		err_sys(&e, -r, "join the cgroup");
	else if (setns(x->init_pidfd, (int)(x->ns_flags | CLONE_NEWPID)) < 0)
		err_sys(&e, errno, "join the container's namespaces");
	x->n_join = 0;
	x->ns_flags = 0;
	pid = e.code ? -e.code : sys_clone3(&a);
	if (pid == 0)
		child_main(x);
	if (pid < 0 && !e.code)
		err_sys(&e, -pid, "make a process in the container");
	r = pid < 0 ? sync_send_err(x->sync_child, &e)
		    : sync_send(x->sync_child, SYNC_PID, 0, NULL, pidfd);
	_exit(r < 0 || pid < 0);
}

/* ---- the parent ---- */

static int open_container(struct exec *x, const struct ctr_global *g, const char *id, struct err *e)
{
	int r = container_open(&x->c, g, id, false, e);

	if (r < 0 || (x->o->ignore_paused && x->c.status == STATUS_PAUSED))
		return r;
	return transition_check(CMD_EXEC, id, x->c.status, e);
}

/*
 * In the user namespace of init, the container's own or ours. Asked from outside: what is in the
 * container's /proc may be the container's word.
 */
static bool setgroups_denied(const struct exec *x)
{
	char path[32], buf[16];

	if (!x->userns && !rootless_userns())
		return false;
	snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)x->c.st->pid);
	return io_read_small(AT_FDCWD, path, buf, sizeof(buf)) > 0 && str_eq(buf, "deny");
}

static int prepare(struct exec *x, const char *id, struct err *e)
{
	AUTO_CLOSE int cache = -1;
	const struct spec_linux *l;
	int r = listen_fds_get(&x->listen, e);

	if (r == 0)
		r = exec_spec_make(&x->spec, x->c.dir, x->o, e);
	if (r < 0)
		return r;
	l = &x->spec.container->linux_;
	if (l->seccomp)
		cache = store_cache(&x->c.store);
	r = seccomp_plan(l->seccomp, &x->spec.notes, cache, &x->seccomp, e);
	if (r == 0)
		r = seccomp_receiver_connect(&x->receiver, l->seccomp, &x->spec.notes, &x->seccomp,
					     e);
	if (r < 0)
		return r;
	for (int k = 0; k < NS_KINDS; k++)
		if (l->ns[k].wanted && k != NS_PID)
			x->ns_flags |= ns_table[k].clone_flag;
	x->own_pid_ns = l->ns[NS_PID].wanted;
	x->userns = l->ns[NS_USER].wanted;
	x->init_pidfd = proc_pidfd(x->c.st->pid, x->c.st->pid_start);
	if (x->init_pidfd < 0)
		return err_set(e, ESRCH, "exec %s: cannot exec in a stopped container", id);
	x->keep_groups = setgroups_denied(x);
	if (!l->ns[NS_MOUNT].wanted) {
		char path[32];

		snprintf(path, sizeof(path), "/proc/%d/root", x->c.st->pid);
		x->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (x->root < 0)
			return err_sys(e, errno, "open %s", path);
	}
	return 0;
}

static int check_terminal(const struct exec *x, struct err *e)
{
	bool tty = x->spec.process->terminal;

	if (tty && x->o->detach && !x->o->console_socket)
		return err_set(
			e, EINVAL,
			"exec: cannot allocate tty if ctr will detach without setting console socket");
	if (x->o->console_socket && !(tty && x->o->detach))
		return err_set(
			e, EINVAL,
			"exec: cannot use console socket if ctr will not detach or allocate tty");
	return 0;
}

static int cgroup(struct exec *x, struct err *e)
{
	int r = container_cgroup(x->c.st, &x->cg, e);

	if (r < 0)
		return r;
	if (!x->cg)
		return x->o->cgroups.n == 0
			       ? 0
			       : err_set(e, ENOTSUP,
					 "exec --cgroup %s: the container has no cgroup",
					 x->o->cgroups.v[0]);
	r = x->o->cgroups.n ? cg_sub_select(x->cg, &x->o->cgroups, e)
			    : cg_sub_of(x->cg, x->c.st->pid, e);
	/* Who ignores that waits until it is thawed. */
	if (r == 0 && !x->o->ignore_paused && cg_check_thawed(x->cg, e) < 0)
		r = err_wrap(e, "cannot exec in a paused container (use --ignore-paused to "
				"override)");
	if (r < 0)
		return r;
	return cg_join_open(x->cg, cg_into_fd(x->cg) < 0, x->join_fd, &x->n_join, e);
}

static pid_t clone_into(struct exec *x)
{
	struct clone_args a = { .flags = CLONE_PIDFD,
				.exit_signal = SIGCHLD,
				.pidfd = (uintptr_t)&x->pidfd };
	int into = x->cg && !x->attach ? cg_into_fd(x->cg) : -1;

	if (into >= 0) {
		a.flags |= CLONE_INTO_CGROUP;
		a.cgroup = (uint64_t)into;
	}
	return sys_clone3(&a);
}

/*
 * For the children to come only: we ourselves stay where we are. *two: an intermediate child has to
 * do it.
 */
static int enter_pid_ns(const struct exec *x, bool *two, struct err *e)
{
	*two = false;
	if (!x->own_pid_ns || setns(x->init_pidfd, CLONE_NEWPID) == 0)
		return 0;
	*two = errno == EPERM && x->userns;
	return *two ? 0 : err_sys(e, errno, "join the container's pid namespace");
}

/*
 * What we start from now on (a tool, a checker at our end) would be a stranger in the container's.
 */
static void leave_pid_ns(const struct exec *x)
{
	AUTO_CLOSE int own = -1;

	if (!x->own_pid_ns)
		return;
	own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (own < 0 || setns(own, CLONE_NEWPID) < 0)
		log_debug("return to the own pid namespace: %s", strerrordesc_np(errno));
}

static int await_second(struct exec *x, struct err *e)
{
	AUTO_CLOSE int of_first = TAKE_FD(x->pidfd);
	pid_t first = x->pid;
	struct sync_msg m;
	int r = supervise_await(x->sync_parent, BEFORE, e);

	if (r == 0)
		r = sync_expect(x->sync_parent, SYNC_PID, "the process that joins namespaces", &m,
				&x->pidfd, e);
	if (r < 0)
		sys_pidfd_send_signal(of_first, SIGKILL, NULL, 0);
	proc_reap(first, of_first, END_MS);
	if (r < 0)
		return r;
	r = proc_pid_of(x->pidfd, &x->pid);
	return r < 0 ? err_sys(e, -r, "find the new process") : 0;
}

static int spawn(struct exec *x, struct err *e)
{
	const struct spec_cpu_affinity *cpus = x->spec.process->exec_cpu_affinity;
	bool two;
	int r = sync_pair(&x->sync_parent, &x->sync_child, e);

	/*
	 * The child has it from its first instruction on, before it is in the container's cpuset.
	 */
	if (r == 0 && cpus && cpus->initial)
		r = process_affinity(cpus->initial, e);
	if (r < 0)
		return r;
	r = enter_pid_ns(x, &two, e);
	if (r < 0)
		return r;
	x->pid = clone_into(x);
	x->attach = x->pid == -EACCES && x->cg && cg_unit(x->cg);
	if (x->attach)
		x->pid = clone_into(x);
	if (x->pid == 0) {
		close(x->sync_parent);
		close(TAKE_FD(x->c.dir));
		if (two)
			intermediate(x);
		child_main(x);
	}
	close(TAKE_FD(x->sync_child));
	leave_pid_ns(x);
	if (x->pid == -ENOMEM)
		return err_set(e, ESRCH, "exec: the container's init has ended");
	if (x->pid < 0)
		return err_sys(e, -x->pid, "make a process in the container");
	r = two ? await_second(x, e) : 0;
	return r == 0 && x->attach ? cg_attach(x->cg, x->pid, e) : r;
}

/* It stands still for as long as it is in a frozen cgroup: who waits for that may give up. */
static int expect(struct exec *x, enum sync_type type, int *fd, struct err *e)
{
	int r = supervise_await(x->sync_parent, BEFORE, e);

	return r < 0 ? r : sync_expect(x->sync_parent, type, "the new process", NULL, fd, e);
}

static int handshake(struct exec *x, struct err *e)
{
	struct sync_msg m;
	int r = process_oom_score_adj(x->pid, x->spec.process, e);

	if (r == 0 && x->c.st->rdt_clos)
		r = rdt_join(x->c.st->rdt_clos, x->c.st->rdt_mon, x->pid, e);
	if (r == 0 && x->userns && (r = sync_send(x->sync_parent, SYNC_GO, 0, NULL, -1)) < 0)
		err_sys(e, -r, "let the new process go on");
	if (r < 0)
		return r;
	if (x->spec.process->terminal && !x->o->console_socket) {
		r = expect(x, SYNC_MASTER, &x->master, e);
		if (r < 0)
			return r;
		console_user_size(x->master);
	}
	r = expect(x, SYNC_READY, NULL, e);
	/* Not earlier: they are for the program, not for its set-up. */
	if (r == 0 && x->userns)
		r = process_rlimits(x->pid, &x->spec.process->rlimits, e);
	if (r == 0 && x->o->pidfd_socket)
		r = proc_send_pidfd(x->o->pidfd_socket, x->pidfd, e);
	if (r < 0)
		return r;
	r = sync_send(x->sync_parent, SYNC_GO, 0, NULL, -1);
	if (r < 0)
		return err_sys(e, -r, "let the new process go on");
	r = supervise_await(x->sync_parent, BEFORE, e);
	if (r < 0)
		return r;
	/* End of file: it has executed the program. */
	r = sync_recv(x->sync_parent, &m, NULL);
	if (r > 0) {
		*e = m.err;
		return -m.err.code;
	}
	if (r == 0 && x->o->pid_file) {
		r = proc_write_pid_file(x->o->pid_file, x->pid);
		if (r < 0)
			return err_sys(e, -r, "write pid file %s", x->o->pid_file);
	}
	return r < 0 ? err_sys(e, -r, "await the new process") : 0;
}

static int run(struct exec *x, int *status, struct err *e)
{
	int r = cgroup(x, e);

	if (r == 0 && x->o->console_socket) {
		x->console = console_connect(x->o->console_socket, e);
		r = x->console < 0 ? x->console : 0;
	}
	if (r == 0 && !x->o->detach)
		r = supervise_block(e);
	if (r == 0)
		r = spawn(x, e);
	if (r == 0)
		r = handshake(x, e);
	if (r < 0) {
		if (x->pidfd >= 0) {
			sys_pidfd_send_signal(x->pidfd, SIGKILL, NULL, 0);
			proc_reap(x->pid, x->pidfd, END_MS);
		}
		return r;
	}
	if (x->o->detach)
		return 0;
	x->sup.pid = x->pid;
	x->sup.pidfd = x->pidfd;
	x->sup.master = x->master;
	return supervise_wait(&x->sup, status, e);
}

/*
 * What a process meets whose container ends under it: no namespaces, no cgroup, its own death. Init
 * may still be on its way out then. The cgroup goes after it.
 */
static bool stopped_meanwhile(struct exec *x, int r)
{
	bool leaving = r == -ESRCH || r == -ENODEV || r == -EPIPE || r == -ECONNRESET;

	if (!leaving && r != -ENOENT)
		return false;
	if (x->init_pidfd < 0)
		x->init_pidfd = proc_pidfd(x->c.st->pid, x->c.st->pid_start);
	return x->init_pidfd < 0 || proc_wait_end(x->init_pidfd, leaving ? LEAVING_MS : 0) == 0;
}

/* Errors that begin with the command name the program, an option, or the container already. */
static int explain(struct exec *x, const char *id, int r, struct err *e)
{
	if (r >= 0)
		return r;
	if (stopped_meanwhile(x, r))
		return transition_check(CMD_EXEC, id, STATUS_STOPPED, e);
	return str_after(e->msg, "exec") ? r : err_wrap(e, "exec %s", id);
}

static void release(struct exec *x)
{
	int *fds[] = {
		&x->init_pidfd, &x->root, &x->sync_parent, &x->console, &x->master, &x->pidfd
	};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
	while (x->n_join > 0)
		close(x->join_fd[--x->n_join]);
	cg_free(x->cg);
	seccomp_receiver_close(&x->receiver);
	seccomp_free(&x->seccomp);
	exec_spec_free(&x->spec);
	container_close(&x->c);
}

int ctr_exec(const struct ctr_global *g, const char *id, const struct exec_opts *o, int *status,
	     struct err *e)
{
	struct exec x = {
		.o = o,
		.c = CONTAINER_REF_INIT,
		.receiver = SECCOMP_RECEIVER_INIT,
		.init_pidfd = -1,
		.root = -1,
		.sync_parent = -1,
		.sync_child = -1,
		.console = -1,
		.master = -1,
		.pidfd = -1,
		.sup.master = -1,
	};
	int r = open_container(&x, g, id, e);

	*status = 0;
	if (r == 0 && container_is_machine(x.c.st))
		r = vm_awake(x.c.status, "exec", id, e);
	if (r == 0 && container_is_machine(x.c.st)) {
		r = explain(&x, id, vm_exec(x.c.dir, id, o, status, e), e);
		release(&x);
		return r;
	}
	if (r == 0)
		r = prepare(&x, id, e);
	if (r == 0)
		r = check_terminal(&x, e);
	if (r == 0)
		r = explain(&x, id, run(&x, status, e), e);
	release(&x);
	return r;
}
