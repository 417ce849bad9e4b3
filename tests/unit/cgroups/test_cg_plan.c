/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cg_plan.h"

#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct cg_where all_v1 = { .v1 = CG_BIT(CG_CTL_COUNT) - 1 };
static const struct cg_where all_v2 = {
	.v2 = (CG_BIT(CG_CTL_COUNT) - 1) & ~(CG_BIT(CG_CTL_NET_CLS) | CG_BIT(CG_CTL_NET_PRIO)),
	.has_v2 = true,
};

#define I64(x)                        \
	{                             \
		.set = true, .v = (x) \
	}
#define U64(x)                        \
	{                             \
		.set = true, .v = (x) \
	}
#define YES                            \
	{                              \
		.set = true, .v = true \
	}
#define NO                              \
	{                               \
		.set = true, .v = false \
	}

/* "file=value" of every operation, joined by ";". Alternatives as "|file=value", optional ones end
 * in "?". */
static const char *plan_text(const struct spec_resources *r, const struct cg_where *w)
{
	static char out[4096];
	struct cg_plan p = { 0 };
	struct err e = { 0 };
	size_t at = 0;

	out[0] = '\0';
	if (cg_plan_make(r, w, &p, &e) < 0) {
		snprintf(out, sizeof(out), "ERROR %s", e.msg);
		assert_true(e.code > 0);
	}
	for (size_t i = 0; i < p.n && strncmp(out, "ERROR", 5) != 0; i++) {
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%s=%s", i ? ";" : "",
				       p.v[i].file, p.v[i].value);
		if (p.v[i].alt_file)
			at += (size_t)snprintf(out + at, sizeof(out) - at, "|%s=%s",
					       p.v[i].alt_file, p.v[i].alt_value);
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s",
				       p.v[i].optional ? "?" : "");
		assert_non_null(p.v[i].field);
	}
	cg_plan_free(&p);
	return out;
}

static void check(const struct spec_resources *r, const char *v1, const char *v2)
{
	assert_string_equal(plan_text(r, &all_v1), v1);
	assert_string_equal(plan_text(r, &all_v2), v2);
}

static void test_nothing(void **state)
{
	struct spec_memory m = { 0 };
	struct spec_cpu c = { 0 };
	struct spec_block_io io = { 0 };
	struct spec_network net = { 0 };
	struct spec_resources r = { .memory = &m, .cpu = &c, .block_io = &io, .network = &net };
	struct spec_resources zero = { 0 };
	const struct cg_where none = { 0 };

	(void)state;
	check(&r, "", "");
	check(&zero, "", "");
	assert_string_equal(plan_text(&r, &none), "");
	assert_int_equal(cg_plan_needs(&r), 0);
}

static void test_memory(void **state)
{
	struct spec_memory m = { .limit = I64(1048576),
				 .reservation = I64(4096),
				 .swap = I64(2097152) };
	struct spec_resources r = { .memory = &m };

	(void)state;
	check(&r,
	      "memory.limit_in_bytes=1048576;memory.memsw.limit_in_bytes=2097152;"
	      "memory.soft_limit_in_bytes=4096",
	      "memory.max=1048576;memory.swap.max=1048576;memory.low=4096");
	m = (struct spec_memory){ .limit = I64(-1) };
	check(&r, "memory.limit_in_bytes=-1;memory.memsw.limit_in_bytes=-1?",
	      "memory.max=max;memory.swap.max=max?");
	m = (struct spec_memory){ .limit = I64(8192), .swap = I64(8192) };
	check(&r, "memory.limit_in_bytes=8192;memory.memsw.limit_in_bytes=8192",
	      "memory.max=8192;memory.swap.max=0?");
	m = (struct spec_memory){ .limit = I64(8192), .swap = I64(-1) };
	check(&r, "memory.limit_in_bytes=8192;memory.memsw.limit_in_bytes=-1?",
	      "memory.max=8192;memory.swap.max=max?");
	m = (struct spec_memory){
		.limit = I64(0), .swap = I64(0), .kernel = I64(0), .kernel_tcp = I64(0)
	};
	check(&r, "", "");
	m = (struct spec_memory){ .use_hierarchy = YES, .disable_oom_killer = NO };
	check(&r, "memory.use_hierarchy=1", "");
}

static void test_memory_refused(void **state)
{
	struct spec_memory m = { .limit = I64(8192), .swap = I64(4096) };
	struct spec_resources r = { .memory = &m };

	(void)state;
	check(&r,
	      "ERROR linux.resources.memory.swap: memory and swap together (4096) are less than memory.limit (8192)",
	      "ERROR linux.resources.memory.swap: memory and swap together (4096) are less than memory.limit (8192)");
	m = (struct spec_memory){ .swap = I64(4096) };
	check(&r, "memory.memsw.limit_in_bytes=4096",
	      "ERROR linux.resources.memory.swap: cgroup v2 limits swap alone, so memory.limit must be given too");
	m = (struct spec_memory){ .limit = I64(-2) };
	check(&r, "ERROR linux.resources.memory.limit: -2 is not a number of bytes",
	      "ERROR linux.resources.memory.limit: -2 is not a number of bytes");
	m = (struct spec_memory){ .swappiness = U64(60), .limit = I64(4096) };
	check(&r, "memory.limit_in_bytes=4096;memory.swappiness=60",
	      "ERROR linux.resources.memory.swappiness: cgroup v2 has no such setting");
	m = (struct spec_memory){ .swappiness = U64(101) };
	assert_string_equal(plan_text(&r, &all_v1),
			    "ERROR linux.resources.memory.swappiness: 101 is not within 0 and 100");
	m = (struct spec_memory){ .disable_oom_killer = YES };
	check(&r, "memory.oom_control=1",
	      "ERROR linux.resources.memory.disableOOMKiller: cgroup v2 has no such setting");
	m = (struct spec_memory){ .kernel_tcp = I64(4096) };
	check(&r, "memory.kmem.tcp.limit_in_bytes=4096",
	      "ERROR linux.resources.memory.kernelTCP: the kernel has no limit for this memory alone any more");
	m = (struct spec_memory){ .kernel = I64(4096) };
	assert_string_equal(
		plan_text(&r, &all_v1),
		"ERROR linux.resources.memory.kernel: the kernel has no limit for this memory alone any more");
	m = (struct spec_memory){ .use_hierarchy = NO };
	check(&r, "memory.use_hierarchy=0",
	      "ERROR linux.resources.memory.useHierarchy: cgroup v2 always counts sub-cgroups");
}

static void test_check_before_update(void **state)
{
	struct spec_memory m = { .limit = I64(4096),
				 .reservation = I64(4096),
				 .check_before_update = YES };
	struct spec_resources r = { .memory = &m };
	struct cg_plan p = { 0 };

	(void)state;
	assert_int_equal(cg_plan_make(&r, &all_v2, &p, NULL), 0);
	assert_int_equal(p.n, 2);
	assert_true(p.v[0].check_usage);
	assert_false(p.v[1].check_usage);
	assert_int_equal(p.need_v2, CG_BIT(CG_CTL_MEMORY));
	cg_plan_free(&p);
}

static void test_cpu(void **state)
{
	struct spec_cpu c = {
		.shares = U64(1024), .quota = I64(50000), .period = U64(100000), .burst = U64(1000)
	};
	struct spec_resources r = { .cpu = &c };

	(void)state;
	check(&r,
	      "cpu.shares=1024;cpu.cfs_period_us=100000;cpu.cfs_quota_us=50000;cpu.cfs_burst_us=1000",
	      "cpu.weight=100;cpu.max=50000 100000;cpu.max.burst=1000");
	c = (struct spec_cpu){ .quota = I64(-1) };
	check(&r, "cpu.cfs_quota_us=-1", "cpu.max=max");
	c = (struct spec_cpu){ .period = U64(5000) };
	check(&r, "cpu.cfs_period_us=5000", "cpu.max=max 5000");
	c = (struct spec_cpu){ .idle = I64(1), .shares = U64(512) };
	check(&r, "cpu.idle=1", "cpu.idle=1");
	c = (struct spec_cpu){ .idle = I64(0), .shares = U64(2) };
	check(&r, "cpu.idle=0?;cpu.shares=2", "cpu.idle=0?;cpu.weight=1");
	c = (struct spec_cpu){ .cpus = (char[]){ "0-1" }, .mems = (char[]){ "0" } };
	check(&r, "cpuset.cpus=0-1;cpuset.mems=0", "cpuset.cpus=0-1;cpuset.mems=0");
	c = (struct spec_cpu){
		.cpus = (char[]){ "" }, .shares = U64(0), .quota = I64(0), .period = U64(0)
	};
	check(&r, "", "");
	c = (struct spec_cpu){ .realtime_period = U64(1000), .realtime_runtime = I64(500) };
	check(&r, "cpu.rt_period_us=1000;cpu.rt_runtime_us=500",
	      "ERROR linux.resources.cpu.realtimeRuntime: cgroup v2 has no real-time limits");
	c = (struct spec_cpu){ .burst = U64(0) };
	check(&r, "cpu.cfs_burst_us=0?", "cpu.max.burst=0?");
}

static void test_pids(void **state)
{
	struct spec_resources r = { .pids_limit = I64(17) };

	(void)state;
	check(&r, "pids.max=17", "pids.max=17");
	r.pids_limit.v = 0;
	check(&r, "pids.max=1", "pids.max=1");
	r.pids_limit.v = -1;
	check(&r, "pids.max=max", "pids.max=max");
}

static void test_io(void **state)
{
	struct spec_weight_device wd = { .major = 8, .minor = 1, .weight = U64(500) };
	struct spec_throttle_device a = { 8, 0, 1024 }, b = { 8, 16, 0 }, c = { 8, 2, 7 },
				    d = { 8, 3, 9 };
	struct spec_block_io io = {
		.weight = U64(100),
		.weight_device = { &wd, 1 },
		.throttle_read_bps = { &a, 1 },
		.throttle_write_bps = { &b, 1 },
		.throttle_read_iops = { &c, 1 },
		.throttle_write_iops = { &d, 1 },
	};
	struct spec_resources r = { .block_io = &io };

	(void)state;
	check(&r,
	      "blkio.bfq.weight=100|blkio.weight=100;"
	      "blkio.bfq.weight_device=8:1 500|blkio.weight_device=8:1 500;"
	      "blkio.throttle.read_bps_device=8:0 1024;blkio.throttle.write_bps_device=8:16 0;"
	      "blkio.throttle.read_iops_device=8:2 7;blkio.throttle.write_iops_device=8:3 9",
	      "io.bfq.weight=100|io.weight=910;io.bfq.weight=8:1 500|io.weight=8:1 4950;"
	      "io.max=8:0 rbps=1024;io.max=8:16 wbps=max;io.max=8:2 riops=7;io.max=8:3 wiops=9");
	io = (struct spec_block_io){ .weight = U64(1001) };
	check(&r, "ERROR linux.resources.blockIO.weight: 1001 is not within 10 and 1000",
	      "ERROR linux.resources.blockIO.weight: 1001 is not within 10 and 1000");
	io = (struct spec_block_io){ .leaf_weight = U64(20) };
	check(&r, "blkio.leaf_weight=20",
	      "ERROR linux.resources.blockIO.leafWeight: cgroup v2 has no such setting");
	wd = (struct spec_weight_device){ .major = 8, .minor = 1, .leaf_weight = U64(11) };
	io = (struct spec_block_io){ .weight_device = { &wd, 1 } };
	check(&r, "blkio.leaf_weight_device=8:1 11",
	      "ERROR linux.resources.blockIO.weightDevice: cgroup v2 has no leafWeight");
}

static void test_rest(void **state)
{
	struct spec_hugepage_limit h = { (char[]){ "2MB" }, 4194304 };
	struct spec_rdma rd = { (char[]){ "mlx5_0" }, U64(3), { 0 } };
	struct spec_net_priority np = { (char[]){ "eth0" }, 5 };
	struct spec_network net = { .class_id = U64(0x100001), .priorities = { &np, 1 } };
	struct spec_resources r = { .hugepage_limits = { &h, 1 } };

	(void)state;
	check(&r, "hugetlb.2MB.limit_in_bytes=4194304;hugetlb.2MB.rsvd.limit_in_bytes=4194304?",
	      "hugetlb.2MB.max=4194304;hugetlb.2MB.rsvd.max=4194304?");
	h.page_size = (char[]){ "../x" };
	check(&r, "ERROR linux.resources.hugepageLimits[0].pageSize: bad page size",
	      "ERROR linux.resources.hugepageLimits[0].pageSize: bad page size");
	r = (struct spec_resources){ .rdma = { &rd, 1 } };
	check(&r, "rdma.max=mlx5_0 hca_handle=3", "rdma.max=mlx5_0 hca_handle=3");
	rd.objects.set = true;
	rd.objects.v = 4;
	check(&r, "rdma.max=mlx5_0 hca_handle=3 hca_object=4",
	      "rdma.max=mlx5_0 hca_handle=3 hca_object=4");
	r = (struct spec_resources){ .network = &net };
	check(&r, "net_cls.classid=1048577;net_prio.ifpriomap=eth0 5",
	      "ERROR linux.resources.network.classID: the net_cls controller is not available on this host");
}

static void test_unified(void **state)
{
	struct spec_pair u[] = { { (char[]){ "memory.high" }, (char[]){ "1000" } },
				 { (char[]){ "io.max" }, (char[]){ "8:0 rbps=1\n8:1 wbps=2\n" } } };
	struct spec_resources r = { .unified = { u, 2 } };
	struct cg_where w = all_v2;

	(void)state;
	check(&r, "ERROR linux.resources.unified[\"memory.high\"]: this host has no cgroup v2",
	      "memory.high=1000;io.max=8:0 rbps=1;io.max=8:1 wbps=2");
	w.v2 &= ~CG_BIT(CG_CTL_MEMORY);
	assert_string_equal(
		plan_text(&r, &w),
		"ERROR linux.resources.unified[\"memory.high\"]: the memory controller is not "
		"available in cgroup v2 on this host");
	r.unified.n = 1;
	u[0].key = (char[]){ "../memory.high" };
	assert_string_equal(
		plan_text(&r, &all_v2),
		"ERROR linux.resources.unified[\"../memory.high\"]: not the name of a cgroup file");
	u[0].key = (char[]){ "weird.thing" };
	assert_string_equal(plan_text(&r, &all_v2),
			    "weird.thing=1000"); /* the kernel knows whether there is such a file */
	u[0].key = (char[]){ "cgroup.procs" };
	assert_string_equal(plan_text(&r, &all_v2),
			    "ERROR linux.resources.unified[\"cgroup.procs\"]: is not a setting");
	u[0].key = (char[]){ "cgroup.max.depth" };
	assert_string_equal(plan_text(&r, &all_v2), "cgroup.max.depth=1000");
}

/* A hybrid host: each controller where it is mounted. */
static void test_hybrid(void **state)
{
	const struct cg_where w = {
		.v1 = CG_BIT(CG_CTL_MEMORY) | CG_BIT(CG_CTL_PIDS),
		.v2 = CG_BIT(CG_CTL_HUGETLB),
		.has_v2 = true,
	};
	struct spec_hugepage_limit h = { (char[]){ "2MB" }, 0 };
	struct spec_memory m = { .limit = I64(4096) };
	struct spec_cpu c = { .shares = U64(10) };
	struct spec_resources r = { .memory = &m,
				    .hugepage_limits = { &h, 1 },
				    .pids_limit = I64(5) };

	(void)state;
	assert_string_equal(plan_text(&r, &w),
			    "memory.limit_in_bytes=4096;pids.max=5;hugetlb.2MB.max=0;"
			    "hugetlb.2MB.rsvd.max=0?");
	assert_int_equal(cg_plan_needs(&r),
			 CG_BIT(CG_CTL_MEMORY) | CG_BIT(CG_CTL_PIDS) | CG_BIT(CG_CTL_HUGETLB));
	r.cpu = &c;
	assert_string_equal(
		plan_text(&r, &w),
		"ERROR linux.resources.cpu.shares: the cpu controller is not available on this host");
}

static void test_weights(void **state)
{
	uint64_t last = 0;

	(void)state;
	assert_int_equal(cg_plan_weight(0), 1);
	assert_int_equal(cg_plan_weight(2), 1);
	assert_int_equal(cg_plan_weight(3), 2);
	assert_int_equal(cg_plan_weight(512), 59);
	assert_int_equal(cg_plan_weight(1024), 100);
	assert_int_equal(cg_plan_weight(2048), 174);
	assert_int_equal(cg_plan_weight(100000), 4340);
	assert_int_equal(cg_plan_weight(262143), 10000);
	assert_int_equal(cg_plan_weight(262144), 10000);
	assert_int_equal(cg_plan_weight(UINT64_MAX), 10000);
	for (uint64_t s = 0; s < 262200; s += 37) {
		uint64_t w = cg_plan_weight(s);

		assert_true(w >= last && w >= 1 && w <= 10000);
		last = w;
	}
	assert_int_equal(cg_plan_io_weight(10), 1);
	assert_int_equal(cg_plan_io_weight(1000), 10000);
	assert_int_equal(cg_plan_io_weight(500), 4950);
}

static void test_names(void **state)
{
	(void)state;
	for (int i = 0; i < CG_CTL_COUNT; i++) {
		assert_non_null(cg_ctl_names[i].v1);
		if (cg_ctl_names[i].v2)
			assert_int_equal(
				cg_ctl_by_v2(cg_ctl_names[i].v2, strlen(cg_ctl_names[i].v2)), i);
	}
	assert_int_equal(cg_ctl_by_v2("cgroup", 6), CG_CTL_CORE);
	assert_int_equal(cg_ctl_by_v2("blkio", 5), -1);
	assert_int_equal(cg_ctl_by_v2("mem", 3), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_memory_refused),
		cmocka_unit_test(test_check_before_update),
		cmocka_unit_test(test_cpu),
		cmocka_unit_test(test_pids),
		cmocka_unit_test(test_io),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_unified),
		cmocka_unit_test(test_hybrid),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
