/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct trace {
	char s[64];
	const char *fail; /* the stage that fails */
};

static void add(struct trace *t, char what, char who)
{
	size_t n = strlen(t->s);

	t->s[n] = what;
	t->s[n + 1] = who;
	t->s[n + 2] = '\0';
}

static int run_one(struct trace *t, char who, struct err *e)
{
	add(t, '+', who);
	return t->fail && *t->fail == who ? err_set(e, EBUSY, "stage %c failed", who) : 0;
}

#define STAGE(c)                                     \
	static int run_##c(void *ctx, struct err *e) \
	{                                            \
		return run_one(ctx, (#c)[0], e);     \
	}                                            \
	static void undo_##c(void *ctx)              \
	{                                            \
		add(ctx, '-', (#c)[0]);              \
	}

STAGE(a)
STAGE(b)
STAGE(c)

static const struct stage table[] = {
	{ "first", run_a, undo_a },
	{ "second", run_b, undo_b },
	{ "third", run_c, undo_c },
};

static void test_all(void **state)
{
	struct trace t = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(stage_run("test", table, 3, &t, &e), 0);
	assert_string_equal(t.s, "+a+b+c");
	assert_int_equal(e.code, 0);
	stage_undo(table, 3, &t);
	assert_string_equal(t.s, "+a+b+c-c-b-a");
}

/* The failed stage is undone too, and nothing after it. */
static void test_undo_order(void **state)
{
	static const struct {
		const char *fail, *want;
	} rows[] = {
		{ "a", "+a-a" },
		{ "b", "+a+b-b-a" },
		{ "c", "+a+b+c-c-b-a" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct trace t = { .fail = rows[i].fail };
		struct err e = { 0 };

		assert_int_equal(stage_run("test", table, 3, &t, &e), -EBUSY);
		assert_string_equal(t.s, rows[i].want);
		assert_int_equal(e.code, EBUSY);
		assert_memory_equal(e.msg + 6, rows[i].fail, 1);
	}
}

static void test_no_undo(void **state)
{
	static const struct stage some[] = {
		{ "first", run_a, NULL },
		{ "second", run_b, undo_b },
		{ "third", run_c, NULL },
	};
	struct trace t = { .fail = "c" };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(stage_run("test", some, 3, &t, &e), -EBUSY);
	assert_string_equal(t.s, "+a+b+c-b");
}

static void test_empty(void **state)
{
	struct trace t = { 0 };

	(void)state;
	assert_int_equal(stage_run("test", table, 0, &t, NULL), 0);
	stage_undo(table, 0, &t);
	assert_string_equal(t.s, "");
}

/* A stage that returns something positive has not failed. */
static int run_positive(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	return 7;
}

static void test_positive(void **state)
{
	static const struct stage some[] = { { "p", run_positive, NULL }, { "a", run_a, undo_a } };
	struct trace t = { 0 };

	(void)state;
	assert_int_equal(stage_run("test", some, 2, &t, NULL), 0);
	assert_string_equal(t.s, "+a");
}

/* --debug names each stage, with its time, and the one that failed as such. */
static void test_debug(void **state)
{
	struct trace t = { .fail = "b" };
	struct err e = { 0 };
	int fd = memfd_create("log", MFD_CLOEXEC);
	char text[1024], *first, *second;
	ssize_t n;

	(void)state;
	log_setup(fd, LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG);
	stage_run("parent", table, 3, &t, &e);
	log_setup(-1, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	n = pread(fd, text, sizeof(text) - 1, 0);
	close(fd);
	assert_true(n > 0);
	text[n] = '\0';
	first = strstr(text, "parent: first: ");
	second = strstr(text, "parent: second: failed, ");
	assert_non_null(first);
	assert_true(second > first);
	assert_non_null(strstr(second, " us\n"));
	assert_null(strstr(text, "third"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),      cmocka_unit_test(test_undo_order),
		cmocka_unit_test(test_no_undo),  cmocka_unit_test(test_empty),
		cmocka_unit_test(test_positive), cmocka_unit_test(test_debug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
