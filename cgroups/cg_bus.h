/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd's manager over D-Bus. libsystemd is loaded here, when the first bus is opened, and
 * nowhere else. A bus or a systemd that does not answer for the time that cg_bus_open was given is
 * -ETIMEDOUT, and so is everything that is asked over that bus afterwards; one that answers, but
 * slowly, gets three times as long in all.
 */
#ifndef CTR_CGROUPS_CG_BUS_H
#define CTR_CGROUPS_CG_BUS_H

#include "base/err.h"
#include "cgroups/cg_systemd_props.h"

#include <stdbool.h>
#include <stdint.h>

struct cg_bus;

/*
 * The system's manager, or the calling user's. DBUS_SYSTEM_BUS_ADDRESS and DBUS_SESSION_BUS_ADDRESS
 * are honoured. patience: milliseconds. Nothing is waited for yet.
 */
int cg_bus_open(bool user, int64_t patience, struct cg_bus **out, struct err *e);
void cg_bus_close(struct cg_bus *b); /* NULL is fine */

/* systemd's version, 252. */
int cg_bus_version(struct cg_bus *b, int *version, struct err *e);

/* Starts a transient unit and waits until it has been. -EEXIST when there is one of this name. */
int cg_bus_start(struct cg_bus *b, const char *unit, const struct cg_props *props, struct err *e);

/* Sets properties of a running unit, until it ends. */
int cg_bus_set(struct cg_bus *b, const char *unit, const struct cg_props *props, struct err *e);

/*
 * Moves a process into the unit's cgroup, or to sub below it ("/x"): where the caller has no right
 * to do so, systemd may have it.
 */
int cg_bus_attach(struct cg_bus *b, const char *unit, const char *sub, pid_t pid, struct err *e);

/* Stops a unit, waits for that, and clears its failure. A unit that is gone is fine. */
int cg_bus_stop(struct cg_bus *b, const char *unit, struct err *e);
int cg_bus_reset_failed(struct cg_bus *b, const char *unit, struct err *e);

/* The unit's cgroup ("/system.slice/x.scope"), malloc'ed. type: "Scope" or "Slice". */
int cg_bus_cgroup(struct cg_bus *b, const char *unit, const char *type, char **out, struct err *e);

#endif
