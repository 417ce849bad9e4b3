/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container that exists: its directory, its state, its present status. Shared by the commands
 * that come after create.
 */
#ifndef CTR_CONTAINER_H
#define CTR_CONTAINER_H

#include "cgroups/cg.h"
#include "ctr.h"
#include "store.h"

struct container_ref {
	struct store store;
	int dir;    /* -1 before container_open */
	bool force; /* for container_open: who holds the lock too long loses the container */
	struct state *st;
	enum status status;
};

#define CONTAINER_REF_INIT                     \
	{                                      \
		.store = STORE_INIT, .dir = -1 \
	}

/* Opens ID, locked when the caller will change it. ERR_NO_CONTAINER when there is none. */
int container_open(struct container_ref *r, const struct ctr_global *g, const char *id, bool lock,
		   struct err *e);
void container_close(struct container_ref *r);
#define AUTO_CONTAINER __attribute__((cleanup(container_close)))

/* The status now: from the process, the start socket and the freezer. locked: by the caller. */
enum status container_status(int dir, const struct state *st, bool locked);

/* It is a micro-VM: what is done inside it goes through vm_ops.h. */
bool container_is_machine(const struct state *st);

/* The container's cgroups; *cg stays NULL when it has none. */
int container_cgroup(const struct state *st, struct cg **cg, struct err *e);

/*
 * Runs the hooks of a kind of the kept configuration with the state given. POSTSTOP: failures are
 * warnings. POSTSTART: the container's lock is given up before they run.
 */
int container_hooks(const struct container_ref *r, enum hook_kind kind, enum status status,
		    struct err *e);

/* True when the container has a pid namespace of its own: with its init, all of it ends. */
bool container_owns_pids(const struct container_ref *r);

/*
 * True when the container has ended and whoever is in its cgroup, or in one below, is not of it:
 * nothing can be left in a pid namespace of its own, and with a shared one a cgroup that a running
 * container of the same root has as well is that one's.
 */
bool container_is_over(const struct container_ref *r, const char *id);

/* Kills what is left, runs poststop hooks, removes cgroup and state directory. Idempotent. */
int container_destroy(struct container_ref *r, const char *id, struct err *e);

#endif
