/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All mistakes at once: the corpus of bad files seen by spec_check, several mistakes in one
 * document, nothing that only follows from another mistake, and the fields that a document has.
 */
#include "oci/spec_check.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static char *read_text(const char *path, size_t *len)
{
	char *text = NULL;

	if (io_read_file(AT_FDCWD, path, SPEC_MAX_BYTES, &text, len) < 0)
		fail_msg("cannot read %s", path);
	return text;
}

static const char *data_dir(void)
{
	return getenv("CTR_TEST_DATA") ?: "tests/data";
}

static bool told(const struct spec_check *k, const char *expect)
{
	char line[2048];

	for (size_t i = 0; i < k->n; i++) {
		const struct spec_problem *p = &k->problems[i];

		snprintf(line, sizeof(line), "config.json: %s%s%s", p->path, *p->path ? ": " : "",
			 p->reason);
		if (strstr(line, expect))
			return true;
	}
	return false;
}

static void print_all(const char *name, const struct spec_check *k)
{
	print_error("%s: %zu problems\n", name, k->n);
	for (size_t i = 0; i < k->n; i++)
		print_error("    %s: %s\n", k->problems[i].path, k->problems[i].reason);
}

/* Each file has one mistake, so that one line must come of it, the expected one. */
static bool one_bad(const char *dir, const char *name)
{
	AUTO_FREE char *path = str_printf("%s/%s", dir, name);
	AUTO_FREE char *expect_path =
		str_printf("%s/%.*s.expect", dir, (int)strlen(name) - 5, name);
	AUTO(spec_check_free) struct spec_check k = {};
	AUTO_SPEC struct spec *s = NULL;
	AUTO_FREE char *text = NULL, *expect = NULL;
	size_t len = 0, n = 0;
	struct err e = {};
	bool good;

	text = read_text(path, &len);
	expect = read_text(expect_path, &n);
	expect[strcspn(expect, "\n")] = '\0';
	assert_int_equal(spec_check(&k, text, len, &s, &e), 0);
	good = k.n == 1 && told(&k, expect);
	if (!good) {
		print_all(name, &k);
		print_error("    expected: %s\n", expect);
	}
	return good;
}

static void bad_corpus(void **state)
{
	AUTO_FREE char *dir = str_printf("%s/bad", data_dir());
	AUTO_CLOSEDIR DIR *d = opendir(dir);
	struct dirent *entry;
	size_t n = 0, wrong = 0;

	(void)state;
	if (!d)
		fail_msg("cannot open %s: run from the top of the tree or set CTR_TEST_DATA", dir);
	while ((entry = readdir(d))) {
		if (!str_ends(entry->d_name, ".json"))
			continue;
		wrong += !one_bad(dir, entry->d_name);
		n++;
	}
	assert_int_equal(wrong, 0);
	assert_true(n > 200);
}

/* A document and the "PATH: REASON" that must come of it, in any order, and nothing else. */
static void expect_problems(const char *text, const char *const *want)
{
	AUTO(spec_check_free) struct spec_check k = {};
	AUTO_SPEC struct spec *s = NULL;
	struct err e = {};
	size_t n = 0;

	assert_int_equal(spec_check(&k, text, strlen(text), &s, &e), 0);
	for (; want[n]; n++) {
		if (told(&k, want[n]))
			continue;
		print_all("document", &k);
		fail_msg("not told: %s", want[n]);
	}
	if (k.n != n)
		print_all("document", &k);
	assert_int_equal(k.n, n);
}

#define EXPECT(text, ...) expect_problems(text, (const char *const[]){ __VA_ARGS__, NULL })

static void several(void **state)
{
	(void)state;
	EXPECT("{\"ociVersion\":\"1.3.0\",\"hostname\":\"h\","
	       "\"process\":{\"cwd\":\"tmp\",\"args\":[\"sh\"],"
	       "\"capabilities\":{\"bounding\":[\"CAP_CHOWN\",\"CAP_X\",\"CAP_Y\"]},"
	       "\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1},"
	       "{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1}]},"
	       "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}],"
	       "\"resources\":{\"pids\":{\"limit\":1.5}}}}",
	       "process.cwd: not an absolute path: \"tmp\"",
	       "process.capabilities.bounding[1]: unknown capability \"CAP_X\"",
	       "process.capabilities.bounding[2]: unknown capability \"CAP_Y\"",
	       "process.rlimits[1].type: duplicate RLIMIT_CPU",
	       "linux.namespaces[1].type: duplicate namespace \"pid\"",
	       "linux.resources.pids.limit: must be an integer: 1.5");
}

static void rules_after_mistakes(void **state)
{
	(void)state;
	/* The rules of a sub-tree are still looked at when another one is broken, and the other
	 * way. */
	EXPECT("{\"ociVersion\":1,\"hostname\":\"h\",\"linux\":{\"namespaces\":[],"
	       "\"sysctl\":{\"vm.x\":\"1\",\"net.y\":\"1\"}}}",
	       "ociVersion: must be a string, not a number",
	       "hostname: needs the namespace \"uts\"",
	       "linux.sysctl[\"vm.x\"]: belongs to no namespace", "linux.sysctl[\"net.y\"]: needs");
	EXPECT("{\"ociVersion\":\"1.0.0\",\"process\":{\"cwd\":\"/\",\"args\":[\"x\"],\"scheduler\":"
	       "{\"policy\":\"SCHED_OTHER\",\"priority\":1,\"runtime\":2,\"period\":3}}}",
	       "process.scheduler.priority: has no meaning", "process.scheduler.runtime: has no",
	       "process.scheduler.period: has no");
	EXPECT("{\"ociVersion\":\"1.0.0\",\"a\":1,\"a\":2,\"root\":{\"path\":\"a\\u0000b\"}}",
	       "a: duplicate key", "root.path: string with a NUL character");
}

static void nothing_that_follows(void **state)
{
	(void)state;
	/* What the namespaces would be is not known. */
	EXPECT("{\"ociVersion\":\"1.0.0\",\"hostname\":\"h\",\"mounts\":[{\"destination\":\"/x\"}],"
	       "\"linux\":{\"namespaces\":[{\"type\":\"mnt\"}]}}",
	       "linux.namespaces[0].type: unknown namespace \"mnt\"");
	EXPECT("{\"ociVersion\":\"1.0.0\",\"process\":{\"cwd\":\"/\",\"args\":\"sh\"}}",
	       "process.args: must be an array, not a string");
	EXPECT("{\"ociVersion\":\"1.0.0\",\"process\":\"sh\"}",
	       "process: must be an object, not a string");
	EXPECT("{\"ociVersion\":\"1.0.0\",\"process\":{\"cwd\":\"/\",\"args\":[\"sh\"],\"user\":"
	       "{\"uid\":\"root\",\"additionalGids\":[-1]}},\"linux\":{\"namespaces\":[{\"type\":\"user\"}],"
	       "\"uidMappings\":[{\"containerID\":7,\"hostID\":7,\"size\":0}],"
	       "\"gidMappings\":[{\"containerID\":7,\"hostID\":7,\"size\":\"1\"}]}}",
	       "process.user.uid: must be a number", "process.user.additionalGids[0]: out of range",
	       "linux.uidMappings[0].size: out of range",
	       "linux.gidMappings[0].size: must be a number");
}

static void no_document(void **state)
{
	AUTO(spec_check_free) struct spec_check k = {};
	AUTO_SPEC struct spec *s = NULL;
	struct err e = {};

	(void)state;
	assert_int_equal(spec_check(&k, "{\"a\":", 5, &s, &e), 0);
	assert_null(s);
	assert_int_equal(k.n, 1);
	assert_string_equal(k.problems[0].path, "");
	assert_non_null(strstr(k.problems[0].reason, "config.json:1:"));
	assert_int_equal(spec_check(&k, "x", SPEC_MAX_BYTES + 1, &s, &e), -EFBIG);
}

static void keep(void *arg, const char *field)
{
	spec_check_add(arg, field, "");
}

/* The tables that read a document and the list of all fields are the same. */
static void fields(void **state)
{
	AUTO_FREE char *path = str_printf("%s/good/everything.json", data_dir());
	AUTO(spec_check_free) struct spec_check k = {}, all = {};
	AUTO_SPEC struct spec *s = NULL;
	AUTO_FREE char *text = NULL;
	struct err e = {};
	size_t len;

	(void)state;
	text = read_text(path, &len);
	assert_int_equal(spec_check(&k, text, len, &s, &e), 0);
	assert_int_equal(k.n, 0);
	assert_non_null(s);
	assert_true(spec_check_has_field(&k, "linux.resources.rdma.*.hcaHandles"));
	assert_true(spec_check_has_field(&k, "linux.devices[].path"));
	assert_false(spec_check_has_field(&k, "linux.devices[0].path"));
	spec_each_field(keep, &all);
	for (size_t i = 0; i < k.n_fields; i++) {
		size_t n = 0;

		while (n < all.n && !str_eq(all.problems[n].path, k.fields[i]))
			n++;
		if (n == all.n)
			fail_msg("not in the list of all fields: %s", k.fields[i]);
	}
}

/* Every property of the specification's schema has a row in the tables. */
static void schema_fields(void **state)
{
	AUTO_FREE char *path = str_printf("%s/schema-fields.txt", data_dir());
	AUTO(spec_check_free) struct spec_check all = {};
	AUTO_FREE char *text = NULL;
	size_t len, n = 0;
	char *rest = NULL;

	(void)state;
	text = read_text(path, &len);
	spec_each_field(keep, &all);
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		size_t i = 0;

		if (*line == '#')
			continue;
		while (i < all.n && !str_eq(all.problems[i].path, line))
			i++;
		if (i == all.n)
			fail_msg("no row for %s", line);
		n++;
	}
	assert_true(n > 150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_corpus),           cmocka_unit_test(several),
		cmocka_unit_test(rules_after_mistakes), cmocka_unit_test(nothing_that_follows),
		cmocka_unit_test(no_document),          cmocka_unit_test(fields),
		cmocka_unit_test(schema_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
