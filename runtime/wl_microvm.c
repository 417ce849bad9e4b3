/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bundle as a micro-VM: the second row of the workload table. The VMM is the container's payload:
 * what the host's half of a container gives (namespaces, cgroups, a root of its own) jails it, and
 * the configuration itself is honoured by the guest, with the same code. The child's order:
 *
 *   hooks, terminal    need the host's tree
 *   jail               the tree of what is served becomes the root
 *   user namespace     last, so that the mounts belong to the host's: nobody inside can change them
 *   drop               no_new_privs, capabilities
 *   jailed             told to the parent, which from then on serves nothing more
 *   machine            starts; ends "created" with the guest waiting
 */
#include "workload.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/sys.h"
#include "create.h"
#include "init_ask.h"
#include "microvm/agent_host.h"
#include "microvm/agent_stream.h"
#include "microvm/vm_plan.h"
#include "namespaces/overlay.h"
#include "process.h"
#include "vm_fds.h"
#include "vm_jail.h"
#include "vm_ops.h"
#include "vm_prepare.h"

#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_MACHINE 125 /* the machine ended otherwise than by its program's end */

/* Files of the host that one guest may have open: many, and far from all that the host has. */
#define FILES_MAX 131072

struct microvm {
	struct machine m;
	struct vmm vmm;
	struct agent_host *agent;
	bool no_stdin;
	int null; /* /dev/null */
};

static int microvm_prepare(struct workload *w, struct err *e)
{
	struct microvm *k = calloc(1, sizeof(*k));

	if (!k)
		return err_sys(e, ENOMEM, "prepare the micro-VM");
	w->data = k;
	/* Asked here: the child is in a session of its own. */
	k->no_stdin = !w->c->spec->process->terminal &&
		      !vm_stdin_is_ours(w->c->o->detach || !w->c->wait_here);
	return vm_machine_prepare(&k->m, w->c, e);
}

static int microvm_serve(struct workload *w, const struct sync_msg *m, struct err *e)
{
	(void)w;
	if (m->type != SYNC_SOURCE)
		return err_set(e, EPROTO, "the micro-VM asked for a mount of its parent");
	return init_serve_source(m, e);
}

/* The parent keeps nothing of the machine. */
static void microvm_release(struct workload *w)
{
	struct microvm *k = w->data;

	if (!k)
		return;
	vm_machine_free(&k->m);
	free(k);
	w->data = NULL;
}

static void microvm_spawned(struct workload *w)
{
	struct microvm *k = w->data;

	vm_machine_free(&k->m);
}

/* ---- the child ---- */

static int enter_jail(struct create *c, struct machine *m, int clone, struct err *e)
{
	struct vm_jail_opts o = {
		.rootfs = m->config.n_disks ? NULL : c->st.rootfs,
		.root_mount = clone,
		.read_only = c->spec->root->readonly,
		.plan = &m->plan,
		.cwd = c->spec->process->cwd,
		.qemu = m->config.qemu,
		.kvm = m->config.accel == VM_ACCEL_KVM,
		.open_source = init_ask_source,
		.arg = c,
	};

	return vm_jail_enter(&o, e);
}

/* A file server has an open descriptor for every file that its guest knows. */
static void raise_files(void)
{
	struct rlimit l = { FILES_MAX, FILES_MAX };

	if (setrlimit(RLIMIT_NOFILE, &l) == 0 || getrlimit(RLIMIT_NOFILE, &l) < 0)
		return;
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
}

static int late_user_namespace(struct create *c, struct err *e)
{
	int r;

	if (!c->late_uids.n)
		return 0;
	if (unshare(CLONE_NEWUSER) < 0)
		return err_sys(e, errno, "make user namespace");
	r = sync_send(c->sync_child, SYNC_USERNS, 0, NULL, -1);
	if (r < 0)
		return err_sys(e, -r, "ask for id maps");
	r = sync_expect(c->sync_child, SYNC_GO, "ctr", NULL, NULL, e);
	if (r < 0)
		return r;
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(e, errno, "become root in the user namespace");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return 0;
}

/*
 * The agent has descriptors of its own, and closes them when the guest's program has closed its
 * side: then nobody else must have them. Words of ours still go to stderr: see finish.
 */
static void let_go_of_stdio(const struct microvm *k)
{
	dup2(k->null, STDIN_FILENO);
	dup2(k->null, STDOUT_FILENO);
	if (!log_debugging())
		dup2(k->null, STDERR_FILENO);
}

/*
 * No execve closes here what a container's init has lost by then: cgroup directories of the host,
 * what ctr's caller left open, pidfds. A guest that takes over the VMM finds stdio, and what the
 * machine needs.
 */
static int close_the_rest(const struct create *c, const struct microvm *k, struct err *e)
{
	const struct vm_config *v = &k->m.config;
	int keep[11 + VM_MAX_DISKS] = { v->kvm,        v->kernel,   v->initrd,   v->tap,
					v->share_proc, k->m.listen, k->null,     c->sync_child,
					c->start_fd,   log_fd(),    log_socket() };
	size_t n = 11;
	int r;

	for (size_t i = 0; i < v->n_disks; i++)
		keep[n++] = v->disks[i].fd;
	r = process_close_but(3, keep, n);
	return r < 0 ? err_sys(e, -r, "close what the machine does not need") : 0;
}

/* A minute for the guest, and what the hooks that run in it may take. */
static unsigned int setup_ms(const struct spec_hook_list *l)
{
	int64_t ms = 60000;

	for (size_t i = 0; i < l->n && ms < INT_MAX; i++)
		ms = !l->v[i].timeout.set || l->v[i].timeout.v > INT_MAX / 1000
			     ? INT_MAX
			     : ms + l->v[i].timeout.v * 1000;
	return ms < INT_MAX ? (unsigned int)ms : INT_MAX;
}

static int start_machine(struct create *c, struct microvm *k, struct err *e)
{
	struct agent_host_opts o = {
		.vmm = &k->vmm,
		.id = c->st.id,
		.kernel = k->m.kernel.path,
		.config = k->m.guest,
		.config_len = k->m.guest_len,
		.share = true,
		.image = k->m.config.n_disks,
		.image_ro = k->m.config.n_disks && k->m.config.disks[0].ro,
		.stdio = { k->no_stdin ? -1 : STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO },
		.tty = c->spec->process->terminal,
		.listen = k->m.listen,
		.boot_ms = c->notes.boot_timeout * 1000,
		.setup_ms = setup_ms(&c->spec->hooks.kind[HOOK_START_CONTAINER]),
		.console_log = log_debugging(),
	};
	uint64_t hello, setup;
	int r;

	k->m.config.share = open(VM_JAIL_SHARE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (k->m.config.share < 0)
		return err_sys(e, errno, "open " VM_JAIL_SHARE);
	r = k->m.vmm->start(&k->m.config, &k->vmm, e);
	if (r == 0)
		r = agent_host_create(&k->agent, &o, e);
	if (r < 0)
		return r;
	let_go_of_stdio(k);
	agent_host_times(k->agent, &hello, &setup);
	log_debug("micro-VM: start to agent: %llu us", (unsigned long long)hello);
	log_debug("micro-VM: agent to created: %llu us", (unsigned long long)setup);
	if (k->m.vmm->report)
		k->m.vmm->report(&k->vmm, "created");
	return 0;
}

/* What needs the host's /proc and /dev. */
static int prepare_fds(struct microvm *k, struct err *e)
{
	int r;

	k->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (k->null < 0)
		return err_sys(e, errno, "open /dev/null");
	if (!k->no_stdin)
		agent_fd_nonblocking(STDIN_FILENO, O_RDONLY);
	agent_fd_nonblocking(STDOUT_FILENO, O_WRONLY);
	agent_fd_nonblocking(STDERR_FILENO, O_WRONLY);
	r = vm_fds_read_only(&k->m.config, e);
	/* QEMU's file server has a /proc. */
	if (r < 0 || k->m.config.qemu)
		return r;
	k->m.config.share_proc = vm_fds_proc(e);
	return k->m.config.share_proc < 0 ? k->m.config.share_proc : 0;
}

static int enter_host(struct create *c, struct microvm *k, struct err *e)
{
	AUTO_CLOSE int clone = -1;
	int r = c->o->clone ? overlay_root(k->m.disk_fd, 0, NULL, &clone, e) : 0;

	if (k->m.disk_fd >= 0)
		close(TAKE_FD(k->m.disk_fd));
	if (r == 0)
		r = init_hooks(c, e);
	if (r == 0)
		r = init_terminal(c, -1, false, e);
	if (r < 0)
		return r;
	r = prepare_fds(k, e);
	if (r == 0)
		r = enter_jail(c, &k->m, clone, e);
	if (r < 0)
		return r;
	raise_files();
	r = late_user_namespace(c, e);
	if (r == 0)
		r = vm_jail_drop(e);
	if (r == 0)
		r = vm_jail_filter(e);
	if (r < 0)
		return r;
	r = sync_send(c->sync_child, SYNC_JAILED, 0, NULL, -1);
	return r < 0 ? err_sys(e, -r, "tell the parent that the jail is closed") : 0;
}

static int microvm_enter(struct workload *w, struct err *e)
{
	struct microvm *k = w->data;
	int r = enter_host(w->c, k, e);

	if (r == 0)
		r = close_the_rest(w->c, k, e);
	return r < 0 ? r : start_machine(w->c, k, e);
}

static int microvm_await(struct workload *w, int fd, struct err *e)
{
	struct microvm *k = w->data;

	return agent_host_wait(k->agent, fd, e);
}

/* The end of this process is the end of the container: nobody is left to tell but the log. */
static _Noreturn void finish(struct microvm *k)
{
	struct err e = {};
	int status = 0;
	int r = agent_host_run(k->agent, &status, &e);

	if (r < 0) {
		if (agent_host_stderr(k->agent) >= 0)
			dup2(agent_host_stderr(k->agent), STDERR_FILENO);
		log_error("%s", e.msg);
	}
	agent_host_free(k->agent);
	if (k->vmm.ops->report)
		k->vmm.ops->report(&k->vmm, "its end");
	k->vmm.ops->stop(&k->vmm);
	if (r < 0)
		_exit(EXIT_MACHINE);
	_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

static int microvm_run(struct workload *w, int reply, struct err *e)
{
	struct microvm *k = w->data;
	int r = agent_host_start(k->agent, e);

	if (r < 0)
		return r;
	r = init_started(w->c, reply, e);
	if (r < 0)
		return r;
	close(reply);
	finish(k);
}

const struct workload_ops wl_microvm = {
	.name = "microvm",
	.check = vm_plan_check,
	.prepare = microvm_prepare,
	.serve = microvm_serve,
	.spawned = microvm_spawned,
	.enter = microvm_enter,
	.await = microvm_await,
	.run = microvm_run,
	.release = microvm_release,
};
