/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a container gets its own cgroup to manage, and who in it does. */
#ifndef CTR_DELEGATE_H
#define CTR_DELEGATE_H

#include "cgroups/cg.h"
#include "oci/spec.h"

#include <stdbool.h>

/*
 * True when the container can use its cgroup: it has a cgroup namespace of its own and sees
 * /sys/fs/cgroup writable. *owner is then the host's id of process.user.uid. Pure.
 */
bool delegate_wanted(const struct spec *s, uid_t *owner);

/* Gives the cgroup away when that is wanted. */
int delegate_cgroup(const struct spec *s, struct cg *cg, struct err *e);

#endif
