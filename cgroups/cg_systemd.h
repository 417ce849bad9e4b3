/* SPDX-License-Identifier: Apache-2.0 */
/* The driver that lets systemd make the container's cgroup, as a transient scope (or slice) of its
 * own. */
#ifndef CTR_CGROUPS_CG_SYSTEMD_H
#define CTR_CGROUPS_CG_SYSTEMD_H

#include "cgroups/cg_internal.h"

#define CG_BUS_PATIENCE_MS 25000 /* with a systemd that does not answer; see cg_bus.h */

/* What cg_create does for CG_DRIVER_SYSTEMD. On failure no unit stays behind. */
int cg_systemd_create(const struct cg_host *host, const struct cg_create_opts *o, struct cg **out,
		      struct err *e);

/*
 * Tells systemd of new limits. cgroupfs has them already, exactly, and must get them again
 * afterwards. old: those before, or NULL.
 */
int cg_systemd_update(struct cg *cg, const struct spec_resources *r,
		      const struct spec_resources *old, struct err *e);

/* After that: tells it of the old limits, and that what of r had none before has none again. */
int cg_systemd_restore(struct cg *cg, const struct spec_resources *r,
		       const struct spec_resources *old, struct err *e);

/* Has systemd put a process into the unit, at sub below its cgroup ("/x", or ""). */
int cg_systemd_attach(struct cg *cg, const char *sub, pid_t pid, struct err *e);

/*
 * Ends the unit. What fails is only a warning: the cgroups are removed by the caller in any case,
 * and a scope without any is given up by systemd itself.
 */
void cg_systemd_stop(struct cg *cg);

/* True when systemd, and not ctr, makes and removes cgroups in this hierarchy. */
bool cg_systemd_owns(const struct cg_hier *h);

#endif
