/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.intelRdt: cache and memory bandwidth by class of service, through the resctrl file system.
 * A group that was there is used and left alone; one that was made for the container ends with it.
 */
#ifndef CTR_RDT_H
#define CTR_RDT_H

#include "base/err.h"
#include "oci/spec.h"

#include <stdbool.h>
#include <sys/types.h>

/*
 * What a container has, and what is its own of that. Zero-initialise. Paths are absolute and
 * malloc'ed.
 */
struct rdt {
	char *clos;     /* group that the process goes into */
	char *mon;      /* monitoring group below it, or NULL */
	bool clos_made; /* clos was made for this container */
};

/*
 * Where resctrl is mounted, from the text of mountinfo(5); malloc'ed. NULL: nowhere, or no memory.
 * Pure.
 */
char *rdt_mount_point(const char *mountinfo);

/*
 * Whether a group with these schemata (the file's text) has what one line ("L3:0=f;1=ff") asks for;
 * a bandwidth is rounded up to a multiple of step. Pure.
 */
bool rdt_line_holds(const char *schemata, const char *line, unsigned int step);

/*
 * Makes the group and writes its schemata, or finds one that has them (-EINVAL when it has others);
 * closID "/" is the default group. root: the mount point, or NULL to look for it.
 * id names the group when the configuration does not, and the monitoring group. -EOPNOTSUPP where
 * resctrl is not mounted. On an error nothing that was made is left.
 */
int rdt_create(const struct spec_intel_rdt *s, const char *id, const char *root, struct rdt *out,
	       struct err *e);

/* Puts the process and what it starts from now on into the group. */
int rdt_join(const char *clos, const char *mon, pid_t pid, struct err *e);

/* Removes what was made for the container; NULL for what was not. Gone already is fine. */
int rdt_remove(const char *clos, const char *mon, struct err *e);

void rdt_free(struct rdt *r);

#endif
