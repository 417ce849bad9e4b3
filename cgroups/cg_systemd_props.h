/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What systemd is told about a container: names of its unit, and resources as properties. Pure.
 */
#ifndef CTR_CGROUPS_CG_SYSTEMD_PROPS_H
#define CTR_CGROUPS_CG_SYSTEMD_PROPS_H

#include "base/arena.h"
#include "base/err.h"
#include "cgroups/cg_value.h"
#include "oci/spec.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the unit ---- */

#define CG_UNIT_NAME_MAX 255 /* systemd's, and a file name's */

struct cg_unit_names {
	char unit[CG_UNIT_NAME_MAX + 1];  /* "ctr-ID.scope", or "NAME.slice" */
	char slice[CG_UNIT_NAME_MAX + 1]; /* "system.slice" */
	bool is_slice;                    /* the unit itself is a slice */
};

/*
 * linux.cgroupsPath as the systemd driver reads it, "SLICE:PREFIX:NAME"; NULL or "" is ":ctr:ID".
 * An empty slice is system.slice, user.slice when rootless; "-" is the root slice. -EINVAL,
 * -ENAMETOOLONG.
 */
int cg_unit_names(const char *id, const char *cgroups_path, bool rootless,
		  struct cg_unit_names *out, struct err *e);

/* "a-b-c.slice" -> "/a.slice/a-b.slice/a-b-c.slice"; "-.slice" -> "/". malloc'ed; -EINVAL for no
 * slice. */
int cg_slice_path(const char *slice, char **out);

/* ---- properties ---- */

struct cg_prop {
	const char *name;
	struct cg_value value;
};

#define CG_VERSION_ANY INT_MAX
#define CG_VERSION_COLLECT 236 /* got CollectMode= */

/* Zero-initialise; cg_props_free releases everything. A later value of a property is the one that
 * counts. */
struct cg_props {
	struct arena arena;
	struct cg_prop *v;
	size_t n, cap;
};

struct cg_props_in {
	int version; /* systemd's, or CG_VERSION_ANY: what it lacks is left to cgroupfs */
	int *needs;  /* gets the highest version that made a difference, or stays; may be NULL */
	bool v2;     /* cgroup v2 holds the controllers */
	bool create; /* for a unit to be started, not for a running one */
	const char *proc_devices; /* text of /proc/devices, on v1; may be NULL */
	const struct spec_resources *r;
	const struct spec_resources *old; /* of a running unit, before r; NULL: not known */
};

/* Delegation, accounting and the like; pid is the first process (0: none, for a slice). */
int cg_props_unit(struct cg_props *p, const struct cg_unit_names *names, int version,
		  const char *id, pid_t pid, struct err *e);
int cg_props_resources(struct cg_props *p, const struct cg_props_in *in, struct err *e);
/* Device rules for v1, where systemd writes the lists itself; v2 needs none (see cg_systemd.c). */
int cg_props_devices(struct cg_props *p, const struct cg_props_in *in, struct err *e);
/*
 * For p, what a running unit had before it was told `told`: each property of told that p does not
 * have gets the value that means "not set". Those of device rules are left out.
 */
int cg_props_unset(struct cg_props *p, const struct cg_props *told, struct err *e);
/* org.systemd.property.NAME: "GVARIANT". */
int cg_props_annotations(struct cg_props *p, const struct spec_map *annotations, struct err *e);
void cg_props_free(struct cg_props *p);

/* The last value of a property, or NULL. */
const struct cg_value *cg_props_get(const struct cg_props *p, const char *name);

#endif
