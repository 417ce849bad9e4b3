/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/duration.h"

#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_good(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} rows[] = {
		{ "5s", 5000000000 },
		{ "500ms", 500000000 },
		{ "1m30s", 90000000000 },
		{ "1h2m3s", 3723000000000 },
		{ "1.5h", 5400000000000 },
		{ ".5s", 500000000 },
		{ "2.s", 2000000000 },
		{ "20us", 20000 },
		{ "20\302\265s", 20000 },
		{ "20\316\274s", 20000 },
		{ "7ns", 7 },
		{ "0.0000000019s", 1 },
		{ "1.9999999999s", 1999999999 },
		{ "0", 0 },
		{ "0s", 0 },
		{ "2562047h", 9223369200000000000 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t ns = -1;

		if (duration_parse(rows[i].text, &ns) < 0)
			fail_msg("\"%s\" is refused", rows[i].text);
		assert_int_equal(ns, rows[i].ns);
	}
}

static void test_bad(void **state)
{
	static const struct {
		const char *text;
		int code;
	} rows[] = {
		{ "", -EINVAL },
		{ "5", -EINVAL },
		{ "s", -EINVAL },
		{ "-5s", -EINVAL },
		{ "+5s", -EINVAL },
		{ "5 s", -EINVAL },
		{ "5x", -EINVAL },
		{ "5s0", -EINVAL },
		{ ".s", -EINVAL },
		{ "1..5s", -EINVAL },
		{ "5sx", -EINVAL },
		{ "00", -EINVAL },
		{ "5d", -EINVAL },
		{ "2562048h", -ERANGE },
		{ "99999999999999999999s", -ERANGE },
		{ "2562047h3600s", -ERANGE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t ns = -7;
		int r = duration_parse(rows[i].text, &ns);

		if (r != rows[i].code)
			fail_msg("\"%s\" gives %d", rows[i].text, r);
		assert_int_equal(ns, -7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
