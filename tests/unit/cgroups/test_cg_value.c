/* SPDX-License-Identifier: Apache-2.0 */
/* GVariant's text form, as annotations hold it. */
#include "cgroups/cg_value.h"

#include "base/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The value as one word: signature, "=", leaves with blanks in between. */
static void assert_value(const char *text, const char *want)
{
	struct arena a = { 0 };
	struct cg_value v;
	struct str_buf b = { 0 };
	const char *why;
	size_t at, each;
	int r = cg_value_parse(&a, text, &v, &why, &at);

	if (r < 0)
		fail_msg("%s: %d: %s at %zu", text, r, why ? why : "?", at);
	each = strlen(v.types);
	str_buf_addf(&b, v.tuple ? "%s(%s)=" : "%s%s=", v.array ? "a" : "", v.types);
	for (size_t i = 0; i < v.n; i++) {
		char t = v.types[i % each];

		if (i)
			str_buf_add(&b, " ");
		if (strchr("sog", t))
			str_buf_addf(&b, "%s", v.v[i].s);
		else if (t == 'd')
			str_buf_addf(&b, "%g", v.v[i].d);
		else if (strchr("nix", t))
			str_buf_addf(&b, "%lld", (long long)v.v[i].i);
		else
			str_buf_addf(&b, "%llu", (unsigned long long)v.v[i].u);
	}
	assert_string_equal(b.s, want);
	str_buf_free(&b);
	arena_free(&a);
}

static void assert_bad(const char *text, const char *want)
{
	struct arena a = { 0 };
	struct cg_value v;
	const char *why = NULL;
	size_t at = 0;

	if (cg_value_parse(&a, text, &v, &why, &at) != -EINVAL)
		fail_msg("%s: accepted", text);
	assert_non_null(why);
	if (!strstr(why, want))
		fail_msg("%s: \"%s\" has no \"%s\"", text, why, want);
	assert_true(at <= strlen(text));
	arena_free(&a);
}

static void test_scalars(void **state)
{
	(void)state;
	assert_value("true", "b=1");
	assert_value(" false ", "b=0");
	assert_value("boolean true", "b=1");
	assert_value("5", "i=5");
	assert_value("-5", "i=-5");
	assert_value("-2147483648", "i=-2147483648");
	assert_value("uint64 18446744073709551615", "t=18446744073709551615");
	assert_value("int64 -9223372036854775808", "x=-9223372036854775808");
	assert_value("byte 0xff", "y=255");
	assert_value("int16 -32768", "n=-32768");
	assert_value("uint16 65535", "q=65535");
	assert_value("@t 7", "t=7");
	assert_value("@y 0x1F", "y=31");
	assert_value("1.5", "d=1.5");
	assert_value("double 3", "d=3");
	assert_value("1e3", "d=1000");
	assert_value("'text'", "s=text");
	assert_value("\"it's\"", "s=it's");
	assert_value("'it\\'s \\\\ \\n'", "s=it's \\ \n");
	assert_value("'\\u00e9\\u20ac\\U0001f600'", "s=\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	assert_value("objectpath '/a'", "o=/a");
	assert_value("@s 'x'", "s=x");
	assert_value("''", "s=");
}

static void test_lists(void **state)
{
	(void)state;
	assert_value("['a', 'b']", "as=a b");
	assert_value("(1,)", "(i)=1");
	assert_value("@as []", "as=");
	assert_value("@a(st) []", "a(st)=");
	assert_value("[uint32 1, 2, 3]", "au=1 2 3");
	assert_value("@at [1, 2]", "at=1 2");
	assert_value("(1, 'x')", "(is)=1 x");
	assert_value("@(st) ('/dev/sda', 100)", "(st)=/dev/sda 100");
	assert_value("[('/dev/sda', uint64 100), ('/dev/sdb', 200)]",
		     "a(st)=/dev/sda 100 /dev/sdb 200");
	assert_value("b'ab'", "ay=97 98 0");
	assert_value("[true, false]", "ab=1 0");
}

static void test_refused(void **state)
{
	(void)state;
	assert_bad("", "not a value");
	assert_bad("hello", "not");
	assert_bad("5 6", "something follows");
	assert_bad("2147483648", "range");
	assert_bad("uint64 -1", "range");
	assert_bad("-2147483649", "range");
	assert_bad("byte 256", "range");
	assert_bad("uint64 18446744073709551616", "range");
	assert_bad("uint64 'x'", "another type");
	assert_bad("@t true", "another type");
	assert_bad("@t 1.5", "not a number");
	assert_bad("'open", "does not end");
	assert_bad("'open\\", "does not end");
	assert_bad("'\\u12'", "hexadecimal");
	assert_bad("'\\u0000'", "not a character");
	assert_bad("'\\ud800'", "not a character");
	assert_bad("[]", "needs a type");
	assert_bad("[", "not a value");
	assert_bad("[1", "comma");
	assert_bad("[1, 'a']", "another type");
	assert_bad("[1, true]", "another type");
	assert_bad("[['a']]", "array of arrays");
	assert_bad("@aas []", "not supported");
	assert_bad("@a{sv} []", "not supported");
	assert_bad("@v 1", "not supported");
	assert_bad("@", "not supported");
	assert_bad("@a", "not supported");
	assert_bad("()", "empty tuple");
	assert_bad("(1", "comma");
	assert_bad("[(1, 2), (3,)]", "different");
	assert_bad("[(1, 2), (3, 4, 5)]", "different");
	assert_bad("[(1, 2), 3]", "tuple is wanted");
	assert_bad("(1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17)", "too many members");
	assert_bad("@as 'a'", "not of that type");
	assert_bad("<1>", "not a value");
	assert_bad("nan", "not a value");
	assert_bad("1e999", "not a number");
}

static void test_bounded(void **state)
{
	struct str_buf b = { 0 };

	(void)state;
	str_buf_add(&b, "[1");
	for (int i = 0; i < 5000; i++)
		str_buf_add(&b, ",1");
	str_buf_add(&b, "]");
	assert_bad(b.s, "too many elements");
	str_buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scalars),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
