/* SPDX-License-Identifier: Apache-2.0 */
/* Pure v2, pure v1 and hybrid hosts made of plain files in a temporary directory. */
#include "cgroups/cg_internal.h"
#include "cgroups/cg_stat.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define I64(x)                        \
	{                             \
		.set = true, .v = (x) \
	}

static char tmp[64];

/* ---- helpers ---- */

static char *path_in(const char *name)
{
	static char buf[4][512];
	static int i;
	char *p = buf[i++ % 4];

	snprintf(p, sizeof(buf[0]), "%s/%s", tmp, name);
	return p;
}

static void put_file(const char *name, const char *text)
{
	char *p = path_in(name);

	for (char *s = strchr(p + 1, '/'); s; s = strchr(s + 1, '/')) {
		*s = '\0';
		mkdir(p, 0755);
		*s = '/';
	}
	FILE *f = fopen(p, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void assert_file(const char *name, const char *want)
{
	char buf[256];

	assert_true(io_read_small(AT_FDCWD, path_in(name), buf, sizeof(buf)) >= 0);
	assert_string_equal(buf, want);
}

static int remove_entry(const char *p, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(p);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(tmp, "/tmp/test-cg-XXXXXX");
	return mkdtemp(tmp) && chdir(tmp) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return chdir("/") == 0 ? nftw(tmp, remove_entry, 16, FTW_DEPTH | FTW_PHYS) : -1;
}

/* ---- probe ---- */

/* A directory that has a file "type1" or "type2" counts as a mount of that version. */
static long fake_type(const char *path)
{
	char p[600];

	snprintf(p, sizeof(p), "%s/type1", path);
	if (access(p, F_OK) == 0)
		return CGROUP_SUPER_MAGIC;
	snprintf(p, sizeof(p), "%s/type2", path);
	return access(p, F_OK) == 0 ? CGROUP2_SUPER_MAGIC : TMPFS_MAGIC;
}

static int probe(struct cg_host *h, struct err *e)
{
	char *cgroup = strdup(path_in("cgroup")), *info = strdup(path_in("mountinfo"));
	char *base = strdup(path_in("fs"));
	struct cg_probe_env env = {
		.proc_cgroup = cgroup, .mountinfo = info, .base = base, .fs_type = fake_type
	};
	int r = cg_host_probe_env(h, &env, e);

	free(cgroup);
	free(info);
	free(base);
	return r;
}

static void test_probe_v2(void **state)
{
	AUTO_FREE char *deep = str_printf("0::/%01500d\n", 0);
	struct cg_host h;
	struct err e;

	(void)state;
	put_file("cgroup", "0::/user.slice/session-1.scope\n");
	put_file("fs/type2", "");
	assert_int_equal(probe(&h, &e), 0);
	assert_int_equal(h.layout, CG_LAYOUT_V2);
	assert_int_equal(h.n, 1);
	assert_true(h.hier[0].v2);
	assert_string_equal(h.hier[0].mount, path_in("fs"));
	assert_string_equal(h.hier[0].self, "/user.slice/session-1.scope");
	assert_ptr_equal(cg_host_v2(&h), &h.hier[0]);
	assert_null(cg_host_v1(&h, "memory"));
	put_file("cgroup", deep); /* one in which we sit deep is one all the same */
	assert_int_equal(probe(&h, &e), 0);
	assert_true(h.n == 1 && !*h.hier[0].self);
}

static void test_probe_v1(void **state)
{
	struct cg_host h;
	struct err e;

	(void)state;
	/* v2 is known to the kernel but not mounted; one controller is mounted where nobody expects
	 * it. */
	put_file("cgroup",
		 "3:cpu,cpuacct:/\n2:memory:/a:b\n1:name=systemd:/x\n9:freezer:/\n0::/\n");
	put_file("mountinfo",
		 "30 1 0:26 / /sys rw - sysfs sysfs rw\n"
		 "31 1 0:28 / /odd\\040place/mem rw,nosuid shared:3 - cgroup cgroup rw,memory\n");
	put_file("fs/cpu/type1", "");
	put_file("fs/systemd/type1", "");
	assert_int_equal(probe(&h, &e), 0);
	assert_int_equal(h.layout, CG_LAYOUT_V1);
	assert_int_equal(h.n, 3);
	assert_string_equal(cg_host_v1(&h, "cpuacct")->mount, path_in("fs/cpu"));
	assert_string_equal(cg_host_v1(&h, "memory")->mount, "/odd place/mem");
	assert_string_equal(cg_host_v1(&h, "memory")->self, "/a:b");
	assert_non_null(cg_host_v1(&h, "name=systemd"));
	assert_null(cg_host_v1(&h, "freezer"));
	assert_null(cg_host_v1(&h, "mem"));
	assert_null(cg_host_v2(&h));
}

static void test_probe_hybrid(void **state)
{
	struct cg_host h;
	struct err e;

	(void)state;
	put_file("cgroup", "2:memory:/\n0::/\n");
	put_file("fs/memory/type1", "");
	put_file("fs/unified/type2", "");
	assert_int_equal(probe(&h, &e), 0);
	assert_int_equal(h.layout, CG_LAYOUT_HYBRID);
	assert_int_equal(h.n, 2);
	assert_string_equal(cg_host_v2(&h)->mount, path_in("fs/unified"));
}

static void test_probe_none(void **state)
{
	struct cg_host h;
	struct err e;

	(void)state;
	assert_int_equal(probe(&h, &e), 0); /* no such file */
	assert_int_equal(h.layout, CG_LAYOUT_NONE);
	put_file("cgroup", "0::/\nnonsense\n");
	put_file("mountinfo", "");
	assert_int_equal(probe(&h, &e), 0);
	assert_int_equal(h.layout, CG_LAYOUT_NONE);
	unlink(path_in("mountinfo"));
	assert_int_equal(probe(&h, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "mountinfo"));
}

/* ---- the path ---- */

static void check_path(const char *given, const char *want)
{
	AUTO_FREE char *path = NULL;
	struct err e;
	int r = cg_path_resolve("id1", given, &path, &e);

	if (want) {
		assert_int_equal(r, 0);
		assert_string_equal(path, want);
	} else {
		assert_true(r < 0);
		assert_non_null(strstr(e.msg, "linux.cgroupsPath: "));
	}
}

static void test_path(void **state)
{
	(void)state;
	check_path(NULL, "/ctr-id1");
	check_path("", "/ctr-id1");
	check_path("/a/b", "/a/b");
	check_path("//a/./b//", "/a/b");
	check_path("rel/x", "/ctr/rel/x");
	check_path("system.slice:runc:x", "/ctr/system.slice:runc:x");
	check_path("..a/b..", "/ctr/..a/b..");
	check_path("/a/../b", NULL);
	check_path("..", NULL);
	check_path("/", NULL);
	check_path(".", NULL);
	check_path("/ctr", NULL);
}

/* ---- pure v2 made of files ---- */

static void v2_level(const char *dir, const char *controllers, const char *enabled)
{
	char name[256];

	snprintf(name, sizeof(name), "%s/cgroup.controllers", dir);
	put_file(name, controllers);
	snprintf(name, sizeof(name), "%s/cgroup.subtree_control", dir);
	put_file(name, enabled);
	snprintf(name, sizeof(name), "%s/cgroup.procs", dir);
	put_file(name, "");
}

static void v2_host(struct cg_host *h)
{
	*h = (struct cg_host){ .layout = CG_LAYOUT_V2, .n = 1 };
	h->hier[0].v2 = true;
	strcpy(h->hier[0].mount, path_in("v2"));
	strcpy(h->hier[0].self, "/");
	v2_level("v2", "cpuset cpu io memory pids\n", "memory pids\n");
	v2_level("v2/ctr", "memory pids\n", "");
	v2_level("v2/ctr/c1", "memory pids\n", "");
	put_file("v2/ctr/c1/cgroup.freeze", "0\n");
	put_file("v2/ctr/c1/cgroup.events", "populated 0\nfrozen 0\n");
}

static struct spec_device_rule allow_all = { .allow = true, .type = 'a' };

static struct cg_create_opts opts_c1(const struct spec_resources *r)
{
	return (struct cg_create_opts){ .id = "c1", .cgroups_path = "c1", .resources = r };
}

static int create_fake(const struct cg_host *h, struct spec_resources *r, struct cg **cg,
		       struct err *e)
{
	struct cg_create_opts o = opts_c1(r);

	r->devices = (struct spec_device_rules){ &allow_all, 1 }; /* plain files take no program */
	return cg_create_on(h, &o, cg, e);
}

static void test_v2_limits(void **state)
{
	AUTO_CG struct cg *cg = NULL;
	struct spec_memory m = { .limit = I64(4096), .swap = I64(8192) };
	struct spec_cpu c = { .shares = { true, 1024 }, .cpus = (char[]){ "0" } };
	struct spec_resources r = { .memory = &m, .cpu = &c, .pids_limit = I64(9) };
	struct cg_host h;
	struct err e;

	(void)state;
	v2_host(&h);
	put_file("v2/ctr/c1/memory.max", "max\n");
	put_file("v2/ctr/c1/memory.swap.max", "max\n");
	put_file("v2/ctr/c1/cpu.weight", "");
	put_file("v2/ctr/c1/cpuset.cpus", "");
	put_file("v2/ctr/c1/pids.max", "");
	put_file("v2/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n");
	assert_int_equal(create_fake(&h, &r, &cg, &e), 0);
	assert_file("v2/ctr/c1/pids.max", "9");
	assert_file("v2/ctr/c1/cpu.weight", "100");
	assert_file("v2/ctr/c1/cpuset.cpus", "0");
	/* All, for what limits its own inside. In the root memory and pids were on already. */
	assert_file("v2/cgroup.subtree_control", "+cpu +cpuset +io +hugetlb +rdma +misc");
	assert_file("v2/ctr/cgroup.subtree_control",
		    "+memory +cpu +cpuset +pids +io +hugetlb +rdma +misc");
	assert_string_equal(cg_path(cg), "/ctr/c1");
	assert_true(cg_has_v2(cg));
	assert_true(cg_into_fd(cg) >= 0);
	assert_null(cg_unit(cg));
	/* The same above a unit: systemd enables those that it knows. */
	cg->unit = strdup("c1.scope");
	put_file("v2/cgroup.subtree_control", "cpu io memory pids\n");
	assert_int_equal(cg_set_up(cg, &r, &e), 0);
	assert_file("v2/cgroup.subtree_control", "+cpuset +hugetlb +rdma +misc");
}

static void test_v2_view(void **state)
{
	AUTO_CG struct cg *cg = NULL;
	struct spec_resources r = { 0 };
	struct cg_view v;
	struct cg_host h;
	struct err e;

	(void)state;
	v2_host(&h);
	assert_int_equal(create_fake(&h, &r, &cg, &e), 0);
	assert_true(cg_view(cg, 0, &v));
	assert_true(v.v2);
	assert_string_equal(v.mount, h.hier[0].mount);
	assert_string_equal(v.path, "/ctr/c1");
	assert_string_equal(v.controllers, "");
	assert_false(cg_view(cg, 1, &v));
}

/* What may not be used: processes, frozen, threaded, a controller that is not there. */
static void test_v2_refused(void **state)
{
	AUTO_CG struct cg *cg = NULL;
	struct spec_hugepage_limit huge = { (char[]){ "2MB" }, 0 };
	struct spec_resources r = { 0 };
	struct cg_host h;
	struct err e;

	(void)state;
	v2_host(&h);
	put_file("v2/ctr/c1/sub/cgroup.procs", "12\n");
	assert_int_equal(create_fake(&h, &r, &cg, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "container's cgroup is not empty: 1 process(es) found"));
	put_file("v2/ctr/c1/sub/cgroup.procs", "0\n"); /* outside of our pid namespace */
	put_file("v2/ctr/c1/cgroup.freeze", "1\n");
	assert_int_equal(create_fake(&h, &r, &cg, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "container's cgroup unexpectedly frozen"));
	put_file("v2/ctr/c1/cgroup.freeze", "0\n");
	r.hugepage_limits = (struct spec_hugepage_limits){ &huge, 1 };
	assert_int_equal(create_fake(&h, &r, &cg, &e), -ENOTSUP);
	assert_string_equal(
		e.msg, "linux.resources.hugepageLimits: the hugetlb controller is not available "
		       "on this host");
	assert_null(cg);
	assert_int_equal(access(path_in("v2/ctr/c1"), F_OK), 0); /* was there before: stays */
}

static void test_v2_threaded(void **state)
{
	AUTO_CG struct cg *cg = NULL;
	struct spec_resources r = { .devices = { &allow_all, 1 } };
	struct cg_create_opts o = { .id = "x", .cgroups_path = "/t/x", .resources = &r };
	struct cg_host h;
	struct err e;

	(void)state;
	v2_host(&h);
	v2_level("v2/t", "", "");
	v2_level("v2/t/x", "", "");
	put_file("v2/t/x/cgroup.type", "domain invalid\n");
	assert_int_equal(cg_create_on(&h, &o, &cg, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.msg, "threaded"));
}

/* The level that cannot be written: the error names the controller and the cgroup; nothing stays.
 */
static void test_v2_undo(void **state)
{
	AUTO_CG struct cg *cg = NULL;
	struct spec_resources r = { .devices = { &allow_all, 1 }, .pids_limit = I64(3) };
	struct cg_create_opts o = { .id = "x", .cgroups_path = "/new/deep/x", .resources = &r };
	struct cg_host h;
	struct err e;

	(void)state;
	v2_host(&h);
	/* "/new" has no cgroup.subtree_control, as a cgroup that is being removed under our hands.
	 */
	assert_true(cg_create_on(&h, &o, &cg, &e) < 0);
	assert_non_null(strstr(e.msg, "v2/new/cgroup.subtree_control"));
	assert_int_equal(access(path_in("v2/new"), F_OK), -1);
}

static void test_v2_update(void **state)
{
	AUTO_CG struct cg *cg = NULL;
	struct spec_memory m = { .limit = I64(4096), .check_before_update = { true, true } };
	struct spec_resources r = { .memory = &m }, bad = { .memory = &m, .pids_limit = I64(7) };
	struct cg_host h;
	struct err e;

	(void)state;
	v2_host(&h);
	put_file("v2/ctr/c1/memory.max", "99999\n");
	put_file("v2/ctr/c1/memory.current", "5000\n");
	assert_int_equal(cg_open_on(&h, "/ctr/c1", &cg, &e), 0);
	assert_int_equal(cg_apply(cg, &r, &e), -EBUSY);
	assert_string_equal(
		e.msg,
		"linux.resources.memory.limit: 4096 is less than the container uses now (5000)");
	assert_file("v2/ctr/c1/memory.max", "99999");
	/* All or nothing: pids.max does not exist, so memory.max goes back. */
	m.limit.v = 88888;
	assert_int_equal(cg_apply(cg, &bad, &e), -ENOTSUP);
	assert_string_equal(e.msg, "linux.resources.pids.limit: this kernel has no pids.max");
	assert_file("v2/ctr/c1/memory.max", "99999");
	assert_int_equal(cg_apply(cg, &r, &e), 0);
	assert_file("v2/ctr/c1/memory.max", "88888");
}

static void test_v2_stat(void **state)
{
	AUTO_CG struct cg *cg = NULL;
	struct cg_host h;
	struct cg_stat st;
	struct err e;

	(void)state;
	v2_host(&h);
	put_file("v2/ctr/c1/memory.current", "5000\n");
	put_file("v2/ctr/c1/memory.max", "max\n");
	put_file("v2/ctr/c1/memory.events", "low 0\nhigh 0\nmax 4\noom 2\noom_kill 1\n");
	put_file("v2/ctr/c1/cpu.stat", "usage_usec 12\nuser_usec 5\nsystem_usec 7\n");
	assert_int_equal(cg_open_on(&h, "/ctr/c1", &cg, &e), 0);
	assert_int_equal(cg_stat_read(cg, &st, &e), 0);
	assert_int_equal(st.memory.usage.v, 5000);
	assert_true(st.memory.limit.v == UINT64_MAX);
	assert_int_equal(st.memory.failcnt.v, 4);
	assert_int_equal(st.memory.oom_kill.v, 1);
	assert_int_equal(st.cpu.usage.v, 12000);
	assert_false(st.pids.current.set);
	assert_false(st.cpu.periods.set);
	cg_stat_free(&st);
}

/* ---- pure v1 made of files ---- */

static void v1_host(struct cg_host *h)
{
	static const char *const names[] = { "memory", "cpuset", "pids", "freezer", "devices" };
	char file[128];

	*h = (struct cg_host){ .layout = CG_LAYOUT_V1, .n = ARRAY_SIZE(names) };
	for (size_t i = 0; i < h->n; i++) {
		strcpy(h->hier[i].controllers, names[i]);
		snprintf(file, sizeof(file), "v1/%s", names[i]);
		strcpy(h->hier[i].mount, path_in(file));
		snprintf(file, sizeof(file), "v1/%s/ctr/c1/cgroup.procs", names[i]);
		put_file(file, "");
		snprintf(file, sizeof(file), "v1/%s/ctr/c1/tasks", names[i]);
		put_file(file, "");
	}
	put_file("v1/cpuset/cpuset.cpus", "0-3\n");
	put_file("v1/cpuset/cpuset.mems", "0\n");
	put_file("v1/cpuset/ctr/cpuset.cpus", "\n");
	put_file("v1/cpuset/ctr/cpuset.mems", "1\n");
	put_file("v1/cpuset/ctr/c1/cpuset.cpus", "\n");
	put_file("v1/cpuset/ctr/c1/cpuset.mems", "\n");
	put_file("v1/freezer/ctr/c1/freezer.state", "THAWED\n");
	put_file("v1/devices/ctr/c1/devices.allow", "");
	put_file("v1/devices/ctr/c1/devices.deny", "");
	put_file("v1/memory/ctr/c1/memory.limit_in_bytes", "");
	put_file("v1/pids/ctr/c1/pids.max", "");
}

static void test_v1_create(void **state)
{
	AUTO_CG struct cg *cg = NULL;
	struct spec_memory m = { .limit = I64(4096) };
	struct spec_resources r = { .memory = &m, .pids_limit = I64(-1) };
	struct cg_create_opts o = opts_c1(&r);
	struct cg_host h;
	struct err e;
	int fds[CG_MAX_HIER];
	size_t n;

	(void)state;
	v1_host(&h);
	assert_int_equal(cg_create_on(&h, &o, &cg, &e), 0);
	assert_file("v1/cpuset/ctr/cpuset.cpus", "0-3");
	assert_file("v1/cpuset/ctr/cpuset.mems", "1");
	assert_file("v1/cpuset/ctr/c1/cpuset.cpus", "0-3");
	assert_file("v1/cpuset/ctr/c1/cpuset.mems", "1");
	assert_file("v1/memory/ctr/c1/memory.limit_in_bytes", "4096");
	assert_file("v1/pids/ctr/c1/pids.max", "max");
	assert_file("v1/devices/ctr/c1/devices.deny", "a");
	assert_false(cg_has_v2(cg));
	assert_int_equal(cg_into_fd(cg), -1);
	assert_int_equal(cg_join_open(cg, true, fds, &n, &e), 0);
	assert_int_equal(n, 5);
	assert_int_equal(cg_join_self(fds, n), 0);
	while (n > 0)
		close(fds[--n]);
	assert_file("v1/pids/ctr/c1/tasks", "0");
}

static void test_v1_refused(void **state)
{
	AUTO_CG struct cg *cg = NULL;
	struct spec_pair u = { (char[]){ "memory.high" }, (char[]){ "1" } };
	struct spec_resources r = { .unified = { &u, 1 } };
	struct cg_host h;
	struct err e;

	(void)state;
	v1_host(&h);
	assert_int_equal(create_fake(&h, &r, &cg, &e), -ENOTSUP);
	assert_string_equal(e.msg,
			    "linux.resources.unified[\"memory.high\"]: this host has no cgroup v2");
	r.unified.n = 0;
	put_file("v1/freezer/ctr/c1/freezer.state", "FROZEN\n");
	assert_int_equal(create_fake(&h, &r, &cg, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "container's cgroup unexpectedly frozen"));
	put_file("v1/freezer/ctr/c1/freezer.state", "THAWED\n");
	put_file("v1/memory/ctr/c1/cgroup.procs", "1\n2\n");
	assert_int_equal(create_fake(&h, &r, &cg, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "not empty: 2 process(es)"));
}

static void test_v1_freeze(void **state)
{
	AUTO_CG struct cg *cg = NULL;
	struct cg_host h;
	struct err e;
	bool frozen;

	(void)state;
	v1_host(&h);
	assert_int_equal(cg_open_on(&h, "/ctr/c1", &cg, &e), 0);
	assert_int_equal(cg_is_frozen(cg, &frozen), 0);
	assert_false(frozen);
	put_file("v1/freezer/ctr/c1/freezer.state", "");
	assert_int_equal(cg_freeze(cg, true, &e), 0);
	assert_file("v1/freezer/ctr/c1/freezer.state", "FROZEN");
	assert_int_equal(cg_is_frozen(cg, &frozen), 0);
	assert_true(frozen);
}

/* ---- drivers ---- */

static void test_drivers(void **state)
{
	AUTO_CG struct cg *cg = NULL;
	struct cg_create_opts o = { .id = "x", .driver = CG_DRIVER_DISABLED };
	struct spec_resources limited = { .pids_limit = I64(4) };
	pid_t *pids = NULL;
	size_t n = 1;
	bool frozen;
	int fds[CG_MAX_HIER];
	struct err e;

	(void)state;
	o.resources = &limited;
	assert_int_equal(cg_create(&o, &cg, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "cgroup manager disabled: linux.resources.pids.limit"));
	o.resources = NULL;
	assert_int_equal(cg_create(&o, &cg, &e), 0);
	assert_null(cg_path(cg));
	assert_int_equal(cg_into_fd(cg), -1);
	assert_int_equal(cg_join_open(cg, true, fds, &n, &e), 0);
	assert_int_equal(n, 0);
	assert_int_equal(cg_pids(cg, &pids, &n, &e), 0);
	assert_int_equal(n, 0);
	assert_int_equal(cg_kill(cg, SIGKILL, &e), 0);
	assert_int_equal(cg_is_frozen(cg, &frozen), 0);
	assert_int_equal(cg_freeze(cg, true, &e), -ENOTSUP);
	assert_int_equal(cg_apply(cg, &limited, &e), -ENOTSUP);
	assert_int_equal(cg_remove(cg, &e), 0);
}

#define FAKE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE(test_probe_v2),         FAKE(test_probe_v1),
		FAKE(test_probe_hybrid),     FAKE(test_probe_none),
		cmocka_unit_test(test_path), FAKE(test_v2_limits),
		FAKE(test_v2_view),          FAKE(test_v2_refused),
		FAKE(test_v2_threaded),      FAKE(test_v2_undo),
		FAKE(test_v2_update),        FAKE(test_v2_stat),
		FAKE(test_v1_create),        FAKE(test_v1_refused),
		FAKE(test_v1_freeze),        cmocka_unit_test(test_drivers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
