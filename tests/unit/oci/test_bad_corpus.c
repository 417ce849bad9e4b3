/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every NAME.json of tests/data/bad is refused, with the text in NAME.expect in the message. With
 * CTR_OCI_SCHEMA (the schema directory of the runtime specification) its own examples are run too.
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "oci/spec.h"

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

/* False, with a line that says why, when the refusal is not the expected one. */
static bool one_bad(const char *dir, const char *name)
{
	AUTO_FREE char *path = str_printf("%s/%s", dir, name);
	AUTO_FREE char *expect_path =
		str_printf("%s/%.*s.expect", dir, (int)strlen(name) - 5, name);
	size_t len = 0, expect_len = 0;
	AUTO_FREE char *text = read_text(path, &len);
	AUTO_FREE char *expect = read_text(expect_path, &expect_len);
	AUTO_SPEC struct spec *s = NULL;
	struct err e = { 0 };

	expect[strcspn(expect, "\n")] = '\0';
	assert_true(*expect);
	if (spec_parse(text, len, &s, &e) == -EINVAL && !s && strstr(e.msg, expect))
		return true;
	print_error("%s: \"%s\" is not in \"%s\"\n", name, expect, e.msg);
	return false;
}

static void bad_corpus(void **state)
{
	AUTO_FREE char *dir = str_printf("%s/bad", getenv("CTR_TEST_DATA") ?: "tests/data");
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

static void schema_dir(const char *which, int want)
{
	const char *schema = getenv("CTR_OCI_SCHEMA");
	AUTO_FREE char *dir = NULL;
	AUTO_CLOSEDIR DIR *d = NULL;
	struct dirent *entry;
	size_t n = 0;

	if (!schema) {
		puts("# CTR_OCI_SCHEMA does not name the schema folder of the specification");
		skip();
	}
	dir = str_printf("%s/test/config/%s", schema, which);
	d = opendir(dir);
	if (!d) {
		printf("# %s is not there\n", dir);
		skip();
	}
	while ((entry = readdir(d))) {
		AUTO_SPEC struct spec *s = NULL;
		struct err e = { 0 };

		if (!str_ends(entry->d_name, ".json"))
			continue;
		n++;
		if (spec_load(dirfd(d), entry->d_name, false, &s, NULL, NULL, &e) != want)
			fail_msg("%s/%s: %s", which, entry->d_name, *e.msg ? e.msg : "accepted");
	}
	assert_true(n > 0);
}

static void schema_good(void **state)
{
	(void)state;
	schema_dir("good", 0);
}

static void schema_bad(void **state)
{
	(void)state;
	schema_dir("bad", -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_corpus),
		cmocka_unit_test(schema_good),
		cmocka_unit_test(schema_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
