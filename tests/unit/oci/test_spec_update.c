/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/spec_update.h"

#include "base/cleanup.h"
#include "oci/spec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* base with change in it, without blanks and line ends; the caller's until the next call. */
static const char *merged(enum spec_update_base kind, const char *base, const char *change)
{
	static char text[4096];
	AUTO_FREE char *out = NULL;
	struct err e = { 0 };
	size_t len, n = 0;

	if (spec_update_merge(kind, base, strlen(base), change, strlen(change), &out, &len, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(strlen(out), len);
	for (const char *p = out; *p && n < sizeof(text) - 1; p++)
		if (*p != ' ' && *p != '\n')
			text[n++] = *p;
	text[n] = '\0';
	return text;
}

#define RES(base, change) merged(SPEC_UPDATE_RESOURCES, base, change)

static void test_members(void **state)
{
	(void)state;
	assert_string_equal(RES("{\"memory\":{\"limit\":5,\"swap\":9}}",
				"{\"memory\":{\"limit\":7}}"),
			    "{\"memory\":{\"limit\":7,\"swap\":9}}");
	assert_string_equal(RES("{\"cpu\":{\"quota\":5}}", "{\"pids\":{\"limit\":0}}"),
			    "{\"cpu\":{\"quota\":5},\"pids\":{\"limit\":0}}");
	assert_string_equal(RES("{}", "{\"cpu\":{\"cpus\":\"0-1\"}}"),
			    "{\"cpu\":{\"cpus\":\"0-1\"}}");
	/* What the table does not know is taken over, too. */
	assert_string_equal(RES("{\"new\":1}", "{\"new\":{\"x\":[1]}}"), "{\"new\":{\"x\":[1]}}");
}

/* Callers send 0 and "" for what they have no value for. */
static void test_not_given(void **state)
{
	(void)state;
	assert_string_equal(
		RES("{\"memory\":{\"limit\":5},\"cpu\":{\"shares\":3,\"cpus\":\"0\",\"idle\":1}}",
		    "{\"memory\":{\"limit\":0,\"swappiness\":0},\"cpu\":{\"shares\":0,\"cpus\":\"\","
		    "\"idle\":0},\"blockIO\":null}"),
		"{\"memory\":{\"limit\":5,\"swappiness\":0},\"cpu\":{\"shares\":3,\"cpus\":\"0\","
		"\"idle\":0}}");
}

static void test_lists(void **state)
{
	(void)state;
	assert_string_equal(
		RES("{\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":1},"
		    "{\"major\":8,\"minor\":16,\"rate\":2}]}}",
		    "{\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":16,\"rate\":9},"
		    "{\"major\":7,\"minor\":0,\"rate\":3}]}}"),
		"{\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":1},"
		"{\"major\":8,\"minor\":16,\"rate\":9},{\"major\":7,\"minor\":0,\"rate\":3}]}}");
	assert_string_equal(RES("{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":1}]}",
				"{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":2},"
				"{\"pageSize\":\"1GB\",\"limit\":3}]}"),
			    "{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":2},"
			    "{\"pageSize\":\"1GB\",\"limit\":3}]}");
	/* The order of device rules means something: a list is one thing. */
	assert_string_equal(RES("{\"devices\":[{\"allow\":false}]}",
				"{\"devices\":[{\"allow\":true}]}"),
			    "{\"devices\":[{\"allow\":true}]}");
	/* Nothing is dropped silently: parsing the result refuses it. */
	assert_string_equal(RES("{\"hugepageLimits\":[]}", "{\"hugepageLimits\":[1]}"),
			    "{\"hugepageLimits\":[1]}");
}

static int leave(const char *text, char **out)
{
	struct err e;
	size_t len;

	return spec_update_leave_devices(text, strlen(text), out, &len, &e);
}

static void test_leave_devices(void **state)
{
	AUTO_FREE char *with = NULL, *none = NULL;

	(void)state;
	assert_int_equal(leave("{\"devices\":[{\"allow\":false}],\"cpu\":{}}", &with), 1);
	assert_non_null(strstr(with, "\"cpu\""));
	assert_null(strstr(with, "allow"));
	assert_int_equal(leave("{\"devices\":[{\"allow\":false}],\"cpu\":null}", &none), 0);
	assert_int_equal(leave("{\"cpu\":{}}", &none), 0);
	assert_int_equal(leave("[]", &none), -EINVAL);
	assert_null(none);
}

static void test_maps(void **state)
{
	(void)state;
	assert_string_equal(
		RES("{\"unified\":{\"memory.high\":\"1\",\"a.b\":\"2\"},\"rdma\":{\"x\":{\"hcaHandles\":1}}}",
		    "{\"unified\":{\"memory.high\":\"3\"},\"rdma\":{\"y\":{\"hcaObjects\":4}}}"),
		"{\"unified\":{\"memory.high\":\"3\",\"a.b\":\"2\"},\"rdma\":{\"x\":{\"hcaHandles\":1},"
		"\"y\":{\"hcaObjects\":4}}}");
	/* Of a device that has limits, those that are not asked for stay, and "null" asks nothing. */
	assert_string_equal(RES("{\"rdma\":{\"x\":{\"hcaHandles\":1,\"hcaObjects\":2}}}",
				"{\"rdma\":{\"x\":{\"hcaObjects\":3,\"hcaHandles\":null}}}"),
			    "{\"rdma\":{\"x\":{\"hcaHandles\":1,\"hcaObjects\":3}}}");
	assert_string_equal(
		RES("{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":0,\"weight\":10,"
		    "\"leafWeight\":20}]}}",
		    "{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":0,\"weight\":30}]}}"),
		"{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":0,\"weight\":30,"
		"\"leafWeight\":20}]}}");
}

static void test_no_limit_takes_swap_along(void **state)
{
	const char *base = "{\"memory\":{\"limit\":5,\"swap\":9}}";

	(void)state;
	assert_string_equal(RES(base, "{\"memory\":{\"limit\":-1}}"),
			    "{\"memory\":{\"limit\":-1,\"swap\":-1}}");
	assert_string_equal(RES(base, "{\"memory\":{\"limit\":-1,\"swap\":0}}"),
			    "{\"memory\":{\"limit\":-1,\"swap\":-1}}");
	/* Said so: the kernel, or the check of the whole, has the last word. */
	assert_string_equal(RES(base, "{\"memory\":{\"limit\":-1,\"swap\":7}}"),
			    "{\"memory\":{\"limit\":-1,\"swap\":7}}");
	assert_string_equal(RES("{}", "{\"memory\":{\"limit\":-1}}"),
			    "{\"memory\":{\"limit\":-1}}");
}

static void test_config(void **state)
{
	(void)state;
	assert_string_equal(merged(SPEC_UPDATE_CONFIG, "{\"ociVersion\":\"1.0.0\",\"x\":1.50}",
				   "{\"pids\":{\"limit\":4}}"),
			    "{\"ociVersion\":\"1.0.0\",\"x\":1.50,\"linux\":{\"resources\":"
			    "{\"pids\":{\"limit\":4}}}}");
}

static void refused(enum spec_update_base kind, const char *base, const char *change,
		    const char *want)
{
	char *out = NULL;
	struct err e = { 0 };
	size_t len;

	assert_int_equal(spec_update_merge(kind, base, strlen(base), change, strlen(change), &out,
					   &len, &e),
			 -EINVAL);
	assert_null(out);
	if (!strstr(e.msg, want))
		fail_msg("\"%s\" does not say \"%s\"", e.msg, want);
}

static void test_refused(void **state)
{
	(void)state;
	refused(SPEC_UPDATE_RESOURCES, "{}", "[]", "resources: not an object");
	refused(SPEC_UPDATE_RESOURCES, "{}", "{\"cpu\":", "resources");
	refused(SPEC_UPDATE_CONFIG, "{\"linux\":[]}", "{}", "linux: not an object");
	refused(SPEC_UPDATE_CONFIG, "{\"linux\":{\"resources\":3}}", "{}",
		"resources: not an object");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_not_given),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_leave_devices),
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_no_limit_takes_swap_along),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
