/* SPDX-License-Identifier: Apache-2.0 */
/* The time namespace that a container makes for itself, and linux.timeOffsets in it. */
#ifndef CTR_NAMESPACES_TIME_NS_H
#define CTR_NAMESPACES_TIME_NS_H

#include "base/err.h"
#include "namespaces/ns.h"

/*
 * The file where this process will write the offsets, in *fd; -1 when there are none or no time
 * namespace is made. To be called before anything about the process changes: to who has become
 * another user, cannot be dumped or is in a joined user namespace the file is no longer its own
 * (user_namespaces(7): the owner is the host's root then). 0 or -errno with *e set.
 */
int time_ns_open(const struct spec_linux *l, const struct ns_plan *p, int *fd, struct err *e);

/*
 * Makes it, for the children of this process, and writes the offsets to what time_ns_open gave (or
 * -1). 0 or -errno with *e set.
 */
int time_ns_make(const struct spec_linux *l, int offsets, struct err *e);

/* Takes this process itself into what time_ns_make made. 0 or -errno with *e set. */
int time_ns_enter(struct err *e);

#endif
