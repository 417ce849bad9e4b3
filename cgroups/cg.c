/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cg_internal.h"
#include "cgroups/cg_systemd.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

const char *const cg_driver_names[] = {
	[CG_DRIVER_CGROUPFS] = "cgroupfs",
	[CG_DRIVER_SYSTEMD] = "systemd",
	[CG_DRIVER_DISABLED] = "disabled",
};

/* ---- the object ---- */

void cg_free(struct cg *cg)
{
	if (!cg)
		return;
	for (size_t i = 0; i < cg->n; i++) {
		if (cg->dir[i].fd >= 0)
			close(cg->dir[i].fd);
		free(cg->dir[i].dir);
	}
	free(cg->path);
	free(cg->unit);
	free(cg);
}

/* With a path, one directory (not present yet) for each hierarchy of the host; without, none. */
int cg_new(const struct cg_host *host, const char *path, enum cg_driver driver, struct cg **out,
	   struct err *e)
{
	AUTO_CG struct cg *cg = malloc(sizeof(*cg));

	if (!cg)
		return err_sys(e, ENOMEM, "create cgroup");
	*cg = (struct cg){ .driver = driver };
	if (path) {
		cg->host = *host;
		cg->path = strdup(path);
		if (!cg->path)
			return err_sys(e, ENOMEM, "create cgroup");
		for (size_t i = 0; i < host->n; i++) {
			struct cg_dir *d = &cg->dir[cg->n];

			*d = (struct cg_dir){ .hier = &cg->host.hier[i], .fd = -1 };
			d->dir = str_printf("%s%s", d->hier->mount, path);
			if (!d->dir)
				return err_sys(e, ENOMEM, "create cgroup");
			cg->n++;
		}
	}
	*out = TAKE_PTR(cg);
	return 0;
}

const char *cg_path(const struct cg *cg)
{
	return cg->path;
}

const char *cg_unit(const struct cg *cg)
{
	return cg->unit;
}

bool cg_has_v2(const struct cg *cg)
{
	return cg_find_v2((struct cg *)cg) != NULL;
}

int cg_into_fd(const struct cg *cg)
{
	struct cg_dir *d = cg_find_v2((struct cg *)cg);

	return d ? cg_dir_fd(d) < 0 ? -1 : d->fd : -1;
}

void cg_set_rootless(struct cg *cg, bool rootless)
{
	cg->rootless = rootless;
}

bool cg_view(const struct cg *cg, size_t i, struct cg_view *out)
{
	const struct cg_dir *d;

	if (i >= cg->n)
		return false;
	d = &cg->dir[i];
	/* Where the container has no cgroup of its own it stays in the one of its maker. */
	*out = (struct cg_view){
		.controllers = d->hier->controllers,
		.mount = d->hier->mount,
		.path = d->present         ? cg->path
			: d->hier->self[0] ? d->hier->self
					   : NULL,
		.v2 = d->hier->v2,
	};
	return true;
}

/* ---- the path ---- */

static int check_components(const char *path, struct err *e)
{
	for (const char *p = path; *p;) {
		size_t len = strcspn(p, "/");

		if (len == 2 && memcmp(p, "..", 2) == 0)
			return err_set(e, EINVAL, "linux.cgroupsPath: %s: \"..\" is not allowed",
				       path);
		if (len > 255)
			return err_set(e, ENAMETOOLONG, "linux.cgroupsPath: %s: a name is too long",
				       path);
		p += len + (p[len] == '/');
	}
	return 0;
}

/* Without empty and "." components, so that every '/' ends one level. */
static void squeeze(char *path)
{
	char *to = path;

	for (const char *p = path; *p;) {
		size_t len;

		p += strspn(p, "/");
		len = strcspn(p, "/");
		if (len && !(len == 1 && *p == '.')) {
			*to++ = '/';
			memmove(to, p, len);
			to += len;
		}
		p += len;
	}
	*to = '\0';
}

int cg_path_resolve(const char *id, const char *cgroups_path, char **out, struct err *e)
{
	bool given = cgroups_path && *cgroups_path;
	const char *name = given ? cgroups_path : id;
	/*
	 * The default is one level deep: a parent of its own would double the directories of every
	 * run.
	 */
	AUTO_FREE char *path = given ? str_printf("%s/%s", *name == '/' ? "" : CG_PARENT, name)
				     : str_printf("%s-%s", CG_PARENT, name);
	int r;

	if (!path)
		return err_sys(e, ENOMEM, "create cgroup");
	r = check_components(name, e);
	if (r < 0)
		return r;
	squeeze(path);
	if (!*path || str_eq(path, CG_PARENT))
		return err_set(e, EINVAL,
			       "linux.cgroupsPath: \"%s\": a container needs a cgroup of its own",
			       name);
	if (strlen(path) > 3500)
		return err_set(e, ENAMETOOLONG, "linux.cgroupsPath: too long");
	*out = TAKE_PTR(path);
	return 0;
}

/* ---- create ---- */

static bool no_right(int r)
{
	return r == -EACCES || r == -EPERM || r == -EROFS;
}

/* A cgroup that was there before may be used when nothing lives in it, but for a child of ours. */
static int check_unused(struct cg_dir *d, pid_t parked, struct err *e)
{
	struct cg_pid_list l = { 0 };
	size_t n;
	int r = cg_dir_pids(AT_FDCWD, d->dir, &l);

	n = l.n;
	for (size_t i = 0; i < l.n; i++)
		n -= l.v[i] == parked;
	free(l.v);
	if (r < 0)
		return err_sys(e, -r, "list the processes of cgroup %s", d->dir);
	if (n > 0)
		return err_set(e, EBUSY,
			       "cgroup %s: container's cgroup is not empty: %zu process(es) found",
			       d->dir, n);
	return 0;
}

/* Below the root a cgroup that was just made is thawed; elsewhere one above it may not be. */
static int check_thawed(const struct cg *cg, struct cg_dir *d, struct err *e)
{
	AUTO_FREE char *where = NULL;
	unsigned int levels = 0;
	int r;

	for (const char *p = cg->path; *p; p++)
		levels += *p == '/';
	r = d->made < levels ? cg_dir_frozen(d, &where) : 0;
	if (r < 0)
		return err_sys(e, -r, "read the state of cgroup %s", d->dir);
	return r > 0 ? err_set(e, EBUSY, "cgroup %s: container's cgroup unexpectedly frozen", where)
		     : 0;
}

/* A child of a threaded cgroup cannot hold processes that have their own memory. */
static int check_domain(struct cg_dir *d, struct err *e)
{
	char type[32];
	int r = cg_dir_fd(d);

	if (r < 0)
		return err_sys(e, -r, "open %s", d->dir);
	if (io_read_small(d->fd, "cgroup.type", type, sizeof(type)) < 0)
		return 0;
	if (str_eq(type, "domain") || str_eq(type, "domain threaded"))
		return 0;
	return err_set(e, EOPNOTSUPP,
		       "cgroup %s: its type is \"%s\": a container cannot live in a threaded tree",
		       d->dir, type);
}

static int make_one(struct cg *cg, struct cg_dir *d, unsigned int need, unsigned int want,
		    struct err *e)
{
	int r = cg_dir_make(d, cg->path, d->hier->v2 ? need : 0, d->hier->v2 ? want : 0, e);

	if (r < 0)
		return r;
	d->present = true;
	if (d->made == 0) {
		r = check_unused(d, cg->parked, e);
		if (r < 0)
			return r;
	}
	r = check_thawed(cg, d, e);
	if (r < 0)
		return r;
	/* Below the root, our own parent, or one just made, nothing is threaded. */
	if (d->hier->v2 && d->made < 2 && strchr(cg->path + 1, '/') &&
	    !str_after(cg->path, CG_PARENT "/"))
		return check_domain(d, e);
	return 0;
}

static int make_all(struct cg *cg, unsigned int need, unsigned int want, struct err *e)
{
	for (size_t i = 0; i < cg->n; i++) {
		int r = make_one(cg, &cg->dir[i], need, want, e);

		if (r < 0 && cg->rootless && no_right(r)) {
			log_debug("cgroup: %s: no right to make it, the container goes without",
				  cg->dir[i].dir);
			cg_dir_unmake(&cg->dir[i]);
			cg->dir[i].present = false;
			continue;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- cpuset v1: a new cgroup has neither cpus nor memory nodes, and takes no process until it has
 * ---- */

struct cpuset {
	char cpus[8192], mems[8192];
};

static int cpuset_read(const char *dir, struct cpuset *s, struct err *e)
{
	AUTO_CLOSE int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return err_sys(e, errno, "open %s", dir);
	n = io_read_small(fd, "cpuset.cpus", s->cpus, sizeof(s->cpus));
	if (n >= 0 && n < (ssize_t)sizeof(s->cpus) - 1)
		n = io_read_small(fd, "cpuset.mems", s->mems, sizeof(s->mems));
	if (n == (ssize_t)sizeof(s->cpus) - 1)
		n = -E2BIG; /* half a list is another one */
	return n < 0 ? err_sys(e, (int)-n, "read %s/cpuset.*", dir) : 0;
}

static int cpuset_write(const char *dir, const struct cpuset *have, const struct cpuset *from,
			struct err *e)
{
	AUTO_CLOSE int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return err_sys(e, errno, "open %s", dir);
	if (!have->cpus[0] && from->cpus[0])
		r = io_write_file(fd, "cpuset.cpus", from->cpus);
	if (r == 0 && !have->mems[0] && from->mems[0])
		r = io_write_file(fd, "cpuset.mems", from->mems);
	return r < 0 ? err_sys(e, -r, "copy the parent's cpuset to %s", dir) : 0;
}

/* dir is cut at each level and restored. Ends at a level that has both, at the latest at the mount.
 */
static int cpuset_inherit(char *dir, size_t mount_len, struct cpuset *out, struct err *e)
{
	struct cpuset parent;
	char *slash;
	int r = cpuset_read(dir, out, e);

	if (r < 0 || (out->cpus[0] && out->mems[0]) || strlen(dir) <= mount_len)
		return r;
	slash = strrchr(dir, '/');
	*slash = '\0';
	r = cpuset_inherit(dir, mount_len, &parent, e);
	*slash = '/';
	if (r < 0)
		return r;
	r = cpuset_write(dir, out, &parent, e);
	if (!out->cpus[0])
		strcpy(out->cpus, parent.cpus);
	if (!out->mems[0])
		strcpy(out->mems, parent.mems);
	return r;
}

static int cpuset_ready(struct cg *cg, struct err *e)
{
	struct cg_dir *d = cg_find_v1(cg, "cpuset");
	struct cpuset s;

	return d ? cpuset_inherit(d->dir, strlen(d->hier->mount), &s, e) : 0;
}

static bool any_present(const struct cg *cg)
{
	for (size_t i = 0; i < cg->n; i++)
		if (cg->dir[i].present)
			return true;
	return false;
}

int cg_set_up(struct cg *cg, const struct spec_resources *r, struct err *e)
{
	struct cg_plan plan = { 0 };
	struct cg_where w;
	int ret = cg_where(&cg->host, r, &w, e);

	if (ret == 0 && r)
		ret = cg_plan_make(r, &w, &plan, e);
	/*
	 * On a pure v2 host every controller that there is: what is not counted has no numbers
	 * later, and what ends here nobody inside can limit his own with (an engine or a process
	 * manager in the container). systemd leaves out those that it does not know.
	 */
	if (ret == 0)
		ret = make_all(cg, plan.need_v2, cg->host.layout == CG_LAYOUT_V2 ? w.v2 : 0, e);
	if (ret == 0)
		ret = cpuset_ready(cg, e);
	if (ret == 0)
		ret = cg_apply_plan(cg, &plan, NULL, e);
	if (ret == 0)
		ret = cg_apply_devices(cg, r, NULL, false, e);
	cg_plan_free(&plan);
	return ret;
}

void cg_unmake(struct cg *cg)
{
	for (size_t i = cg->n; i > 0; i--)
		cg_dir_unmake(&cg->dir[i - 1]);
}

int cg_create_on(const struct cg_host *host, const struct cg_create_opts *o, struct cg **out,
		 struct err *e)
{
	AUTO_CG struct cg *cg = NULL;
	AUTO_FREE char *path = NULL;
	int r = cg_path_resolve(o->id, o->cgroups_path, &path, e);

	if (r == 0)
		r = cg_new(host, path, o->driver, &cg, e);
	if (r < 0)
		return r;
	if (host->n == 0 && !o->rootless)
		return err_set(e, ENOTSUP,
			       "create cgroup: no cgroup hierarchy is mounted on this host");
	cg->rootless = o->rootless;
	r = cg_set_up(cg, o->resources, e);
	if (r < 0) {
		cg_unmake(cg);
		return r;
	}
	if (!any_present(cg)) {
		if (o->cgroups_path)
			log_warn("linux.cgroupsPath: %s: no right to make it: the container stays "
				 "in the cgroups of its caller",
				 o->cgroups_path);
		free(cg->path);
		cg->path = NULL;
	}
	*out = TAKE_PTR(cg);
	return 0;
}

/*
 * A limit that nothing could hold is refused. The device rules are not: every configuration has
 * them, and who disables cgroups has been told so by this manager's name.
 */
static int check_disabled(const struct spec_resources *r, struct err *e)
{
	const struct cg_where nothing = { 0 };
	struct cg_plan plan = { 0 };
	int ret = r ? cg_plan_make(r, &nothing, &plan, e) : 0;

	cg_plan_free(&plan);
	return ret < 0 ? err_wrap(e, "cgroup manager disabled") : 0;
}

int cg_create(const struct cg_create_opts *o, struct cg **out, struct err *e)
{
	struct cg_host host;
	int r;

	if (o->driver == CG_DRIVER_DISABLED) {
		r = check_disabled(o->resources, e);
		return r < 0 ? r : cg_new(NULL, NULL, o->driver, out, e);
	}
	r = cg_host_probe(&host, e);
	if (r < 0)
		return r;
	return o->driver == CG_DRIVER_SYSTEMD ? cg_systemd_create(&host, o, out, e)
					      : cg_create_on(&host, o, out, e);
}

/* ---- open ---- */

int cg_open_on(const struct cg_host *host, const char *path, struct cg **out, struct err *e)
{
	AUTO_CG struct cg *cg = NULL;
	int r = cg_new(host, path, CG_DRIVER_CGROUPFS, &cg, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < cg->n; i++)
		cg->dir[i].present = access(cg->dir[i].dir, F_OK) == 0;
	*out = TAKE_PTR(cg);
	return 0;
}

int cg_open(const char *path, const char *unit, enum cg_driver driver, struct cg **out,
	    struct err *e)
{
	AUTO_CG struct cg *cg = NULL;
	struct cg_host host;
	int r;

	if (!path || driver == CG_DRIVER_DISABLED)
		return cg_new(NULL, NULL, driver, out, e);
	r = cg_host_probe(&host, e);
	if (r == 0)
		r = cg_open_on(&host, path, &cg, e);
	if (r < 0)
		return r;
	cg->driver = driver;
	if (unit && driver == CG_DRIVER_SYSTEMD) {
		cg->unit = strdup(unit);
		if (!cg->unit)
			return err_sys(e, ENOMEM, "open cgroup %s", path);
	}
	*out = TAKE_PTR(cg);
	return 0;
}
