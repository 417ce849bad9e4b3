/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cg_plan_row.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* ---- memory ---- */

static const void *mem_at(struct plan_build *b, const struct plan_row *row)
{
	return b->r->memory ? (const char *)b->r->memory + row->at : NULL;
}

/* 0 is "not given": callers send it for fields that they have no value for. */
int emit_mem_limit(struct plan_build *b, const struct plan_row *row)
{
	const struct opt_i64 *o = mem_at(b, row);
	struct cg_op op = plan_op(b, row);

	if (!o || !o->set || o->v == 0)
		return 0;
	if (o->v < -1)
		return err_set(b->e, EINVAL,
			       "linux.resources.%s: %" PRId64 " is not a number of bytes",
			       row->field, o->v);
	op.value = plan_limit_text(b, o->v);
	op.check_usage = o->v > 0 && o == &b->r->memory->limit &&
			 b->r->memory->check_before_update.set &&
			 b->r->memory->check_before_update.v;
	return plan_put(b, op);
}

static int mem_swap_check(struct plan_build *b, const struct plan_row *row)
{
	const struct spec_memory *m = b->r->memory;

	if (m->swap.v < -1)
		return err_set(b->e, EINVAL,
			       "linux.resources.%s: %" PRId64 " is not a number of bytes",
			       row->field, m->swap.v);
	if (m->swap.v > 0 && m->limit.set && m->limit.v > 0 && m->swap.v < m->limit.v)
		return err_set(b->e, EINVAL,
			       "linux.resources.%s: memory and swap together (%" PRId64
			       ") are less than memory.limit (%" PRId64 ")",
			       row->field, m->swap.v, m->limit.v);
	return 0;
}

/*
 * memory.swap is memory and swap together, as v1 counts them. No memory limit means none on the sum
 * either, as the kernel refuses a limit above the sum.
 */
int emit_mem_swap_v1(struct plan_build *b, const struct plan_row *row)
{
	const struct spec_memory *m = b->r->memory;
	struct cg_op op = plan_op(b, row);
	int r;

	if (!m)
		return 0;
	if (!m->swap.set || m->swap.v == 0) {
		if (!m->limit.set || m->limit.v != -1)
			return 0;
		op.value = "-1";
		op.optional = true;
		return plan_put(b, op);
	}
	r = mem_swap_check(b, row);
	if (r < 0)
		return r;
	op.value = plan_limit_text(b, m->swap.v);
	op.optional = m->swap.v < 0;
	return plan_put(b, op);
}

int emit_mem_swap_v2(struct plan_build *b, const struct plan_row *row)
{
	const struct spec_memory *m = b->r->memory;
	struct cg_op op = plan_op(b, row);
	int r;

	if (!m)
		return 0;
	op.value = "max";
	op.optional = true;
	if (!m->swap.set || m->swap.v == 0)
		return m->limit.set && m->limit.v == -1 ? plan_put(b, op) : 0;
	r = mem_swap_check(b, row);
	if (r < 0)
		return r;
	if (m->swap.v > 0) {
		if (!m->limit.set || m->limit.v <= 0)
			return err_set(
				b->e, EINVAL,
				"linux.resources.%s: cgroup v2 limits swap alone, so memory.limit "
				"must be given too",
				row->field);
		op.value = PLAN_TEXT(b, "%" PRId64, m->swap.v - m->limit.v);
		op.optional = m->swap.v == m->limit.v;
	}
	return plan_put(b, op);
}

int emit_mem_kernel(struct plan_build *b, const struct plan_row *row)
{
	const struct opt_i64 *o = mem_at(b, row);

	if (!o || !o->set || o->v == 0 || o->v == -1)
		return 0;
	return plan_refuse(b, row, "the kernel has no limit for this memory alone any more");
}

int emit_mem_swappiness(struct plan_build *b, const struct plan_row *row)
{
	const struct opt_u64 *o = mem_at(b, row);

	if (!o || !o->set)
		return 0;
	if (o->v > 100)
		return err_set(b->e, EINVAL,
			       "linux.resources.%s: %" PRIu64 " is not within 0 and 100",
			       row->field, o->v);
	if (!row->file)
		return plan_refuse(b, row, "cgroup v2 has no such setting");
	return plan_put_u64(b, row, o->v);
}

int emit_mem_oom(struct plan_build *b, const struct plan_row *row)
{
	const struct opt_bool *o = mem_at(b, row);

	if (!o || !o->set || (!o->v && !b->w->live))
		return 0;
	if (!row->file)
		return o->v ? plan_refuse(b, row, "cgroup v2 has no such setting") : 0;
	return plan_put_text(b, row, o->v ? "1" : "0");
}

int emit_mem_hierarchy(struct plan_build *b, const struct plan_row *row)
{
	const struct opt_bool *o = mem_at(b, row);

	if (!o || !o->set)
		return 0;
	if (row->file)
		return plan_put_text(b, row, o->v ? "1" : "0");
	return o->v ? 0 : plan_refuse(b, row, "cgroup v2 always counts sub-cgroups");
}

/* ---- cpu ---- */

static const void *cpu_at(struct plan_build *b, const struct plan_row *row)
{
	return b->r->cpu ? (const char *)b->r->cpu + row->at : NULL;
}

static bool cpu_is_idle(const struct spec_resources *r)
{
	return r->cpu->idle.set && r->cpu->idle.v == 1;
}

int emit_cpu_idle(struct plan_build *b, const struct plan_row *row)
{
	const struct opt_i64 *o = cpu_at(b, row);
	struct cg_op op = plan_op(b, row);

	if (!o || !o->set)
		return 0;
	op.value = PLAN_TEXT(b, "%" PRId64, o->v);
	op.optional = o->v == 0;
	return plan_put(b, op);
}

/* An idle group has no weight: the kernel refuses to set one. */
int emit_cpu_shares(struct plan_build *b, const struct plan_row *row)
{
	const struct opt_u64 *o = cpu_at(b, row);

	if (!o || !o->set || o->v == 0 || cpu_is_idle(b->r))
		return 0;
	return plan_put_u64(b, row, b->v2 ? cg_plan_weight(o->v) : o->v);
}

int emit_cpu_u64(struct plan_build *b, const struct plan_row *row)
{
	const struct opt_u64 *o = cpu_at(b, row);

	return o && o->set && o->v ? plan_put_u64(b, row, o->v) : 0;
}

int emit_cpu_i64(struct plan_build *b, const struct plan_row *row)
{
	const struct opt_i64 *o = cpu_at(b, row);

	return o && o->set && o->v ? plan_put_text(b, row, plan_limit_text(b, o->v)) : 0;
}

int emit_cpu_burst(struct plan_build *b, const struct plan_row *row)
{
	const struct opt_u64 *o = cpu_at(b, row);
	struct cg_op op = plan_op(b, row);

	if (!o || !o->set)
		return 0;
	op.value = PLAN_TEXT(b, "%" PRIu64, o->v);
	op.optional = o->v == 0;
	return plan_put(b, op);
}

int emit_cpu_max(struct plan_build *b, const struct plan_row *row)
{
	const struct spec_cpu *c = b->r->cpu;
	bool quota = c && c->quota.set && c->quota.v != 0;

	if (quota && c->period.set && c->period.v)
		return plan_put_text(b, row,
				     PLAN_TEXT(b, "%s %" PRIu64, plan_limit_text(b, c->quota.v),
					       c->period.v));
	if (quota)
		return plan_put_text(b, row, plan_limit_text(b, c->quota.v));
	if (c && c->period.set && c->period.v)
		return plan_put_text(b, row, PLAN_TEXT(b, "max %" PRIu64, c->period.v));
	return 0;
}

int emit_cpu_rt_v2(struct plan_build *b, const struct plan_row *row)
{
	const struct spec_cpu *c = b->r->cpu;

	if (!c || ((!c->realtime_runtime.set || !c->realtime_runtime.v) &&
		   (!c->realtime_period.set || !c->realtime_period.v)))
		return 0;
	return plan_refuse(b, row, "cgroup v2 has no real-time limits");
}

int emit_cpu_list(struct plan_build *b, const struct plan_row *row)
{
	char *const *s = cpu_at(b, row);

	return s && *s && **s ? plan_put_text(b, row, *s) : 0;
}

/* ---- pids ---- */

int emit_pids_limit(struct plan_build *b, const struct plan_row *row)
{
	int64_t v = b->r->pids_limit.v;

	if (!b->r->pids_limit.set)
		return 0;
	/* 0 would let nothing start, and "no limit" is what negative numbers are for. */
	return plan_put_text(b, row, v < 0 ? "max" : PLAN_TEXT(b, "%" PRId64, v ? v : 1));
}
