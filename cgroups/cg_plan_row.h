/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rows of the two tables in cg_plan.c are made of. A row names a field, its controller and
 * its file; its emit function looks at the resources and adds the operations, none when the field
 * is absent.
 */
#ifndef CTR_CGROUPS_CG_PLAN_ROW_H
#define CTR_CGROUPS_CG_PLAN_ROW_H

#include "cgroups/cg_plan.h"

struct plan_build {
	const struct spec_resources *r;
	const struct cg_where *w;
	struct cg_plan *out;
	size_t cap;
	bool v2;
	struct err *e;
};

struct plan_row {
	const char *field;
	enum cg_ctl ctl;
	int (*emit)(struct plan_build *b, const struct plan_row *row);
	const char *file; /* NULL: this version has no such setting */
	size_t at;        /* offset of the field in its sub-object */
	unsigned char group;
};

/* Values of cg_op.group. */
enum { GROUP_MEMORY = 1, GROUP_CFS, GROUP_RT };

/* A string in the plan's arena; NULL without memory, which plan_put turns into the error. */
#define PLAN_TEXT(b, ...) arena_printf(&(b)->out->arena, __VA_ARGS__)

int plan_put(struct plan_build *b, struct cg_op op);
struct cg_op plan_op(struct plan_build *b, const struct plan_row *row); /* without a value */
int plan_put_text(struct plan_build *b, const struct plan_row *row, const char *value);
int plan_put_u64(struct plan_build *b, const struct plan_row *row, uint64_t v);
int plan_refuse(struct plan_build *b, const struct plan_row *row, const char *why);
int plan_no_memory(struct plan_build *b);

/* The number, or what the version calls "no limit" for a negative one. */
const char *plan_limit_text(struct plan_build *b, int64_t v);

int emit_mem_limit(struct plan_build *b, const struct plan_row *row);
int emit_mem_swap_v1(struct plan_build *b, const struct plan_row *row);
int emit_mem_swap_v2(struct plan_build *b, const struct plan_row *row);
int emit_mem_kernel(struct plan_build *b, const struct plan_row *row);
int emit_mem_swappiness(struct plan_build *b, const struct plan_row *row);
int emit_mem_oom(struct plan_build *b, const struct plan_row *row);
int emit_mem_hierarchy(struct plan_build *b, const struct plan_row *row);
int emit_cpu_idle(struct plan_build *b, const struct plan_row *row);
int emit_cpu_shares(struct plan_build *b, const struct plan_row *row);
int emit_cpu_u64(struct plan_build *b, const struct plan_row *row);
int emit_cpu_i64(struct plan_build *b, const struct plan_row *row);
int emit_cpu_burst(struct plan_build *b, const struct plan_row *row);
int emit_cpu_max(struct plan_build *b, const struct plan_row *row);
int emit_cpu_rt_v2(struct plan_build *b, const struct plan_row *row);
int emit_cpu_list(struct plan_build *b, const struct plan_row *row);
int emit_pids_limit(struct plan_build *b, const struct plan_row *row);
int emit_io_weight(struct plan_build *b, const struct plan_row *row);
int emit_io_leaf_weight(struct plan_build *b, const struct plan_row *row);
int emit_io_weight_device(struct plan_build *b, const struct plan_row *row);
int emit_io_throttle(struct plan_build *b, const struct plan_row *row);
int emit_hugetlb(struct plan_build *b, const struct plan_row *row);
int emit_net_class(struct plan_build *b, const struct plan_row *row);
int emit_net_priorities(struct plan_build *b, const struct plan_row *row);
int emit_rdma(struct plan_build *b, const struct plan_row *row);

#endif
