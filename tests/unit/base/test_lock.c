/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lock.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <cmocka.h>

static char path[] = "/tmp/test_lock.XXXXXX";

static int make_file(void **state)
{
	AUTO_CLOSE int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : 0;
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void at_once(void **state)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(lock_wait(fd, 1), 0);
	assert_int_equal(lock_wait(-1, 1), -EBADF);
}

/* The foreground of run and exec has all signals blocked. */
static void deadline(void **state)
{
	AUTO_CLOSE int holder = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	sigset_t all, before, after;
	int64_t start;

	(void)state;
	assert_int_equal(flock(holder, LOCK_EX), 0);
	sigfillset(&all);
	for (int blocked = 0; blocked < 2; blocked++) {
		if (blocked)
			sigprocmask(SIG_BLOCK, &all, &before);
		start = now_ms();
		assert_int_equal(lock_wait(fd, 1), -EBUSY);
		assert_true(now_ms() - start >= 900);
		sigprocmask(SIG_BLOCK, NULL, &after);
		assert_int_equal(sigismember(&after, SIGALRM), blocked);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* Another's SIGALRM is neither the deadline nor the end of us. */
static void stray_alarm(void **state)
{
	AUTO_CLOSE int holder = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	sigset_t set, before;
	int64_t start;

	(void)state;
	assert_int_equal(flock(holder, LOCK_EX), 0);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, &before);
	raise(SIGALRM);
	start = now_ms();
	assert_int_equal(lock_wait(fd, 1), -EBUSY);
	assert_true(now_ms() - start >= 900);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_once),
		cmocka_unit_test(deadline),
		cmocka_unit_test(stray_alarm),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
