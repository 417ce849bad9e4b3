/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to containers that exist: kill, delete, pause, resume, state, list, ps. */
#include "ctr.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/sys.h"
#include "container.h"
#include "oci/validate.h"
#include "proc.h"
#include "transition.h"
#include "vm_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

static int signal_init(const struct container_ref *c, const char *id, int sig, struct err *e)
{
	AUTO_CLOSE int pidfd = proc_pidfd(c->st->pid, c->st->pid_start);
	int r;

	if (pidfd == -ESRCH)
		return err_set(e, ESRCH, "kill %s: container not running", id);
	if (pidfd < 0)
		return err_sys(e, -pidfd, "kill %s: open pidfd of process %d", id, c->st->pid);
	r = sys_pidfd_send_signal(pidfd, sig, NULL, 0);
	if (r == -ESRCH)
		return err_set(e, ESRCH, "kill %s: container not running", id);
	return r < 0 ? err_sys(e, -r, "kill %s: signal %d", id, sig) : 0;
}

enum {
	MACHINE_KILL_MS = 3000,    /* for all that is tried before the machine is killed */
	MACHINE_SIGNAL_MS = 10000, /* for the guest to take another signal */
};

static int machine_signal(const struct container_ref *c, const char *id, int sig, bool all,
			  struct err *e)
{
	if (c->status != STATUS_PAUSED)
		return vm_signal(c->dir, id, sig, all, MACHINE_SIGNAL_MS, e);
	/* As for a container it waits for the resume; SIGSTOP would stop the VMM instead. */
	if (!all && sig != SIGSTOP)
		return signal_init(c, id, sig, e);
	return vm_awake(c->status, "kill", id, e);
}

/*
 * SIGKILL would end the machine in the middle of its writes, so the guest is asked first; one that
 * does not obey is killed.
 */
static int kill_machine(const struct container_ref *c, const char *id, int sig, bool all,
			struct err *e)
{
	AUTO_CLOSE int pidfd = -1;
	AUTO_CG struct cg *cg = NULL;
	bool asleep = c->status == STATUS_PAUSED || c->status == STATUS_CREATED;
	int64_t until = sys_now_ms() + MACHINE_KILL_MS;
	int r;

	if (c->status == STATUS_STOPPED)
		return 0;
	if (sig != SIGKILL)
		return machine_signal(c, id, sig, all, e);
	pidfd = proc_pidfd(c->st->pid, c->st->pid_start);
	if (pidfd < 0)
		return 0;
	if (!asleep && vm_signal(c->dir, id, sig, true, MACHINE_KILL_MS, NULL) == 0) {
		int64_t left = until - sys_now_ms();

		if (proc_wait_end(pidfd, left > 0 ? (int)left : 0) == 0)
			return 0;
	}
	r = container_cgroup(c->st, &cg, e);
	if (r == 0 && cg)
		r = cg_kill(cg, SIGKILL, e);
	if (r == 0)
		r = signal_init(c, id, SIGKILL, e);
	return r == -ESRCH ? 0 : r;
}

/* Without a cgroup nobody can tell who else belongs to it. */
static int signal_known(const struct container_ref *c, const char *id, int sig, bool own,
			struct err *e)
{
	int r = signal_init(c, id, sig, e);

	if (r == 0 && !(own && sig == SIGKILL))
		log_warn(
			"kill %s: the container has no cgroup: only its first process got the signal",
			id);
	return r;
}

static int kill_members(const struct container_ref *c, const char *id, int sig, bool all, bool own,
			struct err *e)
{
	AUTO_CG struct cg *cg = NULL;
	int r;

	if (container_is_over(c, id))
		return 0;
	r = container_cgroup(c->st, &cg, e);
	if (r < 0)
		return r;
	if (!cg)
		r = signal_known(c, id, sig, own, e);
	else
		r = cg_kill(cg, sig, e);
	if (r == 0 && cg && !all)
		r = signal_init(c, id, sig, e);
	return r == -ESRCH ? 0 : r;
}

/* In a pid namespace of others what init has started lives on when init is gone. */
static bool left_alone(const struct container_ref *c, const char *id, int sig, bool own)
{
	AUTO_FREE pid_t *pids = NULL;
	AUTO_CG struct cg *cg = NULL;
	struct err none;
	size_t n = 0;

	return sig == SIGKILL && !own && c->status == STATUS_STOPPED &&
	       !container_is_machine(c->st) && !container_is_over(c, id) &&
	       container_cgroup(c->st, &cg, &none) == 0 && cg &&
	       cg_pids(cg, &pids, &n, &none) == 0 && n;
}

int ctr_kill(const struct ctr_global *g, const char *id, int sig, bool all, struct err *e)
{
	AUTO_CONTAINER struct container_ref c = CONTAINER_REF_INIT;
	AUTO_CG struct cg *cg = NULL;
	bool own;
	int r = container_open(&c, g, id, false, e);

	if (r < 0)
		return r;
	own = (all || sig == SIGKILL) && container_owns_pids(&c);
	if (!all && !left_alone(&c, id, sig, own)) {
		r = transition_check(CMD_KILL, id, c.status, e);
		if (r < 0)
			return r;
	}
	if (container_is_machine(c.st))
		return kill_machine(&c, id, sig, all, e);
	/* A signal to init alone would leave the others of a shared pid namespace. */
	if (all || (sig == SIGKILL && !own))
		return kill_members(&c, id, sig, all, own, e);
	r = signal_init(&c, id, sig, e);
	if (r == 0 && sig == SIGKILL) {
		r = container_cgroup(c.st, &cg, e);
		if (r == 0 && cg)
			cg_let_die(cg);
	}
	return r;
}

/* What a create that was killed in its middle left: a directory without a readable state. */
static int delete_leftover(struct container_ref *c, const char *id, struct err *e)
{
	struct err why = *e;
	int r;

	if (c->dir < 0)
		return -why.code;
	r = container_destroy(c, id, e);
	if (r == 0)
		log_warn("%s: removed", why.msg);
	return r;
}

int ctr_delete(const struct ctr_global *g, const char *id, bool force, struct err *e)
{
	AUTO_CONTAINER struct container_ref c = CONTAINER_REF_INIT;
	int r;

	c.force = force;
	r = container_open(&c, g, id, true, e);
	if (r < 0 && force && e->kind == ERR_NO_CONTAINER)
		return 0;
	if (r < 0 && force)
		return delete_leftover(&c, id, e);
	if (r < 0)
		return r;
	if (!force) {
		r = transition_check(CMD_DELETE, id, c.status, e);
		if (r < 0)
			return r;
	}
	return container_destroy(&c, id, e);
}

static int set_frozen(const struct ctr_global *g, enum command cmd, const char *id, bool freeze,
		      struct err *e)
{
	AUTO_CONTAINER struct container_ref c = CONTAINER_REF_INIT;
	AUTO_CG struct cg *cg = NULL;
	int r = container_open(&c, g, id, true, e);

	if (r == 0)
		r = transition_check(cmd, id, c.status, e);
	if (r == 0)
		r = container_cgroup(c.st, &cg, e);
	if (r < 0)
		return r;
	if (!cg)
		return err_set(e, ENOTSUP, "%s %s: the container has no cgroup",
			       freeze ? "pause" : "resume", id);
	return cg_freeze(cg, freeze, e);
}

int ctr_pause(const struct ctr_global *g, const char *id, struct err *e)
{
	return set_frozen(g, CMD_PAUSE, id, true, e);
}

int ctr_resume(const struct ctr_global *g, const char *id, struct err *e)
{
	return set_frozen(g, CMD_RESUME, id, false, e);
}

int ctr_state(const struct ctr_global *g, const char *id, struct state **out, enum status *status,
	      struct err *e)
{
	AUTO_CONTAINER struct container_ref c = CONTAINER_REF_INIT;
	int r = container_open(&c, g, id, false, e);

	if (r < 0)
		return r;
	*status = c.status;
	*out = TAKE_PTR(c.st);
	return 0;
}

static int ps_guest(const struct container_ref *c, const char *id, char **table, struct err *e)
{
	int r = vm_awake(c->status, "ps", id, e);

	if (r < 0 || c->status != STATUS_STOPPED)
		return r < 0 ? r : vm_ps(c->dir, id, table, e);
	*table = strdup("");
	return *table ? 0 : err_sys(e, ENOMEM, "ps %s", id);
}

int ctr_ps(const struct ctr_global *g, const char *id, pid_t **pids, size_t *n, char **table,
	   struct err *e)
{
	AUTO_CONTAINER struct container_ref c = CONTAINER_REF_INIT;
	AUTO_CG struct cg *cg = NULL;
	int r = container_open(&c, g, id, false, e);

	if (r == 0)
		r = transition_check(CMD_PS, id, c.status, e);
	if (r == 0 && table && container_is_machine(c.st))
		return ps_guest(&c, id, table, e);
	if (r == 0)
		r = container_cgroup(c.st, &cg, e);
	if (r < 0)
		return r;
	if (!cg)
		return err_set(e, ENOTSUP, "ps %s: the container has no cgroup", id);
	return cg_pids(cg, pids, n, e);
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct ctr_entry *)a)->state->id,
		      ((const struct ctr_entry *)b)->state->id);
}

static int read_entry(const struct store *s, const char *id, struct ctr_entry *out)
{
	struct err e;
	AUTO_CLOSE int dir = store_get(s, id, &e);
	int r = dir < 0 ? dir : store_read_state(dir, &out->state, &e);

	/* Gone since the directory was read, or not yet written: not there. */
	if (r == -ENOENT)
		return r;
	if (r < 0) {
		log_warn("container %s: %s", id, e.msg);
		return r;
	}
	out->status = container_status(dir, out->state, false);
	return 0;
}

static int read_entries(const struct store *s, DIR *d, struct ctr_entry **v, size_t *n,
			struct err *e)
{
	struct dirent *de;
	size_t cap = 0;

	while ((de = readdir(d)) != NULL) {
		if (de->d_name[0] == '.' || (de->d_type != DT_DIR && de->d_type != DT_UNKNOWN))
			continue;
		if (*n == cap) {
			struct ctr_entry *grown;

			cap = cap ? cap * 2 : 64;
			grown = reallocarray(*v, cap, sizeof(*grown));
			if (!grown)
				return err_sys(e, ENOMEM, "list containers");
			*v = grown;
		}
		if (read_entry(s, de->d_name, &(*v)[*n]) == 0)
			(*n)++;
	}
	return 0;
}

int ctr_list(const struct ctr_global *g, struct ctr_entry **out, size_t *n, struct err *e)
{
	AUTO_STORE struct store s = STORE_INIT;
	AUTO_CLOSEDIR DIR *d = NULL;
	struct ctr_entry *v = NULL;
	size_t count = 0;
	int r = store_open(&s, g->root, false, e);

	if (r < 0)
		return r;
	*out = NULL;
	*n = 0;
	if (s.fd < 0)
		return g->root_given ? err_sys(e, ENOENT, "list: state root %s", s.path) : 0;
	d = fdopendir(openat(s.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (!d)
		return err_sys(e, errno, "list: read state root %s", s.path);
	r = read_entries(&s, d, &v, &count, e);
	if (r < 0) {
		ctr_list_free(v, count);
		return r;
	}
	if (count > 0)
		qsort(v, count, sizeof(*v), by_id);
	*out = v;
	*n = count;
	return 0;
}

void ctr_list_free(struct ctr_entry *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		state_free(v[i].state);
	free(v);
}
