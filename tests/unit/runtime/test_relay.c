/* SPDX-License-Identifier: Apache-2.0 */
/* What the user types, and the user's own terminal. */
#include "tests/unit/runtime/supervise_rig.h"

static int dies_of_kill(void)
{
	raise(SIGKILL);
	return 0;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(end_of_input_is_passed_on),
		cmocka_unit_test(much_input),
		cmocka_unit_test(size_follows_and_settings_return),
		cmocka_unit_test(keys_go_to_the_payload),
		cmocka_unit_test(settings_return_after_a_kill),
		cmocka_unit_test(raw_again_after_a_stop),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(120); /* a hang is a failure */
	return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
