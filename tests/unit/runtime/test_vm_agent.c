/* SPDX-License-Identifier: Apache-2.0 */
/* Both halves of the agent, with containers of this host in place of those of a guest. */
#include "tests/unit/runtime/vm_rig.h"

#include "oci/json_out.h"

enum { MUCH = 10 << 20 };

static void exit_codes(void **state)
{
	static const struct {
		const char *script;
		int status;
	} t[] = { { "exit 0", 0 }, { "exit 33", 33 }, { "no-such-program", 127 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct rig r = {};

		rig_run(&r, t[i].script);
		assert_int_equal(rig_end(&r), t[i].status);
	}
}

static void output_and_input(void **state)
{
	struct rig r = {};
	AUTO_FREE char *out = NULL, *err = NULL;

	(void)state;
	rig_run(&r, "cat; echo on-stderr >&2; exit 3");
	assert_int_equal(io_write_full(r.in, "through\n", 8), 0);
	close(TAKE_FD(r.in));
	out = rig_all(r.out);
	err = rig_all(r.err);
	assert_string_equal(out, "through\n");
	assert_string_equal(err, "on-stderr\n");
	assert_int_equal(rig_end(&r), 3);
}

/* A program that is not there is the error that a container gives. */
static void start_fails(void **state)
{
	struct rig r = { .program = "/bin/missing" };
	AUTO_FREE char *err = NULL;

	(void)state;
	rig_run(&r, "");
	err = rig_all(r.err);
	assert_non_null(strstr(err, "/bin/missing"));
	assert_int_equal(rig_end(&r), RIG_FAILED);
}

static void bad_configuration(void **state)
{
	struct rig r = { .linux_ = "\"sysctl\":{\"kernel.shm_rmid_forced_x\":\"1\"}" };
	AUTO_FREE char *err = NULL;

	(void)state;
	rig_run(&r, "true");
	err = rig_all(r.err);
	assert_non_null(strstr(err, "shm_rmid_forced_x"));
	assert_int_equal(rig_end(&r), RIG_FAILED);
}

/* ---- much ---- */

static pid_t fill(int fd, size_t len)
{
	pid_t pid = fork();

	if (pid == 0) {
		AUTO_FREE char *buf = malloc(len);

		for (size_t i = 0; i < len; i++)
			buf[i] = (char)(i * 2654435761U >> 13);
		_exit(io_write_full(fd, buf, len) < 0);
	}
	return pid;
}

static void much_both_ways(void **state)
{
	struct rig r = {};
	AUTO_FREE char *buf = malloc(MUCH + 1);
	size_t n = 0;
	pid_t pid;

	(void)state;
	rig_run(&r, "cat");
	pid = fill(r.in, MUCH);
	close(TAKE_FD(r.in));
	while (n <= MUCH) {
		ssize_t got = rig_read(r.out, buf + n, MUCH + 1 - n);

		assert_true(got >= 0);
		if (got == 0)
			break;
		n += (size_t)got;
	}
	assert_int_equal(n, MUCH);
	for (size_t i = 0; i < MUCH; i++)
		if (buf[i] != (char)(i * 2654435761U >> 13))
			fail_msg("byte %zu is wrong", i);
	waitpid(pid, NULL, 0);
	assert_int_equal(rig_end(&r), 0);
}

/* Stdout stands still; stderr, stdin and commands do not. */
static void a_stalled_reader(void **state)
{
	struct rig r = {};
	AUTO_FREE char *text = NULL;
	struct err e = {};

	(void)state;
	rig_run(&r, "yes & read x; echo got $x >&2; sleep 100");
	assert_int_equal(io_write_full(r.in, "word\n", 5), 0);
	rig_expect(r.err, "got word");
	assert_int_equal(vm_ps(r.state_dir, r.id, &text, &e), 0);
	assert_non_null(strstr(text, "yes"));
	/* What is kept for it nobody waits for when we go. */
	assert_int_equal(vm_signal(r.state_dir, r.id, SIGKILL, false, 10000, &e), 0);
	close(r.out);
	r.out = dup(0);
	assert_int_equal(rig_end(&r), 128 + SIGKILL);
}

/* The writer in the guest is told, as by a pipe. */
static void a_reader_that_goes(void **state)
{
	struct rig r = {};
	char buf[100];

	(void)state;
	rig_run(&r, "yes; echo ended >&2");
	assert_true(rig_read(r.out, buf, sizeof(buf)) > 0);
	close(r.out);
	r.out = dup(0);
	rig_expect(r.err, "ended");
	assert_int_equal(rig_end(&r), 0);
}

/* ---- terminal, signals ---- */

static void a_terminal(void **state)
{
	struct rig r = { .tty = true };
	struct winsize ws = { .ws_row = 20, .ws_col = 60 };

	(void)state;
	rig_run(&r,
		"stty size; trap 'stty size' WINCH; echo ready; while :; do read x && exit 4; done");
	rig_expect(r.in, "11 77\r\nready");
	ioctl(r.in, TIOCSWINSZ, &ws);
	rig_expect(r.in, "20 60");
	assert_int_equal(io_write_full(r.in, "x\r", 2), 0);
	assert_int_equal(rig_end(&r), 4);
}

static void signals_reach_init(void **state)
{
	struct rig r = {};
	struct err e = {};

	(void)state;
	rig_run(&r, "trap 'echo term; exit 5' TERM; trap 'echo usr1' USR1; echo ready; "
		    "while :; do sleep 0.1; done");
	rig_expect(r.out, "ready");
	kill(r.vmm, SIGUSR1);
	rig_expect(r.out, "usr1");
	assert_int_equal(vm_signal(r.state_dir, r.id, SIGTERM, false, 10000, &e), 0);
	rig_expect(r.out, "term");
	assert_int_equal(rig_end(&r), 5);
	r.state_dir = open(r.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(vm_signal(r.state_dir, r.id, SIGTERM, false, 10000, &e), -ESRCH);
	close(r.state_dir);
}

static void killed_while_created(void **state)
{
	struct rig r = {};
	struct err e = {};

	(void)state;
	rig_create(&r, "true");
	assert_int_equal(vm_signal(r.state_dir, r.id, SIGKILL, false, 10000, &e), 0);
	assert_int_equal(rig_end(&r), RIG_FAILED);
	close(r.go);
}

/* ---- exec ---- */

/* `ctr exec` in a process of its own: its exit status, and what it wrote. */
static pid_t exec_begin(const struct rig *r, const char *script, bool tty, int in, int out)
{
	pid_t pid = fork();

	if (pid == 0) {
		char *args[] = { "/bin/sh", "-c", (char *)script, NULL };
		struct exec_opts o = { .args = { args, 3 }, .tty = tty };
		struct err e = {};
		int status;

		dup2(in, 0);
		dup2(out, 1);
		dup2(out, 2);
		sys_close_range(3, (unsigned int)r->state_dir - 1, 0);
		sys_close_range((unsigned int)r->state_dir + 1, ~0U, 0);
		if (vm_exec(r->state_dir, r->id, &o, &status, &e) < 0) {
			dprintf(1, "%s", e.msg);
			_exit(e.kind == ERR_NOT_FOUND_PROGRAM ? 127 : 99);
		}
		_exit(status);
	}
	return pid;
}

static int exec_wait(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int exec_run(const struct rig *r, const char *script, const char *input, char **output)
{
	int in[2], out[2];
	pid_t pid;

	assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
	pid = exec_begin(r, script, false, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	assert_int_equal(io_write_full(in[1], input, strlen(input)), 0);
	close(in[1]);
	*output = rig_all(out[0]);
	close(out[0]);
	return exec_wait(pid);
}

static void rig_stop(struct rig *r)
{
	struct err e = {};

	assert_int_equal(vm_signal(r->state_dir, r->id, SIGKILL, true, 10000, &e), 0);
	assert_int_equal(rig_end(r), 128 + SIGKILL);
}

static void exec_of_all_kinds(void **state)
{
	static const struct {
		const char *script, *input, *output;
		int status;
	} t[] = {
		{ "echo hello; exit 7", "", "hello\n", 7 },
		{ "cat", "in and out", "in and out", 0 },
		{ "kill -9 $$", "", "", 128 + SIGKILL },
		{ "cat /proc/1/comm", "", "sh\n", 0 },
	};
	struct rig r = {};

	(void)state;
	rig_run(&r, "echo ready; sleep 100; true");
	rig_expect(r.out, "ready");
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		AUTO_FREE char *out = NULL;

		assert_int_equal(exec_run(&r, t[i].script, t[i].input, &out), t[i].status);
		assert_string_equal(out, t[i].output);
	}
	rig_stop(&r);
}

static void exec_many_at_once(void **state)
{
	enum { N = 20 };
	struct rig r = {};
	pid_t pid[N];
	int in[N], out[N];

	(void)state;
	rig_run(&r, "echo ready; sleep 100; true");
	rig_expect(r.out, "ready");
	for (int i = 0; i < N; i++) {
		int a[2], b[2];
		char script[64];

		assert_int_equal(pipe2(a, O_CLOEXEC) | pipe2(b, O_CLOEXEC), 0);
		snprintf(script, sizeof(script), "read x; echo $x; exit %d", i);
		pid[i] = exec_begin(&r, script, false, a[0], b[1]);
		close(a[0]);
		close(b[1]);
		in[i] = a[1];
		out[i] = b[0];
	}
	/* All are there before the first goes on. */
	for (int i = 0; i < N; i++)
		assert_true(dprintf(in[i], "number-%d\n", i) > 0);
	for (int i = 0; i < N; i++) {
		AUTO_FREE char *text = rig_all(out[i]);
		char want[32];

		snprintf(want, sizeof(want), "number-%d\n", i);
		assert_string_equal(text, want);
		assert_int_equal(exec_wait(pid[i]), i);
		close(in[i]);
		close(out[i]);
	}
	rig_stop(&r);
}

static void exec_with_a_terminal(void **state)
{
	struct rig r = {};
	struct winsize ws = { .ws_row = 9, .ws_col = 33 };
	int master, slave;
	pid_t pid;

	(void)state;
	rig_run(&r, "echo ready; sleep 100; true");
	rig_expect(r.out, "ready");
	assert_int_equal(openpty(&master, &slave, NULL, NULL, &ws), 0);
	pid = exec_begin(&r, "stty size; read x; echo got-$x; exit 6", true, slave, slave);
	rig_expect(master, "9 33");
	assert_int_equal(io_write_full(master, "word\r", 5), 0);
	rig_expect(master, "got-word");
	assert_int_equal(exec_wait(pid), 6);
	close(master);
	close(slave);
	rig_stop(&r);
}

/* Signals to the process of the host that stands for it; SIGKILL too. */
static void exec_gets_signals(void **state)
{
	struct rig r = {};
	AUTO_FREE char *text = NULL;
	struct err e = {};
	int out[2];
	pid_t pid;

	(void)state;
	rig_run(&r, "echo ready; sleep 100; true");
	rig_expect(r.out, "ready");
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = exec_begin(&r, "trap 'echo term; exit 8' TERM; echo up; while :; do sleep 0.1; done",
			 false, open("/dev/null", O_RDONLY | O_CLOEXEC), out[1]);
	rig_expect(out[0], "up");
	kill(pid, SIGTERM);
	rig_expect(out[0], "term");
	assert_int_equal(exec_wait(pid), 8);
	pid = exec_begin(&r, "echo up; exec sleep 77", false,
			 open("/dev/null", O_RDONLY | O_CLOEXEC), out[1]);
	rig_expect(out[0], "up");
	kill(pid, SIGKILL);
	assert_int_equal(exec_wait(pid), -SIGKILL);
	close(out[1]);
	/* Its last output is its end. */
	text = rig_all(out[0]);
	close(out[0]);
	free(TAKE_PTR(text));
	assert_int_equal(vm_ps(r.state_dir, r.id, &text, &e), 0);
	if (strstr(text, "sleep 77"))
		fail_msg("it lives: %s", text);
	rig_stop(&r);
}

static void exec_detached(void **state)
{
	char *args[] = { "/bin/sh", "-c", "echo detached; exit 9", NULL };
	struct exec_opts o = { .args = { args, 3 }, .detach = true };
	struct rig r = {};
	char path[96], text[32];
	struct err e = {};
	int status, saved = dup(1), out[2];

	(void)state;
	rig_run(&r, "echo ready; sleep 100; true");
	rig_expect(r.out, "ready");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	snprintf(path, sizeof(path), "%s/pid", r.dir);
	o.pid_file = path;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	dup2(out[1], 1);
	assert_int_equal(vm_exec(r.state_dir, r.id, &o, &status, &e), 0);
	dup2(saved, 1);
	close(saved);
	close(out[1]);
	rig_expect(out[0], "detached");
	close(out[0]);
	assert_true(io_read_small(AT_FDCWD, path, text, sizeof(text)) > 0);
	assert_int_equal(exec_wait(atoi(text)), 9);
	rig_stop(&r);
}

static void exec_of_what_is_missing(void **state)
{
	char *args[] = { "no-such-program", NULL };
	struct exec_opts o = { .args = { args, 1 } };
	struct rig r = {};
	struct err e = {};
	char pid[16];
	int status, fd;

	(void)state;
	rig_run(&r, "echo ready; sleep 100; true");
	rig_expect(r.out, "ready");
	assert_true(vm_exec(r.state_dir, r.id, &o, &status, &e) < 0);
	assert_int_equal(e.kind, ERR_NOT_FOUND_PROGRAM);
	assert_string_equal(e.msg, "exec: \"no-such-program\": executable file not found in $PATH");
	o.preserve_fds = 1;
	assert_int_equal(vm_exec(r.state_dir, r.id, &o, &status, &e), -ENOTSUP);
	o.preserve_fds = 0;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	fd = dup(3);
	if (dup2(0, 3) == 3)
		assert_int_equal(vm_exec(r.state_dir, r.id, &o, &status, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "LISTEN_FDS"));
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	if (fd < 0)
		close(3);
	else
		dup3(fd, 3, O_CLOEXEC);
	close(fd);
	rig_stop(&r);
}

/* ---- numbers, limits ---- */

static void stats_and_update(void **state)
{
	static const char change[] = "{\"pids\":{\"limit\":77}}",
			  bad[] = "{\"pids\":{\"limit\":\"x\"}}";
	AUTO(json_out_free) struct json_out j = {};
	struct rig r = {};
	struct err e = {};

	(void)state;
	rig_run(&r, "echo ready; sleep 100; true");
	rig_expect(r.out, "ready");
	assert_int_equal(vm_update(r.state_dir, r.id, change, strlen(change), &e), 0);
	assert_int_equal(vm_update(r.state_dir, r.id, bad, strlen(bad), &e), -EINVAL);
	assert_non_null(strstr(e.msg, "pids.limit"));
	if (vm_stats(r.state_dir, r.id, &j, &e) < 0)
		fail_msg("%s", e.msg);
	assert_non_null(strstr(j.buf.s, "\"type\":\"stats\""));
	assert_non_null(strstr(j.buf.s, "77"));
	rig_stop(&r);
}

struct seen {
	int oom, stats;
	int go; /* where the container waits for a word, until the first numbers have come */
};

static int see(void *arg, struct json_out *j, struct err *e)
{
	struct seen *s = arg;

	(void)e;
	s->oom += strstr(j->buf.s, "\"oom\"") != NULL;
	s->stats += strstr(j->buf.s, "\"stats\"") != NULL;
	if (s->stats == 1 && s->go >= 0) {
		assert_int_equal(io_write_full(s->go, "x\n", 2), 0);
		close(TAKE_FD(s->go));
	}
	return 0;
}

static void out_of_memory(void **state)
{
	struct rig r = {
		.linux_ = "\"resources\":{\"memory\":{\"limit\":16777216,\"swap\":16777216}}"
	};
	struct seen seen = {};
	struct events_opts o = { .interval = 50000000, .fn = see, .arg = &seen };
	struct err e = {};

	(void)state;
	rig_run(&r, "echo ready; read x; tail /dev/zero; echo after");
	rig_expect(r.out, "ready");
	seen.go = TAKE_FD(r.in);
	if (vm_events(r.state_dir, r.id, NULL, &o, &e) < 0 && e.code != ESRCH)
		fail_msg("%s", e.msg);
	assert_true(seen.oom >= 1);
	rig_end(&r);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(exit_codes),           cmocka_unit_test(output_and_input),
	cmocka_unit_test(start_fails),          cmocka_unit_test(bad_configuration),
	cmocka_unit_test(much_both_ways),       cmocka_unit_test(a_stalled_reader),
	cmocka_unit_test(a_reader_that_goes),   cmocka_unit_test(a_terminal),
	cmocka_unit_test(signals_reach_init),   cmocka_unit_test(killed_while_created),
	cmocka_unit_test(exec_of_all_kinds),    cmocka_unit_test(exec_many_at_once),
	cmocka_unit_test(exec_with_a_terminal), cmocka_unit_test(exec_gets_signals),
	cmocka_unit_test(exec_detached),        cmocka_unit_test(exec_of_what_is_missing),
	cmocka_unit_test(stats_and_update),     cmocka_unit_test(out_of_memory),
};

int main(int argc, char **argv)
{
	/* One test alone: its name. */
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
