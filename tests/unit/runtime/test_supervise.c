/* SPDX-License-Identifier: Apache-2.0 */
/* Status, signals, reaping, and the output of the payload. */
#include "tests/unit/runtime/supervise_rig.h"

#define BIG (1 << 20)

/* ---- status ---- */

static int exits_42(void)
{
	return 42;
}

static int dies_of_kill(void)
{
	raise(SIGKILL);
	return 0;
}

static void status(void **state)
{
	struct rig r;

	(void)state;
	for (int tty = 0; tty <= 1; tty++) {
		r = rig_pipes(exits_42, tty);
		assert_int_equal(rig_end(&r), 42);
		r = rig_pipes(dies_of_kill, tty);
		assert_int_equal(rig_end(&r), 128 + SIGKILL);
	}
}

/* 7 once the supervisor has reaped all: as zombies they still have their numbers. */
static int leaves_orphans(void)
{
	int p[2];
	pid_t pid;

	if (pipe(p) < 0)
		return 1;
	for (int i = 0; i < 5; i++) {
		pid = fork();
		if (pid == 0) {
			pid = fork();
			if (pid == 0) {
				pid = getpid();
				_exit(write(p[1], &pid, sizeof(pid)) < 0);
			}
			_exit(6);
		}
		waitpid(pid, NULL, 0);
	}
	close(p[1]);
	while (read(p[0], &pid, sizeof(pid)) == sizeof(pid))
		for (int ms = 0; kill(pid, 0) == 0; ms++) {
			if (ms == 10000)
				return 8;
			usleep(1000);
		}
	return 7;
}

static void orphans_are_reaped(void **state)
{
	struct rig r = rig_pipes(leaves_orphans, false);

	(void)state;
	assert_int_equal(rig_end(&r), 7);
}

/* ---- signals ---- */

static void signals_are_forwarded(void **state)
{
	static const int sent[] = { SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM, SIGUSR1, SIGALRM, SIGTSTP,
				    SIGTTOU, SIGCONT, SIGWINCH, SIGPIPE, SIGURG,  SIGCHLD, SIGIO };
	struct rig r = rig_pipes(lists_signals, false);
	char text[32];

	(void)state;
	expect(r.out, "ready");
	for (size_t i = 0; i < ARRAY_SIZE(sent); i++) {
		bool kept = sent[i] == SIGPIPE || sent[i] == SIGURG || sent[i] == SIGCHLD;

		assert_int_equal(kill(r.sup, sent[i]), 0);
		if (kept) /* the next that comes is another one */
			continue;
		snprintf(text, sizeof(text), "<%d>", sent[i]);
		expect(r.out, text);
	}
	assert_int_equal(kill(r.sup, SIGRTMIN + 3), 0);
	snprintf(text, sizeof(text), "<%d>", SIGRTMIN + 3);
	expect(r.out, text);
	assert_int_equal(kill(r.sup, SIGUSR2), 0);
	assert_int_equal(rig_end(&r), 11);
}

static int counts_kept(void)
{
	sigset_t all, pending;
	int sig;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	dprintf(1, "ready\n");
	while ((sig = sigwaitinfo(&all, NULL)) != SIGUSR1)
		if (sig == SIGPIPE || sig == SIGURG || sig == SIGTSTP)
			return 1;
	sigpending(&pending);
	return sigismember(&pending, SIGPIPE) || sigismember(&pending, SIGURG) ||
	       sigismember(&pending, SIGTSTP);
}

static void some_are_not(void **state)
{
	struct rig r = rig_pipes(counts_kept, true);

	(void)state;
	expect(r.out, "ready");
	kill(r.sup, SIGTSTP); /* with a terminal */
	kill(r.sup, SIGPIPE);
	kill(r.sup, SIGURG);
	kill(r.sup, SIGUSR1);
	assert_int_equal(rig_end(&r), 0);
}

/* ---- output ---- */

static int writes_much(void)
{
	static char block[1000];

	memset(block, 'x', sizeof(block));
	for (int left = BIG; left > 0;) {
		int n = left < (int)sizeof(block) ? left : (int)sizeof(block);

		if (io_write_full(1, block, (size_t)n) < 0)
			return 1;
		left -= n;
	}
	return 9;
}

static void much_output_arrives_whole(void **state)
{
	struct rig r = rig_pipes(writes_much, true);
	static char buf[10000];
	size_t got = 0;
	ssize_t n;

	(void)state;
	while ((n = read(r.out, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(buf[i], 'x');
		got += (size_t)n;
	}
	assert_int_equal(got, BIG);
	assert_int_equal(rig_end(&r), 9);
}

static void output_nobody_reads(void **state)
{
	struct rig r = rig_pipes(writes_much, true);

	(void)state;
	close(r.out);
	r.out = -1;
	assert_int_equal(rig_end(&r), 9);
}

/*
 * The user has stopped their terminal: signals still get through, and a second one ends the wait.
 */
static void blocked_output_does_not_block_signals(void **state)
{
	struct rig r = rig_pipes(writes_much, true);
	int full = 0, before = -1, status;

	(void)state;
	/* Full is when it no longer grows: how much goes into a pipe depends on the pieces. */
	while (full == 0 || full != before) {
		before = full;
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
		assert_int_equal(ioctl(r.out, FIONREAD, &full), 0);
	}
	while (waitpid(r.sup, &status, WNOHANG) == 0) {
		kill(r.sup, SIGTERM);
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	}
	assert_int_equal(WEXITSTATUS(status), 128 + SIGTERM);
	close(r.in);
	close(r.out);
}

static int prints_lines(void)
{
	/* stdout of a payload without a pty is the user's own */
	dprintf(1, "a\nb\n");
	return 0;
}

static void without_terminal_nothing_is_touched(void **state)
{
	struct rig r = rig_pipes(prints_lines, false);
	char buf[16] = "";

	(void)state;
	assert_int_equal(io_read_full(r.out, buf, sizeof(buf) - 1), 4);
	assert_string_equal(buf, "a\nb\n");
	assert_int_equal(rig_end(&r), 0);
}

/* ---- errors ---- */

static void not_a_child(void **state)
{
	struct supervise s = { .master = -1 };
	struct err e = {};
	int st, status_out = 77;
	sigset_t before, now;

	(void)state;
	sigprocmask(SIG_SETMASK, NULL, &before);
	s.pid = fork();
	if (s.pid == 0)
		_exit(0);
	s.pidfd = sys_pidfd_open(s.pid, 0);
	waitpid(s.pid, &st, 0);
	assert_int_equal(supervise_block(&e), 0);
	assert_int_equal(supervise_wait(&s, &status_out, &e), -ECHILD);
	assert_int_equal(status_out, 77);
	close(s.pidfd);
	s.pidfd = -1;
	assert_int_equal(supervise_block(&e), 0);
	assert_int_equal(supervise_wait(&s, &status_out, &e), -EBADF);
	/* What undoes the failure may not be interrupted either. */
	sigprocmask(SIG_SETMASK, &before, &now);
	assert_true(sigismember(&now, SIGTERM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status),
		cmocka_unit_test(orphans_are_reaped),
		cmocka_unit_test(signals_are_forwarded),
		cmocka_unit_test(some_are_not),
		cmocka_unit_test(much_output_arrives_whole),
		cmocka_unit_test(output_nobody_reads),
		cmocka_unit_test(blocked_output_does_not_block_signals),
		cmocka_unit_test(without_terminal_nothing_is_touched),
		cmocka_unit_test(not_a_child),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(120); /* a hang is a failure */
	return cmocka_run_group_tests_name("supervise", tests, NULL, NULL);
}
