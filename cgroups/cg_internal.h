/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share, and the seams where a test puts a directory of its own. */
#ifndef CTR_CGROUPS_CG_INTERNAL_H
#define CTR_CGROUPS_CG_INTERNAL_H

#include "cgroups/cg.h"
#include "cgroups/cg_plan.h"
#include "cgroups/cg_undo.h"

#include <stdint.h>

#define CG_DEADLINE_MS 10000 /* for a freeze, and for dying processes in cg_remove */
#define CG_PARENT \
	"/ctr" /* parent of relative paths, removed again when it is empty; "/ctr-ID" is the default */

/* The container's cgroup in one hierarchy. */
struct cg_dir {
	const struct cg_hier *hier; /* points into cg->host */
	char *dir;                  /* hier->mount and cg->path, joined; owned */
	int fd;                     /* cg_dir_fd opens it when it is first needed; owned */
	bool present;               /* it exists and is ours to use */
	unsigned int made;          /* so many levels that end at made_len in dir were made here */
	size_t made_len;
};

struct cg {
	struct cg_host host;
	struct cg_dir dir[CG_MAX_HIER];
	size_t n;
	char *path; /* "/ctr/x"; NULL: no cgroup at all */
	char *unit;
	enum cg_driver driver;
	bool rootless;
	pid_t parked;      /* systemd driver: our own child, alone in there until cg_placed; or 0 */
	char pids_max[24]; /* the limit that cg_placed is to write, or "" */
};

/* Where the probe looks; tests give their own. */
struct cg_probe_env {
	const char *proc_cgroup;           /* "/proc/self/cgroup" */
	const char *mountinfo;             /* "/proc/self/mountinfo" */
	const char *base;                  /* "/sys/fs/cgroup" */
	long (*fs_type)(const char *path); /* f_type of statfs, or -errno */
};

int cg_host_probe_env(struct cg_host *h, const struct cg_probe_env *env, struct err *e);

/* cg_create and cg_open on hierarchies that are known already. */
int cg_create_on(const struct cg_host *host, const struct cg_create_opts *o, struct cg **out,
		 struct err *e);
int cg_open_on(const struct cg_host *host, const char *path, struct cg **out, struct err *e);

/*
 * What cg_create is made of. A cg for this path with nothing made yet (NULL: without any cgroup);
 * its directories with the limits of r; and what of the directories was made here taken away again.
 */
int cg_new(const struct cg_host *host, const char *path, enum cg_driver driver, struct cg **out,
	   struct err *e);
int cg_set_up(struct cg *cg, const struct spec_resources *r, struct err *e);
void cg_unmake(struct cg *cg);

/* The path below every hierarchy: "/ctr/ID" or what linux.cgroupsPath asks for. *out is malloc'ed.
 */
int cg_path_resolve(const char *id, const char *cgroups_path, char **out, struct err *e);

/* ---- cg_dir.c ---- */

/* The directory's descriptor (borrowed), opened on first use; -errno. */
int cg_dir_fd(struct cg_dir *d);

/* The present v2 directory, the present v1 one that has the controller, or NULL. */
struct cg_dir *cg_find_v2(struct cg *cg);
struct cg_dir *cg_find_v1(struct cg *cg, const char *controller);
/* The one that tells best who is in there: v2 before v1; NULL without any. */
struct cg_dir *cg_find_any(struct cg *cg);
const struct cg_hier *cg_host_v1(const struct cg_host *h, const char *controller);
const struct cg_hier *cg_host_v2(const struct cg_host *h);

/* Makes the directory and the parents that are missing; d->made says how many it has made. */
int cg_dir_make(struct cg_dir *d, const char *path, unsigned int v2_need, unsigned int v2_want,
		struct err *e);
void cg_dir_unmake(struct cg_dir *d); /* removes what cg_dir_make has made */

/* A cgroup that is being removed answers ENODEV until its name is gone. */
bool cg_is_gone(int r);

/* Appends all processes of the tree at dirfd/name. A tree that is gone has none. */
struct cg_pid_list {
	pid_t *v;
	size_t n, cap;
};
int cg_dir_pids(int dirfd, const char *name, struct cg_pid_list *l);

/* Removes a tree of cgroups, leaves first. 0 (also when absent) or -errno, -EBUSY with processes.
 */
int cg_dir_remove(const char *dir);

/* The value of KEY in a flat-keyed file like cgroup.events; -ENOENT without such a file or key. */
int cg_dir_key(int dirfd, const char *file, const char *key, uint64_t *value);

/* ---- cg_freeze.c ---- */

/*
 * 1 when what is in there stands still, because of it or of a cgroup above; *where (malloc'ed) says
 * which one, for v1 its own path. Else 0, with *where NULL, or -errno.
 */
int cg_dir_frozen(struct cg_dir *d, char **where);

/* ---- cg_tree.c ---- */

/*
 * Visits the cgroup at parent/name and all that are below it, however deep. enter gets the open
 * directory, before those below it; leave its parent's descriptor and its name, after them. Either
 * may be NULL. The first that does not return 0 ends the walk, with its value. A cgroup that is
 * gone, or goes meanwhile, is no error.
 */
struct cg_visit {
	int (*enter)(int fd, void *ctx);
	int (*leave)(int parent, const char *name, void *ctx);
	void *ctx;
};
int cg_tree_walk(int parent, const char *name, const struct cg_visit *visit);

/* ---- controllers of cgroup v2 (cg_v2.c) ---- */

/* Controllers that `cgroup.controllers` (or the like) at dirfd names, as bits of enum cg_ctl. */
int cg_v2_controllers(int dirfd, const char *file, unsigned int *mask);

/*
 * Makes `need` and, where that works, `want` available to the children of the cgroup at dirfd. name
 * is for errors.
 */
int cg_v2_enable(int dirfd, const char *name, unsigned int need, unsigned int want, struct err *e);

/* The same in every ancestor of d, from the root down. */
int cg_v2_enable_path(const struct cg_dir *d, const char *path, unsigned int need, struct err *e);

/* ---- cg_apply.c ---- */

/* Which controllers this host has, and where. Reads cgroup.controllers only when r asks for it. */
int cg_where(const struct cg_host *h, const struct spec_resources *r, struct cg_where *w,
	     struct err *e);

/* Writes a plan. undo (NULL while nobody is inside) gets what was there before. */
int cg_apply_plan(struct cg *cg, const struct cg_plan *p, struct cg_undo *undo, struct err *e);

/* ---- cg_realtime.c ---- */

/* True for a v1 real-time setting. */
bool cg_is_realtime(const struct cg_op *op);

/*
 * A share of real-time processor time is a part of what the cgroup above has, which is nothing
 * unless somebody has given it some: gives every cgroup between the root and the container as much
 * more as the n operations want. -EINVAL where the machine has no more to give.
 */
int cg_realtime_budget(struct cg *cg, const struct cg_op *op, size_t n, struct cg_undo *undo,
		       struct err *e);

/* ---- devices ---- */

/*
 * Device rules: v1 lists or a v2 program. r may be NULL: the default rules alone. live: processes
 * are inside, under the rules of old, if that is known (else NULL).
 */
int cg_apply_devices(struct cg *cg, const struct spec_resources *r,
		     const struct spec_resources *old, bool live, struct err *e);

/*
 * Waits until KEY of cgroup.events at dirfd is `want`. 0, -ETIMEDOUT at the deadline (cg_now_ms's
 * clock), -ENOENT or -ENODEV when the cgroup is gone.
 */
int cg_wait_event(int dirfd, const char *key, bool want, int64_t deadline_ms);

/* cg_remove with another deadline (cg_now_ms's clock). */
int cg_remove_until(struct cg *cg, int64_t deadline_ms, struct err *e);

/* ---- cg_stat_io.c: parts of cg_stat_read ---- */
struct cg_stat;
int cg_stat_blkio(struct cg *cg, struct cg_stat *st, struct err *e);
int cg_stat_hugetlb(struct cg *cg, struct cg_stat *st, struct err *e);

/* Monotonic clock, milliseconds. */
int64_t cg_now_ms(void);

#endif
