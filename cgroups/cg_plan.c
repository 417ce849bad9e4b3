/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cg_plan.h"

#include "base/cleanup.h"
#include "cgroups/cg_plan_row.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

const struct cg_ctl_name cg_ctl_names[CG_CTL_COUNT] = {
	[CG_CTL_MEMORY] = { "memory", "memory" }, [CG_CTL_CPU] = { "cpu", "cpu" },
	[CG_CTL_CPUSET] = { "cpuset", "cpuset" }, [CG_CTL_PIDS] = { "pids", "pids" },
	[CG_CTL_IO] = { "blkio", "io" },          [CG_CTL_HUGETLB] = { "hugetlb", "hugetlb" },
	[CG_CTL_RDMA] = { "rdma", "rdma" },       [CG_CTL_MISC] = { "misc", "misc" },
	[CG_CTL_DMEM] = { "dmem", "dmem" },       [CG_CTL_NET_CLS] = { "net_cls", NULL },
	[CG_CTL_NET_PRIO] = { "net_prio", NULL },
};

int cg_ctl_by_v2(const char *name, size_t len)
{
	for (int i = 0; i < CG_CTL_COUNT; i++) {
		const char *n = cg_ctl_names[i].v2;

		if (n && strlen(n) == len && memcmp(n, name, len) == 0)
			return i;
	}
	return len == 6 && memcmp(name, "cgroup", 6) == 0 ? (int)CG_CTL_CORE : -1;
}

/* ---- conversions ---- */

/* log2 of x >= 1 to 48 bits after the point; so that no mathematics library is needed for one
 * value. */
static double log2_of(double x)
{
	double result = 0, bit = 1;

	for (; x >= 2; x /= 2)
		result++;
	for (int i = 0; i < 48; i++) {
		bit /= 2;
		x *= x;
		if (x >= 2) {
			x /= 2;
			result += bit;
		}
	}
	return result;
}

/*
 * The curve ceil(10 ^ ((l^2 + 125 l) / 612 - 7 / 34)), l = log2(shares), goes through the two ends
 * and through the two defaults, which the older straight line missed by far (1024 became 39).
 */
uint64_t cg_plan_weight(uint64_t shares)
{
	uint64_t lo = 1, hi = 10000;
	double l, want;

	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	l = log2_of((double)shares);
	want = ((l * l + 125 * l) / 612 - 7.0 / 34) * log2_of(10) - 1e-9;
	while (lo < hi) {
		uint64_t mid = (lo + hi) / 2;

		if (log2_of((double)mid) >= want)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

uint64_t cg_plan_io_weight(uint64_t weight)
{
	if (weight <= 10)
		return 1;
	return weight >= 1000 ? 10000 : 1 + (weight - 10) * 9999 / 990;
}

/* ---- what the rows of the tables are made of ---- */

int plan_refuse(struct plan_build *b, const struct plan_row *row, const char *why)
{
	return err_set(b->e, ENOTSUP, "linux.resources.%s: %s", row->field, why);
}

int plan_no_memory(struct plan_build *b)
{
	return err_sys(b->e, ENOMEM, "plan cgroup limits");
}

int plan_put(struct plan_build *b, struct cg_op op)
{
	struct cg_plan *p = b->out;

	if (!op.value || !op.file || (op.alt_file && !op.alt_value))
		return plan_no_memory(b);
	if (p->n == b->cap) {
		size_t cap = b->cap ? b->cap * 2 : 16;
		struct cg_op *v = arena_array(&p->arena, cap, sizeof(*v));

		if (!v)
			return plan_no_memory(b);
		if (p->n)
			memcpy(v, p->v, p->n * sizeof(*v));
		p->v = v;
		b->cap = cap;
	}
	if (op.v2 && op.ctl != CG_CTL_CORE)
		p->need_v2 |= CG_BIT(op.ctl);
	p->v[p->n++] = op;
	return 0;
}

struct cg_op plan_op(struct plan_build *b, const struct plan_row *row)
{
	return (struct cg_op){
		.ctl = row->ctl,
		.v2 = b->v2,
		.file = row->file,
		.field = row->field,
		.group = row->group,
	};
}

int plan_put_text(struct plan_build *b, const struct plan_row *row, const char *value)
{
	struct cg_op op = plan_op(b, row);

	op.value = value;
	return plan_put(b, op);
}

int plan_put_u64(struct plan_build *b, const struct plan_row *row, uint64_t v)
{
	return plan_put_text(b, row, PLAN_TEXT(b, "%" PRIu64, v));
}

const char *plan_limit_text(struct plan_build *b, int64_t v)
{
	if (v < 0)
		return b->v2 ? "max" : "-1";
	return PLAN_TEXT(b, "%" PRId64, v);
}

/* ---- the two tables. Order: what the kernel wants first comes first. ---- */

#define MEM(f) offsetof(struct spec_memory, f)
#define CPU(f) offsetof(struct spec_cpu, f)
#define BIO(f) offsetof(struct spec_block_io, f)

static const struct plan_row rows_v1[] = {
	{ "memory.useHierarchy", CG_CTL_MEMORY, emit_mem_hierarchy, "memory.use_hierarchy",
	  MEM(use_hierarchy), 0 },
	{ "memory.limit", CG_CTL_MEMORY, emit_mem_limit, "memory.limit_in_bytes", MEM(limit),
	  GROUP_MEMORY },
	{ "memory.swap", CG_CTL_MEMORY, emit_mem_swap_v1, "memory.memsw.limit_in_bytes", MEM(swap),
	  GROUP_MEMORY },
	{ "memory.reservation", CG_CTL_MEMORY, emit_mem_limit, "memory.soft_limit_in_bytes",
	  MEM(reservation), 0 },
	{ "memory.kernel", CG_CTL_MEMORY, emit_mem_kernel, NULL, MEM(kernel), 0 },
	{ "memory.kernelTCP", CG_CTL_MEMORY, emit_mem_limit, "memory.kmem.tcp.limit_in_bytes",
	  MEM(kernel_tcp), 0 },
	{ "memory.swappiness", CG_CTL_MEMORY, emit_mem_swappiness, "memory.swappiness",
	  MEM(swappiness), 0 },
	{ "memory.disableOOMKiller", CG_CTL_MEMORY, emit_mem_oom, "memory.oom_control",
	  MEM(disable_oom_killer), 0 },
	{ "cpu.idle", CG_CTL_CPU, emit_cpu_idle, "cpu.idle", CPU(idle), 0 },
	{ "cpu.shares", CG_CTL_CPU, emit_cpu_shares, "cpu.shares", CPU(shares), 0 },
	{ "cpu.period", CG_CTL_CPU, emit_cpu_u64, "cpu.cfs_period_us", CPU(period), GROUP_CFS },
	{ "cpu.quota", CG_CTL_CPU, emit_cpu_i64, "cpu.cfs_quota_us", CPU(quota), GROUP_CFS },
	{ "cpu.burst", CG_CTL_CPU, emit_cpu_burst, "cpu.cfs_burst_us", CPU(burst), GROUP_CFS },
	{ "cpu.realtimePeriod", CG_CTL_CPU, emit_cpu_u64, "cpu.rt_period_us", CPU(realtime_period),
	  GROUP_RT },
	{ "cpu.realtimeRuntime", CG_CTL_CPU, emit_cpu_i64, "cpu.rt_runtime_us",
	  CPU(realtime_runtime), GROUP_RT },
	{ "cpu.cpus", CG_CTL_CPUSET, emit_cpu_list, "cpuset.cpus", CPU(cpus), 0 },
	{ "cpu.mems", CG_CTL_CPUSET, emit_cpu_list, "cpuset.mems", CPU(mems), 0 },
	{ "pids.limit", CG_CTL_PIDS, emit_pids_limit, "pids.max", 0, 0 },
	{ "blockIO.weight", CG_CTL_IO, emit_io_weight, "blkio.bfq.weight", 0, 0 },
	{ "blockIO.leafWeight", CG_CTL_IO, emit_io_leaf_weight, "blkio.leaf_weight", 0, 0 },
	{ "blockIO.weightDevice", CG_CTL_IO, emit_io_weight_device, "blkio.bfq.weight_device", 0,
	  0 },
	{ "blockIO.throttleReadBpsDevice", CG_CTL_IO, emit_io_throttle,
	  "blkio.throttle.read_bps_device", BIO(throttle_read_bps), 0 },
	{ "blockIO.throttleWriteBpsDevice", CG_CTL_IO, emit_io_throttle,
	  "blkio.throttle.write_bps_device", BIO(throttle_write_bps), 0 },
	{ "blockIO.throttleReadIOPSDevice", CG_CTL_IO, emit_io_throttle,
	  "blkio.throttle.read_iops_device", BIO(throttle_read_iops), 0 },
	{ "blockIO.throttleWriteIOPSDevice", CG_CTL_IO, emit_io_throttle,
	  "blkio.throttle.write_iops_device", BIO(throttle_write_iops), 0 },
	{ "hugepageLimits", CG_CTL_HUGETLB, emit_hugetlb, "hugetlb", 0, 0 },
	{ "network.classID", CG_CTL_NET_CLS, emit_net_class, "net_cls.classid", 0, 0 },
	{ "network.priorities", CG_CTL_NET_PRIO, emit_net_priorities, "net_prio.ifpriomap", 0, 0 },
	{ "rdma", CG_CTL_RDMA, emit_rdma, "rdma.max", 0, 0 },
};

static const struct plan_row rows_v2[] = {
	{ "memory.useHierarchy", CG_CTL_MEMORY, emit_mem_hierarchy, NULL, MEM(use_hierarchy), 0 },
	{ "memory.limit", CG_CTL_MEMORY, emit_mem_limit, "memory.max", MEM(limit), 0 },
	{ "memory.swap", CG_CTL_MEMORY, emit_mem_swap_v2, "memory.swap.max", MEM(swap), 0 },
	{ "memory.reservation", CG_CTL_MEMORY, emit_mem_limit, "memory.low", MEM(reservation), 0 },
	{ "memory.kernel", CG_CTL_MEMORY, emit_mem_kernel, NULL, MEM(kernel), 0 },
	{ "memory.kernelTCP", CG_CTL_MEMORY, emit_mem_kernel, NULL, MEM(kernel_tcp), 0 },
	{ "memory.swappiness", CG_CTL_MEMORY, emit_mem_swappiness, NULL, MEM(swappiness), 0 },
	{ "memory.disableOOMKiller", CG_CTL_MEMORY, emit_mem_oom, NULL, MEM(disable_oom_killer),
	  0 },
	{ "cpu.idle", CG_CTL_CPU, emit_cpu_idle, "cpu.idle", CPU(idle), 0 },
	{ "cpu.shares", CG_CTL_CPU, emit_cpu_shares, "cpu.weight", CPU(shares), 0 },
	{ "cpu.quota", CG_CTL_CPU, emit_cpu_max, "cpu.max", 0, GROUP_CFS },
	{ "cpu.burst", CG_CTL_CPU, emit_cpu_burst, "cpu.max.burst", CPU(burst), GROUP_CFS },
	{ "cpu.realtimeRuntime", CG_CTL_CPU, emit_cpu_rt_v2, NULL, 0, 0 },
	{ "cpu.cpus", CG_CTL_CPUSET, emit_cpu_list, "cpuset.cpus", CPU(cpus), 0 },
	{ "cpu.mems", CG_CTL_CPUSET, emit_cpu_list, "cpuset.mems", CPU(mems), 0 },
	{ "pids.limit", CG_CTL_PIDS, emit_pids_limit, "pids.max", 0, 0 },
	{ "blockIO.weight", CG_CTL_IO, emit_io_weight, "io.bfq.weight", 0, 0 },
	{ "blockIO.leafWeight", CG_CTL_IO, emit_io_leaf_weight, NULL, 0, 0 },
	{ "blockIO.weightDevice", CG_CTL_IO, emit_io_weight_device, "io.bfq.weight", 0, 0 },
	{ "blockIO.throttleReadBpsDevice", CG_CTL_IO, emit_io_throttle, "rbps",
	  BIO(throttle_read_bps), 0 },
	{ "blockIO.throttleWriteBpsDevice", CG_CTL_IO, emit_io_throttle, "wbps",
	  BIO(throttle_write_bps), 0 },
	{ "blockIO.throttleReadIOPSDevice", CG_CTL_IO, emit_io_throttle, "riops",
	  BIO(throttle_read_iops), 0 },
	{ "blockIO.throttleWriteIOPSDevice", CG_CTL_IO, emit_io_throttle, "wiops",
	  BIO(throttle_write_iops), 0 },
	{ "hugepageLimits", CG_CTL_HUGETLB, emit_hugetlb, "hugetlb", 0, 0 },
	{ "rdma", CG_CTL_RDMA, emit_rdma, "rdma.max", 0, 0 },
};

/* ---- the plan ---- */

/* The v1 rows without their version: which controllers have something to do, and for which field.
 */
static int probe_rows(const struct spec_resources *r, unsigned int have, unsigned int *needs,
		      const char **missing, enum cg_ctl *ctl)
{
	const struct cg_where all = { .v1 = ~0U };
	struct cg_plan p = { 0 };
	struct plan_build b = { .r = r, .w = &all, .out = &p };

	*needs = 0;
	for (size_t i = 0; i < ARRAY_SIZE(rows_v1); i++) {
		size_t before = p.n;
		int ret = rows_v1[i].emit(&b, &rows_v1[i]);

		if (p.n == before && ret == 0)
			continue;
		*needs |= CG_BIT(rows_v1[i].ctl);
		if (!(have & CG_BIT(rows_v1[i].ctl)) && missing && !*missing) {
			*missing = rows_v1[i].field;
			*ctl = rows_v1[i].ctl;
		}
	}
	cg_plan_free(&p);
	return 0;
}

unsigned int cg_plan_needs(const struct spec_resources *r)
{
	unsigned int needs;

	probe_rows(r, ~0U, &needs, NULL, NULL);
	return needs;
}

static int check_present(const struct spec_resources *r, const struct cg_where *w, struct err *e)
{
	const char *field = NULL;
	enum cg_ctl ctl = CG_CTL_COUNT;
	unsigned int needs;

	probe_rows(r, w->v1 | w->v2, &needs, &field, &ctl);
	if (!field)
		return 0;
	return err_set(e, ENOTSUP,
		       "linux.resources.%s: the %s controller is not available on this host", field,
		       cg_ctl_names[ctl].v1);
}

static int put_rows(struct plan_build *b, const struct plan_row *rows, size_t n, unsigned int mask)
{
	for (size_t i = 0; i < n; i++) {
		int r = mask & CG_BIT(rows[i].ctl) ? rows[i].emit(b, &rows[i]) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/* Files that are ctr's own business: they place, stop or end the container's processes. */
static bool is_ours(const char *file)
{
	static const char *const ours[] = {
		"cgroup.procs", "cgroup.threads", "cgroup.type",
		"cgroup.kill",  "cgroup.freeze",  "cgroup.subtree_control",
	};

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (strcmp(file, ours[i]) == 0)
			return true;
	return false;
}

static int unified_check(struct plan_build *b, const char *key, enum cg_ctl *ctl)
{
	const char *dot = strchr(key, '.');
	int c;

	if (strchr(key, '/') || !dot)
		return err_set(b->e, EINVAL,
			       "linux.resources.unified[\"%s\"]: not the name of a cgroup file",
			       key);
	if (is_ours(key))
		return err_set(b->e, EINVAL, "linux.resources.unified[\"%s\"]: is not a setting",
			       key);
	if (!b->w->has_v2)
		return err_set(b->e, ENOTSUP,
			       "linux.resources.unified[\"%s\"]: this host has no cgroup v2", key);
	c = cg_ctl_by_v2(key, (size_t)(dot - key));
	/* A file of no controller (irq.pressure), or of one that is younger than this program. */
	if (c < 0)
		c = CG_CTL_CORE;
	if (c != CG_CTL_CORE && !(b->w->v2 & CG_BIT(c)))
		return err_set(
			b->e, ENOTSUP,
			"linux.resources.unified[\"%s\"]: the %s controller is not available in "
			"cgroup v2 on this host",
			key, cg_ctl_names[c].v2);
	*ctl = (enum cg_ctl)c;
	return 0;
}

/* A value of several lines (io.max) is several writes: the kernel parses one line in each. */
static int put_unified(struct plan_build *b)
{
	for (size_t i = 0; i < b->r->unified.n; i++) {
		const struct spec_pair *u = &b->r->unified.v[i];
		struct cg_op op = { .v2 = true, .file = u->key };
		const char *s = u->value;
		int r = unified_check(b, u->key, &op.ctl);

		if (r < 0)
			return r;
		op.field = PLAN_TEXT(b, "unified[\"%s\"]", u->key);
		if (!op.field)
			return plan_no_memory(b);
		do {
			size_t len = strcspn(s, "\n");

			op.value = arena_strndup(&b->out->arena, s, len);
			if (len > 0 || !*u->value)
				r = plan_put(b, op);
			s += len + (s[len] == '\n');
		} while (r == 0 && *s);
		if (r < 0)
			return r;
	}
	return 0;
}

int cg_plan_make(const struct spec_resources *r, const struct cg_where *w, struct cg_plan *out,
		 struct err *e)
{
	struct plan_build b = { .r = r, .w = w, .out = out, .e = e };
	int ret = check_present(r, w, e);

	if (ret < 0)
		return ret;
	ret = put_rows(&b, rows_v1, ARRAY_SIZE(rows_v1), w->v1);
	if (ret < 0)
		return ret;
	b.v2 = true;
	ret = put_rows(&b, rows_v2, ARRAY_SIZE(rows_v2), w->v2 & ~w->v1);
	return ret < 0 ? ret : put_unified(&b);
}

void cg_plan_free(struct cg_plan *p)
{
	arena_free(&p->arena);
	*p = (struct cg_plan){ 0 };
}
