/* SPDX-License-Identifier: Apache-2.0 */
/* The host's half against guests that are none: they hang, panic, hang up, talk nonsense. */
#include "tests/unit/microvm/agent_rig.h"

/* For guests that hang; a good one must come up in time on a busy machine as well. */
enum { HANG_MS = 900, GOOD_MS = 20000 };

static unsigned int patience = GOOD_MS;
static int out; /* the reader of the container's stdout */

static int create(struct agent_host **h, struct err *e)
{
	struct agent_host_opts o = { .vmm = &vmm,
				     .id = "test",
				     .kernel = "/the/kernel",
				     .config = "{}",
				     .config_len = 2,
				     .stdio = { -1, -1, -1 },
				     .listen = -1,
				     .boot_ms = patience,
				     .setup_ms = patience };
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

/* One half of the machine is gone, the other goes on sending what may always be sent. */
static void floods_after_its_end(const struct guest *g)
{
	hello(g, AGENT_VERSION);
	wait_for(g, AGENT_CONFIG);
	end_machine(g);
	for (;;)
		say(g, AGENT_OOM, 0, 0, NULL, 0);
}

/* Creation with this guest fails, and the error has these words. */
static void fails(void (*fn)(const struct guest *g), enum vm_end end, const char *words,
		  const char *console)
{
	struct agent_host *h = NULL;
	struct err e = {};

	start_guest(fn);
	how = end;
	if (fn == hangs || fn == is_silent || fn == panics_and_hangs || fn == floods_its_console ||
	    fn == hangs_in_set_up)
		patience = HANG_MS;
	assert_true(create(&h, &e) < 0);
	patience = GOOD_MS;
	if (!strstr(e.msg, words) || !strstr(e.msg, console))
		fail_msg("\"%s\" has not \"%s\" and \"%s\"", e.msg, words, console);
	/* the kernel is named while it is what can be wrong */
	assert_int_equal(!strncmp(e.msg, "kernel /the/kernel: ", 20), !!strstr(e.msg, " booted"));
	for (const char *s = e.msg; *s; s++)
		assert_true(*s >= ' ');
	close(out);
	stop_guest();
}

static void guests_that_do_not_come_up(void **state)
{
	(void)state;
	fails(hangs, VM_END_CRASH,
	      "kernel /the/kernel: the guest hangs: nothing for 0.9 s while it booted",
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
	      "the guest hangs: nothing for 0.9 s while the container was set up", "");
	fails(floods_after_its_end, VM_END_CRASH, "the machine crashed", "");
	fails(refuses, VM_END_CRASH, "mounts[3]: no such ?[2Jthing", "");
}

/* ---- after the set-up ---- */

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

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(guests_that_do_not_come_up),
	cmocka_unit_test(guests_that_are_strange),
	cmocka_unit_test(a_good_guest),
	cmocka_unit_test(a_machine_that_ends_by_itself),
	cmocka_unit_test(a_guest_that_breaks_the_protocol),
};

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
