/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources of the specification as a list of files to write. Pure: what a host has comes in as
 * two bit masks, nothing is opened. One table of settings for v1, one for v2; a controller that a
 * hybrid host has mounted as v1 is driven by the first, any other by the second.
 */
#ifndef CTR_CGROUPS_CG_PLAN_H
#define CTR_CGROUPS_CG_PLAN_H

#include "base/arena.h"
#include "base/err.h"
#include "oci/spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cg_ctl {
	CG_CTL_MEMORY,
	CG_CTL_CPU,
	CG_CTL_CPUSET,
	CG_CTL_PIDS,
	CG_CTL_IO, /* blkio on v1 */
	CG_CTL_HUGETLB,
	CG_CTL_RDMA,
	CG_CTL_MISC,
	CG_CTL_DMEM,
	CG_CTL_NET_CLS,
	CG_CTL_NET_PRIO,
	CG_CTL_COUNT,
	CG_CTL_CORE = CG_CTL_COUNT, /* files of no controller, or of one that we do not know */
};

#define CG_BIT(ctl) (1U << (ctl))

struct cg_ctl_name {
	const char *v1, *v2; /* NULL: that version has none */
};

extern const struct cg_ctl_name cg_ctl_names[CG_CTL_COUNT];

/* The controller with this v2 name, CG_CTL_CORE for "cgroup", or -1. len bytes of name count. */
int cg_ctl_by_v2(const char *name, size_t len);

struct cg_where {
	unsigned int v1, v2; /* CG_BIT()s of the controllers that the host has */
	bool has_v2;
	bool live; /* an update: also what a new cgroup has anyway must be written */
};

struct cg_op {
	enum cg_ctl ctl;
	bool v2;
	const char *file, *value;
	const char *alt_file, *alt_value; /* to use when `file` does not exist; may be NULL */
	const char *field;                /* below linux.resources, for errors: "memory.limit" */
	unsigned char group; /* != 0: neighbours with the same number constrain each other, see
				cg_apply */
	bool optional;       /* a missing file is as good: the value is what the kernel does then */
	bool check_usage;    /* memory.checkBeforeUpdate: refuse a value below what is used now */
};

struct cg_plan {
	struct arena arena; /* owns every string below */
	struct cg_op *v;
	size_t n;
	unsigned int need_v2; /* v2 controllers that some operation is for */
};

/* Controllers that r has a setting for (unified not counted). */
unsigned int cg_plan_needs(const struct spec_resources *r);

/*
 * Fills *out (zero-initialised by the caller, released with cg_plan_free on failure too). A setting
 * that this host or this version cannot hold is -EINVAL or -ENOTSUP with its JSON path.
 */
int cg_plan_make(const struct spec_resources *r, const struct cg_where *w, struct cg_plan *out,
		 struct err *e);
void cg_plan_free(struct cg_plan *p);

/* cpu.shares to cpu.weight, log2-quadratic: 2 -> 1, 1024 -> 100, 262144 -> 10000. */
uint64_t cg_plan_weight(uint64_t shares);

/* blkio weight 10..1000 to io.weight 1..10000. */
uint64_t cg_plan_io_weight(uint64_t weight);

#endif
