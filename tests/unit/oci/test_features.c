/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/str.h"
#include "oci/features.h"
#include "oci/json.h"
#include "oci/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const char *const archs[] = { "SCMP_ARCH_X86_64", "SCMP_ARCH_X32", NULL };
static const char *const flags[] = { "SECCOMP_FILTER_FLAG_LOG", NULL };
static const char *const capabilities[] = { "CAP_CHOWN", "CAP_BPF", NULL };

static const struct features_facts facts = {
	.version = "0.1",
	.seccomp_version = "2.5.4",
	.seccomp_archs = archs,
	.seccomp_flags = flags,
	.capabilities = capabilities,
	.apparmor = true,
	.cgroup_v1 = true,
	.cgroup_v2 = true,
	.rdma = true,
	.idmap = true,
};

struct doc {
	struct arena arena;
	struct json *root;
};

static void free_doc(struct doc *d)
{
	arena_free(&d->arena);
}

static void make(const struct features_facts *f, struct doc *d)
{
	AUTO(json_out_free) struct json_out j = { .indent = 4 };
	struct err e = { 0 };

	features_out(&j, f);
	assert_false(j.buf.failed);
	if (json_parse(&d->arena, "features", j.buf.s, j.buf.len, &d->root, &e) < 0)
		fail_msg("%s", e.msg);
}

/* By a path such as "linux.seccomp.archs"; NULL when a step is missing. */
static const struct json *at(const struct doc *d, const char *path)
{
	AUTO_FREE char *copy = strdup(path);
	const struct json *v = d->root;
	char *save = NULL;

	for (char *p = strtok_r(copy, ".", &save); p && v; p = strtok_r(NULL, ".", &save))
		v = json_get(v, p);
	return v;
}

static void is_names(const struct json *v, const struct name_table *t)
{
	assert_non_null(v);
	assert_int_equal(v->n, t->n);
	for (size_t i = 0; i < t->n; i++)
		assert_string_equal(v->items[i]->text, t->rows[i].name);
}

static void is_bool(const struct doc *d, const char *path, bool want)
{
	const struct json *v = at(d, path);

	if (!v || v->type != JSON_BOOL || v->boolean != want)
		fail_msg("%s", path);
}

static void from_the_tables(void **state)
{
	AUTO(free_doc) struct doc d = { 0 };

	(void)state;
	make(&facts, &d);
	assert_string_equal(at(&d, "ociVersionMin")->text, "1.0.0");
	assert_string_equal(at(&d, "ociVersionMax")->text, "1.3.0");
	is_names(at(&d, "hooks"), &names_hooks);
	is_names(at(&d, "linux.namespaces"), &names_namespaces);
	is_names(at(&d, "linux.seccomp.actions"), &names_seccomp_actions);
	is_names(at(&d, "linux.seccomp.operators"), &names_seccomp_ops);
	is_names(at(&d, "linux.seccomp.knownFlags"), &names_seccomp_flags);
}

static void mount_options_are_sorted(void **state)
{
	AUTO(free_doc) struct doc d = { 0 };
	const struct json *v;

	(void)state;
	make(&facts, &d);
	v = at(&d, "mountOptions");
	assert_int_equal(v->n, names_mount_options_n);
	for (size_t i = 0; i < v->n; i++) {
		assert_non_null(names_mount_option(v->items[i]->text));
		if (i)
			assert_true(strcmp(v->items[i - 1]->text, v->items[i]->text) < 0);
	}
}

static void from_the_facts(void **state)
{
	AUTO(free_doc) struct doc d = { 0 };

	(void)state;
	make(&facts, &d);
	assert_int_equal(at(&d, "linux.capabilities")->n, 2);
	assert_string_equal(at(&d, "linux.capabilities")->items[1]->text, "CAP_BPF");
	is_bool(&d, "linux.cgroup.v1", true);
	is_bool(&d, "linux.cgroup.v2", true);
	is_bool(&d, "linux.cgroup.systemd", false);
	is_bool(&d, "linux.cgroup.rdma", true);
	is_bool(&d, "linux.seccomp.enabled", true);
	assert_int_equal(at(&d, "linux.seccomp.archs")->n, 2);
	assert_string_equal(at(&d, "linux.seccomp.supportedFlags")->items[0]->text, flags[0]);
	is_bool(&d, "linux.apparmor.enabled", true);
	is_bool(&d, "linux.selinux.enabled", false);
	is_bool(&d, "linux.intelRdt.enabled", false);
	is_bool(&d, "linux.intelRdt.schemata", false);
	assert_null(at(&d, "linux.memoryPolicy"));
	is_bool(&d, "linux.mountExtensions.idmap.enabled", true);
	is_bool(&d, "linux.netDevices.enabled", false);
}

static void from_other_facts(void **state)
{
	struct features_facts other = facts;
	AUTO(free_doc) struct doc d = { 0 };

	(void)state;
	other.intel_rdt = other.net_devices = other.memory_policy = true;
	make(&other, &d);
	is_bool(&d, "linux.intelRdt.enabled", true);
	is_bool(&d, "linux.intelRdt.schemata", true);
	is_bool(&d, "linux.intelRdt.monitoring", true);
	is_bool(&d, "linux.netDevices.enabled", true);
	is_names(at(&d, "linux.memoryPolicy.modes"), &names_mempolicy_modes);
	is_names(at(&d, "linux.memoryPolicy.flags"), &names_mempolicy_flags);
}

static void annotations(void **state)
{
	AUTO(free_doc) struct doc d = { 0 };
	const struct json *a, *u;

	(void)state;
	make(&facts, &d);
	a = at(&d, "annotations");
	assert_string_equal(json_get(a, "org.ctr.version")->text, "0.1");
	assert_string_equal(json_get(a, "io.github.seccomp.libseccomp.version")->text, "2.5.4");
	assert_string_equal(json_get(a, "org.opencontainers.runc.checkpoint.enabled")->text,
			    "false");
	u = at(&d, "potentiallyUnsafeConfigAnnotations");
	assert_true(u->n >= 4);
	for (size_t i = 1; i < u->n; i++)
		assert_true(strcmp(u->items[i - 1]->text, u->items[i]->text) < 0);
}

static void without_seccomp(void **state)
{
	AUTO(free_doc) struct doc d = { 0 };
	struct features_facts f = { .version = "0.1" };

	(void)state;
	make(&f, &d);
	is_bool(&d, "linux.seccomp.enabled", false);
	assert_null(at(&d, "linux.seccomp.actions"));
	assert_null(json_get(at(&d, "annotations"), "io.github.seccomp.libseccomp.version"));
	assert_int_equal(at(&d, "linux.capabilities")->n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_the_tables), cmocka_unit_test(mount_options_are_sorted),
		cmocka_unit_test(from_the_facts),  cmocka_unit_test(from_other_facts),
		cmocka_unit_test(annotations),     cmocka_unit_test(without_seccomp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
