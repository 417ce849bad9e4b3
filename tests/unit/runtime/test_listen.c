/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/listen.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct listen_fds got;
static struct err e;

static int get(const char *fds, const char *pid, const char *names)
{
	char own[16];

	snprintf(own, sizeof(own), "%d", (int)getpid());
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
	if (fds)
		setenv("LISTEN_FDS", fds, 1);
	if (pid)
		setenv("LISTEN_PID", *pid == '=' ? own : pid, 1);
	if (names)
		setenv("LISTEN_FDNAMES", names, 1);
	got = (struct listen_fds){ .n = 99 };
	e = (struct err){};
	return listen_fds_get(&got, &e);
}

/* 3 and 4 as somebody passed them, 5 of our own, 6 not open. */
static int passed(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	if (fd < 0 || dup2(fd, 3) < 0 || dup2(fd, 4) < 0)
		return -1;
	if (fd != 3 && fd != 4)
		close(fd);
	fcntl(3, F_SETFD, 0);
	fcntl(4, F_SETFD, 0);
	if (dup3(3, 5, O_CLOEXEC) < 0)
		return -1;
	close(6);
	return 0;
}

static void test_none(void **state)
{
	(void)state;
	assert_int_equal(get(NULL, NULL, NULL), 0);
	assert_int_equal(got.n, 0);
	assert_int_equal(get("2", NULL, NULL), 0);
	assert_int_equal(got.n, 0);
	assert_int_equal(get("2", "1", NULL), 0);
	assert_int_equal(got.n, 0);
	assert_int_equal(get(NULL, "x", NULL), 0);
	assert_int_equal(get("", "=", "a"), 0);
	assert_int_equal(get("0", "=", "a"), 0);
	assert_int_equal(got.n, 0);
	assert_null(got.names);
	/* what is not for us is nobody's business here */
	assert_int_equal(get("x", "1", NULL), 0);
}

static void test_some(void **state)
{
	(void)state;
	assert_int_equal(get("1", "=", NULL), 0);
	assert_int_equal(got.n, 1);
	assert_null(got.names);
	assert_int_equal(get("2", "=", "web:log"), 0);
	assert_int_equal(got.n, 2);
	assert_string_equal(got.names, "web:log");
}

static void test_bad(void **state)
{
	static const char *const numbers[] = { "x",  "-1", "+1",         "1 ",
					       " 1", "1x", "2147483648", "18446744073709551617" };

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		assert_int_equal(get(numbers[i], "=", NULL), -EINVAL);
		assert_non_null(strstr(e.msg, "LISTEN_FDS"));
	}
	assert_int_equal(get("1", "me", NULL), -EINVAL);
	assert_non_null(strstr(e.msg, "LISTEN_PID"));
	/* 5 is not passed: all that is close-on-exec is our own */
	assert_int_equal(get("3", "=", NULL), -EBADF);
	assert_non_null(strstr(e.msg, "only 2"));
	assert_int_equal(get("2147483647", "=", NULL), -EBADF);
	assert_int_equal(got.n, 0);
}

static void test_env(void **state)
{
	AUTO(str_list_free) struct str_list l = {};
	const struct listen_fds none = {}, two = { .n = 2, .names = "a:b" }, one = { .n = 1 };
	char pid[32];

	(void)state;
	snprintf(pid, sizeof(pid), "LISTEN_PID=%d", (int)getpid());
	str_list_add(&l, "LISTEN_PIDS=1");
	str_list_add(&l, "LISTEN_PID=7");
	assert_int_equal(listen_fds_env(&none, &l, &e), 0);
	assert_string_equal(l.v[1], "LISTEN_PID=7");
	assert_int_equal(listen_fds_env(&two, &l, &e), 0);
	assert_int_equal(l.n, 4);
	assert_string_equal(l.v[0], "LISTEN_PIDS=1");
	assert_string_equal(l.v[1], pid);
	assert_string_equal(l.v[2], "LISTEN_FDS=2");
	assert_string_equal(l.v[3], "LISTEN_FDNAMES=a:b");
	assert_null(l.v[4]);
	assert_int_equal(listen_fds_env(&one, &l, &e), 0);
	assert_int_equal(l.n, 4);
	assert_string_equal(l.v[2], "LISTEN_FDS=1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_none, passed),
		cmocka_unit_test_setup(test_some, passed),
		cmocka_unit_test_setup(test_bad, passed),
		cmocka_unit_test(test_env),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
