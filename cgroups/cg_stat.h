/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of a container now: what `events` and `ps` begin with. */
#ifndef CTR_CGROUPS_CG_STAT_H
#define CTR_CGROUPS_CG_STAT_H

#include "cgroups/cg.h"

#include <stdint.h>

/* A value that this kernel or host does not have is not set. "No limit" is UINT64_MAX. */
struct cg_stat {
	struct {
		struct opt_u64 usage, max_usage, limit, failcnt; /* bytes; failcnt: times */
		struct opt_u64 swap_usage, swap_limit;           /* v1: memory and swap together */
		struct opt_u64 oom_kill;                         /* processes killed */
	} memory;
	struct {
		struct opt_u64 usage, user, system;                   /* nanoseconds */
		struct opt_u64 periods, throttled_periods, throttled; /* throttled: nanoseconds */
	} cpu;
	struct {
		struct opt_u64 current, limit;
	} pids;
};

/* Reads them. A cgroup that is gone is -ENOENT. */
int cg_stat_read(struct cg *cg, struct cg_stat *out, struct err *e);

#endif
