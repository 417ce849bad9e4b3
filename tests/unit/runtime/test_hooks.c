/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/hooks.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[] = "/tmp/ctr-test-hooks-XXXXXX";

#define SH(text)                         \
	(char *[])                       \
	{                                \
		"sh", "-c", (text), NULL \
	}
#define HOOK(text)                                                  \
	{                                                           \
		.path = "/bin/sh", .args = {.v = SH(text), .n = 3 } \
	}

static int count_fds(void)
{
	AUTO_CLOSEDIR DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	return n;
}

/* No child, no descriptor is left behind, whatever the outcome. */
static int run(struct spec_hook *v, size_t n, const char *json, char *const *env, struct err *e)
{
	struct spec_hooks h = {};
	int fds = count_fds(), r;

	h.kind[HOOK_CREATE_RUNTIME] = (struct spec_hook_list){ v, n };
	*e = (struct err){};
	r = hooks_run(&h, HOOK_CREATE_RUNTIME, json, env, -1, e);
	assert_int_equal(count_fds(), fds);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	return r;
}

static char *file(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static char *contents(const char *name)
{
	static char text[8192];
	AUTO_CLOSE int fd = open(file(name), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void stdin_is_the_state(void **state)
{
	struct spec_hook v[] = { HOOK("cat > out1"), HOOK("cat > out2") };
	struct err e;

	(void)state;
	assert_int_equal(run(v, 2, "{\"id\":\"x\"}", NULL, &e), 0);
	assert_string_equal(contents("out1"), "{\"id\":\"x\"}");
	assert_string_equal(contents("out2"), "{\"id\":\"x\"}");
}

static void environment_is_exactly_the_hooks(void **state)
{
	struct spec_hook own = {
		.path = "/usr/bin/env",
		.env = { .v = (char *[]){ "A=1", "B=2", NULL }, .n = 2 },
	};
	struct spec_hook none = HOOK("test -z \"$LEAK$C\" || exit 7");
	struct spec_hook given = HOOK("test \"$C\" = 3 || exit 8");
	char *env[] = { "C=3", NULL };
	struct err e;

	(void)state;
	setenv("LEAK", "1", 1);
	own.args.v =
		(char *[]){ "env", "/bin/sh", "-c", "test \"$A$B$C$LEAK\" = 12 || exit 9", NULL };
	own.args.n = 4;
	assert_int_equal(run(&own, 1, "{}", env, &e), 0);
	assert_int_equal(run(&none, 1, "{}", NULL, &e), 0);
	assert_int_equal(run(&given, 1, "{}", env, &e), 0);
}

static void argv_is_args(void **state)
{
	struct spec_hook zero = {
		.path = "/bin/sh",
		.args = { .v = (char *[]){ "other-name", "-c", "echo \"$0\" > name; exec 2>&-",
					   NULL },
			  .n = 3 },
	};
	struct spec_hook bare = { .path = "/bin/true" };
	struct err e;

	(void)state;
	assert_int_equal(run(&zero, 1, "{}", NULL, &e), 0);
	assert_string_equal(contents("name"), "other-name\n");
	assert_int_equal(run(&bare, 1, "{}", NULL, &e), 0);
}

static void failure_names_hook_and_words(void **state)
{
	struct spec_hook v[] = {
		HOOK("exit 0"),
		HOOK("echo one >&2; echo 'no such \"thing\"' >&2; echo noise; exit 3"),
		HOOK("touch never"),
	};
	struct spec_hook quiet = HOOK("echo only stdout; exit 1");
	struct spec_hook killed = HOOK("kill -9 $$");
	struct err e;

	(void)state;
	assert_int_equal(run(v, 3, "{}", NULL, &e), -EIO);
	assert_string_equal(e.msg, "error running createRuntime hook #1: /bin/sh: exit status 3: "
				   "one no such \"thing\"");
	assert_int_not_equal(access(file("never"), F_OK), 0);
	run(&quiet, 1, "{}", NULL, &e);
	assert_string_equal(e.msg, "error running createRuntime hook #0: /bin/sh: exit status 1: "
				   "only stdout");
	run(&killed, 1, "{}", NULL, &e);
	assert_string_equal(e.msg,
			    "error running createRuntime hook #0: /bin/sh: killed by signal 9 "
			    "(KILL)");
}

static void missing_program(void **state)
{
	struct spec_hook none = { .path = "/no/such/hook" };
	struct spec_hook dead = { .path = "/etc/passwd" };
	struct err e;

	(void)state;
	assert_int_equal(run(&none, 1, "{}", NULL, &e), -ENOENT);
	assert_string_equal(e.msg, "error running createRuntime hook #0: /no/such/hook: "
				   "No such file or directory");
	assert_int_equal(run(&dead, 1, "{}", NULL, &e), -EACCES);
}

/* The last kilobyte is kept; the pipes are read, so the hook is never blocked on them. */
static void only_the_tail_of_much_output(void **state)
{
	struct spec_hook v =
		HOOK("i=0; while [ $i -lt 4000 ]; do echo \"line $i of something long\";"
		     " echo \"err $i of something long\" >&2; i=$((i+1)); done; exit 1");
	struct err e;

	(void)state;
	assert_int_equal(run(&v, 1, "{}", NULL, &e), -EIO);
	assert_non_null(strstr(e.msg, "err 3999 of something long"));
	assert_null(strstr(e.msg, "err 3900 "));
	assert_null(strstr(e.msg, "line "));
	assert_true(strlen(e.msg) < 1200);
}

static void unread_stdin_does_not_block(void **state)
{
	struct spec_hook v = HOOK("exit 0"), early = HOOK("head -c 5 > part");
	AUTO_FREE char *big = malloc((4 << 20) + 1);
	struct err e;

	(void)state;
	memset(big, 'x', 4 << 20);
	big[4 << 20] = '\0';
	assert_int_equal(run(&v, 1, big, NULL, &e), 0);
	assert_int_equal(run(&early, 1, big, NULL, &e), 0);
	assert_string_equal(contents("part"), "xxxxx");
}

/* The group dies, not only the shell: its sleep would otherwise hold the pipes and go on. */
static void timeout_kills_the_group(void **state)
{
	struct spec_hook v = HOOK("echo before >&2; sleep 1000 & echo $! > sleeper; wait");
	double start = now();
	struct err e;
	pid_t pid;

	(void)state;
	v.timeout.set = true;
	v.timeout.v = 3;
	assert_int_equal(run(&v, 1, "{}", NULL, &e), -ETIMEDOUT);
	assert_string_equal(e.msg, "error running createRuntime hook #0: /bin/sh: timed out after "
				   "3 s: before");
	assert_true(now() - start < 10);
	pid = atoi(contents("sleeper"));
	assert_true(pid > 0);
	/* It is init's now, and may still be waited for: dead is what counts. */
	for (int i = 0; i < 1000 && kill(pid, 0) == 0; i++) {
		char path[64], stat[256] = "";
		AUTO_CLOSE int fd = -1;

		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || read(fd, stat, sizeof(stat) - 1) <= 0 || strstr(stat, ") Z "))
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	assert_int_equal(kill(pid, 0), -1);
}

/* A daemon that keeps stderr open is no reason to wait. */
static void daemon_left_behind(void **state)
{
	struct spec_hook v = HOOK("sleep 30 & echo $! > daemon; exit 0");
	double start = now();
	struct err e;

	(void)state;
	assert_int_equal(run(&v, 1, "{}", NULL, &e), 0);
	assert_true(now() - start < 10);
	kill(atoi(contents("daemon")), SIGKILL);
}

static void signals_are_default_in_the_hook(void **state)
{
	struct spec_hook v = HOOK("grep -E '^Sig(Blk|Ign)' /proc/self/status >&2; "
				  "grep -q '^SigBlk:.0*$' /proc/self/status && "
				  "grep -q '^SigIgn:.0*$' /proc/self/status");
	sigset_t all, old;
	struct err e;

	(void)state;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	run(&v, 1, "{}", NULL, &e);
	assert_string_equal(e.msg, "");
	signal(SIGUSR1, SIG_DFL);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static void no_descriptor_leaks(void **state)
{
	struct spec_hook v = HOOK("ls /proc/self/fd > fds");
	int fd = open("/dev/null", O_RDONLY);
	struct err e;

	(void)state;
	assert_int_equal(run(&v, 1, "{}", NULL, &e), 0);
	/* 0, 1, 2 and the directory that ls reads */
	assert_string_equal(contents("fds"), "0\n1\n2\n3\n");
	close(fd);
}

/* With 0..2 closed the pipes get these numbers themselves. */
static void works_without_stdio(void **state)
{
	struct spec_hook v = HOOK("cat > nostdio; echo words >&2; exit 4");
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct spec_hooks h = {};
		struct err e = {};

		close(0);
		close(1);
		close(2);
		h.kind[HOOK_PRESTART] = (struct spec_hook_list){ &v, 1 };
		if (hooks_run(&h, HOOK_PRESTART, "{1}", NULL, -1, &e) != -EIO)
			_exit(1);
		_exit(strcmp(e.msg,
			     "error running prestart hook #0: /bin/sh: exit status 4: words") != 0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_string_equal(contents("nostdio"), "{1}");
}

static void poststop_runs_all(void **state)
{
	struct spec_hook v[] = { HOOK("exit 1"), { .path = "/no/such" }, HOOK("touch last") };
	struct spec_hooks h = {};
	char text[4096];
	int log = open(file("log"), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	(void)state;
	h.kind[HOOK_POSTSTOP] = (struct spec_hook_list){ v, 3 };
	log_setup(log, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	hooks_run_all(&h, HOOK_POSTSTOP, "{}");
	log_setup(-1, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	close(log);
	assert_int_equal(access(file("last"), F_OK), 0);
	snprintf(text, sizeof(text), "%s", contents("log"));
	assert_non_null(strstr(text, "error running poststop hook #0: /bin/sh: exit status 1"));
	assert_non_null(strstr(text, "error running poststop hook #1: /no/such"));
}

/* $PPID is this test: it would not survive a signal that hooks_run does not take. */
static void signal_ends_the_hook(void **state)
{
	struct spec_hook v = HOOK("echo words >&2; kill -TERM $PPID; exec sleep 1000");
	struct spec_hook ignored = HOOK("kill -TERM $PPID; touch went_on");
	sigset_t after;
	struct err e;

	(void)state;
	assert_int_equal(run(&v, 1, "{}", NULL, &e), -EINTR);
	assert_string_equal(e.msg, "error running createRuntime hook #0: /bin/sh: interrupted by "
				   "signal 15 (TERM): words");
	sigprocmask(SIG_SETMASK, NULL, &after);
	assert_int_equal(sigismember(&after, SIGTERM), 0);
	signal(SIGTERM, SIG_IGN);
	assert_int_equal(run(&ignored, 1, "{}", NULL, &e), 0);
	signal(SIGTERM, SIG_DFL);
	assert_int_equal(access(file("went_on"), F_OK), 0);
}

/* A signal that came before it was for what has ended; each later one ends one hook. */
static void poststop_and_signals(void **state)
{
	struct spec_hook v[] = { HOOK("sleep 0.2; touch first"),
				 HOOK("kill -TERM $PPID; exec sleep 1000"), HOOK("touch third") };
	struct spec_hooks h = {};
	sigset_t term, old;

	(void)state;
	h.kind[HOOK_POSTSTOP] = (struct spec_hook_list){ v, 3 };
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, &old);
	raise(SIGTERM);
	hooks_run_all(&h, HOOK_POSTSTOP, "{}");
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_int_equal(access(file("first"), F_OK), 0);
	assert_int_equal(access(file("third"), F_OK), 0);
}

static void end_of_init_ends_the_hook(void **state)
{
	struct spec_hook v = HOOK("exec sleep 1000"), quick = HOOK("touch quick");
	struct spec_hooks h = {};
	pid_t pid = fork();
	struct err e = {};
	int fd;

	(void)state;
	if (pid == 0) {
		pause();
		_exit(0);
	}
	fd = sys_pidfd_open(pid, 0);
	h.kind[HOOK_PRESTART] = (struct spec_hook_list){ &quick, 1 };
	assert_int_equal(hooks_run(&h, HOOK_PRESTART, "{}", NULL, fd, &e), 0);
	assert_int_equal(access(file("quick"), F_OK), 0);
	kill(pid, SIGKILL);
	h.kind[HOOK_PRESTART] = (struct spec_hook_list){ &v, 1 };
	assert_int_equal(hooks_run(&h, HOOK_PRESTART, "{}", NULL, fd, &e), -EPIPE);
	assert_string_equal(e.msg, "error running prestart hook #0: /bin/sh: container init was "
				   "killed while it ran");
	waitpid(pid, NULL, 0);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	AUTO_CLOSEDIR DIR *d = opendir(dir);
	struct dirent *entry;

	(void)state;
	while (d && (entry = readdir(d)))
		unlinkat(dirfd(d), entry->d_name, 0);
	return chdir("/") == 0 ? rmdir(dir) : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stdin_is_the_state),
		cmocka_unit_test(environment_is_exactly_the_hooks),
		cmocka_unit_test(argv_is_args),
		cmocka_unit_test(failure_names_hook_and_words),
		cmocka_unit_test(missing_program),
		cmocka_unit_test(only_the_tail_of_much_output),
		cmocka_unit_test(unread_stdin_does_not_block),
		cmocka_unit_test(timeout_kills_the_group),
		cmocka_unit_test(daemon_left_behind),
		cmocka_unit_test(signals_are_default_in_the_hook),
		cmocka_unit_test(no_descriptor_leaks),
		cmocka_unit_test(works_without_stdio),
		cmocka_unit_test(poststop_runs_all),
		cmocka_unit_test(signal_ends_the_hook),
		cmocka_unit_test(poststop_and_signals),
		cmocka_unit_test(end_of_init_ends_the_hook),
	};

	return cmocka_run_group_tests_name("hooks", tests, setup, teardown);
}
