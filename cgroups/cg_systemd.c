/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd makes a scope only around a process, and takes it away when the last process has left.
 * The container's first process must not be the one: it has to find its cgroup made and limited
 * when it begins. So a child that does nothing is parked in the scope, until cg_placed says that
 * the container has somebody inside.
 *
 *   bus        one StartTransientUnit with every property that systemd has; its job is awaited
 *   cgroupfs   the v1 hierarchies that systemd does not manage, at the same path; then the whole
 *              plan: what systemd lacks (io.max, hugetlb, burst), and what it rounds (quotas)
 *   placed     the parked child ends; the limit of processes, which had room for it, gets its own
 *              value
 *
 * Devices on cgroup v2: ctr attaches its own program, and systemd is told nothing. Without a
 * DevicePolicy= of its own systemd has no program on the unit, so that none comes back with other
 * rules at a daemon-reload, and it never touches programs that are not its own. On v1, where
 * systemd writes devices.allow of every unit that it realizes again, it is told the same rules that
 * ctr writes.
 */
#include "cgroups/cg_systemd.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"
#include "cgroups/cg_bus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void cleanup_bus(struct cg_bus **b)
{
	cg_bus_close(*b);
}
#define AUTO_BUS AUTO(cleanup_bus)

static void cleanup_props(struct cg_props *p)
{
	cg_props_free(p);
}
#define AUTO_PROPS AUTO(cleanup_props)

/* ---- the parked process ---- */

static _Noreturn void parked(pid_t parent)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		raise(SIGKILL); /* it has ended before it could be told */
	prctl(PR_SET_NAME, "ctr-parked");
	if (geteuid() == 0)
		prctl(PR_SET_DUMPABLE, 0);
	/* Away from the terminal's signals, and from pipes that somebody waits for the end of. */
	setsid();
	sys_close_range(0, ~0U, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (;;)
		pause();
}

static int park(pid_t *out, struct err *e)
{
	struct clone_args a = { 0 }; /* no exit signal: nobody but us awaits it */
	pid_t me = getpid(), pid = sys_clone3(&a);

	if (pid == 0)
		parked(me);
	if (pid < 0)
		return err_sys(e, -pid,
			       "cgroup manager systemd: make a process that holds the scope");
	*out = pid;
	return 0;
}

static void unpark(pid_t *pid)
{
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	while (waitpid(*pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	*pid = 0;
}

static struct cg_dir *pids_dir(struct cg *cg)
{
	struct cg_dir *d = cg_find_v1(cg, "pids");

	return d ? d : cg_find_v2(cg);
}

/* A limit of one process would leave no place for the container's. */
static void spare_one(struct cg *cg)
{
	struct cg_dir *d = pids_dir(cg);
	char more[24];
	uint64_t limit;

	if (!d || cg->parked <= 0 || cg_dir_fd(d) < 0 ||
	    io_read_small(d->fd, "pids.max", cg->pids_max, sizeof(cg->pids_max)) < 0 ||
	    str_to_u64(cg->pids_max, INT32_MAX, &limit) < 0) {
		cg->pids_max[0] = '\0';
		return;
	}
	snprintf(more, sizeof(more), "%llu", (unsigned long long)limit + 1);
	if (io_write_file(d->fd, "pids.max", more) < 0)
		cg->pids_max[0] = '\0';
}

int cg_placed(struct cg *cg, struct err *e)
{
	struct cg_dir *d;
	int r;

	if (cg->parked <= 0)
		return 0;
	unpark(&cg->parked);
	d = pids_dir(cg);
	if (!d || !cg->pids_max[0])
		return 0;
	r = io_write_file(d->fd, "pids.max", cg->pids_max);
	return r < 0 ? err_sys(e, -r, "write \"%s\" to %s/pids.max", cg->pids_max, d->dir) : 0;
}

/* ---- properties ---- */

bool cg_systemd_owns(const struct cg_hier *h)
{
	static const char *const words[] = { "name=systemd", "cpu",     "blkio",
					     "memory",       "devices", "pids" };

	for (size_t i = 0; i < ARRAY_SIZE(words) && !h->v2; i++) {
		const char *at = strstr(h->controllers, words[i]);
		char after = at ? at[strlen(words[i])] : 'x';

		if (at && (at == h->controllers || at[-1] == ',') && (!after || after == ','))
			return true;
	}
	return h->v2;
}

static int device_props(struct cg_props *p, struct cg_props_in *in, const struct cg_host *host,
			struct err *e)
{
	AUTO_FREE char *text = NULL;
	int r;

	if (!cg_host_v1(host, "devices"))
		return 0;
	r = io_read_file(AT_FDCWD, "/proc/devices", (size_t)1 << 20, &text, NULL);
	if (r < 0)
		log_debug("read /proc/devices: %s", strerrordesc_np(-r));
	in->proc_devices = text;
	r = cg_props_devices(p, in, e);
	in->proc_devices = NULL;
	return r;
}

/* What systemd is to be told. names: of a unit to be started; NULL for one that runs. */
struct wish {
	const struct cg_host *host;
	const struct spec_resources *r, *old;
	bool devices; /* its rules too, when it has none */
	const struct cg_unit_names *names;
	const struct cg_create_opts *o;
	pid_t pid;
};

static int plan_props(struct cg_props *p, const struct wish *w, int version, int *needs,
		      struct err *e)
{
	struct cg_props_in in = {
		.version = version,
		.needs = needs,
		.v2 = w->host->layout == CG_LAYOUT_V2,
		.create = w->names != NULL,
		.r = w->r,
		.old = w->old,
	};
	int r = w->names ? cg_props_unit(p, w->names, version, w->o->id, w->pid, e) : 0;

	if (r == 0)
		r = cg_props_resources(p, &in, e);
	if (r == 0 && (w->names || w->devices || w->r->devices.n))
		r = device_props(p, &in, w->host, e);
	return r == 0 && w->names ? cg_props_annotations(p, w->o->annotations, e) : r;
}

/* systemd is asked for its version only where that could make a difference. */
static int props_for(struct cg_bus *b, struct cg_props *p, const struct wish *w, struct err *e)
{
	int needs = 0, version, r = plan_props(p, w, CG_VERSION_ANY, &needs, e);

	if (r < 0 || !needs)
		return r;
	r = cg_bus_version(b, &version, e);
	if (r < 0 || version >= needs)
		return r;
	cg_props_free(p);
	return plan_props(p, w, version, NULL, e);
}

/* ---- create ---- */

/* A unit of this name that has failed is only a memory; one that runs is somebody else's. */
static int start(struct cg_bus *b, const char *unit, const struct cg_props *p, struct err *e)
{
	struct err ignored;
	int r = cg_bus_start(b, unit, p, e);

	if (r != -EEXIST || cg_bus_reset_failed(b, unit, &ignored) < 0)
		return r;
	return cg_bus_start(b, unit, p, e);
}

static int start_unit(struct cg_bus *b, const struct cg_unit_names *names,
		      const struct cg_host *host, const struct cg_create_opts *o, pid_t *pid,
		      struct err *e)
{
	AUTO_PROPS struct cg_props props = { 0 };
	struct wish w = { .host = host, .r = o->resources, .names = names, .o = o };
	struct err ignored;
	int version, r = names->is_slice ? 0 : park(pid, e);

	w.pid = *pid;
	if (r == 0)
		r = props_for(b, &props, &w, e);
	if (r == 0)
		r = start(b, names->unit, &props, e);
	/* The one property that is always there and that very old versions do not know. */
	if (r == -EINVAL && cg_bus_version(b, &version, &ignored) == 0 &&
	    version < CG_VERSION_COLLECT) {
		cg_props_free(&props);
		r = plan_props(&props, &w, version, NULL, e);
		if (r == 0)
			r = start(b, names->unit, &props, e);
	}
	return r;
}

static int check_limits(const struct cg_host *host, const struct spec_resources *r, struct err *e)
{
	struct cg_plan plan = { 0 };
	struct cg_where w;
	int ret = cg_where(host, r, &w, e);

	if (ret == 0 && r)
		ret = cg_plan_make(r, &w, &plan, e);
	cg_plan_free(&plan);
	return ret;
}

/* Where systemd has put the parked process: the unit's cgroup, as we see it. malloc'ed. */
static int path_of(pid_t pid, char **out, struct err *e)
{
	AUTO_FREE char *text = NULL;
	const char *found = NULL;
	char file[32], *save = NULL;
	int r;

	snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)pid);
	r = io_read_file(AT_FDCWD, file, (size_t)1 << 20, &text, NULL);
	if (r < 0)
		return err_sys(e, -r, "read %s", file);
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		const char *c = strchr(l, ':'), *v1 = c ? str_after(c, ":name=systemd:") : NULL;

		if (v1 || (!found && str_after(l, "0::")))
			found = v1 ? v1 : l + strlen("0::");
	}
	*out = found ? strdup(found) : NULL;
	if (!*out)
		return found ? err_sys(e, ENOMEM, "read %s", file)
			     : err_set(e, ENOENT, "%s: not in a hierarchy of systemd", file);
	return 0;
}

/* The cgroup that systemd has made, as a cg that may be used like any other. */
static int adopt(const struct cg_host *host, const struct cg_create_opts *o, struct cg_bus *b,
		 const struct cg_unit_names *names, pid_t pid, struct cg **out, struct err *e)
{
	AUTO_FREE char *path = NULL;
	int r = pid ? path_of(pid, &path, e) : cg_bus_cgroup(b, names->unit, "Slice", &path, e);

	if (r == 0 && !str_ends(path, names->unit))
		r = err_set(e, EPROTO,
			    "cgroup manager systemd: start unit %s: its process is in cgroup %s",
			    names->unit, path);
	if (r == 0)
		r = cg_new(host, path, CG_DRIVER_SYSTEMD, out, e);
	if (r < 0)
		return r;
	(*out)->rootless = o->rootless;
	(*out)->unit = strdup(names->unit);
	return (*out)->unit ? 0 : err_sys(e, ENOMEM, "create cgroup %s", path);
}

int cg_systemd_create(const struct cg_host *host, const struct cg_create_opts *o, struct cg **out,
		      struct err *e)
{
	AUTO_CG struct cg *cg = NULL;
	AUTO_BUS struct cg_bus *b = NULL;
	struct cg_unit_names names;
	struct err ignored;
	pid_t pid = 0;
	int r = cg_unit_names(o->id, o->cgroups_path, o->rootless, &names, e);

	/* What no kernel would take is said before systemd is asked. */
	if (r == 0)
		r = check_limits(host, o->resources, e);
	if (r == 0)
		r = cg_bus_open(o->rootless, CG_BUS_PATIENCE_MS, &b, e);
	if (r == 0)
		r = start_unit(b, &names, host, o, &pid, e);
	if (r < 0) {
		unpark(&pid);
		return r;
	}
	r = adopt(host, o, b, &names, pid, &cg, e);
	if (r == 0) {
		cg->parked = pid;
		r = cg_set_up(cg, o->resources, e);
	}
	if (r < 0) {
		unpark(&pid);
		if (cg_bus_stop(b, names.unit, &ignored) < 0)
			log_warn("%s", ignored.msg);
		if (cg)
			cg_unmake(cg);
		return r;
	}
	spare_one(cg);
	*out = TAKE_PTR(cg);
	return 0;
}

/* ---- later ---- */

/* The units of a user's manager are all below that manager's own. */
static bool is_users(const struct cg *cg)
{
	return cg->path && strstr(cg->path, "/user@") != NULL;
}

int cg_systemd_update(struct cg *cg, const struct spec_resources *r,
		      const struct spec_resources *old, struct err *e)
{
	AUTO_BUS struct cg_bus *b = NULL;
	AUTO_PROPS struct cg_props p = { 0 };
	const struct wish w = { .host = &cg->host, .r = r, .old = old };
	int ret = cg_bus_open(is_users(cg), CG_BUS_PATIENCE_MS, &b, e);

	if (ret == 0)
		ret = props_for(b, &p, &w, e);
	return ret < 0 || !p.n ? ret : cg_bus_set(b, cg->unit, &p, e);
}

int cg_systemd_restore(struct cg *cg, const struct spec_resources *r,
		       const struct spec_resources *old, struct err *e)
{
	AUTO_BUS struct cg_bus *b = NULL;
	AUTO_PROPS struct cg_props told = { 0 }, p = { 0 };
	const struct wish was = { .host = &cg->host, .r = r, .old = old };
	const struct wish w = {
		.host = &cg->host, .r = old, .old = r, .devices = r->devices.n > 0
	};
	struct err never;
	int ret = cg_bus_open(is_users(cg), CG_BUS_PATIENCE_MS, &b, e);

	/* What cannot be said now could not be said then. */
	if (ret == 0 && props_for(b, &told, &was, &never) < 0)
		return 0;
	if (ret == 0)
		ret = props_for(b, &p, &w, e);
	if (ret == 0)
		ret = cg_props_unset(&p, &told, e);
	return ret < 0 || !p.n ? ret : cg_bus_set(b, cg->unit, &p, e);
}

int cg_systemd_attach(struct cg *cg, const char *sub, pid_t pid, struct err *e)
{
	AUTO_BUS struct cg_bus *b = NULL;
	int r = cg_bus_open(is_users(cg), CG_BUS_PATIENCE_MS, &b, e);

	return r < 0 ? r : cg_bus_attach(b, cg->unit, sub, pid, e);
}

void cg_systemd_stop(struct cg *cg)
{
	AUTO_BUS struct cg_bus *b = NULL;
	struct err e;
	int r;

	unpark(&cg->parked);
	r = cg_bus_open(is_users(cg), CG_BUS_PATIENCE_MS, &b, &e);
	if (r == 0)
		r = cg_bus_stop(b, cg->unit, &e);
	if (r < 0)
		log_warn("%s", e.msg);
}
