/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a configuration comes from: a bundle's config.json or the OS clone's own, with the front
 * end's edits.
 */
#include "create.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int bundle_text(struct create *c, struct err *e)
{
	const char *dir = c->o->bundle ? c->o->bundle : ".";
	const char *name = c->o->config ? c->o->config : "config.json";
	AUTO_CLOSE int fd = -1;
	int r;

	c->bundle = realpath(dir, NULL);
	if (!c->bundle)
		return err_sys(e, errno, "bundle %s", dir);
	fd = open(c->bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "bundle %s", c->bundle);
	r = io_read_file(fd, name, SPEC_MAX_BYTES, &c->config, &c->config_len);
	if (r == -EFBIG)
		return err_set(e, EFBIG, "%s/%s: larger than %zu bytes", c->bundle, name,
			       SPEC_MAX_BYTES);
	return r < 0 ? err_sys(e, -r, "read %s/%s", c->bundle, name) : 0;
}

/* The files that --network brings are in the state directory: its place must be known. */
static int plan_network(struct create *c, struct err *e)
{
	bool rootless = geteuid() != 0 || c->g->rootless == ROOTLESS_YES;
	bool vm = c->g->vm.vm || c->o->vm.vm;
	/* The network of a clone that nobody asked for is not connected to a micro-VM. */
	int r = network_plan(&c->o->network, c->o->clone && !vm, rootless, &c->net.plan, e);

	if (r < 0 || c->net.plan.mode == NETWORK_KEEP)
		return r;
	r = store_open(&c->store, c->g->root, true, e);
	return r < 0 ? r : network_edit(&c->net, c->g, &c->store, c->o, &c->net_edit, e);
}

static int edit(struct create *c, const struct spec_edit *ed, struct err *e)
{
	char *text;
	size_t len;
	int r;

	if (spec_edit_empty(ed))
		return 0;
	r = spec_edit_apply(c->config, c->config_len, ed, &text, &len, e);
	if (r < 0)
		return r;
	free(c->config);
	c->config = text;
	c->config_len = len;
	return 0;
}

static int apply_edits(struct create *c, struct err *e)
{
	struct spec_edit ed = c->o->edit ? *c->o->edit : (struct spec_edit){};

	ed.net = c->net.plan.mode == NETWORK_KEEP ? NULL : &c->net_edit;
	return edit(c, &ed, e);
}

/* A terminal needs somebody at its other end. */
static int check_terminal(const struct create *c, struct err *e)
{
	bool tty = c->spec->process && c->spec->process->terminal;
	bool stays = c->wait_here && !c->o->detach;

	if (tty && !stays && !c->o->console_socket)
		return err_set(
			e, EINVAL,
			"process.terminal: cannot allocate tty if ctr will detach without setting console socket");
	if (c->o->console_socket && (!tty || stays))
		return err_set(
			e, EINVAL,
			"--console-socket: cannot use console socket if ctr will not detach or allocate tty");
	return 0;
}

static char *now_rfc3339(struct arena *a)
{
	struct timespec ts;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	/* Not strftime: it reads the machine's time zone first. */
	return arena_printf(a, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", tm.tm_year + 1900,
			    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
			    ts.tv_nsec);
}

static int fill_state(struct create *c, struct err *e)
{
	struct arena *a = &c->spec->arena;
	struct state *st = &c->st;
	const char *root = c->spec->root ? c->spec->root->path : "";

	c->spec->hooks.dir = c->bundle;
	*st = (struct state){
		.oci_version = c->spec->oci_version,
		.id = arena_strdup(a, c->o->id),
		.bundle = c->o->bundle_name ? arena_strdup(a, c->o->bundle_name) : c->bundle,
		.rootfs = root[0] == '/' ? arena_strdup(a, root)
					 : arena_printf(a, "%s/%s", c->bundle, root),
		.mode = arena_strdup(a, c->wl.ops->name),
		.created = now_rfc3339(a),
		.owner = geteuid(),
		.cgroup_driver = arena_strdup(a, cg_driver_names[c->g->driver]),
		.no_pivot = c->o->no_pivot,
		.no_new_keyring = c->o->no_new_keyring,
		.keep = c->o->keep,
		.annotations = c->spec->annotations,
	};
	if (!st->id || !st->bundle || !st->rootfs || !st->mode || !st->created ||
	    !st->cgroup_driver)
		return err_sys(e, ENOMEM, "create %s", c->o->id);
	return 0;
}

static int check_no_vm_options(const struct vm_opts *o, struct err *e)
{
	const char *given = o->accel        ? "--accel"
			    : o->kernel     ? "--kernel"
			    : o->initrd     ? "--initrd"
			    : o->vcpus      ? "--vcpus"
			    : o->memory.set ? "--vm-memory"
					    : NULL;

	return given ? err_set(e, EINVAL, "%s: for a micro-VM only (--vm)", given) : 0;
}

/* Nothing carries packets from the namespace into a guest. */
static int check_vm_network(const struct create *c, struct err *e)
{
	enum network_mode m = c->net.plan.mode;

	if (m == NETWORK_OURS || m == NETWORK_CNI || m == NETWORK_PASTA)
		return err_set(e, ENOTSUP, "--network: not supported for a micro-VM: %s",
			       c->o->network.network ? c->o->network.network : NET_DEFAULT);
	return 0;
}

/* The row of the workload table: by option, program name, configuration or annotation. */
static int choose_workload(struct create *c, struct err *e)
{
	const char *isolation = spec_annotation(c->spec, "org.ctr.isolation");
	int r;

	if (isolation && !str_eq(isolation, "vm") && !str_eq(isolation, "container"))
		return err_set(
			e, EINVAL,
			"annotations.org.ctr.isolation: \"%s\" is neither \"container\" nor \"vm\"",
			isolation);
	if (c->g->vm.vm || c->o->vm.vm || (isolation && str_eq(isolation, "vm")) ||
	    (!isolation && c->spec->vm))
		c->wl = (struct workload){ .ops = &wl_microvm, .c = c };
	else
		c->wl = (struct workload){ .ops = &wl_container, .c = c };
	if (c->wl.ops == &wl_container && c->net.plan.mode == NETWORK_PASTA &&
	    !c->spec->linux_.ns[NS_USER].wanted)
		r = err_set(e, ENOTSUP,
			    "--network pasta: for containers with a user namespace of their own");
	else if (c->wl.ops == &wl_container)
		r = check_no_vm_options(&c->o->vm, e);
	else
		r = check_vm_network(c, e);
	return r < 0 ? r : c->wl.ops->check(c->spec, e);
}

static int parse(struct create *c, struct err *e)
{
	bool own_kernel = c->o->own_kernel || c->g->vm.vm || c->o->vm.vm;
	int r = own_kernel ? spec_parse_own(c->config, c->config_len, &c->spec, e)
			   : spec_parse(c->config, c->config_len, &c->spec, e);

	if (r == 0)
		r = annotations_read(c->spec, &c->spec->arena, &c->notes, e);
	return r < 0 ? r : choose_workload(c, e);
}

/* The caller, an engine, has done it itself. */
static bool has_notify(const struct spec *s)
{
	for (size_t i = 0; i < s->process->env.n; i++)
		if (str_after(s->process->env.v[i], "NOTIFY_SOCKET="))
			return true;
	for (size_t i = 0; i < s->mounts.n; i++) {
		const char *rest = str_after(s->mounts.v[i].destination, SPEC_NOTIFY_DIR);

		if (rest && (!*rest || *rest == '/'))
			return true;
	}
	return false;
}

static int give_notify(struct create *c, struct err *e)
{
	AUTO_FREE char *dir = NULL;
	const char *manager;
	int r;

	if (!c->spec->process || has_notify(c->spec))
		return 0;
	r = notify_manager(&manager, e);
	if (r < 0 || !manager)
		return r;
	if (c->wl.ops != &wl_container || !c->spec->linux_.ns[NS_MOUNT].wanted) {
		log_warn("NOTIFY_SOCKET: the program in a %s cannot reach it: nobody tells the "
			 "service manager that it is ready",
			 c->wl.ops != &wl_container ? "micro-VM"
						    : "container without a mount namespace");
		return 0;
	}
	r = c->store.fd >= 0 ? 0 : store_open(&c->store, c->g->root, true, e);
	if (r < 0)
		return r;
	dir = str_printf("%s/%s/" NOTIFY_DIR, c->store.path, c->o->id);
	if (!dir)
		return err_sys(e, ENOMEM, "create %s", c->o->id);
	r = edit(c, &(struct spec_edit){ .notify = dir }, e);
	if (r < 0)
		return r;
	c->notify = true;
	spec_free(TAKE_PTR(c->spec));
	return parse(c, e);
}

int create_load(struct create *c, struct err *e)
{
	int r = listen_fds_get(&c->listen, e);

	if (r < 0)
		return r;
	if (c->o->clone && geteuid() != 0)
		return err_set(e, EPERM, "--clone: a clone of this machine needs root");
	if (c->o->clone) {
		c->bundle = strdup("/");
		r = c->bundle ? spec_clone_text(c->o->id, &c->config, &c->config_len, e)
			      : err_sys(e, ENOMEM, "create %s", c->o->id);
	} else {
		r = bundle_text(c, e);
	}
	if (r == 0)
		r = plan_network(c, e);
	if (r == 0)
		r = apply_edits(c, e);
	if (r == 0)
		r = parse(c, e);
	if (r == 0 && c->notes.unknown)
		log_warn("annotations[\"%s\"]: not known to this version of ctr, without effect",
			 c->notes.unknown);
	if (r == 0)
		r = give_notify(c, e);
	if (r == 0)
		r = check_terminal(c, e);
	if (r == 0)
		r = fill_state(c, e);
	return r;
}
