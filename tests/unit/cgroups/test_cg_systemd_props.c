/* SPDX-License-Identifier: Apache-2.0 */
/* Names of units, and resources as systemd's properties. */
#include "cgroups/cg_systemd_props.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "cgroups/cg_systemd.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SET(x)                        \
	{                             \
		.set = true, .v = (x) \
	}
#define INF UINT64_MAX

/* ---- names ---- */

static void assert_unit(const char *path, bool rootless, const char *slice, const char *unit)
{
	struct cg_unit_names n;
	struct err e = { 0 };

	if (cg_unit_names("id1", path, rootless, &n, &e) < 0)
		fail_msg("%s: %s", path ? path : "NULL", e.msg);
	assert_string_equal(n.slice, slice);
	assert_string_equal(n.unit, unit);
	assert_int_equal(n.is_slice, str_ends(unit, ".slice"));
}

static void assert_no_unit(const char *path, const char *want)
{
	struct cg_unit_names n;
	struct err e = { 0 };

	if (cg_unit_names("id1", path, false, &n, &e) != -EINVAL)
		fail_msg("%s: accepted", path);
	if (!strstr(e.msg, want) || !str_after(e.msg, "linux.cgroupsPath: "))
		fail_msg("%s: %s", path, e.msg);
}

static void test_names(void **state)
{
	(void)state;
	assert_unit(NULL, false, "system.slice", "ctr-id1.scope");
	assert_unit("", true, "user.slice", "ctr-id1.scope");
	assert_unit(":pre:name", false, "system.slice", "pre-name.scope");
	assert_unit("machine.slice:libpod:0a1b", false, "machine.slice", "libpod-0a1b.scope");
	assert_unit("-:a:b", false, "-.slice", "a-b.scope");
	assert_unit("-.slice:a:b", false, "-.slice", "a-b.scope");
	assert_unit("a-b.slice::n", false, "a-b.slice", "-n.scope");
	assert_unit("a.slice:x:pod-1.slice", false, "a.slice", "pod-1.slice");
	assert_unit("a.slice:p:x+y z", false, "a.slice", "p-x\\x2by\\x20z.scope");
	assert_unit("a.slice:p:x@y", false, "a.slice", "p-x@y.scope");
	assert_no_unit("/a/b", "SLICE:PREFIX:NAME");
	assert_no_unit("name", "SLICE:PREFIX:NAME");
	assert_no_unit("a:b", "SLICE:PREFIX:NAME");
	assert_no_unit("a.slice:b:c:d", "SLICE:PREFIX:NAME");
	assert_no_unit("a.slice:b:", "SLICE:PREFIX:NAME");
	assert_no_unit("a.slice:b:c/d", "SLICE:PREFIX:NAME");
	assert_no_unit("a:b:c", "\"a\" is not the name of a slice");
	assert_no_unit("ab:b:c", "\"ab\" is not the name of a slice");
	assert_no_unit("x:b:c.slice", "\"x\" is not the name of a slice");
	assert_no_unit("a--b.slice:b:c", "not the name of a slice");
	assert_no_unit("-a.slice:b:c", "not the name of a slice");
	assert_no_unit(".slice:b:c", "not the name of a slice");
	assert_no_unit("a.slice:b:-x.slice", "\"-x.slice\" is not the name of a slice");
	assert_no_unit("a.slice:b:-.slice", "not the name of a slice");
}

static void test_long_names(void **state)
{
	struct cg_unit_names n;
	char id[1025];
	struct err e;

	(void)state;
	memset(id, 'x', sizeof(id));
	id[245] = '\0'; /* ctr- .scope */
	assert_int_equal(cg_unit_names(id, NULL, false, &n, &e), 0);
	assert_int_equal(strlen(n.unit), CG_UNIT_NAME_MAX);
	id[245] = 'x';
	id[246] = '\0';
	assert_int_equal(cg_unit_names(id, NULL, false, &n, &e), -ENAMETOOLONG);
	id[246] = 'x';
	strcpy(id + 300, ":a:b");
	assert_int_equal(cg_unit_names("i", id, false, &n, &e), -ENAMETOOLONG);
	strcpy(id, "a.slice:");
	memset(id + 8, 'p', 400);
	strcpy(id + 408, ":n");
	assert_int_equal(cg_unit_names("i", id, false, &n, &e), -ENAMETOOLONG);
}

static void test_slice_path(void **state)
{
	static const char *const bad[] = { "a",      "-a.slice",  "a-.slice",  "a--b.slice",
					   ".slice", "a/b.slice", "a b.slice", "" };
	static const struct {
		const char *slice, *path;
	} good[] = {
		{ "a.slice", "/a.slice" },
		{ "a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice" },
		{ "-.slice", "/" },
		{ "kubepods-pod_1.slice", "/kubepods.slice/kubepods-pod_1.slice" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		AUTO_FREE char *p = NULL;

		assert_int_equal(cg_slice_path(good[i].slice, &p), 0);
		assert_string_equal(p, good[i].path);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char *p = NULL;

		assert_int_equal(cg_slice_path(bad[i], &p), -EINVAL);
	}
}

static void test_owned(void **state)
{
	(void)state;
	assert_true(cg_systemd_owns(&(struct cg_hier){ .v2 = true }));
	assert_true(cg_systemd_owns(&(struct cg_hier){ .controllers = "cpu,cpuacct" }));
	assert_true(cg_systemd_owns(&(struct cg_hier){ .controllers = "name=systemd" }));
	assert_true(cg_systemd_owns(&(struct cg_hier){ .controllers = "net_cls,pids" }));
	assert_false(cg_systemd_owns(&(struct cg_hier){ .controllers = "cpuset" }));
	assert_false(cg_systemd_owns(&(struct cg_hier){ .controllers = "freezer" }));
}

/* ---- properties ---- */

static void assert_u(const struct cg_props *p, const char *name, const char *types, uint64_t want)
{
	const struct cg_value *v = cg_props_get(p, name);

	if (!v)
		fail_msg("%s: not set", name);
	assert_string_equal(v->types, types);
	assert_int_equal(v->n, 1);
	if (v->v[0].u != want)
		fail_msg("%s: %llu", name, (unsigned long long)v->v[0].u);
}

static void assert_s(const struct cg_props *p, const char *name, const char *want)
{
	const struct cg_value *v = cg_props_get(p, name);

	assert_non_null(v);
	assert_string_equal(v->types, "s");
	assert_string_equal(v->v[0].s, want);
}

static void test_unit(void **state)
{
	struct cg_unit_names n = { .unit = "ctr-x.scope", .slice = "a.slice" };
	struct cg_props p = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(cg_props_unit(&p, &n, 252, "x", 77, &e), 0);
	assert_s(&p, "Slice", "a.slice");
	assert_s(&p, "CollectMode", "inactive-or-failed");
	assert_u(&p, "Delegate", "b", 1);
	assert_u(&p, "DefaultDependencies", "b", 0);
	assert_u(&p, "MemoryAccounting", "b", 1);
	assert_u(&p, "PIDs", "u", 77);
	assert_true(cg_props_get(&p, "PIDs")->array);
	assert_u(&p, "TasksMax", "t", INF);
	cg_props_free(&p);
	n.is_slice = true;
	assert_int_equal(cg_props_unit(&p, &n, 235, "x", 0, &e), 0);
	assert_s(&p, "Wants", "a.slice");
	assert_null(cg_props_get(&p, "CollectMode"));
	assert_null(cg_props_get(&p, "PIDs"));
	assert_null(cg_props_get(&p, "Delegate"));
	cg_props_free(&p);
}

static struct spec_memory mem = { .limit = SET(1000), .swap = SET(1500), .reservation = SET(500) };
static struct spec_cpu cpu = { .shares = SET(1024),
			       .quota = SET(33333),
			       .period = SET(100000),
			       .cpus = "0-1,9",
			       .mems = "0" };
static struct spec_block_io io = { .weight = SET(1000) };

static void test_resources(void **state)
{
	struct spec_resources r = {
		.memory = &mem, .cpu = &cpu, .block_io = &io, .pids_limit = SET(0)
	};
	struct cg_props_in in = { .version = 252, .v2 = true, .r = &r };
	struct cg_props p = { 0 };
	const struct cg_value *v;
	struct err e;

	(void)state;
	assert_int_equal(cg_props_resources(&p, &in, &e), 0);
	assert_u(&p, "MemoryMax", "t", 1000);
	assert_u(&p, "MemoryLow", "t", 500);
	assert_u(&p, "MemorySwapMax", "t", 500);
	assert_u(&p, "CPUWeight", "t", 100);
	assert_u(&p, "CPUQuotaPeriodUSec", "t", 100000);
	assert_u(&p, "CPUQuotaPerSecUSec", "t", 340000);
	assert_u(&p, "TasksMax", "t", 1);
	assert_u(&p, "IOWeight", "t", 10000);
	v = cg_props_get(&p, "AllowedCPUs");
	assert_non_null(v);
	assert_true(v->array && v->n == 2 && v->types[0] == 'y');
	assert_int_equal(v->v[0].u, 3);
	assert_int_equal(v->v[1].u, 2);
	cg_props_free(&p);

	in = (struct cg_props_in){ .version = 219, .r = &r };
	assert_int_equal(cg_props_resources(&p, &in, &e), 0);
	assert_u(&p, "MemoryLimit", "t", 1000);
	assert_u(&p, "CPUShares", "t", 1024);
	assert_u(&p, "BlockIOWeight", "t", 1000);
	assert_null(cg_props_get(&p, "CPUQuotaPeriodUSec"));
	assert_null(cg_props_get(&p, "AllowedCPUs"));
	assert_null(cg_props_get(&p, "MemoryLow"));
	cg_props_free(&p);
}

static void test_no_limits(void **state)
{
	struct spec_memory m = { .limit = SET(-1) };
	struct spec_cpu c = { .quota = SET(-1), .idle = SET(1), .shares = SET(500) };
	struct spec_resources r = { .memory = &m, .cpu = &c, .pids_limit = SET(-1) };
	struct cg_props_in in = { .version = 252, .v2 = true, .r = &r };
	struct cg_props p = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(cg_props_resources(&p, &in, &e), 0);
	assert_u(&p, "MemoryMax", "t", INF);
	assert_u(&p, "MemorySwapMax", "t", INF);
	assert_u(&p, "CPUQuotaPerSecUSec", "t", INF);
	assert_u(&p, "TasksMax", "t", INF);
	assert_u(&p, "CPUWeight", "t", 0);
	cg_props_free(&p);
	in.version = 251;
	assert_int_equal(cg_props_resources(&p, &in, &e), 0);
	assert_null(cg_props_get(&p, "CPUWeight"));
	cg_props_free(&p);
	r = (struct spec_resources){ 0 };
	assert_int_equal(cg_props_resources(&p, &in, &e), 0);
	assert_int_equal(p.n, 0);
}

/* Whether systemd's version has to be asked for. */
static void test_needs(void **state)
{
	struct spec_cpu c = { .shares = SET(500) };
	struct spec_resources r = { .memory = &mem, .cpu = &c, .pids_limit = SET(5) };
	int needs = 0;
	struct cg_props_in in = { .version = CG_VERSION_ANY, .needs = &needs, .v2 = true, .r = &r };
	struct cg_props p = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(cg_props_resources(&p, &in, &e), 0);
	assert_int_equal(needs, 0);
	r.cpu = &cpu;
	assert_int_equal(cg_props_resources(&p, &in, &e), 0);
	assert_int_equal(needs, 244);
	cg_props_free(&p);
}

static void test_sets(void **state)
{
	static const struct {
		char *list;
		const char *want;
	} bad[] = { { "a", "not a list" },       { "1-", "not a list" }, { "3-1", "not a list" },
		    { "1,,2", "not a list" },    { "-1", "not a list" }, { "0-9000", "above 8191" },
		    { "99999999", "not a list" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct spec_cpu c = { .cpus = bad[i].list };
		struct spec_resources r = { .cpu = &c };
		struct cg_props_in in = { .version = 252, .v2 = true, .r = &r };
		struct cg_props p = { 0 };
		struct err e = { 0 };

		if (cg_props_resources(&p, &in, &e) == 0)
			fail_msg("%s: accepted", bad[i].list);
		if (!strstr(e.msg, bad[i].want) || !str_after(e.msg, "linux.resources.cpu.cpus: "))
			fail_msg("%s: %s", bad[i].list, e.msg);
		cg_props_free(&p);
	}
}

static void test_unified(void **state)
{
	struct spec_pair pairs[] = {
		{ "memory.high", "1M" },        { "memory.min", "max" },
		{ "memory.oom.group", "1" },    { "cpu.max", "max" },
		{ "io.weight", "default 300" }, { "pids.max", "12" },
		{ "cpu.weight", "77" },         { "memory.swap.max", "nonsense" },
		{ "cpuset.cpus", "3" },
	};
	struct spec_resources r = { .unified = { pairs, ARRAY_SIZE(pairs) }, .pids_limit = SET(3) };
	struct cg_props_in in = { .version = 253, .v2 = true, .create = true, .r = &r };
	struct cg_props p = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(cg_props_resources(&p, &in, &e), 0);
	assert_u(&p, "MemoryHigh", "t", 1048576);
	assert_u(&p, "MemoryMin", "t", INF);
	assert_s(&p, "OOMPolicy", "kill");
	assert_u(&p, "CPUQuotaPerSecUSec", "t", INF);
	assert_u(&p, "IOWeight", "t", 300);
	assert_u(&p, "TasksMax", "t", 12); /* the later of the two, as in cgroupfs */
	assert_u(&p, "CPUWeight", "t", 77);
	assert_null(cg_props_get(&p, "MemorySwapMax"));
	assert_non_null(cg_props_get(&p, "AllowedCPUs"));
	cg_props_free(&p);
	in.create = false;
	pairs[3].value = "5000 20000";
	assert_int_equal(cg_props_resources(&p, &in, &e), 0);
	assert_null(cg_props_get(&p, "OOMPolicy"));
	assert_u(&p, "CPUQuotaPerSecUSec", "t", 250000);
	assert_u(&p, "CPUQuotaPeriodUSec", "t", 20000);
	cg_props_free(&p);
	in.version = 239;
	assert_int_equal(cg_props_resources(&p, &in, &e), 0);
	assert_null(cg_props_get(&p, "MemoryMin"));
	cg_props_free(&p);
	in.v2 = false;
	assert_int_equal(cg_props_resources(&p, &in, &e), 0);
	assert_null(cg_props_get(&p, "MemoryHigh"));
	cg_props_free(&p);
}

/* CPUWeight holds "idle" for systemd: a unit that stops being idle needs another value. */
static void test_not_idle(void **state)
{
	struct spec_cpu c = { .idle = SET(0) }, was = { .idle = SET(1) };
	struct spec_pair zero[] = { { "cpu.idle", "0" }, { "cpu.weight", "77" } };
	struct spec_pair one[] = { { "cpu.idle", "1" } };
	struct spec_resources r = { .cpu = &c }, old = { .cpu = &was };
	struct cg_props_in in = { .version = 252, .v2 = true, .r = &r, .old = &old };
	struct cg_props p = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(cg_props_resources(&p, &in, &e), 0);
	assert_u(&p, "CPUWeight", "t", INF);
	cg_props_free(&p);
	in.old = NULL; /* what it was is not known */
	assert_int_equal(cg_props_resources(&p, &in, &e), 0);
	assert_u(&p, "CPUWeight", "t", INF);
	cg_props_free(&p);
	in.old = &old;
	c.shares = (struct opt_u64){ true, 1024 };
	assert_int_equal(cg_props_resources(&p, &in, &e), 0);
	assert_u(&p, "CPUWeight", "t", 100);
	cg_props_free(&p);

	/* The same by the file's name, whichever way it had become idle. */
	r = (struct spec_resources){ .unified = { zero, 1 } };
	old = (struct spec_resources){ .unified = { one, 1 } };
	assert_int_equal(cg_props_resources(&p, &in, &e), 0);
	assert_u(&p, "CPUWeight", "t", INF);
	cg_props_free(&p);
	r.unified.n = 2;
	assert_int_equal(cg_props_resources(&p, &in, &e), 0);
	assert_u(&p, "CPUWeight", "t", 77);
	cg_props_free(&p);

	/* One that was not idle may have a weight that nobody speaks of now; a new one has none. */
	r.unified.n = 1;
	old.unified.n = 0;
	assert_int_equal(cg_props_resources(&p, &in, &e), 0);
	assert_null(cg_props_get(&p, "CPUWeight"));
	in.old = NULL;
	in.create = true;
	assert_int_equal(cg_props_resources(&p, &in, &e), 0);
	assert_null(cg_props_get(&p, "CPUWeight"));
	cg_props_free(&p);
}

/* What has been told and was not there before is unset; what was there keeps its old value. */
static void test_unset(void **state)
{
	struct spec_pair pairs[] = { { "memory.high", "1M" }, { "memory.min", "1M" } };
	struct spec_memory before = { .limit = SET(77) };
	struct spec_resources r = { .memory = &mem,
				    .cpu = &cpu,
				    .block_io = &io,
				    .unified = { pairs, 2 },
				    .pids_limit = SET(9) };
	struct spec_resources had = { .memory = &before };
	struct cg_props_in in = { .version = 252, .v2 = true, .r = &r };
	struct cg_props told = { 0 }, p = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(cg_props_resources(&told, &in, &e), 0);
	in.r = &had;
	assert_int_equal(cg_props_resources(&p, &in, &e), 0);
	assert_int_equal(cg_props_unset(&p, &told, &e), 0);
	assert_u(&p, "MemoryMax", "t", 77);
	assert_u(&p, "MemoryLow", "t", 0);
	assert_u(&p, "MemoryMin", "t", 0);
	assert_u(&p, "MemoryHigh", "t", INF);
	assert_u(&p, "MemorySwapMax", "t", INF);
	assert_u(&p, "CPUWeight", "t", INF);
	assert_u(&p, "CPUQuotaPerSecUSec", "t", INF);
	assert_u(&p, "CPUQuotaPeriodUSec", "t", INF);
	assert_u(&p, "IOWeight", "t", INF);
	assert_u(&p, "TasksMax", "t", INF);
	assert_true(cg_props_get(&p, "AllowedCPUs")->array);
	assert_string_equal(cg_props_get(&p, "AllowedCPUs")->types, "y");
	assert_int_equal(cg_props_get(&p, "AllowedCPUs")->n, 0);
	assert_int_equal(cg_props_get(&p, "AllowedMemoryNodes")->n, 0);
	assert_int_equal(p.n, told.n);
	cg_props_free(&told);
	cg_props_free(&p);
}

/* The access that DeviceAllow has for this name, or NULL. */
static const char *allowed(const struct cg_props *p, const char *name)
{
	const struct cg_value *v = cg_props_get(p, "DeviceAllow");

	for (size_t i = 0; v && i + 1 < v->n; i += 2)
		if (str_eq(v->v[i].s, name))
			return v->v[i + 1].s;
	return NULL;
}

static void test_devices(void **state)
{
	static const char devices[] =
		"Character devices:\n  1 mem\n136 pts\n180 usb\n\nBlock devices:\n  8 sd\n180 xx\n";
	struct spec_device_rule rules[] = {
		{ .allow = false, .access = "rwm" },
		{ .allow = true, .type = 'c', .major = SET(10), .minor = SET(229), .access = "rw" },
		{ .allow = true, .type = 'b', .major = SET(8), .access = "r" },
		{ .allow = true, .type = 'c', .major = SET(999), .access = "r" },
	};
	struct spec_resources r = { .devices = { rules, ARRAY_SIZE(rules) } };
	struct cg_props_in in = {
		.version = 252, .create = true, .r = &r, .proc_devices = devices
	};
	struct cg_props p = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(cg_props_devices(&p, &in, &e), 0);
	assert_s(&p, "DevicePolicy", "strict");
	assert_true(cg_props_get(&p, "DeviceAllow")->array &&
		    cg_props_get(&p, "DeviceAllow")->tuple);
	assert_string_equal(allowed(&p, "/dev/char/10:229"), "rw");
	assert_string_equal(allowed(&p, "block-sd"), "r");
	assert_string_equal(allowed(&p, "char-pts"), "rwm");
	assert_string_equal(allowed(&p, "/dev/char/1:3"), "rwm");
	assert_string_equal(allowed(&p, "char-*"), "m");
	assert_null(allowed(&p, "char-usb"));
	cg_props_free(&p);
	r.devices.n = 1;
	rules[0].allow = true;
	assert_int_equal(cg_props_devices(&p, &in, &e), 0);
	assert_int_equal(p.n, 0);
	cg_props_free(&p);
}

/* systemd adds to a running unit's list what it is told, and only an empty one clears it. */
static void test_devices_live(void **state)
{
	struct spec_device_rule rules[] = {
		{ .allow = false, .access = "rwm" },
		{ .allow = true, .type = 'c', .major = SET(10), .minor = SET(229), .access = "rw" },
	};
	struct spec_resources r = { .devices = { rules, ARRAY_SIZE(rules) } };
	struct cg_props_in in = { .version = 252, .create = true, .r = &r };
	struct cg_props p = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(cg_props_devices(&p, &in, &e), 0);
	assert_int_equal(p.n, 2);
	cg_props_free(&p);

	in.create = false;
	assert_int_equal(cg_props_devices(&p, &in, &e), 0);
	assert_int_equal(p.n, 3);
	assert_s(&p, "DevicePolicy", "strict");
	assert_string_equal(p.v[1].name, "DeviceAllow");
	assert_string_equal(p.v[1].value.types, "ss");
	assert_true(p.v[1].value.array && p.v[1].value.tuple);
	assert_int_equal(p.v[1].value.n, 0);
	assert_string_equal(p.v[2].name, "DeviceAllow");
	assert_string_equal(allowed(&p, "/dev/char/10:229"), "rw");
	cg_props_free(&p);

	/* No restriction any more: of the old one nothing is left. */
	rules[0].allow = true;
	r.devices.n = 1;
	assert_int_equal(cg_props_devices(&p, &in, &e), 0);
	assert_int_equal(p.n, 2);
	assert_s(&p, "DevicePolicy", "auto");
	assert_int_equal(cg_props_get(&p, "DeviceAllow")->n, 0);
	cg_props_free(&p);
}

/* ---- annotations ---- */

static int annotate(const char *key, const char *value, struct cg_props *p, struct err *e)
{
	struct spec_pair pairs[] = { { "some.thing", "else" }, { (char *)key, (char *)value } };
	struct spec_map m = { pairs, 2 };

	return cg_props_annotations(p, &m, e);
}

static void test_annotations(void **state)
{
	struct cg_props p = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(cg_props_annotations(&p, NULL, &e), 0);
	assert_int_equal(annotate("org.systemd.property.TimeoutStopSec", "uint64 7", &p, &e), 0);
	assert_u(&p, "TimeoutStopUSec", "t", 7000000);
	assert_int_equal(annotate("org.systemd.property.TimeoutStopSec", "1.5", &p, &e), 0);
	assert_u(&p, "TimeoutStopUSec", "t", 1500000);
	assert_int_equal(annotate("org.systemd.property.TimeoutStopUSec", "uint64 9", &p, &e), 0);
	assert_u(&p, "TimeoutStopUSec", "t", 9);
	assert_int_equal(
		annotate("org.systemd.property.Before", "['a.service', 'b.service']", &p, &e), 0);
	assert_int_equal(cg_props_get(&p, "Before")->n, 2);
	assert_int_equal(annotate("org.systemd.property.CollectMode", "'inactive'", &p, &e), 0);
	assert_s(&p, "CollectMode", "inactive");
	cg_props_free(&p);
}

static void test_bad_annotations(void **state)
{
	static const struct {
		const char *name, *value, *want;
	} bad[] = {
		{ "TimeoutStopSec", "-1", "not a number of seconds" },
		{ "TimeoutStopSec", "'x'", "not a number of seconds" },
		{ "TimeoutStopSec", "uint64 18446744073709551615", "not a number of seconds" },
		{ "TimeoutStopSec", "-0.5", "not a number of seconds" },
		{ "TimeoutStopSec", "[1]", "not a number of seconds" },
		{ "Some-Thing", "1", "not the name" },
		{ "", "1", "not the name" },
		{ "Delegate", "yes", "GVariant" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO_FREE char *key = str_printf("org.systemd.property.%s", bad[i].name);
		struct cg_props p = { 0 };
		struct err e = { 0 };

		assert_int_equal(annotate(key, bad[i].value, &p, &e), -EINVAL);
		if (!strstr(e.msg, bad[i].want) || !strstr(e.msg, key))
			fail_msg("%s: %s", bad[i].value, e.msg);
		cg_props_free(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),       cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_slice_path),  cmocka_unit_test(test_owned),
		cmocka_unit_test(test_unit),        cmocka_unit_test(test_resources),
		cmocka_unit_test(test_no_limits),   cmocka_unit_test(test_sets),
		cmocka_unit_test(test_needs),       cmocka_unit_test(test_unified),
		cmocka_unit_test(test_not_idle),    cmocka_unit_test(test_unset),
		cmocka_unit_test(test_devices),     cmocka_unit_test(test_devices_live),
		cmocka_unit_test(test_annotations), cmocka_unit_test(test_bad_annotations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
