/* SPDX-License-Identifier: Apache-2.0 */
/* The host's half against guests that are none: they hang, panic, hang up, talk nonsense. */
#include "microvm/agent_client.h"
#include "microvm/agent_host.h"
#include "microvm/agent_proto.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "runtime/vm_connect.h"
#include "runtime/vm_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <cmocka.h>

struct guest {
	int port, console, ended;
};

static enum vm_end how;

static enum vm_end rig_end(struct vmm *v, const char **text)
{
	(void)v;
	*text = NULL;
	return how;
}

static const struct vmm_ops rig_ops = { .name = "rig", .end = rig_end };

static struct vmm vmm;
static pid_t guest_pid;
static int out; /* the reader of the container's stdout */

static void say(const struct guest *g, uint16_t type, uint32_t id, uint32_t arg, const void *data,
		uint32_t len)
{
	uint8_t buf[AGENT_HEADER + 4096];
	struct agent_frame f = { .type = type, .id = id, .arg = arg, .len = len };

	agent_frame_header(buf, &f);
	if (len)
		memcpy(buf + AGENT_HEADER, data, len);
	io_write_full(g->port, buf, AGENT_HEADER + len);
}

static void hello(const struct guest *g, uint32_t version)
{
	uint8_t b[8] = {};

	agent_put_u32(b, version);
	say(g, AGENT_HELLO, 0, 0, b, 8);
}

static void print(const struct guest *g, const char *text)
{
	io_write_full(g->console, text, strlen(text));
}

static void end_machine(const struct guest *g)
{
	eventfd_write(g->ended, 1);
}

/* Until the host has sent what it sends in that phase. */
static void wait_for(const struct guest *g, uint16_t type)
{
	uint8_t head[AGENT_HEADER], rest[AGENT_FRAME_MAX];

	do {
		if (io_read_full(g->port, head, sizeof(head)) != (ssize_t)sizeof(head))
			_exit(1);
		io_read_full(g->port, rest, agent_get_u32(head));
	} while ((agent_get_u32(head + 4) & 0xffff) != type);
}

static void start_guest(void (*fn)(const struct guest *g))
{
	int s[2], console[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	assert_int_equal(pipe2(console, O_CLOEXEC), 0);
	fcntl(console[0], F_SETFL, O_NONBLOCK);
	vmm = (struct vmm){ .ops = &rig_ops,
			    .ctl = s[0],
			    .console = console[0],
			    .ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	how = VM_END_CRASH;
	guest_pid = fork();
	if (guest_pid == 0) {
		struct guest g = { .port = s[1], .console = console[1], .ended = vmm.ended };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(s[0]);
		fn(&g);
		_exit(0);
	}
	close(s[1]);
	close(console[1]);
}

static void stop_guest(void)
{
	kill(guest_pid, SIGKILL);
	waitpid(guest_pid, NULL, 0);
	close(vmm.ctl);
	close(vmm.ended);
	if (vmm.console >= 0)
		close(vmm.console);
}

static int create(struct agent_host **h, struct err *e)
{
	struct agent_host_opts o = { .vmm = &vmm,
				     .id = "test",
				     .kernel = "/the/kernel",
				     .config = "{}",
				     .config_len = 2,
				     .stdio = { -1, -1, -1 },
				     .listen = -1,
				     .boot_ms = 300,
				     .setup_ms = 300 };
	sigset_t mask;
	int p[2], r;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	out = p[0];
	o.stdio[1] = p[1];
	sigprocmask(SIG_SETMASK, NULL, &mask);
	r = agent_host_create(h, &o, e);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	close(p[1]);
	return r;
}

/* Creation with this guest fails, and the error has these words. */
static void fails(void (*fn)(const struct guest *g), enum vm_end end, const char *words,
		  const char *console)
{
	struct agent_host *h = NULL;
	struct err e = {};

	start_guest(fn);
	how = end;
	assert_true(create(&h, &e) < 0);
	if (!strstr(e.msg, words) || !strstr(e.msg, console))
		fail_msg("\"%s\" has not \"%s\" and \"%s\"", e.msg, words, console);
	/* the kernel is named while it is what can be wrong */
	assert_int_equal(!strncmp(e.msg, "kernel /the/kernel: ", 20), !!strstr(e.msg, " booted"));
	for (const char *s = e.msg; *s; s++)
		assert_true(*s >= ' ');
	close(out);
	stop_guest();
}

/* ---- guests ---- */

static void hangs(const struct guest *g)
{
	print(g, "one\ntwo\nLinux is booting\n");
	pause();
}

static void is_silent(const struct guest *g)
{
	(void)g;
	pause();
}

static void panics(const struct guest *g)
{
	print(g, "VFS: no root\n\033[31mKernel panic - not syncing: VFS\r\n---[ end ]---\n");
	end_machine(g);
	pause();
}

static void panics_and_hangs(const struct guest *g)
{
	print(g, "Kernel panic - not syncing: Attempted to kill init!\n");
	pause();
}

static void switches_off(const struct guest *g)
{
	print(g, "ctr: guest: no virtio console port ctr.ctl\n");
	end_machine(g);
	pause();
}

static void hangs_up(const struct guest *g)
{
	shutdown(g->port, SHUT_RDWR);
	pause();
}

static void talks_nonsense(const struct guest *g)
{
	print(g, "hi\n");
	io_write_full(g->port, "HTTP/1.1 200 OK\r\n\r\n", 19);
	pause();
}

static void has_another_version(const struct guest *g)
{
	hello(g, AGENT_VERSION + 1);
	pause();
}

static void says_hello_twice(const struct guest *g)
{
	hello(g, AGENT_VERSION);
	hello(g, AGENT_VERSION);
	pause();
}

static void hangs_in_set_up(const struct guest *g)
{
	hello(g, AGENT_VERSION);
	pause();
}

static void refuses(const struct guest *g)
{
	uint8_t b[] = "\26\0\0\0\0\0\0\0mounts[3]: no such \033[2Jthing";

	hello(g, AGENT_VERSION);
	wait_for(g, AGENT_CONFIG);
	say(g, AGENT_ERROR, 0, 0, b, sizeof(b) - 1);
	pause();
}

static void floods_its_console(const struct guest *g)
{
	for (;;)
		print(g, "noise noise noise noise noise noise noise noise noise noise noise\n");
}

static void guests_that_do_not_come_up(void **state)
{
	(void)state;
	fails(hangs, VM_END_CRASH,
	      "kernel /the/kernel: the guest hangs: nothing for 0.3 s while it booted",
	      "one|two|Linux is booting");
	fails(is_silent, VM_END_CRASH, "hangs", "(nothing)");
	fails(panics, VM_END_RESET, "the guest's kernel panicked while it booted", "end ]---");
	fails(panics, VM_END_PANIC, "the guest's kernel panicked", "VFS");
	fails(panics_and_hangs, VM_END_CRASH, "the guest's kernel panicked", "kill init");
	fails(switches_off, VM_END_RESET, "the guest switched itself off while it booted",
	      "no virtio console port");
	fails(switches_off, VM_END_CRASH, "the machine crashed", "");
	fails(floods_its_console, VM_END_CRASH, "hangs", "noise");
}

static void guests_that_are_strange(void **state)
{
	(void)state;
	fails(hangs_up, VM_END_CRASH, "the guest's agent hung up while it booted", "(nothing)");
	fails(talks_nonsense, VM_END_CRASH, "breaks the protocol", "");
	fails(has_another_version, VM_END_CRASH, "speaks version 2", "");
	fails(says_hello_twice, VM_END_CRASH, "breaks the protocol", "");
	fails(hangs_in_set_up, VM_END_CRASH,
	      "the guest hangs: nothing for 0.3 s while the container was set up", "");
	fails(refuses, VM_END_CRASH, "mounts[3]: no such ?[2Jthing", "");
}

/* ---- after the set-up ---- */

static void come_up(const struct guest *g)
{
	hello(g, AGENT_VERSION);
	wait_for(g, AGENT_CONFIG);
	say(g, AGENT_DONE, 0, 0, NULL, 0);
}

static void start_up(const struct guest *g)
{
	come_up(g);
	wait_for(g, AGENT_START);
	say(g, AGENT_DONE, 0, 0, NULL, 0);
}

static void is_good(const struct guest *g)
{
	start_up(g);
	say(g, AGENT_DATA, 0, 1, "output", 6);
	say(g, AGENT_EXIT, 0, 33 << 8, NULL, 0);
	/* The exit code came before the reset: it counts. */
	end_machine(g);
	pause();
}

static void ends_in_the_middle(const struct guest *g)
{
	start_up(g);
	print(g, "BUG: something\n");
	end_machine(g);
	pause();
}

static void ends_while_created(const struct guest *g)
{
	come_up(g);
	end_machine(g);
	pause();
}

static const struct {
	uint16_t type;
	uint32_t id, arg;
	const char *data;
	uint32_t len;
} bad[] = {
	{ AGENT_HELLO, 0, 0, "\1\0\0\0\0\0\0\0", 8 },
	{ AGENT_DONE, 0, 0, NULL, 0 },
	{ AGENT_DONE, 77, 0, NULL, 0 },
	{ AGENT_ERROR, 0, 0, "\1\0\0\0\0\0\0\0x", 9 },
	{ AGENT_ERROR, 5, 0, "\1\0\0\0\0\0\0\0x", 9 },
	{ AGENT_PID, 0, 5, NULL, 0 },
	{ AGENT_PID, 5, 5, NULL, 0 },
	{ AGENT_DATA, 5, 1, "x", 1 },
	{ AGENT_DATA, 0, 0, "x", 1 },
	{ AGENT_DATA, 0, 3, "x", 1 },
	{ AGENT_DATA, AGENT_MAX_PROCS, 1, "x", 1 },
	{ AGENT_DATA, UINT32_MAX, 1, "x", 1 },
	{ AGENT_CREDIT, 0, 0, "\1\0\0\0", 4 }, /* more than was taken */
	{ AGENT_CREDIT, 0, 0, "\1", 1 },
	{ AGENT_CREDIT, 0, 1, "\1\0\0\0", 4 },
	{ AGENT_CLOSE, 0, 1, NULL, 0 },
	{ AGENT_EXIT, 5, 0, NULL, 0 },
	{ AGENT_EXIT, 0, 0x137f, NULL, 0 }, /* stopped is no end */
	{ AGENT_SETUP, 0, 0, NULL, 0 },
	{ AGENT_EXEC, 0, 0, "x", 1 },
	{ AGENT_SIGNAL, 0, 9, "\0\0\0\0", 4 },
	{ AGENT_SHUTDOWN, 0, 0, NULL, 0 },
};

static size_t which;

static void breaks_the_protocol(const struct guest *g)
{
	start_up(g);
	say(g, bad[which].type, bad[which].id, bad[which].arg, bad[which].data, bad[which].len);
	pause();
}

static int run(void (*fn)(const struct guest *g), enum vm_end end, int *status, struct err *e)
{
	struct agent_host *h = NULL;
	int r;

	start_guest(fn);
	how = end;
	assert_int_equal(create(&h, e), 0);
	/* What follows at once may be seen by either. */
	r = agent_host_start(h, e);
	if (r == 0)
		r = agent_host_run(h, status, e);
	agent_host_free(h);
	stop_guest();
	return r;
}

static void a_good_guest(void **state)
{
	char text[16] = "";
	struct err e = {};
	int status = 0;

	(void)state;
	assert_int_equal(run(is_good, VM_END_RESET, &status, &e), 0);
	assert_int_equal(WEXITSTATUS(status), 33);
	assert_int_equal(read(out, text, sizeof(text)), 6);
	assert_string_equal(text, "output");
	close(out);
}

static void a_machine_that_ends_by_itself(void **state)
{
	struct agent_host *h = NULL;
	struct err e = {};
	int status = 0, never[2];

	(void)state;
	assert_true(run(ends_in_the_middle, VM_END_RESET, &status, &e) < 0);
	assert_non_null(strstr(e.msg, "switched itself off while the container ran"));
	assert_non_null(strstr(e.msg, "BUG: something"));
	close(out);
	start_guest(ends_while_created);
	assert_int_equal(create(&h, &e), 0);
	assert_int_equal(pipe2(never, O_CLOEXEC), 0);
	assert_true(agent_host_wait(h, never[0], &e) < 0);
	assert_non_null(strstr(e.msg, "before the container was started"));
	close(never[0]);
	close(never[1]);
	agent_host_free(h);
	close(out);
	stop_guest();
}

static void a_guest_that_breaks_the_protocol(void **state)
{
	(void)state;
	for (which = 0; which < ARRAY_SIZE(bad); which++) {
		struct err e = {};
		int status = 0;

		if (run(breaks_the_protocol, VM_END_RESET, &status, &e) == 0 ||
		    !strstr(e.msg, "breaks the protocol"))
			fail_msg("message %zu: \"%s\"", which, e.msg);
		close(out);
	}
}

/* ---- commands ---- */

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

static char state_dir[] = "/tmp/ctr-host-XXXXXX";

/* The VMM process; it ends with the program's status. stdout: a pipe that is full, or -1. */
static pid_t start_vmm(int dir, int full_pipe)
{
	struct agent_host_opts o = { .vmm = &vmm,
				     .id = "test",
				     .config = "{}",
				     .config_len = 2,
				     .stdio = { -1, full_pipe, -1 },
				     .console_copy = -1,
				     .boot_ms = 5000,
				     .setup_ms = 5000 };
	struct agent_host *h = NULL;
	struct err e = {};
	int status = 0, ready[2];
	pid_t pid;
	char c;

	start_guest(serves);
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
	assert_int_equal(vm_signal(dir, "test", SIGTERM, false, 5000, &e), 0);
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
	assert_int_equal(ask_ps(dir, &e), 0);
	none.rlim_cur = next_fd(pid);
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

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(guests_that_do_not_come_up),
	cmocka_unit_test(guests_that_are_strange),
	cmocka_unit_test(a_good_guest),
	cmocka_unit_test(a_machine_that_ends_by_itself),
	cmocka_unit_test(a_guest_that_breaks_the_protocol),
	cmocka_unit_test(many_execs),
	cmocka_unit_test(a_host_without_descriptors),
	cmocka_unit_test(killed_at_its_end),
};

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	/* One test alone: its name. */
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
