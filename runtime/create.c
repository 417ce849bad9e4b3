/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parent's half of create. Each stage owns the undo of what it made:
 *
 *   signals          in the foreground they are blocked until the end, and looked at where we wait
 *   state directory  made and locked, with the configuration in it before anything else exists: it
 *                    says where the
 *                    cgroup will be, so that `delete --force` finds what a killed ctr left
 *   network          address, names and files of the network that --network asks for (network.h)
 *   prepare          the workload's part in the host's namespaces (filters compiled, namespaces and
 *                    disks opened)
 *   cgroup           made and limited while it is empty; then the first state.json, which says that
 *                    the cgroup is
 *                    ours and whatever is in it too (not earlier: it may turn out to be somebody
 *                    else's)
 *   resctrl          the group of linux.intelRdt, in state.json before anything uses it
 *   console          both ends of what the child will need: console socket, start socket
 *   spawn            the child, in its namespaces and its cgroup
 *   network devices  those of the host that the configuration gives to the container
 *   identity maps    id maps; what only the host's root may set on the child
 *   network links    the link of that network, or what plugins make
 *   handshake        serves the child until it is ready; runs the runtime hooks when it asks
 *   record           the cgroup is the container's own where it may be; state.json with the pid,
 *                    pid file; then the
 *                    child may outlive us
 */
#include "create.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/stage.h"
#include "base/sys.h"
#include "console.h"
#include "delegate.h"
#include "hooks.h"
#include "namespaces/idmap.h"
#include "notify.h"
#include "oci/validate.h"
#include "proc.h"
#include "process.h"
#include "rootless.h"
#include "sync.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define END_MS 10000 /* what was killed stays only where somebody has frozen it */

bool create_init_waits(const struct create *c)
{
	return c->ns.new_flags & CLONE_NEWUSER || c->two || c->spec->linux_.net_devices.n ||
	       c->net.state || c->rdt.clos;
}

static int signals(void *ctx, struct err *e)
{
	struct create *c = ctx;

	return c->wait_here && !c->o->detach ? supervise_block(e) : 0;
}

static int state_directory(void *ctx, struct err *e)
{
	struct create *c = ctx;
	int r = c->store.fd >= 0 ? 0 : store_open(&c->store, c->g->root, true, e);

	if (r < 0)
		return r;
	c->dir = store_make(&c->store, c->st.id, e);
	if (c->dir < 0)
		return c->dir;
	r = store_write_config(c->dir, c->config, c->config_len, e);
	return r == 0 && c->notify ? notify_make(c->dir, e) : r;
}

/*
 * A container that got as far as a process is one that is deleted: its poststop hooks run, last as
 * always.
 */
static void poststop(struct create *c)
{
	AUTO(json_out_free) struct json_out j = {};

	c->st.pid = 0;
	state_out_hook(&j, &c->st, STATUS_STOPPED);
	hooks_run_all(&c->spec->hooks, HOOK_POSTSTOP, j.buf.s);
}

static void undo_state_directory(void *ctx)
{
	struct create *c = ctx;
	struct err e;

	if (c->poststop_due)
		poststop(c);
	if (c->dir >= 0 && store_remove(&c->store, c->st.id, &e) < 0)
		log_warn("%s", e.msg);
}

static int network(void *ctx, struct err *e)
{
	struct create *c = ctx;
	int r = network_take(&c->net, &c->store, c->dir, c->st.id, c->spec->hostname, e);

	if (r < 0)
		return r;
	c->net_taken = true;
	c->st.network = c->net.state;
	return 0;
}

static void undo_network(void *ctx)
{
	struct create *c = ctx;
	struct err e;

	if (c->net_taken && c->net.state &&
	    network_release(&c->store, c->dir, c->st.id, c->net.state, &e) < 0)
		log_warn("%s", e.msg);
	c->net_taken = false;
}

static int prepare(void *ctx, struct err *e)
{
	struct create *c = ctx;

	int r = hooks_open_output(&c->spec->hooks, &c->notes, e);

	return r < 0 ? r : c->wl.ops->prepare(&c->wl, e);
}

static void undo_prepare(void *ctx)
{
	struct create *c = ctx;

	c->wl.ops->release(&c->wl);
}

static int cgroup(void *ctx, struct err *e)
{
	struct create *c = ctx;
	struct cg_create_opts o = {
		.id = c->st.id,
		.cgroups_path = c->spec->linux_.cgroups_path,
		.resources = c->resources ?: c->spec->linux_.resources,
		.driver = c->g->driver,
		.annotations = &c->spec->annotations,
		.rootless = rootless_is(c->g),
	};
	int r = cg_create(&o, &c->cg, e);

	if (r < 0)
		return r;
	c->st.cgroup_path = (char *)cg_path(c->cg);
	c->st.cgroup_unit = (char *)cg_unit(c->cg);
	r = store_write_state(c->dir, &c->st, e);
	return r < 0 ? r : cg_join_open(c->cg, false, c->join_fd, &c->n_join, e);
}

static void undo_cgroup(void *ctx)
{
	struct create *c = ctx;
	struct err e;

	if (c->cg && cg_remove(c->cg, &e) < 0)
		log_warn("%s", e.msg);
}

static int resctrl(void *ctx, struct err *e)
{
	struct create *c = ctx;
	const struct spec_intel_rdt *s = c->spec->linux_.intel_rdt;
	int r;

	if (!s)
		return 0;
	r = rdt_create(s, c->st.id, NULL, &c->rdt, e);
	if (r < 0)
		return r;
	c->st.rdt_clos = c->rdt.clos;
	c->st.rdt_mon = c->rdt.mon;
	c->st.rdt_clos_made = c->rdt.clos_made;
	return store_write_state(c->dir, &c->st, e);
}

static void undo_resctrl(void *ctx)
{
	struct create *c = ctx;
	struct err e;

	if (rdt_remove(c->rdt.clos_made ? c->rdt.clos : NULL, c->rdt.mon, &e) < 0)
		log_warn("%s", e.msg);
}

static int console(void *ctx, struct err *e)
{
	struct create *c = ctx;

	if (c->o->console_socket) {
		c->console = console_connect(c->o->console_socket, e);
		if (c->console < 0)
			return c->console;
	}
	if (!c->wait_here) {
		c->start_fd = store_start_listen(c->dir, e);
		return c->start_fd < 0 ? c->start_fd : 0;
	}
	if (c->o->detach)
		return 0;
	if (!c->o->no_subreaper)
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	return 0;
}

static int spawn(void *ctx, struct err *e)
{
	struct create *c = ctx;
	int r = spawn_child(c, e);

	if (r == 0)
		c->wl.ops->spawned(&c->wl);
	return r;
}

static void undo_spawn(void *ctx)
{
	struct create *c = ctx;

	if (c->pidfd < 0)
		return;
	sys_pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
	if (c->cg)
		cg_kill(c->cg, SIGKILL, NULL);
	proc_reap(c->pid, c->pidfd, END_MS);
	c->poststop_due = true;
}

static int open_netns(struct create *c, const char *what, struct err *e)
{
	char path[32];

	if (c->netns >= 0)
		return 0;
	if (c->ns.fd[NS_NETWORK] >= 0) {
		c->netns = fcntl(c->ns.fd[NS_NETWORK], F_DUPFD_CLOEXEC, 3);
	} else {
		snprintf(path, sizeof(path), "/proc/%d/ns/net", c->pid);
		c->netns = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (c->netns < 0)
		return err_sys(e, errno, "%s: open the container's network namespace", what);
	return 0;
}

/*
 * Before anything runs inside, and given back when the creation fails: a new namespace would take
 * them along.
 */
static int open_userns(struct create *c, struct err *e)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", c->pid);
	c->userns = c->ns.fd[NS_USER] >= 0 ? fcntl(c->ns.fd[NS_USER], F_DUPFD_CLOEXEC, 3)
					   : open(path, O_RDONLY | O_CLOEXEC);
	return c->userns < 0 ? err_sys(e, errno, "open the container's user namespace") : 0;
}

/* Both before the child goes on: from then on it may not be looked at by who is not root. */
static int network_devices(void *ctx, struct err *e)
{
	struct create *c = ctx;
	const struct spec_net_devices *l = &c->spec->linux_.net_devices;
	int r = l->n || c->net.state ? open_netns(c, l->n ? "linux.netDevices" : "--network", e)
				     : 0;

	if (r == 0 && c->net.state && c->spec->linux_.ns[NS_USER].wanted)
		r = open_userns(c, e);
	return r < 0 || l->n == 0 ? r : devices_move(l, c->netns, &c->devices, e);
}

static void undo_network_devices(void *ctx)
{
	struct create *c = ctx;

	devices_return(&c->devices, c->netns);
}

static int identity_maps(void *ctx, struct err *e)
{
	struct create *c = ctx;
	const struct spec_linux *l = &c->spec->linux_;
	int r = process_oom_score_adj(c->pid, c->spec->process, e);

	if (r == 0 && c->rdt.clos)
		r = rdt_join(c->rdt.clos, c->rdt.mon, c->pid, e);
	if (r < 0)
		return r;
	if (!create_init_waits(c))
		return 0;
	if (c->ns.new_flags & CLONE_NEWUSER) {
		r = idmap_write(c->pid, &l->uid_mappings, &l->gid_mappings, e);
		if (r < 0)
			return r;
	}
	r = sync_send(c->sync_parent, SYNC_GO, 0, NULL, -1);
	return r < 0 ? err_sys(e, -r, "tell the container's init that its id maps are there") : 0;
}

/* While the child is at its mounts: who wants the network is the payload. */
static int network_links(void *ctx, struct err *e)
{
	struct create *c = ctx;
	if (!c->net.state)
		return 0;
	return network_connect(&c->net, &c->store, c->dir, c->st.id, c->netns, c->userns, e);
}

/*
 * From here on the child outlives us. With create it closes its end once it no longer dies with its
 * parent: only then may the parent end.
 */
static int let_go(struct create *c, struct err *e)
{
	struct sync_msg m;
	int r = sync_send(c->sync_parent, SYNC_GO, 0, NULL, -1);

	if (r < 0)
		return err_sys(e, -r, "let the container's init go on");
	if (c->wait_here)
		return 0;
	r = create_recv(c, &m, NULL, e);
	if (r <= 0)
		return r;
	if (m.type != SYNC_ERROR)
		return create_unexpected(m.type, e);
	*e = m.err;
	return -m.err.code;
}

static int record(void *ctx, struct err *e)
{
	struct create *c = ctx;
	const char *pidfd_socket = c->o->pidfd_socket ?: c->notes.pidfd_receiver;
	int r = proc_start_time(c->pid, &c->st.pid_start);

	if (r < 0)
		return err_sys(e, -r, "start time of process %d", c->pid);
	r = c->machine ? 0 : delegate_cgroup(c->spec, c->cg, e);
	if (r < 0)
		return r;
	c->st.pid = c->pid;
	r = store_write_state(c->dir, &c->st, e);
	if (r < 0)
		return r;
	if (pidfd_socket) {
		r = proc_send_pidfd(pidfd_socket, c->pidfd, e);
		if (r < 0)
			return r;
	}
	if (c->o->pid_file) {
		r = proc_write_pid_file(c->o->pid_file, c->pid);
		if (r < 0)
			return err_sys(e, -r, "write pid file %s", c->o->pid_file);
		c->pid_file_written = true;
	}
	return let_go(c, e);
}

static void undo_record(void *ctx)
{
	struct create *c = ctx;

	if (c->pid_file_written)
		unlink(c->o->pid_file);
}

static const struct stage create_stages[] = {
	{ "signals", signals, NULL },
	{ "state directory", state_directory, undo_state_directory },
	{ "network", network, undo_network },
	{ "prepare", prepare, undo_prepare },
	{ "cgroup", cgroup, undo_cgroup },
	{ "resctrl", resctrl, undo_resctrl },
	{ "console", console, NULL },
	{ "spawn", spawn, undo_spawn },
	{ "network devices", network_devices, undo_network_devices },
	{ "identity maps", identity_maps, NULL },
	{ "network links", network_links, NULL },
	{ "handshake", create_handshake, NULL },
	{ "record", record, undo_record },
};

int create_run(struct create *c, struct err *e)
{
	int r;

	c->dir = c->sync_parent = c->sync_child = c->start_fd = c->console = c->master = c->pidfd =
		c->netns = c->userns = -1;
	c->store = (struct store)STORE_INIT;
	c->ns = (struct ns_plan)NS_PLAN_INIT;
	c->sup.master = -1;
	r = validate_id(c->o->id, e);
	if (r == 0)
		r = create_load(c, e);
	if (r == 0)
		r = stage_run("create", create_stages, ARRAY_SIZE(create_stages), c, e);
	return r;
}

void create_undo(struct create *c)
{
	stage_undo(create_stages, ARRAY_SIZE(create_stages), c);
}

void create_close(struct create *c)
{
	int *fds[] = { &c->dir,    &c->sync_parent, &c->start_fd, &c->console,
		       &c->master, &c->pidfd,       &c->netns,    &c->userns };

	if (c->wl.ops)
		c->wl.ops->release(&c->wl);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	while (c->n_join > 0)
		close(c->join_fd[--c->n_join]);
	ns_plan_close(&c->ns);
	devices_free(&c->devices);
	network_use_free(&c->net);
	rdt_free(&c->rdt);
	cg_free(c->cg);
	store_close(&c->store);
	if (c->spec)
		hooks_close_output(&c->spec->hooks);
	spec_free(c->spec);
	free(c->config);
	free(c->bundle);
}
