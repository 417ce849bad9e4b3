/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only seam between the two ways to run a bundle. A function enters this table only when the
 * two truly differ: pause, resume, kill -9, delete, list and ps go through the cgroup and serve
 * both.
 */
#ifndef CTR_WORKLOAD_H
#define CTR_WORKLOAD_H

#include "base/err.h"
#include "oci/spec.h"

struct create;
struct sync_msg;

struct workload {
	const struct workload_ops *ops;
	struct create *c; /* what both halves share, see create.h */
	void *data;       /* the row's own */
};

struct workload_ops {
	const char *name; /* "container", "microvm": kept in state.json */
	/* pure: can this mode honour the spec? */
	int (*check)(const struct spec *spec, struct err *e);
	int (*prepare)(struct workload *w, struct err *e); /* parent, host namespaces */
	/*
	 * parent, for the child: a descriptor that only the parent can open (SYNC_SOURCE,
	 * SYNC_IDMAPPED)
	 */
	int (*serve)(struct workload *w, const struct sync_msg *m, struct err *e);
	/* parent: lets go of what only the child needs */
	void (*spawned)(struct workload *w);
	/* child, new namespaces; ends ready to wait */
	int (*enter)(struct workload *w, struct err *e);
	/*
	 * child, between the two: 0 as soon as fd is readable. NULL: there is nothing to serve
	 * while it waits for the start.
	 */
	int (*await)(struct workload *w, int fd, struct err *e);
	/* child, after start; returns on failure only */
	int (*run)(struct workload *w, int reply, struct err *e);
	/* parent; idempotent undo of prepare */
	void (*release)(struct workload *w);
};

extern const struct workload_ops wl_container;
extern const struct workload_ops wl_microvm;

#endif
