/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three processes: the test plays the user, a child of it the supervisor with the user's stdin and
 * stdout, a child of that the payload, with or without a pty of its own.
 */
#include "runtime/supervise.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "runtime/console.h"
#include "runtime/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define BIG (1 << 20)
#define STOPPED_WRONG 240 /* exit status of a supervisor that failed */

struct rig {
	pid_t sup;
	int in, out; /* the user's ends; the same fd when the user has a terminal */
};

static int failed(const char *what)
{
	fprintf(stderr, "supervisor: %s\n", what);
	return STOPPED_WRONG;
}

static pid_t start_payload(int (*fn)(void), int master, int slave)
{
	pid_t pid = fork();
	struct err e = {};

	if (pid != 0)
		return pid;
	process_reset_signals();
	setsid();
	if (slave >= 0) {
		close(master);
		if (console_adopt(slave, NULL, 0, &e) < 0)
			_exit(99);
		close(slave);
	}
	_exit(fn());
}

/* The supervisor's whole life; its exit status is the payload's. */
static int supervise(int (*fn)(void), bool tty)
{
	struct supervise s = { .master = -1 };
	struct termios settings = {}, settings_now = {};
	int slave = -1, status = -1;
	sigset_t before, after;
	struct err e = {};

	/* Looked at here, because the terminal is reset when the leader of its session ends. */
	tcgetattr(0, &settings);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (tty && openpty(&s.master, &slave, NULL, NULL, NULL) < 0)
		return failed("openpty");
	sigemptyset(&before);
	sigaddset(&before, SIGUSR2);
	sigprocmask(SIG_SETMASK, &before, NULL);
	signal(SIGCHLD, SIG_IGN); /* as a careless caller leaves it */
	if (supervise_block(&s, &e) < 0)
		return failed(e.msg);
	s.pid = start_payload(fn, s.master, slave);
	s.pidfd = sys_pidfd_open(s.pid, 0);
	if (slave >= 0)
		close(slave);
	if (supervise_wait(&s, &status, &e) < 0)
		return failed(e.msg);
	tcgetattr(0, &settings_now);
	if (memcmp(&settings, &settings_now, sizeof(settings)) != 0)
		return failed("terminal not restored");
	sigprocmask(SIG_SETMASK, NULL, &after);
	if (!sigismember(&after, SIGUSR2) || sigismember(&after, SIGTERM))
		return failed("signal mask not restored");
	if (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD)
		return failed("a child was left");
	if (fcntl(0, F_GETFL) & O_NONBLOCK || fcntl(1, F_GETFL) & O_NONBLOCK)
		return failed("the user's descriptors were changed");
	return status;
}

static void rig_start(struct rig *r, int in, int out, int (*fn)(void), bool tty)
{
	r->sup = fork();
	assert_true(r->sup >= 0);
	if (r->sup == 0) {
		if (in >= 0 && (dup2(in, 0) < 0 || dup2(out, 1) < 0))
			_exit(STOPPED_WRONG);
		sys_close_range(3, ~0U, 0);
		_exit(supervise(fn, tty));
	}
}

/* stdin and stdout are pipes. */
static struct rig rig_pipes(int (*fn)(void), bool tty)
{
	struct rig r;
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	rig_start(&r, in[0], out[1], fn, tty);
	close(in[0]);
	close(out[1]);
	r.in = in[1];
	r.out = out[0];
	return r;
}

static int rig_end(struct rig *r)
{
	int status;

	assert_int_equal(waitpid(r->sup, &status, 0), r->sup);
	if (r->in >= 0)
		close(r->in);
	if (r->out >= 0 && r->out != r->in)
		close(r->out);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), STOPPED_WRONG);
	return WEXITSTATUS(status);
}

/* Reads until text has come. */
static void expect(int fd, const char *text)
{
	char buf[4096];
	size_t n = 0;

	while (n < sizeof(buf) - 1) {
		ssize_t k = read(fd, buf + n, sizeof(buf) - 1 - n);

		buf[n + (k > 0 ? (size_t)k : 0)] = '\0';
		if (strstr(buf, text))
			return;
		if (k <= 0)
			break;
		n += (size_t)k;
	}
	fail_msg("wanted \"%s\", have \"%s\"", text, buf);
}

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

static int leaves_orphans(void)
{
	int p[2];
	char c;

	if (pipe(p) < 0)
		return 1;
	for (int i = 0; i < 5; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			pid = fork();
			_exit(pid == 0 ? 5 : 6);
		}
		waitpid(pid, NULL, 0);
	}
	close(p[1]);
	/* The end of file comes when all of them have ended. */
	return read(p[0], &c, 1) == 0 ? 7 : 8;
}

static void orphans_are_reaped(void **state)
{
	struct rig r = rig_pipes(leaves_orphans, false);

	(void)state;
	assert_int_equal(rig_end(&r), 7);
}

/* ---- signals ---- */

static int lists_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	dprintf(1, "ready\n");
	for (;;) {
		int sig = sigwaitinfo(&all, NULL);

		dprintf(1, "<%d>\n", sig);
		if (sig == SIGUSR2)
			return 11;
	}
}

static void signals_are_forwarded(void **state)
{
	static const int sent[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGALRM, SIGTSTP, SIGTTOU,
				    SIGCONT, SIGWINCH, SIGPIPE, SIGURG, SIGCHLD, SIGIO };
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

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	dprintf(1, "ready\n");
	while (sigwaitinfo(&all, NULL) != SIGUSR1)
		;
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

/* The user has stopped their terminal: signals still get through, and a second one ends the wait. */
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

/* ---- input ---- */

/* The bytes of the terminal until its end of file. */
static int counts_input(void)
{
	char buf[4096];
	int total = 0;
	ssize_t n;

	while ((n = read(0, buf, sizeof(buf))) > 0)
		total += (int)n;
	return n < 0 ? 250 : total % 200;
}

static int input_from(int fd)
{
	AUTO_CLOSE int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct rig r = { .in = -1, .out = -1 };

	rig_start(&r, fd, null, counts_input, true);
	close(fd);
	return rig_end(&r);
}

static int input_pipe(const char *text)
{
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(io_write_full(p[1], text, strlen(text)), 0);
	close(p[1]);
	return input_from(p[0]);
}

static int input_file(const char *text)
{
	char path[] = "/tmp/ctr-test-supervise-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(io_write_full(fd, text, strlen(text)), 0);
	lseek(fd, 0, SEEK_SET);
	return input_from(fd);
}

static void end_of_input_is_passed_on(void **state)
{
	(void)state;
	assert_int_equal(input_pipe("hello\n"), 6);
	assert_int_equal(input_pipe("hello"), 5); /* in the middle of a line */
	assert_int_equal(input_pipe(""), 0);
	assert_int_equal(input_file("from a file\n"), 12);
	assert_int_equal(input_from(open("/dev/null", O_RDONLY | O_CLOEXEC)), 0);
}

/* Far more than the terminal holds at a time, while its reader is as slow as it likes. */
static void much_input(void **state)
{
	enum { LINES = 3000, LENGTH = 101 };
	AUTO_FREE char *text = malloc(LINES * LENGTH + 1);

	(void)state;
	for (int i = 0; i < LINES; i++) {
		memset(text + i * LENGTH, 'i', LENGTH - 1);
		text[i * LENGTH + LENGTH - 1] = '\n';
	}
	text[LINES * LENGTH] = '\0';
	assert_int_equal(input_file(text), LINES * LENGTH % 200);
}

/* ---- the user's terminal ---- */

struct terminal {
	struct rig rig;
	int slave; /* kept open to look at the settings */
	struct termios before;
};

static void terminal_start(struct terminal *t, int (*fn)(void))
{
	struct winsize ws = { .ws_row = 20, .ws_col = 60 };
	struct err e = {};
	int master;

	assert_int_equal(openpty(&master, &t->slave, NULL, NULL, &ws), 0);
	assert_int_equal(tcgetattr(t->slave, &t->before), 0);
	t->rig.sup = fork();
	assert_true(t->rig.sup >= 0);
	if (t->rig.sup == 0) {
		close(master);
		if (setsid() < 0 || console_adopt(t->slave, NULL, 0, &e) < 0)
			_exit(STOPPED_WRONG);
		close(t->slave);
		_exit(supervise(fn, true));
	}
	t->rig.in = t->rig.out = master;
}

static void terminal_end(struct terminal *t, int want)
{
	assert_int_equal(rig_end(&t->rig), want);
	close(t->slave);
}

static int follows_size(void)
{
	sigset_t winch;
	struct winsize ws;

	sigemptyset(&winch);
	sigaddset(&winch, SIGWINCH);
	sigaddset(&winch, SIGTERM);
	sigprocmask(SIG_BLOCK, &winch, NULL);
	for (;;) {
		/* The first size may come before or after this line is reached. */
		if (ioctl(0, TIOCGWINSZ, &ws) < 0)
			return 1;
		dprintf(1, "[%d %d]\n", ws.ws_row, ws.ws_col);
		if (sigwaitinfo(&winch, NULL) == SIGTERM)
			return 21;
	}
}

static void size_follows_and_settings_return(void **state)
{
	struct winsize ws = { .ws_row = 44, .ws_col = 132 };
	struct terminal t;
	struct termios now;

	(void)state;
	terminal_start(&t, follows_size);
	expect(t.rig.out, "[20 60]");
	assert_int_equal(tcgetattr(t.slave, &now), 0);
	assert_false(now.c_lflag & (ICANON | ECHO | ISIG));
	/* the kernel tells the supervisor, which is the foreground of that terminal */
	assert_int_equal(ioctl(t.rig.in, TIOCSWINSZ, &ws), 0);
	expect(t.rig.out, "[44 132]");
	assert_int_equal(kill(t.rig.sup, SIGTERM), 0);
	terminal_end(&t, 21);
}

static int ready_and_wait(void)
{
	dprintf(1, "ready\n");
	pause();
	return 1;
}

/* What is typed is the payload's, control characters too. */
static void keys_go_to_the_payload(void **state)
{
	struct terminal t;

	(void)state;
	terminal_start(&t, ready_and_wait);
	expect(t.rig.out, "ready");
	assert_int_equal(write(t.rig.in, "\003", 1), 1);
	terminal_end(&t, 128 + SIGINT);
}

static void settings_return_after_a_kill(void **state)
{
	struct terminal t;

	(void)state;
	terminal_start(&t, dies_of_kill);
	terminal_end(&t, 128 + SIGKILL);
	terminal_start(&t, ready_and_wait);
	expect(t.rig.out, "ready");
	kill(t.rig.sup, SIGQUIT);
	terminal_end(&t, 128 + SIGQUIT);
}

/* The shell's job control: something else had the terminal, SIGCONT brings the raw mode back. */
static void raw_again_after_a_stop(void **state)
{
	struct terminal t;
	struct termios now;

	(void)state;
	terminal_start(&t, lists_signals);
	expect(t.rig.out, "ready");
	assert_int_equal(tcsetattr(t.slave, TCSANOW, &t.before), 0);
	assert_int_equal(kill(t.rig.sup, SIGCONT), 0);
	expect(t.rig.out, "<18>");
	assert_int_equal(tcgetattr(t.slave, &now), 0);
	assert_false(now.c_lflag & (ICANON | ECHO));
	assert_int_equal(kill(t.rig.sup, SIGUSR2), 0);
	terminal_end(&t, 11);
}

/* ---- errors ---- */

static void not_a_child(void **state)
{
	struct supervise s = { .master = -1 };
	struct err e = {};
	int st, status_out = 77;
	sigset_t now;

	(void)state;
	s.pid = fork();
	if (s.pid == 0)
		_exit(0);
	s.pidfd = sys_pidfd_open(s.pid, 0);
	waitpid(s.pid, &st, 0);
	assert_int_equal(supervise_block(&s, &e), 0);
	assert_int_equal(supervise_wait(&s, &status_out, &e), -ECHILD);
	assert_int_equal(status_out, 77);
	close(s.pidfd);
	s.pidfd = -1;
	assert_int_equal(supervise_block(&s, &e), 0);
	assert_int_equal(supervise_wait(&s, &status_out, &e), -EBADF);
	sigprocmask(SIG_SETMASK, NULL, &now);
	assert_false(sigismember(&now, SIGTERM));
	assert_int_equal(supervise_block(&s, &e), 0);
	supervise_unblock(&s);
	sigprocmask(SIG_SETMASK, NULL, &now);
	assert_false(sigismember(&now, SIGTERM));
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
		cmocka_unit_test(end_of_input_is_passed_on),
		cmocka_unit_test(much_input),
		cmocka_unit_test(size_follows_and_settings_return),
		cmocka_unit_test(keys_go_to_the_payload),
		cmocka_unit_test(settings_return_after_a_kill),
		cmocka_unit_test(raw_again_after_a_stop),
		cmocka_unit_test(not_a_child),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(120); /* a hang is a failure */
	return cmocka_run_group_tests_name("supervise", tests, NULL, NULL);
}
