/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that come to the host's half: many, without descriptors for them, at the end. */
#include "runtime/vm_connect.h"
#include "runtime/vm_ops.h"
#include "tests/unit/microvm/agent_rig.h"

#include <poll.h>

/* Every exec runs for ever, every question is answered; SIGTERM for init ends it. */
static void serves(const struct guest *g)
{
	uint8_t head[AGENT_HEADER], rest[AGENT_FRAME_MAX];

	start_up(g);
	while (io_read_full(g->port, head, sizeof(head)) == (ssize_t)sizeof(head)) {
		uint16_t type = agent_get_u32(head + 4) & 0xffff;
		uint32_t id = agent_get_u32(head + 8);

		io_read_full(g->port, rest, agent_get_u32(head));
		if (type == AGENT_EXEC)
			say(g, AGENT_PID, id, id, NULL, 0);
		if (id >= AGENT_REQUESTS)
			say(g, AGENT_DONE, id, 0, NULL, 0);
		if (type == AGENT_SIGNAL && agent_get_u32(head + 12) == SIGTERM) {
			say(g, AGENT_DATA, 0, 1, rest, AGENT_FRAME_MAX / 32);
			say(g, AGENT_EXIT, 0, 33 << 8, NULL, 0);
		}
	}
	pause();
}

/* An exec runs, or is never answered, and nothing ends it; SIGTERM for init does. */
static bool answers;

static void lets_nobody_go(const struct guest *g)
{
	uint8_t head[AGENT_HEADER], rest[AGENT_FRAME_MAX];

	start_up(g);
	while (io_read_full(g->port, head, sizeof(head)) == (ssize_t)sizeof(head)) {
		uint16_t type = agent_get_u32(head + 4) & 0xffff;
		uint32_t id = agent_get_u32(head + 8);

		io_read_full(g->port, rest, agent_get_u32(head));
		if (type == AGENT_EXEC && answers)
			say(g, AGENT_PID, id, id, NULL, 0);
		if (type != AGENT_SIGNAL)
			continue;
		if (id >= AGENT_REQUESTS)
			say(g, AGENT_DONE, id, 0, NULL, 0);
		if (agent_get_u32(head + 12) == SIGTERM)
			say(g, AGENT_EXIT, 0, 33 << 8, NULL, 0);
	}
	pause();
}

static void (*guest_fn)(const struct guest *g) = serves;

static char state_dir[] = "/tmp/ctr-host-XXXXXX";

/* The VMM process; it ends with the program's status. stdout: a pipe that is full, or -1. */
static pid_t start_vmm(int dir, int full_pipe)
{
	struct agent_host_opts o = { .vmm = &vmm,
				     .id = "test",
				     .config = "{}",
				     .config_len = 2,
				     .stdio = { -1, full_pipe, -1 },
				     .boot_ms = 5000,
				     .setup_ms = 5000 };
	struct agent_host *h = NULL;
	struct err e = {};
	int status = 0, ready[2];
	pid_t pid;
	char c;

	start_guest(guest_fn);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	o.listen = vm_listen(dir, &e);
	assert_true(o.listen >= 0);
	pid = fork();
	if (pid > 0) {
		close(o.listen);
		close(ready[1]);
		assert_int_equal(read(ready[0], &c, 1), 0);
		close(ready[0]);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(60);
	if (agent_host_create(&h, &o, &e) < 0 || agent_host_start(h, &e) < 0 ||
	    close(ready[1]) < 0 || agent_host_run(h, &status, &e) < 0)
		dprintf(2, "%s\n", e.msg);
	agent_host_free(h);
	_exit(WEXITSTATUS(status));
}

static int ask_ps(int dir, struct err *e)
{
	AUTO_AGENT_CLIENT struct agent_client c = AGENT_CLIENT_INIT;
	char *text = NULL;
	int r = vm_connect(dir, "ps", "test", 5000, &c, e);

	if (r == 0)
		r = agent_client_ask(&c, AGENT_PS, NULL, 0, &text, e);
	free(text);
	return r;
}

static int open_dir(void)
{
	assert_non_null(mkdtemp(state_dir));
	return open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void end_vmm(int dir, pid_t pid, int status)
{
	int st = 0;

	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_true(WIFEXITED(st));
	assert_int_equal(WEXITSTATUS(st), status);
	stop_guest();
	unlinkat(dir, VM_SOCKET, 0);
	close(dir);
	rmdir(state_dir);
	memcpy(state_dir + strlen(state_dir) - 6, "XXXXXX", 6);
}

/* All that there may be run, and other commands are answered all the same; too many are told so. */
static void many_execs(void **state)
{
	static struct agent_client execs[AGENT_MAX_PROCS], idle[64];
	int dir = open_dir(), null = open("/dev/null", O_RDWR | O_CLOEXEC), r, n;
	const int stdio[3] = { null, null, null };
	pid_t pid = start_vmm(dir, -1);
	struct err e = {};

	(void)state;
	for (n = 0; n < AGENT_MAX_PROCS; n++) {
		execs[n] = (struct agent_client)AGENT_CLIENT_INIT;
		r = vm_connect(dir, "exec", "test", 5000, &execs[n], &e);
		if (r == 0)
			r = agent_client_exec(&execs[n], "x", 1, stdio, false, &e);
		if (r < 0)
			break;
	}
	if (n != AGENT_MAX_PROCS - 1 || r != -EAGAIN)
		fail_msg("%d execs, then %s", n, e.msg);
	if (ask_ps(dir, &e) < 0)
		fail_msg("ps: %s", e.msg);
	for (n = 0; n < 64; n++) {
		idle[n] = (struct agent_client)AGENT_CLIENT_INIT;
		assert_int_equal(vm_connect(dir, "ps", "test", 5000, &idle[n], &e), 0);
	}
	assert_int_equal(ask_ps(dir, &e), -EAGAIN);
	assert_non_null(strstr(e.msg, "commands already"));
	for (n = 0; n < 64; n++)
		agent_client_close(&idle[n]);
	/* That they have gone it may see a moment later. */
	while ((r = vm_signal(dir, "test", SIGTERM, false, 5000, &e)) == -EAGAIN)
		;
	assert_int_equal(r, 0);
	end_vmm(dir, pid, 33);
	for (n = 0; n < AGENT_MAX_PROCS; n++)
		agent_client_close(&execs[n]);
	close(null);
}

/* The lowest number that it has not. */
static rlim_t next_fd(pid_t pid)
{
	char path[64];

	for (rlim_t n = 0;; n++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%llu", (int)pid, (unsigned long long)n);
		if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			return n;
	}
}

/* For want of descriptors nobody can be accepted; afterwards somebody can. */
static void a_host_without_descriptors(void **state)
{
	const struct rlimit many = { .rlim_cur = 1024, .rlim_max = 1024 };
	struct rlimit none = many;
	AUTO_AGENT_CLIENT struct agent_client c = AGENT_CLIENT_INIT;
	int dir = open_dir();
	pid_t pid = start_vmm(dir, -1);
	struct err e = {};

	(void)state;
	/* Before a connection has one that may close a moment after its answer. */
	none.rlim_cur = next_fd(pid);
	assert_int_equal(ask_ps(dir, &e), 0);
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &none, NULL), 0);
	assert_int_equal(vm_connect(dir, "ps", "test", 300, &c, &e), 0);
	assert_int_equal(agent_client_ask(&c, AGENT_PS, NULL, 0, NULL, &e), -ETIMEDOUT);
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &many, NULL), 0);
	if (ask_ps(dir, &e) < 0)
		fail_msg("ps: %s", e.msg);
	assert_int_equal(vm_signal(dir, "test", SIGTERM, false, 5000, &e), 0);
	end_vmm(dir, pid, 33);
}

/* The program has ended and nobody reads what it wrote: a signal ends the wait for that. */
static void killed_at_its_end(void **state)
{
	int dir = open_dir(), p[2];
	struct err e = {};
	char full[4096] = {};
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(p[1], full, sizeof(full)) > 0)
		;
	pid = start_vmm(dir, p[1]);
	assert_int_equal(vm_signal(dir, "test", SIGTERM, false, 5000, &e), 0);
	/* its end is not told with a question; no answer is */
	while (ask_ps(dir, &e) == 0)
		;
	assert_int_equal(e.code, EBUSY);
	assert_int_equal(vm_signal(dir, "test", SIGKILL, true, 5000, &e), 0);
	end_vmm(dir, pid, 33);
	close(p[0]);
	close(p[1]);
}

/* Whoever waits for the end of its output does not wait for the guest. */
static void an_exec_that_was_killed(void **state)
{
	(void)state;
	guest_fn = lets_nobody_go;
	for (int i = 0; i < 2; i++) {
		struct agent_client c = AGENT_CLIENT_INIT;
		int dir = open_dir(), null = open("/dev/null", O_RDWR | O_CLOEXEC), out[2], r;
		struct pollfd p = { .events = POLLIN };
		struct err e = {};
		pid_t pid;

		answers = i;
		pid = start_vmm(dir, -1);
		assert_int_equal(pipe2(out, O_CLOEXEC), 0);
		assert_int_equal(vm_connect(dir, "exec", "test", i ? 5000 : 300, &c, &e), 0);
		r = agent_client_exec(&c, "x", 1, (int[]){ null, out[1], out[1] }, false, &e);
		assert_true(answers ? r > 0 : r == -ETIMEDOUT);
		close(out[1]);
		agent_client_close(&c);
		p.fd = out[0];
		assert_int_equal(poll(&p, 1, 10000), 1);
		assert_int_equal(p.revents, POLLHUP);
		close(out[0]);
		close(null);
		assert_int_equal(vm_signal(dir, "test", SIGTERM, false, 5000, &e), 0);
		end_vmm(dir, pid, 33);
	}
	guest_fn = serves;
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(many_execs),
	cmocka_unit_test(a_host_without_descriptors),
	cmocka_unit_test(killed_at_its_end),
	cmocka_unit_test(an_exec_that_was_killed),
};

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	/* One test alone: its name. */
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
