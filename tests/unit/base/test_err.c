/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"

#include <errno.h>
#include <string.h>

static void test_set(void **state)
{
	struct err e = { .code = 99, .kind = ERR_USAGE };

	(void)state;
	assert_int_equal(err_set(&e, EINVAL, "%s: %d", "field", 7), -EINVAL);
	assert_int_equal(e.code, EINVAL);
	assert_int_equal(e.kind, ERR_PLAIN);
	assert_string_equal(e.msg, "field: 7");
	/* the code alone, for who does not want the text */
	assert_int_equal(err_set(NULL, ENOENT, "x"), -ENOENT);
	assert_int_equal(err_sys(NULL, ENOENT, "x"), -ENOENT);
	assert_int_equal(err_kind(NULL, ERR_USAGE, ENOENT, "x"), -ENOENT);
	assert_true(err_wrap(NULL, "x") < 0);
}

static void test_sys(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(err_sys(&e, EACCES, "open %s", "/x"), -EACCES);
	assert_string_equal(e.msg, "open /x: Permission denied");
	assert_int_equal(e.kind, ERR_PLAIN);
	assert_int_equal(err_sys(&e, 123456, "odd"), -123456);
	assert_string_equal(e.msg, "odd: unknown error");
}

static void test_kind(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(err_kind(&e, ERR_NO_CONTAINER, ENOENT, "%s: gone", "c1"), -ENOENT);
	assert_int_equal(e.kind, ERR_NO_CONTAINER);
	assert_int_equal(err_wrap(&e, "delete"), -ENOENT);
	assert_int_equal(e.kind, ERR_NO_CONTAINER);
	assert_int_equal(e.code, ENOENT);
	assert_string_equal(e.msg, "delete: c1: gone");
}

/* What comes from outside cannot make two lines of one error, or move the cursor. */
static void test_one_line(void **state)
{
	struct err e = { 0 };

	(void)state;
	err_set(&e, EIO, "hook said: %s", "a\nb\r\tc\x1b[2J\x7f");
	assert_string_equal(e.msg, "hook said: a b  c [2J ");
	err_sys(&e, EIO, "%s", "x\ny");
	assert_string_equal(e.msg, "x y: Input/output error");
	err_wrap(&e, "%s", "p\nq");
	assert_string_equal(e.msg, "p q: x y: Input/output error");
	/* C1 controls, in UTF-8 and as the bytes that they were before it */
	err_set(&e, EIO, "%s",
		"a\xc2\x9b"
		"2Jb\x9b"
		"2J\xe2\x9bz\xc2\xa0\xe2\x82\x9b");
	assert_string_equal(e.msg, "a  2Jb 2J\xe2 z\xc2\xa0\xe2\x82\x9b");
	/* not ASCII is not control */
	err_set(&e, EIO, "%s",
		"gr\xc3\xb6\xc3\x9f"
		"er");
	assert_string_equal(e.msg, "gr\xc3\xb6\xc3\x9f"
				   "er");
}

static void fill(char *s, size_t size, char c)
{
	memset(s, c, size - 1);
	s[size - 1] = '\0';
}

/* Too long is cut, terminated, and the next member is as it was. */
static void test_truncation(void **state)
{
	struct {
		struct err e;
		char guard[8];
	} g = { .guard = "guard" };
	char text[ERR_MSG_MAX + 500];

	(void)state;
	fill(text, sizeof(text), 'a');
	assert_int_equal(err_set(&g.e, EINVAL, "%s", text), -EINVAL);
	assert_int_equal(strlen(g.e.msg), ERR_MSG_MAX - 1);
	assert_int_equal(err_sys(&g.e, EPERM, "%s", text), -EPERM);
	assert_int_equal(strlen(g.e.msg), ERR_MSG_MAX - 1);
	assert_string_equal(g.guard, "guard");

	/* one byte of room for ": reason" */
	text[ERR_MSG_MAX - 2] = '\0';
	err_sys(&g.e, EPERM, "%s", text);
	assert_int_equal(strlen(g.e.msg), ERR_MSG_MAX - 1);
	assert_int_equal(g.e.msg[ERR_MSG_MAX - 2], ':');
	assert_string_equal(g.guard, "guard");
}

/* A prefix pushes the end of a long message out, not its own text. */
static void test_wrap_truncation(void **state)
{
	struct err e = { 0 };
	char text[ERR_MSG_MAX];

	(void)state;
	fill(text, sizeof(text), 'x');
	err_set(&e, EBUSY, "%s", text);
	assert_int_equal(err_wrap(&e, "prefix %d", 1), -EBUSY);
	assert_int_equal(strlen(e.msg), ERR_MSG_MAX - 1);
	assert_memory_equal(e.msg, "prefix 1: xxx", 13);
	assert_int_equal(e.msg[ERR_MSG_MAX - 2], 'x');

	/* a prefix that fills all */
	err_set(&e, EBUSY, "short");
	assert_int_equal(err_wrap(&e, "%s", text), -EBUSY);
	assert_int_equal(strlen(e.msg), ERR_MSG_MAX - 1);
	assert_null(strstr(e.msg, "short"));

	/* and many small ones */
	err_set(&e, EBUSY, "origin");
	for (int i = 0; i < 1000; i++)
		assert_int_equal(err_wrap(&e, "level %d", i), -EBUSY);
	assert_int_equal(strlen(e.msg), ERR_MSG_MAX - 1);
	assert_memory_equal(e.msg, "level 999: level 998: ", 22);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),        cmocka_unit_test(test_sys),
		cmocka_unit_test(test_kind),       cmocka_unit_test(test_one_line),
		cmocka_unit_test(test_truncation), cmocka_unit_test(test_wrap_truncation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
