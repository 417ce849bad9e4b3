/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock: the process and all it starts may touch the file system only where the annotation
 * org.ctr.landlock says so, whatever its user and capabilities (docs/landlock.md).
 */
#ifndef CTR_LANDLOCK_H
#define CTR_LANDLOCK_H

#include "base/err.h"
#include "oci/annotations.h"

/*
 * Restricts the calling thread, for ever. The paths are those of its present root. Needs
 * no_new_privs or CAP_SYS_ADMIN. -EOPNOTSUPP: a kernel without Landlock, or with one that cannot
 * forbid truncation (before Linux 6.2). Errors name the annotation and the path.
 */
int landlock_apply(const struct landlock_rules *r, struct err *e);

#endif
