/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups of one container, for pure v2, pure v1 and hybrid hosts (v1 controllers beside a
 * unified hierarchy). The order that keeps it quick and exact: make the cgroup in every hierarchy,
 * enable controllers and write limits while it is empty, then put the child in: into the v2 one by
 * clone3(CLONE_INTO_CGROUP), into each v1 one by writing "0" to its `tasks` from the
 * single-threaded child itself (neither takes the global thread-group lock, which costs an RCU
 * grace period).
 */
#ifndef CTR_CGROUPS_CG_H
#define CTR_CGROUPS_CG_H

#include "base/err.h"
#include "oci/spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CG_MAX_HIER 24

enum cg_layout { CG_LAYOUT_NONE, CG_LAYOUT_V1, CG_LAYOUT_V2, CG_LAYOUT_HYBRID };

enum cg_driver { CG_DRIVER_CGROUPFS, CG_DRIVER_SYSTEMD, CG_DRIVER_DISABLED };

extern const char *const cg_driver_names[]; /* "cgroupfs", "systemd", "disabled" */

struct cg_hier {
	char controllers[96]; /* "cpu,cpuacct"; "name=systemd"; "" for the v2 hierarchy */
	char mount[128];      /* where the host has it mounted, "/sys/fs/cgroup/memory" */
	char self[512];       /* ctr's own cgroup, from /proc/self/cgroup; "": a longer path */
	bool v2;
};

struct cg_host {
	enum cg_layout layout;
	struct cg_hier hier[CG_MAX_HIER];
	size_t n;
};

/*
 * Finds the hierarchies. Quick way: /proc/self/cgroup and the usual places below /sys/fs/cgroup,
 * each checked by file system type; /proc/self/mountinfo only when a hierarchy is not found there.
 */
int cg_host_probe(struct cg_host *h, struct err *e);

/* The cgroups of one container. Opaque parts are in cg_internal.h. */
struct cg;

struct cg_create_opts {
	const char *id;
	const char *cgroups_path;               /* linux.cgroupsPath, or NULL for the default */
	const struct spec_resources *resources; /* may be NULL */
	enum cg_driver driver;
	/* org.systemd.property.NAME, for the systemd driver; may be NULL */
	const struct spec_map *annotations;
	/* lacking rights is not an error: the container then runs without its own cgroup */
	bool rootless;
};

/*
 * Makes the cgroup in every hierarchy (refusing one that has processes or is frozen), enables the
 * controllers that the resources need and writes all limits. On failure nothing stays behind.
 */
int cg_create(const struct cg_create_opts *o, struct cg **out, struct err *e);

/* The cgroups that cg_create made earlier, by what state.json kept (see cg_path, cg_unit). */
int cg_open(const char *path, const char *unit, enum cg_driver driver, struct cg **out,
	    struct err *e);

/*
 * What cg_create was told as `rootless`, for a cg of cg_open: hierarchies where the container got
 * no cgroup are then left out of cg_join_open instead of being an error.
 */
void cg_set_rootless(struct cg *cg, bool rootless);

/*
 * To be told once, when the container's first process is in its cgroups for certain: the systemd
 * driver keeps a process of its own there until then.
 */
int cg_placed(struct cg *cg, struct err *e);

/* Closes fds and frees; the kernel's cgroups stay. NULL is fine. */
void cg_free(struct cg *cg);

static inline void cleanup_cg(struct cg **cg)
{
	cg_free(*cg);
}
#define AUTO_CG __attribute__((cleanup(cleanup_cg)))

/* path below each hierarchy's mount; NULL: none (disabled) */
const char *cg_path(const struct cg *cg);
const char *cg_unit(const struct cg *cg); /* systemd unit, or NULL */
bool cg_has_v2(const struct cg *cg);

/* The v2 directory for CLONE_INTO_CGROUP (borrowed), or -1. */
int cg_into_fd(const struct cg *cg);

/*
 * Opens, in the parent, what a child needs to put itself into the v1 hierarchies (and the v2 one
 * when with_v2: for kernels or callers without CLONE_INTO_CGROUP). fds has room for CG_MAX_HIER;
 * they are O_CLOEXEC and the caller's. cg_join_self writes to each (async-signal-safe, one write
 * each).
 */
int cg_join_open(struct cg *cg, bool with_v2, int *fds, size_t *n, struct err *e);
int cg_join_self(const int *fds, size_t n);

/*
 * Lets cg_into_fd and cg_join_* mean cgroups below the container's: each word is "[CTRL,...:]PATH"
 * as for `exec --cgroup`, PATH relative to the container's cgroup, which it may not leave ("bad sub
 * cgroup path"), and there already. Without controllers (one word only then) it holds for every
 * hierarchy.
 */
int cg_sub_select(struct cg *cg, const struct spec_strings *words, struct err *e);

/*
 * The same for the v2 hierarchy: where process pid of the container is now, at or below the
 * container's cgroup. A process manager as init has moved itself down there, and could enable no
 * controller as long as another process sits above.
 */
int cg_sub_of(struct cg *cg, pid_t pid, struct err *e);

/* Puts another process there (every hierarchy). */
int cg_attach(struct cg *cg, pid_t pid, struct err *e);

/*
 * Writes new limits while the container runs: all of them, or none when one is refused. old is what
 * was applied last; device rules, which the kernel cannot be asked for, are put back from it.
 */
int cg_update(struct cg *cg, const struct spec_resources *r, const struct spec_resources *old,
	      struct err *e);
int cg_apply(struct cg *cg, const struct spec_resources *r, struct err *e); /* without old */

/*
 * The same with a last step, whose error takes back what was written. r lists no device rules:
 * those of before would stay lost.
 */
int cg_update_then(struct cg *cg, const struct spec_resources *r, const struct spec_resources *old,
		   int (*then)(void *arg, struct err *e), void *arg, struct err *e);

/*
 * Gives the container's v2 cgroup to a user, so that what runs there can make cgroups below it: the
 * directory and those of its files that the kernel calls safe to give away. v1 is left alone:
 * giving that away is not safe. Without a v2 cgroup nothing is done.
 */
int cg_delegate(struct cg *cg, uid_t owner, struct err *e);

/* All processes, sub-cgroups too. *pids is malloc'ed. A cgroup that is gone has none. */
int cg_pids(struct cg *cg, pid_t **pids, size_t *n, struct err *e);

/*
 * Freezes or thaws and waits for the state (event, with a deadline; thawed again when it fails).
 * Thawed is what somebody else has frozen by the v1 freezer, too.
 */
int cg_freeze(struct cg *cg, bool freeze, struct err *e);
int cg_is_frozen(struct cg *cg, bool *frozen);

/*
 * -EBUSY with the path when a process that goes where cg_into_fd and cg_join_* lead would stand
 * still there: that cgroup or one above it is frozen, by whomever.
 */
int cg_check_thawed(struct cg *cg, struct err *e);

/*
 * SIGKILLs everything inside: cgroup.kill where it exists, freeze-kill-thaw otherwise; v1 freezers
 * are thawed, or nothing would die. Any other signal is sent to each process. A cgroup that is gone
 * has none.
 */
int cg_kill(struct cg *cg, int sig, struct err *e);

/*
 * Thaws the v1 freezer and all below it: what is frozen there does not die of a SIGKILL that it got
 * otherwise. Nothing to do on v2.
 */
void cg_let_die(struct cg *cg);

/* Waits until no process is in there. 0, -ETIMEDOUT after ms milliseconds, or another -errno. */
int cg_wait_empty(struct cg *cg, int ms);

/*
 * Removes the cgroups with all sub-cgroups, in every hierarchy; absent ones are fine. Waits (by
 * cgroup.events on v2, by the processes' pidfds on v1) for dying processes, with a deadline.
 */
int cg_remove(struct cg *cg, struct err *e);

/*
 * Removes what cg_create with these words made, for a creation that was killed before it could
 * record the path and before anything ran there. A cgroup that is in use is left alone, with a
 * warning.
 */
int cg_remove_unused(const char *id, const char *cgroups_path, struct err *e);

/*
 * Row i of what the container sees at /sys/fs/cgroup; false past the end. Strings are borrowed from
 * cg.
 */
struct cg_view {
	const char *controllers; /* as in cg_hier */
	const char *mount;       /* host mount point of the hierarchy */
	/* the container's cgroup in it, absolute below the mount; NULL: one that cannot be named */
	const char *path;
	bool v2;
};
bool cg_view(const struct cg *cg, size_t i, struct cg_view *out);

#endif
