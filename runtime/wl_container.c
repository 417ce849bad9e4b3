/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle as a container: the first row of the workload table. */
#include "workload.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/sys.h"
#include "create.h"
#include "hooks.h"
#include "init_ask.h"
#include "namespaces/mount_exec.h"
#include "namespaces/mount_plan.h"
#include "namespaces/overlay.h"
#include "namespaces/path.h"
#include "namespaces/run_dirs.h"
#include "namespaces/rootfs.h"
#include "namespaces/sysctl.h"
#include "payload.h"
#include "process.h"
#include "rootless.h"
#include "seccomp_notify.h"
#include "sync.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct container {
	struct arena arena;
	struct mount_cgroup views[CG_MAX_HIER];
	struct mount_plan plan;
	bool planned;
	struct seccomp_prog seccomp;
	struct seccomp_receiver receiver;
	struct rootfs_opts opts;
	struct rootfs rootfs;
	struct payload payload;
	struct overlay_below below; /* OS clone that is read-only */
	int disk_fd;                /* OS clone with a disk: its mount */
	struct run_dirs run_dirs;   /* OS clone without: what the host's services expect */
};

/* What is parsed and has no effect in this mode: refused, never ignored. */
static int container_check(const struct spec *s, struct err *e)
{
	if (s->vm)
		return err_set(
			e, ENOTSUP,
			"vm: has no meaning for a container (annotations.org.ctr.isolation asks for one)");
	if (!s->process)
		return err_set(e, EINVAL, "process: missing: there is nothing to run");
	if (!s->root)
		return err_set(e, EINVAL, "root: missing: a container needs a root file system");
	return 0;
}

static int plan_mounts(struct workload *w, struct err *e)
{
	struct container *k = w->data;
	struct create *c = w->c;
	struct mount_plan_in in = {
		.spec = c->spec,
		.bundle = c->bundle,
		.cgroups = k->views,
		.cgroup_ns = c->spec->linux_.ns[NS_CGROUP].wanted,
		.userns = c->spec->linux_.ns[NS_USER].wanted,
	};
	struct cg_view v;

	if (k->planned)
		return 0;
	k->planned = true;
	if (c->spec->linux_.mount_label) {
		in.context = arena_printf(&k->arena, "%s=%s", c->notes.mount_context,
					  c->spec->linux_.mount_label);
		if (!in.context)
			return err_sys(e, ENOMEM, "linux.mountLabel");
	}
	for (size_t i = 0; c->cg && i < ARRAY_SIZE(k->views) && cg_view(c->cg, i, &v); i++)
		if (v.path)
			k->views[in.n_cgroups++] = (struct mount_cgroup){
				.controllers = v.controllers,
				.mount = v.mount,
				.path = v.path,
				.v2 = v.v2,
			};
	return mount_plan_build(&k->arena, &in, &k->plan, e);
}

/* What only a look at the machine tells. */
static int check_host(const struct spec_linux *l, struct err *e)
{
	if (l->net_devices.n && !l->ns[NS_NETWORK].wanted)
		return err_set(
			e, EINVAL,
			"linux.netDevices: needs the namespace \"network\" in linux.namespaces");
	return process_mount_label(l->mount_label, e);
}

/* With a uts namespace that is joined and is ours, the host would get the container's names. */
static int check_names(const struct create *c, struct err *e)
{
	const char *field = c->spec->hostname ? "hostname" : "domainname";
	int r = c->spec->hostname || c->spec->domainname ? ns_is_own(&c->ns, NS_UTS) : 0;

	if (r > 0)
		return err_set(e, EINVAL,
			       "%s: the uts namespace that linux.namespaces names by its path is "
			       "the host's, whose name would be changed",
			       field);
	return r < 0 ? err_sys(e, -r, "%s: compare the uts namespaces", field) : 0;
}

/* Whether /run is the fresh one of the clone's configuration, not what the caller mounts. */
static bool has_own_run(const struct spec *s)
{
	bool own = false;

	for (size_t i = 0; i < s->mounts.n; i++)
		if (str_eq(s->mounts.v[i].destination, "/run"))
			own = s->mounts.v[i].type && str_eq(s->mounts.v[i].type, "tmpfs");
	return own;
}

static int load_run_dirs(struct create *c, struct container *k, struct err *e)
{
	AUTO_CLOSE int cache = -1;

	if (!has_own_run(c->spec))
		return 0;
	cache = store_cache(&c->store);
	return run_dirs_load(cache, &k->run_dirs, e);
}

static int container_prepare(struct workload *w, struct err *e)
{
	struct create *c = w->c;
	const struct spec_seccomp *s = c->spec->linux_.seccomp;
	struct container *k = calloc(1, sizeof(*k));
	AUTO_CLOSE int cache = -1;
	int r;

	if (!k)
		return err_sys(e, ENOMEM, "prepare the container");
	w->data = k;
	k->receiver = (struct seccomp_receiver)SECCOMP_RECEIVER_INIT;
	k->disk_fd = -1;
	k->rootfs = (struct rootfs)ROOTFS_INIT;
	r = check_host(&c->spec->linux_, e);
	if (r == 0)
		r = ns_plan_spec(&c->spec->linux_, &c->ns, e);
	if (r == 0)
		r = sysctl_check_joined(&c->spec->linux_.sysctl, &c->ns, e);
	if (r == 0)
		r = check_names(c, e);
	if (r < 0)
		return r;
	if (s)
		cache = store_cache(&c->store);
	r = seccomp_plan(s, &c->notes, cache, &k->seccomp, e);
	if (r == 0)
		r = seccomp_receiver_connect(&k->receiver, s, &c->notes, &k->seccomp, e);
	if (r < 0)
		return r;
	if (c->o->disk)
		return overlay_disk_open(c->o->disk, c->o->disk_size, &k->disk_fd, e);
	return c->o->clone ? load_run_dirs(c, k, e) : 0;
}

/* Who receives the listener shall see the end of the connection when the child closes it. */
static void container_spawned(struct workload *w)
{
	struct container *k = w->data;

	seccomp_receiver_close(&k->receiver);
}

static int ask_idmapped(void *arg, size_t op, struct err *e)
{
	return init_ask(arg, SYNC_IDMAPPED, (int32_t)op, NULL, e);
}

static int serve_idmapped(struct workload *w, size_t op, struct err *e)
{
	struct container *k = w->data;
	AUTO_CLOSE int userns = -1;
	char path[32];
	int r = plan_mounts(w, e);

	if (r < 0)
		return r;
	if (op >= k->plan.n)
		return err_set(e, EPROTO, "container init asked for mount %zu of %zu", op,
			       k->plan.n);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", w->c->pid);
	userns = open(path, O_RDONLY | O_CLOEXEC);
	if (userns < 0)
		return err_sys(e, errno, "open %s", path);
	return mount_source_open(&k->plan.v[op], userns, e);
}

static int container_serve(struct workload *w, const struct sync_msg *m, struct err *e)
{
	return m->type == SYNC_IDMAPPED ? serve_idmapped(w, (size_t)m->value, e)
					: init_serve_source(m, e);
}

static int clone_root(struct create *c, struct container *k, struct err *e)
{
	int r;

	if (!c->o->clone)
		return 0;
	r = overlay_root(k->disk_fd, 0, c->spec->root->readonly ? &k->below : NULL,
			 &k->opts.root_mount, e);
	k->opts.below = &k->below;
	if (k->disk_fd >= 0)
		close(k->disk_fd);
	k->disk_fd = -1;
	return r;
}

/* Inside: a clone's disk may have services of its own. */
static int fill_run(struct create *c, struct container *k, struct err *e)
{
	AUTO_CLOSE int root = -1, run = -1;
	int r;

	if (!c->o->clone || !has_own_run(c->spec))
		return 0;
	if (c->o->disk) {
		root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (root < 0)
			return err_sys(e, errno, "open the root of the clone");
		r = run_dirs_scan(root, &k->run_dirs, e);
		if (r < 0)
			return r;
	}
	run = open("/run", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return run < 0 ? err_sys(e, errno, "open /run of the clone")
		       : run_dirs_make(run, &k->run_dirs, e);
}

/* In a mount namespace of somebody else /proc is somebody else's word. */
static bool setgroups_denied(const struct spec_linux *l)
{
	char buf[16];

	return !l->ns[NS_MOUNT].path && (l->ns[NS_USER].wanted || rootless_userns()) &&
	       io_read_small(AT_FDCWD, "/proc/self/setgroups", buf, sizeof(buf)) > 0 &&
	       str_eq(buf, "deny");
}

static void fill_payload(struct create *c, struct container *k)
{
	const struct spec_linux *l = &c->spec->linux_;

	k->payload = (struct payload){
		.process = c->spec->process,
		.personality = l->personality,
		.memory = l->memory_policy,
		.seccomp = &k->seccomp,
		.receiver = &k->receiver,
		.report = c->sync_child,
		.landlock = c->notes.landlock,
		.keep_groups = c->notes.keep_groups || setgroups_denied(l),
		.limits_set = l->ns[NS_USER].wanted,
		.preserve_fds = c->o->preserve_fds,
		.listen = c->listen,
	};
}

/*
 * What only the set-up needed, and what ctr's caller had open: until execve would close it the
 * container may stay "created" for days. It is gone before the working directory is entered, and
 * before a filter can forbid it.
 */
static int close_the_rest(const struct create *c, const struct container *k, struct err *e)
{
	const struct spec_hooks *h = &c->spec->hooks;
	bool hooks = h->kind[HOOK_START_CONTAINER].n;
	int keep[] = { c->sync_child,         c->start_fd,
		       k->receiver.sock,      log_fd(),
		       log_socket(),          hooks ? h->out_fd : -1,
		       hooks ? h->err_fd : -1 };
	int r = process_close_but(payload_first_fd(&k->payload), keep, ARRAY_SIZE(keep));

	return r < 0 ? err_sys(e, -r, "close descriptors") : 0;
}

/*
 * Before what it lies in may become read-only. What fails here fails when it is entered as well,
 * perhaps as another user, and is told then.
 */
static void make_cwd(const struct rootfs *r, const char *cwd)
{
	struct err ignored;
	int fd;

	if (str_eq(cwd, "/"))
		return;
	fd = path_open(r->root_fd, cwd, O_PATH);
	if (fd == -ENOENT)
		fd = path_make(r->root_fd, cwd, true, 0755, &ignored);
	if (fd >= 0)
		close(fd);
}

static int container_enter(struct workload *w, struct err *e)
{
	struct create *c = w->c;
	struct container *k = w->data;
	const struct spec_linux *l = &c->spec->linux_;
	int r;

	fill_payload(c, k);
	k->opts = (struct rootfs_opts){
		.spec = c->spec,
		.path = c->st.rootfs,
		.root_mount = -1,
		.plan = &k->plan,
		.new_mount_ns = l->ns[NS_MOUNT].wanted,
		.userns = l->ns[NS_USER].wanted,
		.no_pivot = c->o->no_pivot,
		.open_source = init_ask_source,
		.open_idmapped = l->ns[NS_USER].wanted ? ask_idmapped : NULL,
		.arg = c,
	};
	/* With no_new_privs it is sent by start. */
	r = seccomp_receiver_state(
		&k->receiver, l->seccomp, &c->st,
		c->spec->process->no_new_privileges ? STATUS_CREATED : STATUS_CREATING, e);
	if (r == 0)
		r = plan_mounts(w, e);
	if (r == 0)
		r = clone_root(c, k, e);
	if (r == 0)
		r = rootfs_prepare(&k->rootfs, &k->opts, e);
	if (r == 0)
		r = init_hooks(c, e);
	if (r == 0)
		r = init_terminal(c, k->rootfs.root_fd, k->rootfs.dev_bound, e);
	if (r == 0)
		r = rootfs_enter(&k->rootfs, e);
	if (r == 0)
		r = fill_run(c, k, e);
	if (r == 0)
		r = init_network(c, e);
	if (r == 0)
		r = sysctl_apply(&l->sysctl, e);
	if (r == 0) {
		make_cwd(&k->rootfs, c->spec->process->cwd);
		r = rootfs_protect(&k->rootfs, e);
	}
	rootfs_close(&k->rootfs);
	overlay_below_close(&k->below);
	if (r == 0)
		r = close_the_rest(c, k, e);
	if (r == 0)
		r = payload_settle(&k->payload, e);
	return r;
}

static int container_run(struct workload *w, int reply, struct err *e)
{
	struct create *c = w->c;
	struct container *k = w->data;
	int r;

	if (c->spec->hooks.kind[HOOK_START_CONTAINER].n) {
		struct json_out j = {};

		c->st.pid = getpid();
		state_out_hook(&j, &c->st, STATUS_CREATED);
		r = hooks_run(&c->spec->hooks, HOOK_START_CONTAINER, j.buf.s, k->payload.env.v, -1,
			      e);
		json_out_free(&j);
		if (r < 0)
			return r;
	}
	r = init_started(c, reply, e);
	if (r < 0)
		return r;
	k->payload.report = reply;
	return payload_exec(&k->payload, e);
}

static void container_release(struct workload *w)
{
	struct container *k = w->data;

	if (!k)
		return;
	seccomp_receiver_close(&k->receiver);
	seccomp_free(&k->seccomp);
	arena_free(&k->arena);
	run_dirs_free(&k->run_dirs);
	if (k->disk_fd >= 0)
		close(k->disk_fd);
	free(k);
	w->data = NULL;
}

const struct workload_ops wl_container = {
	.name = "container",
	.check = container_check,
	.prepare = container_prepare,
	.serve = container_serve,
	.spawned = container_spawned,
	.enter = container_enter,
	.run = container_run,
	.release = container_release,
};
