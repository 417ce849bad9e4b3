/* SPDX-License-Identifier: Apache-2.0 */
#include "container.h"

#include "base/cleanup.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"
#include "hooks.h"
#include "network.h"
#include "oci/validate.h"
#include "proc.h"
#include "rdt.h"
#include "workload.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#define FORCE_SECONDS 2 /* delete --force leaves another command so long to its work */
#define KILL_MS 10000
#define LEAVE_MS 500 /* for the last processes of a container whose init has ended */

int container_cgroup(const struct state *st, struct cg **cg, struct err *e)
{
	enum cg_driver d = CG_DRIVER_CGROUPFS;

	if (!st->cgroup_path)
		return 0;
	if (st->cgroup_driver && str_eq(st->cgroup_driver, cg_driver_names[CG_DRIVER_SYSTEMD]))
		d = CG_DRIVER_SYSTEMD;
	return cg_open(st->cgroup_path, st->cgroup_unit, d, cg, e);
}

static bool frozen(const struct state *st)
{
	AUTO_CG struct cg *cg = NULL;
	bool is = false;

	if (container_cgroup(st, &cg, NULL) < 0 || !cg)
		return false;
	return cg_is_frozen(cg, &is) == 0 && is;
}

bool container_is_machine(const struct state *st)
{
	return st->mode && str_eq(st->mode, wl_microvm.name);
}

enum status container_status(int dir, const struct state *st, bool locked)
{
	/* Without a pid the creator is at work (it holds the lock) or died in the middle. */
	if (st->pid <= 0)
		return !locked && store_is_locked(dir) ? STATUS_CREATING : STATUS_STOPPED;
	if (!proc_alive(st->pid, st->pid_start))
		return STATUS_STOPPED;
	if (frozen(st))
		return STATUS_PAUSED;
	return faccessat(dir, STORE_START, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? STATUS_CREATED
									   : STATUS_RUNNING;
}

/*
 * Before the first state.json, or after the last: nobody's container. Who has locked it knows that
 * it stays so.
 */
static int no_state(const struct container_ref *r, const char *id, bool locked, struct err *e)
{
	if (!locked && !store_has(&r->store, id, r->dir))
		return err_kind(e, ERR_NO_CONTAINER, ENOENT, "%s: container does not exist", id);
	if (!locked && store_is_locked(r->dir))
		return err_kind(e, ERR_NO_CONTAINER, ENOENT,
				"%s: container does not exist (it is being created or deleted)",
				id);
	return err_set(
		e, ENOENT,
		"container %s: its creation was interrupted, delete --force removes what is left",
		id);
}

/* SIGKILL to whatever is recorded of a container that another command holds. */
static void end_held(struct container_ref *r, const char *id)
{
	AUTO_CLOSE int pidfd = -1;
	AUTO_CG struct cg *cg = NULL;
	struct err ignored;

	if (store_read_state(r->dir, &r->st, &ignored) < 0)
		return;
	pidfd = proc_pidfd(r->st->pid, r->st->pid_start);
	if (!container_is_over(r, id) && container_cgroup(r->st, &cg, &ignored) == 0 && cg)
		cg_kill(cg, SIGKILL, &ignored);
	if (pidfd >= 0)
		sys_pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	state_free(r->st);
	r->st = NULL;
}

/*
 * A command that waits for the container holds the lock as long: for a hook, for an init that
 * stands still. With the container's end it comes to its own.
 */
static int take_lock(struct container_ref *r, const char *id, struct err *e)
{
	if (r->force && lock_wait(r->dir, FORCE_SECONDS) == -EBUSY)
		end_held(r, id);
	return store_lock(&r->store, id, r->dir, e);
}

int container_open(struct container_ref *r, const struct ctr_global *g, const char *id, bool lock,
		   struct err *e)
{
	int rc = validate_id(id, e);

	if (rc == 0)
		rc = store_open(&r->store, g->root, false, e);
	if (rc < 0)
		return rc;
	r->dir = store_get(&r->store, id, e);
	if (r->dir < 0)
		return r->dir;
	rc = lock ? take_lock(r, id, e) : 0;
	if (rc < 0) {
		/* Nobody's to remove: see delete --force. */
		close(TAKE_FD(r->dir));
		return rc;
	}
	rc = store_read_state(r->dir, &r->st, e);
	if (rc == -ENOENT)
		return no_state(r, id, lock, e);
	if (rc < 0)
		return err_wrap(e, "container %s", id);
	r->status = container_status(r->dir, r->st, lock);
	return 0;
}

void container_close(struct container_ref *r)
{
	if (r->dir >= 0)
		close(r->dir);
	r->dir = -1;
	state_free(r->st);
	r->st = NULL;
	store_close(&r->store);
}

int container_hooks(const struct container_ref *r, enum hook_kind kind, enum status status,
		    struct err *e)
{
	AUTO_SPEC struct spec *spec = NULL;
	struct annotations notes;
	struct json_out j = {};
	int rc = store_read_config(r->dir, &spec, e);

	if (rc < 0)
		return rc;
	if (!spec->hooks.kind[kind].n)
		return 0;
	rc = annotations_read(spec, &spec->arena, &notes, e);
	if (rc == 0)
		rc = hooks_open_output(&spec->hooks, &notes, e);
	if (rc < 0)
		return rc;
	spec->hooks.dir = r->st->bundle;
	state_out_hook(&j, r->st, status);
	/* Who wants to delete it must not wait for them. */
	if (kind == HOOK_POSTSTART)
		store_unlock(r->dir);
	if (kind == HOOK_POSTSTOP)
		hooks_run_all(&spec->hooks, kind, j.buf.s);
	else
		rc = hooks_run(&spec->hooks, kind, j.buf.s, NULL, -1, e);
	json_out_free(&j);
	hooks_close_output(&spec->hooks);
	return rc;
}

bool container_owns_pids(const struct container_ref *r)
{
	AUTO_SPEC struct spec *spec = NULL;

	if (container_is_machine(r->st))
		return true;
	if (store_read_config(r->dir, &spec, NULL) < 0)
		return false;
	return spec->linux_.ns[NS_PID].wanted && !spec->linux_.ns[NS_PID].path;
}

static bool is_at_or_below(const char *path, const char *top)
{
	const char *rest = str_after(path, top);

	return rest && (!*rest || *rest == '/');
}

/* Another container that may have processes where r has its cgroup. */
static bool lives_there(const struct container_ref *r, const char *other)
{
	AUTO_CLOSE int dir = store_get(&r->store, other, NULL);
	struct state *st = NULL;
	bool is = false;

	if (dir >= 0 && store_read_state(dir, &st, NULL) == 0 && st->cgroup_path)
		is = (is_at_or_below(st->cgroup_path, r->st->cgroup_path) ||
		      is_at_or_below(r->st->cgroup_path, st->cgroup_path)) &&
		     container_status(dir, st, false) != STATUS_STOPPED;
	state_free(st);
	return is;
}

static bool is_shared(const struct container_ref *r, const char *id)
{
	int fd = openat(r->store.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSEDIR DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *de;
	bool is = false;

	while (d && r->st->cgroup_path && !is && (de = readdir(d)))
		is = de->d_name[0] != '.' && !str_eq(de->d_name, id) && lives_there(r, de->d_name);
	return is;
}

/*
 * One without a pid was interrupted while it was made: what of it may still be there is on its way
 * out.
 */
bool container_is_over(const struct container_ref *r, const char *id)
{
	if (r->st->pid <= 0)
		return is_shared(r, id);
	return proc_ended(r->st->pid, r->st->pid_start) &&
	       (container_owns_pids(r) || is_shared(r, id));
}

static int still_there(const struct container_ref *r, const char *id, struct err *e)
{
	AUTO(str_buf_free) struct str_buf where = {};

	proc_where(r->st->pid, &where);
	return err_set(e, ETIMEDOUT, "kill container %s: process %d did not end in %d seconds%s",
		       id, r->st->pid, KILL_MS / 1000, where.s ? where.s : "");
}

/* Init first (its pid namespace takes the rest along), then whatever else sits in the cgroup. */
static int kill_all(const struct container_ref *r, struct cg *cg, const char *id, struct err *e)
{
	AUTO_CLOSE int pidfd = proc_pidfd(r->st->pid, r->st->pid_start);
	int rc = 0;

	if (pidfd >= 0) {
		rc = sys_pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
		if (rc < 0 && rc != -ESRCH)
			return err_sys(e, -rc, "kill container %s", id);
	}
	if (cg) {
		rc = cg_kill(cg, SIGKILL, e);
		if (rc < 0)
			return rc;
	}
	return pidfd >= 0 && proc_wait_end(pidfd, KILL_MS) < 0 ? still_there(r, id, e) : 0;
}

/*
 * What a creation that was killed before its first state.json has made: its network, and at most an
 * empty cgroup.
 */
static int remove_unrecorded(const struct container_ref *r, const char *id, struct err *e)
{
	AUTO_SPEC struct spec *spec = NULL;
	int rc = network_release(&r->store, r->dir, id, NULL, e);

	if (rc < 0)
		return rc;
	/* Without a whole configuration there was not even that. */
	if (store_read_config(r->dir, &spec, NULL) < 0)
		return 0;
	return cg_remove_unused(id, spec->linux_.cgroups_path, e);
}

/*
 * Somebody may be in there who came when this container had ended. Whoever is about to leave is
 * waited for.
 */
static int end_processes(const struct container_ref *r, const char *id, struct err *e)
{
	AUTO_CG struct cg *cg = NULL;
	AUTO_FREE pid_t *pids = NULL;
	bool alive = proc_alive(r->st->pid, r->st->pid_start);
	size_t n = 0;
	int rc = container_cgroup(r->st, &cg, e);

	if (rc == 0 && cg && !alive)
		rc = cg_pids(cg, &pids, &n, e);
	if (rc < 0)
		return rc;
	if (alive || (n > 0 && !container_is_over(r, id))) {
		rc = kill_all(r, cg, id, e);
	} else if (n > 0) {
		rc = cg_wait_empty(cg, container_is_machine(r->st) ? KILL_MS : LEAVE_MS);
		if (rc < 0) {
			log_warn("delete %s: cgroup %s is in use by others: left alone", id,
				 cg_path(cg));
			return 0;
		}
	}
	return rc == 0 && cg ? cg_remove(cg, e) : rc;
}

int container_destroy(struct container_ref *r, const char *id, struct err *e)
{
	struct err ignored;
	int rc;

	if (!r->st) {
		rc = remove_unrecorded(r, id, e);
		if (rc < 0)
			return rc;
	} else {
		rc = end_processes(r, id, e);
		if (rc == 0)
			rc = rdt_remove(r->st->rdt_clos_made ? r->st->rdt_clos : NULL,
					r->st->rdt_mon, e);
		if (rc == 0 && r->st->network)
			rc = network_release(&r->store, r->dir, id, r->st->network, e);
		if (rc < 0)
			return rc;
		if (container_hooks(r, HOOK_POSTSTOP, STATUS_STOPPED, &ignored) < 0)
			log_warn("poststop hooks of %s: %s", id, ignored.msg);
	}
	return store_remove(&r->store, id, e);
}
