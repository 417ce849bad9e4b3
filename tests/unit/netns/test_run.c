/* SPDX-License-Identifier: Apache-2.0 */
/* Programs: what they read, what they write, and those that do not end. */
#include "netns/run.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static int sh(const char *script, const char *in, int seconds, struct run_result *out,
	      struct err *e)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)(uintptr_t)script, NULL };
	char *envp[] = { (char *)"WORD=value", (char *)"PATH=/usr/bin:/bin", NULL };
	const struct run_request q = { .path = "/bin/sh",
				       .argv = argv,
				       .envp = envp,
				       .in = in,
				       .in_len = in ? strlen(in) : 0,
				       .out_max = 100000,
				       .seconds = seconds };

	return run_program(&q, out, e);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void ends(void **state)
{
	AUTO(run_result_free) struct run_result a = {}, b = {}, c = {};
	struct err e;

	(void)state;
	assert_int_equal(sh("cat; echo $WORD; echo no >&2; exit 3", "text\n", 10, &a, &e), 0);
	assert_string_equal(a.out, "text\nvalue\n");
	assert_int_equal(a.len, 11);
	assert_string_equal(a.err, "no");
	assert_int_equal(WEXITSTATUS(a.status), 3);
	assert_int_equal(sh("kill -9 $$", NULL, 10, &b, &e), 0);
	assert_true(WIFSIGNALED(b.status));
	assert_int_equal(sh("true", NULL, 10, &c, &e), 0);
	assert_int_equal(c.len, 0);
}

/* Ours are close-on-exec; this is one of who called us. */
static void descriptors(void **state)
{
	AUTO(run_result_free) struct run_result a = {};
	int fd = dup2(2, 57);
	struct err e;

	(void)state;
	assert_int_equal(fd, 57);
	assert_int_equal(
		sh("for i in 3 4 5 6 7 8 9 57; do [ ! -e /proc/$$/fd/$i ] || echo $i; done", NULL,
		   10, &a, &e),
		0);
	close(fd);
	assert_int_equal(a.len, 0);
}

static void much(void **state)
{
	AUTO(run_result_free) struct run_result a = {}, b = {}, c = {};
	AUTO_FREE char *in = calloc(1, 300001);
	struct err e;

	(void)state;
	memset(in, 'x', 300000);
	/* does not read it */
	assert_int_equal(sh("exit 0", in, 10, &a, &e), 0);
	assert_int_equal(
		sh("head -c 90000; head -c 70000 /dev/zero >&2; echo end >&2", in, 10, &b, &e), 0);
	assert_int_equal(b.len, 90000);
	assert_int_equal(sh("cat", in, 10, &c, &e), -EFBIG);
	assert_non_null(strstr(e.msg, "/bin/sh"));
}

/* It is init's then, and may still be waited for. */
static bool lives(pid_t pid)
{
	AUTO_FREE char *path = str_printf("/proc/%d/stat", (int)pid);
	AUTO_FREE char *stat = NULL;

	return io_read_file(AT_FDCWD, path, 4096, &stat, NULL) == 0 && !strstr(stat, ") Z ");
}

static void long_ones(void **state)
{
	AUTO(run_result_free) struct run_result a = {}, b = {};
	struct err e;
	double t = now();
	pid_t left;

	(void)state;
	/* its children go with it */
	assert_int_equal(sh("sleep 60 & echo $!; sleep 60", NULL, 3, &a, &e), -ETIMEDOUT);
	assert_non_null(strstr(e.msg, "within 3 s"));
	assert_non_null(a.out);
	assert_true(now() - t < 10);
	left = atoi(a.out);
	for (int i = 0; lives(left) && i < 1000; i++)
		usleep(10000);
	assert_false(lives(left));
	/* who is left behind on purpose holds the pipes, and nobody waits for it */
	t = now();
	assert_int_equal(sh("echo started; setsid sleep 5 & exit 0", NULL, 60, &b, &e), 0);
	assert_true(now() - t < 4);
	assert_string_equal(b.out, "started\n");
}

/* Who has started it is killed: it does nothing more. */
static void orphans(void **state)
{
	char buf[16], script[80];
	int p[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(p), 0);
	/* The program opens the end of the pipe too, which goes with it. */
	snprintf(script, sizeof(script), "exec 3>/proc/%d/fd/%d; echo up >&3; exec sleep 60",
		 (int)getpid(), p[1]);
	pid = fork();
	if (pid == 0) {
		AUTO(run_result_free) struct run_result out = {};
		struct err e;

		close(p[0]);
		close(p[1]);
		sh(script, NULL, 60, &out, &e);
		_exit(0);
	}
	alarm(20);
	assert_int_equal(read(p[0], buf, sizeof(buf)), 3);
	close(p[1]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(read(p[0], buf, sizeof(buf)), 0);
	alarm(0);
	close(p[0]);
}

static void none(void **state)
{
	char *argv[] = { (char *)"x", NULL };
	const struct run_request q = { .path = "/nonexistent/x", .argv = argv, .envp = argv + 1 };
	struct run_result r;
	struct err e;

	(void)state;
	assert_int_equal(run_program(&q, &r, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "/nonexistent/x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends),      cmocka_unit_test(descriptors), cmocka_unit_test(much),
		cmocka_unit_test(long_ones), cmocka_unit_test(orphans),     cmocka_unit_test(none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
