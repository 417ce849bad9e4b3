/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of a container as the JSON that `events` prints. */
#ifndef CTR_STATS_H
#define CTR_STATS_H

#include "base/err.h"
#include "cgroups/cg_stat.h"
#include "oci/json_out.h"

/*
 * Appends the "data" object of a stats event. net_dev is the text of /proc/PID/net/dev of a
 * container that has a network namespace of its own, or NULL. A number that the host does not have
 * is 0, as consumers expect; pressure is left out where the kernel does not measure it. Pure.
 */
void stats_out(struct json_out *j, const struct cg_stat *st, const char *net_dev);

#endif
