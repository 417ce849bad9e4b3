/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/vm_plan.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MIB ((uint64_t)1 << 20)

/* A configuration with more members in the whole and in its "linux" object; the caller's. */
static struct spec *spec_of(const char *whole, const char *in_linux)
{
	AUTO_FREE char *text = str_printf(
		"{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\","
		"\"args\":[\"true\"],\"user\":{\"uid\":0,\"gid\":0}},\"linux\":{\"namespaces\":"
		"[{\"type\":\"mount\"},{\"type\":\"pid\"},{\"type\":\"network\"}]%s%s}%s%s}",
		*in_linux ? "," : "", in_linux, *whole ? "," : "", whole);
	struct spec *s = NULL;
	struct err e = {};

	if (spec_parse(text, strlen(text), &s, &e) < 0)
		fail_msg("%s", e.msg);
	return s;
}

static struct vm_config sizes(const char *whole, const char *in_linux, struct vm_sizes given)
{
	AUTO_SPEC struct spec *s = spec_of(whole, in_linux);
	struct vm_config c = {};
	struct err e = {};

	if (vm_plan_sizes(s, &given, &c, &e) < 0)
		fail_msg("%s", e.msg);
	return c;
}

#define VM(more) "\"vm\":{\"kernel\":{\"path\":\"/k\"" more "}}"
#define HW(more) "\"vm\":{\"kernel\":{\"path\":\"/k\"},\"hwConfig\":{" more "}}"
#define CPU(more) "\"resources\":{\"cpu\":{" more "}}"
#define MEMORY(more) "\"resources\":{\"memory\":{" more "}}"

static void test_vcpus(void **state)
{
	static const struct {
		const char *whole, *in_linux;
		unsigned int given, want;
	} rows[] = {
		{ "", "", 0, 1 },
		{ "", "", 3, 3 },
		{ "", CPU("\"quota\":100000"), 0, 1 },
		{ "", CPU("\"quota\":150000"), 0, 2 },
		{ "", CPU("\"quota\":150000,\"period\":50000"), 0, 3 },
		{ "", CPU("\"quota\":-1"), 0, 1 },
		{ "", CPU("\"cpus\":\"0-2,5\""), 0, 4 },
		{ "", CPU("\"quota\":200000,\"cpus\":\"0-2,5\""), 0, 2 },
		{ "", CPU("\"quota\":900000,\"cpus\":\"7\""), 0, 1 },
		{ "", CPU("\"quota\":90000000"), 0, VM_MAX_VCPUS },
		{ HW("\"vcpus\":4"), CPU("\"quota\":100000"), 0, 4 },
		{ HW("\"vcpus\":4"), "", 2, 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vm_config c = sizes(rows[i].whole, rows[i].in_linux,
					   (struct vm_sizes){ .vcpus = rows[i].given });

		if (c.vcpus != rows[i].want)
			fail_msg("row %zu: %u vCPUs", i, c.vcpus);
	}
}

static void test_memory(void **state)
{
	static const struct {
		const char *whole, *in_linux;
		uint64_t given, want_mib;
	} rows[] = {
		{ "", "", 0, VM_MEMORY_DEFAULT_MIB },
		{ "", "", 256 * MIB, 256 },
		{ "", "", 256 * MIB + 1, 258 },
		{ "", MEMORY("\"limit\":-1"), 0, VM_MEMORY_DEFAULT_MIB },
		{ "", MEMORY("\"limit\":104857600"), 0, 100 + VM_GUEST_OVERHEAD_MIB },
		{ "", MEMORY("\"limit\":4096"), 0, 2 + VM_GUEST_OVERHEAD_MIB },
		{ HW("\"memory\":134217728"), MEMORY("\"limit\":104857600"), 0, 128 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vm_config c = sizes(rows[i].whole, rows[i].in_linux,
					   (struct vm_sizes){ .memory = rows[i].given });

		if (c.memory != rows[i].want_mib * MIB)
			fail_msg("row %zu: %llu bytes", i, (unsigned long long)c.memory);
	}
}

static void test_bad_sizes(void **state)
{
	static const struct {
		const char *whole;
		struct vm_sizes given;
		const char *text;
	} rows[] = {
		{ HW("\"vcpus\":65"), {}, "vm.hwConfig.vcpus: 65" },
		{ "", { .vcpus = 65 }, "--vcpus: 65" },
		{ HW("\"memory\":1048576"), {}, "vm.hwConfig.memory: 1048576 bytes: no kernel" },
		{ "", { .memory = 1 }, "--vm-memory: 1 bytes: no kernel" },
		{ HW("\"memory\":18446744073709551615"), {}, "vm.hwConfig.memory: 1844" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_SPEC struct spec *s = spec_of(rows[i].whole, "");
		struct vm_config c = {};
		struct err e = {};

		assert_int_equal(vm_plan_sizes(s, &rows[i].given, &c, &e), -ERANGE);
		if (!str_after(e.msg, rows[i].text))
			fail_msg("row %zu: %s", i, e.msg);
	}
}

static void test_cmdline(void **state)
{
	AUTO_SPEC struct spec *s = spec_of(VM(",\"parameters\":[\"a=b\",\"quux\"]"), "");
	AUTO_SPEC struct spec *bad = spec_of(VM(",\"parameters\":[\"a\\nb\"]"), "");
	AUTO_FREE char *quiet = NULL, *loud = NULL, *none = NULL;
	struct err e = {};

	(void)state;
	assert_int_equal(vm_plan_cmdline(s, false, &quiet, &e), 0);
	assert_true(str_ends(quiet, " quiet a=b quux"));
	assert_non_null(strstr(quiet, "panic=-1 oops=panic reboot=t"));
	assert_int_equal(vm_plan_cmdline(s, true, &loud, &e), 0);
	assert_null(strstr(loud, "quiet"));
	assert_int_equal(vm_plan_cmdline(bad, false, &none, &e), -EINVAL);
	assert_non_null(str_after(e.msg, "vm.kernel.parameters[0]: "));
}

/* Every one of them is refused with its own path. */
static void test_refused(void **state)
{
	static const struct {
		const char *whole, *in_linux, *text;
	} rows[] = {
		{ "", "\"intelRdt\":{\"closID\":\"x\"}", "linux.intelRdt: " },
		{ "", "\"memoryPolicy\":{\"mode\":\"MPOL_DEFAULT\"}", "linux.memoryPolicy: " },
		{ "", "\"netDevices\":{\"eth7\":{}}", "linux.netDevices: " },
		{ "", "\"mountLabel\":\"x\"", "linux.mountLabel: " },
		{ "",
		  "\"devices\":[{\"path\":\"/dev/null\",\"type\":\"c\",\"major\":1,\"minor\":3},"
		  "{\"path\":\"/dev/loop0\",\"type\":\"b\",\"major\":7,\"minor\":0}]",
		  "linux.devices[1]: /dev/loop0 (b 7:0)" },
		{ "\"mounts\":[{\"destination\":\"/a\",\"type\":\"ext4\",\"source\":\"/dev/sda\"}]",
		  "", "mounts[0].type: \"ext4\"" },
		{ "\"mounts\":[{\"destination\":\"/a\",\"source\":\"/b\",\"options\":[\"bind\"],"
		  "\"uidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":1}],"
		  "\"gidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":1}]}]",
		  "", "mounts[0]: id mappings" },
		{ HW("\"deviceTree\":\"/a\""), "", "vm.hwConfig.deviceTree: " },
		{ HW("\"dtdevs\":[\"a\"]"), "", "vm.hwConfig.dtdevs: " },
		{ HW("\"irqs\":[1]"), "", "vm.hwConfig.irqs: " },
		{ HW("\"iomems\":[{\"firstMFN\":1,\"nrMFNs\":1}]"), "", "vm.hwConfig.iomems: " },
		{ "\"vm\":{\"kernel\":{\"path\":\"/k\"},\"image\":{\"path\":\"/i\",\"format\":"
		  "\"qcow2\"}}",
		  "", "vm.image.format: \"qcow2\"" },
		{ "\"vm\":{\"kernel\":{\"path\":\"/k\"},\"hypervisor\":{\"path\":\"/usr/bin/xen\"}}",
		  "", "vm.hypervisor.path: /usr/bin/xen: " },
		{ "\"vm\":{\"kernel\":{\"path\":\"/k\"},\"hypervisor\":{\"path\":"
		  "\"/usr/bin/qemu-system-x86_64\",\"parameters\":[\"-drive\",\"file=/etc/shadow\"]}}",
		  "", "vm.hypervisor.parameters[0]: \"-drive\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_SPEC struct spec *s = spec_of(rows[i].whole, rows[i].in_linux);
		struct err e = {};

		assert_true(vm_plan_check(s, &e) < 0);
		if (!str_after(e.msg, rows[i].text))
			fail_msg("row %zu: %s", i, e.msg);
	}
}

static void test_namespace_paths(void **state)
{
	static const char text[] =
		"{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\","
		"\"args\":[\"true\"],\"user\":{\"uid\":0,\"gid\":0}},\"linux\":{\"namespaces\":["
		"{\"type\":\"mount\"},{\"type\":\"%s\",\"path\":\"/proc/1/ns/x\"}]}}";
	static const char *const kinds[] = { "pid", "ipc", "uts", "network" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		AUTO_SPEC struct spec *s = NULL;
		struct err e = {};
		char json[512];

		snprintf(json, sizeof(json), text, kinds[i]);
		assert_int_equal(spec_parse(json, strlen(json), &s, &e), 0);
		assert_int_equal(vm_plan_check(s, &e), str_eq(kinds[i], "network") ? 0 : -ENOTSUP);
	}
}

static void test_accepted(void **state)
{
	AUTO_SPEC struct spec *s = spec_of(
		"\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
		"{\"destination\":\"/a\",\"type\":\"none\",\"source\":\"/b\",\"options\":[\"rbind\","
		"\"ro\"]}]," HW("\"vcpus\":1"),
		"\"devices\":[{\"path\":\"/dev/p\",\"type\":\"p\"}]");
	struct err e = {};

	(void)state;
	if (vm_plan_check(s, &e) < 0)
		fail_msg("%s", e.msg);
}

static void test_host_resources(void **state)
{
	AUTO_SPEC struct spec *s =
		spec_of("",
			"\"resources\":{\"cpu\":{\"quota\":50000},\"pids\":{\"limit\":10},"
			"\"memory\":{\"limit\":104857600},\"unified\":{\"memory.high\":\"1\"}}");
	struct vm_config c = { .memory = 256 * MIB, .vcpus = 2 };
	const struct spec_resources *r;
	struct err e = {};

	(void)state;
	r = vm_plan_host_resources(s, &c, true, true, &e);
	assert_non_null(r);
	assert_int_equal(
		r->memory->limit.v,
		(int64_t)((256 + 256 / VM_HOST_OVERHEAD_PART + VM_HOST_OVERHEAD_MIB) * MIB));
	assert_int_equal(r->cpu->quota.v, 50000);
	assert_true(r->pids_limit.v > 10);
	assert_int_equal(r->unified.n, 0);
	assert_false(r->devices.v[0].allow);
	c.qemu = "/q";
	r = vm_plan_host_resources(s, &c, true, true, &e);
	assert_int_equal(
		r->memory->limit.v,
		(int64_t)((256 + 256 / VM_HOST_OVERHEAD_PART + VM_HOST_OVERHEAD_QEMU_MIB) * MIB));
	r = vm_plan_host_resources(s, &c, false, false, &e);
	assert_null(r->memory);
	assert_int_equal(r->devices.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vcpus),     cmocka_unit_test(test_memory),
		cmocka_unit_test(test_bad_sizes), cmocka_unit_test(test_cmdline),
		cmocka_unit_test(test_refused),   cmocka_unit_test(test_namespace_paths),
		cmocka_unit_test(test_accepted),  cmocka_unit_test(test_host_resources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
