/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"

#include <errno.h>
#include <stdlib.h>

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))

static void test_ends(void **state)
{
	(void)state;
	assert_string_equal(str_after("prefix:rest", "prefix:"), "rest");
	assert_string_equal(str_after("same", "same"), "");
	assert_string_equal(str_after("any", ""), "any");
	assert_null(str_after("pre", "prefix"));
	assert_null(str_after("", "x"));
	assert_true(str_ends("a.service", ".service"));
	assert_true(str_ends("x", ""));
	assert_true(str_ends("same", "same"));
	assert_false(str_ends("same", "a same"));
	assert_false(str_ends("", "x"));
	assert_true(str_eq("a", "a"));
	assert_false(str_eq("a", "A"));
}

static void test_u64(void **state)
{
	static const struct {
		const char *s;
		uint64_t max;
		int r;
		uint64_t v;
	} rows[] = {
		{ "0", UINT64_MAX, 0, 0 },
		{ "42", UINT64_MAX, 0, 42 },
		{ "0042", UINT64_MAX, 0, 42 },
		{ "18446744073709551615", UINT64_MAX, 0, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, -ERANGE, 0 },
		{ "18446744073709551620", UINT64_MAX, -ERANGE, 0 },
		{ "99999999999999999999999999999999", UINT64_MAX, -ERANGE, 0 },
		{ "00000000000000000000000000000001", UINT64_MAX, 0, 1 },
		{ "256", 255, -ERANGE, 0 },
		{ "255", 255, 0, 255 },
		{ "1", 0, -ERANGE, 0 },
		{ "", UINT64_MAX, -EINVAL, 0 },
		{ " 1", UINT64_MAX, -EINVAL, 0 },
		{ "1 ", UINT64_MAX, -EINVAL, 0 },
		{ "1\n", UINT64_MAX, -EINVAL, 0 },
		{ "+1", UINT64_MAX, -EINVAL, 0 },
		{ "-1", UINT64_MAX, -EINVAL, 0 },
		{ "-0", UINT64_MAX, -EINVAL, 0 },
		{ "0x10", UINT64_MAX, -EINVAL, 0 },
		{ "1e3", UINT64_MAX, -EINVAL, 0 },
		{ "1.0", UINT64_MAX, -EINVAL, 0 },
		{ "1x", UINT64_MAX, -EINVAL, 0 },
		{ "x", UINT64_MAX, -EINVAL, 0 },
		{ "\xd9\xa1", UINT64_MAX, -EINVAL, 0 }, /* an Arabic digit */
		/* not a number is said before too large */
		{ "99999999999999999999999x", UINT64_MAX, -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		uint64_t v = 777;

		if (str_to_u64(rows[i].s, rows[i].max, &v) != rows[i].r)
			fail_msg("\"%s\"", rows[i].s);
		assert_true(v == (rows[i].r ? 777 : rows[i].v));
	}
}

static void test_i64(void **state)
{
	static const struct {
		const char *s;
		int64_t min, max;
		int r;
		int64_t v;
	} rows[] = {
		{ "0", INT64_MIN, INT64_MAX, 0, 0 },
		{ "-0", INT64_MIN, INT64_MAX, 0, 0 },
		{ "-1", INT64_MIN, INT64_MAX, 0, -1 },
		{ "9223372036854775807", INT64_MIN, INT64_MAX, 0, INT64_MAX },
		{ "9223372036854775808", INT64_MIN, INT64_MAX, -ERANGE, 0 },
		{ "-9223372036854775808", INT64_MIN, INT64_MAX, 0, INT64_MIN },
		{ "-9223372036854775809", INT64_MIN, INT64_MAX, -ERANGE, 0 },
		{ "-18446744073709551617", INT64_MIN, INT64_MAX, -ERANGE, 0 },
		{ "-1001", -1000, 1000, -ERANGE, 0 },
		{ "-1000", -1000, 1000, 0, -1000 },
		{ "1001", -1000, 1000, -ERANGE, 0 },
		{ "5", 6, 7, -ERANGE, 0 },
		{ "", INT64_MIN, INT64_MAX, -EINVAL, 0 },
		{ "-", INT64_MIN, INT64_MAX, -EINVAL, 0 },
		{ "--1", INT64_MIN, INT64_MAX, -EINVAL, 0 },
		{ "+1", INT64_MIN, INT64_MAX, -EINVAL, 0 },
		{ "-+1", INT64_MIN, INT64_MAX, -EINVAL, 0 },
		{ "- 1", INT64_MIN, INT64_MAX, -EINVAL, 0 },
		{ "1-", INT64_MIN, INT64_MAX, -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		int64_t v = 777;

		if (str_to_i64(rows[i].s, rows[i].min, rows[i].max, &v) != rows[i].r)
			fail_msg("\"%s\"", rows[i].s);
		assert_true(v == (rows[i].r ? 777 : rows[i].v));
	}
}

struct size_row {
	const char *s;
	int r;
	int64_t v;
};

static void check_sizes(const struct size_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int64_t v = 777;

		if (str_to_size(rows[i].s, &v) != rows[i].r)
			fail_msg("\"%s\"", rows[i].s);
		if (v != (rows[i].r ? 777 : rows[i].v))
			fail_msg("\"%s\" gave %lld", rows[i].s, (long long)v);
	}
}

static void test_size(void **state)
{
	static const struct size_row rows[] = {
		{ "0", 0, 0 },
		{ "1024", 0, 1024 },
		{ "1b", 0, 1 },
		{ "1k", 0, 1 << 10 },
		{ "1K", 0, 1 << 10 },
		{ "1kb", 0, 1 << 10 },
		{ "1KiB", 0, 1 << 10 },
		{ "512m", 0, 512ll << 20 },
		{ "2G", 0, 2ll << 30 },
		{ "2gib", 0, 2ll << 30 },
		{ "3T", 0, 3ll << 40 },
		{ "-1", 0, -1 },
		{ "9223372036854775807", 0, INT64_MAX },
		{ "9223372036854775807b", 0, INT64_MAX },
		{ "9223372036854775808", -ERANGE, 0 },
		{ "8388607t", 0, 8388607ll << 40 },
		{ "8388608t", -ERANGE, 0 },
		{ "9007199254740991k", 0, 9007199254740991ll << 10 },
		{ "9007199254740992k", -ERANGE, 0 },
		{ "99999999999999999999999999", -ERANGE, 0 },
		{ "99999999999999999999999k", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "m", -EINVAL, 0 },
		{ "-2", -EINVAL, 0 },
		{ "-1k", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ " 1k", -EINVAL, 0 },
		{ "1 k", -EINVAL, 0 },
		{ "1k ", -EINVAL, 0 },
		{ "1ki", -EINVAL, 0 },
		{ "1bb", -EINVAL, 0 },
		{ "1bib", -EINVAL, 0 },
		{ "1kk", -EINVAL, 0 },
		{ "1p", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 },
	};

	(void)state;
	check_sizes(rows, ROWS(rows));
}

static void test_size_fraction(void **state)
{
	static const struct size_row rows[] = {
		{ "1.5g", 0, 3LL << 29 },
		{ "0.5KiB", 0, 512 },
		{ "1.0000001t", 0, 1LL << 40 },
		{ "8388606.5t", 0, (8388606LL << 40) + (1LL << 39) },
		{ "8388607.5t", -ERANGE, 0 },
		{ "1.5", -EINVAL, 0 },
		{ "1.5b", -EINVAL, 0 },
		{ "1.g", -EINVAL, 0 },
		{ ".5g", -EINVAL, 0 },
		{ "1.5.5g", -EINVAL, 0 },
	};

	(void)state;
	check_sizes(rows, ROWS(rows));
}

static void test_printf(void **state)
{
	char *s = str_printf("%s-%d", "a", 7);

	(void)state;
	assert_string_equal(s, "a-7");
	free(s);
	s = str_printf("%s", "");
	assert_string_equal(s, "");
	free(s);
}

static void test_buf(void **state)
{
	struct str_buf b = { 0 };
	size_t want = 0;

	(void)state;
	str_buf_free(&b);
	str_buf_add(&b, "");
	assert_string_equal(b.s, "");
	for (int i = 0; i < 1000; i++) {
		str_buf_addf(&b, "%03d", i);
		want += 3;
		assert_int_equal(b.len, want);
		assert_int_equal(strlen(b.s), want);
		assert_true(b.cap > b.len);
	}
	assert_memory_equal(b.s + 2997, "999", 4);
	str_buf_addn(&b, "a\0b", 3);
	assert_int_equal(b.len, want + 3);
	assert_memory_equal(b.s + want, "a\0b", 4);
	assert_false(b.failed);
	str_buf_free(&b);
	assert_null(b.s);
	assert_int_equal(b.len, 0);
	str_buf_free(&b);
}

/* After a failure nothing is added any more, and what was there is still there. */
static void test_buf_failed(void **state)
{
	struct str_buf b = { 0 };

	(void)state;
	str_buf_add(&b, "kept");
	b.failed = true;
	str_buf_add(&b, "lost");
	str_buf_addf(&b, "%d", 7);
	assert_string_equal(b.s, "kept");
	assert_true(b.failed);
	str_buf_free(&b);
	assert_false(b.failed);
}

static void test_list(void **state)
{
	struct str_list l = { 0 };
	char word[8] = "first";

	(void)state;
	str_list_free(&l);
	assert_int_equal(str_list_add(&l, word), 0);
	word[0] = 'x'; /* a copy was taken */
	for (int i = 1; i < 100; i++)
		assert_int_equal(str_list_add(&l, "more"), 0);
	assert_int_equal(l.n, 100);
	assert_string_equal(l.v[0], "first");
	assert_string_equal(l.v[99], "more");
	assert_null(l.v[100]);
	str_list_free(&l);
	assert_null(l.v);
	assert_int_equal(l.n, 0);
	str_list_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),          cmocka_unit_test(test_u64),
		cmocka_unit_test(test_i64),           cmocka_unit_test(test_size),
		cmocka_unit_test(test_size_fraction), cmocka_unit_test(test_printf),
		cmocka_unit_test(test_buf),           cmocka_unit_test(test_buf_failed),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
