/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/table.h"

static const struct name_value rows[] = {
	{ "one", 1 }, { "two", 2 }, { "zwei", 2 }, { "least", INT64_MIN }, { "", 0 },
};
static const struct name_table table = NAME_TABLE("number", rows);
static const struct name_table none = { .what = "nothing" };

static void test_value(void **state)
{
	int64_t v = 77;

	(void)state;
	assert_string_equal(table.what, "number");
	assert_int_equal(table.n, 5);
	assert_true(table_value(&table, "two", &v));
	assert_int_equal(v, 2);
	assert_true(table_value(&table, "zwei", &v));
	assert_int_equal(v, 2);
	assert_true(table_value(&table, "least", &v));
	assert_true(v == INT64_MIN);
	assert_true(table_value(&table, "", &v));
	assert_int_equal(v, 0);
}

/* Exact, and *value stays as it was. */
static void test_unknown(void **state)
{
	static const char *const names[] = { "One", "on", "ones", " one", "one " };
	int64_t v = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_false(table_value(&table, names[i], &v));
	assert_false(table_value(&none, "one", &v));
	assert_int_equal(v, 77);
}

static void test_name(void **state)
{
	(void)state;
	/* of two names the first */
	assert_string_equal(table_name(&table, 2), "two");
	assert_string_equal(table_name(&table, INT64_MIN), "least");
	assert_null(table_name(&table, 3));
	assert_null(table_name(&none, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_value),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
