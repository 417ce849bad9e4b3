/* SPDX-License-Identifier: Apache-2.0 */
/* Commands on a micro-VM whose VMM process is none: it answers with errors, or not at all. */
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "microvm/agent_proto.h"
#include "runtime/ctr.h"
#include "runtime/proc.h"
#include "runtime/store.h"
#include "runtime/vm_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static char root[] = "/tmp/ctr-vmops-XXXXXX";
static const struct ctr_global global = { .root = root, .root_given = true };
static pid_t vmm;
static int dir;

/* Whatever it is asked: an error. */
static _Noreturn void answers_errors(int s)
{
	uint8_t buf[AGENT_HEADER + 64];
	struct err e;
	struct agent_frame f = { .type = AGENT_ERROR, .data = buf + AGENT_HEADER };

	err_set(&e, EBUSY, "not ready");
	f.len = (uint32_t)agent_err_put(buf + AGENT_HEADER, 64, &e);
	agent_frame_header(buf, &f);
	for (;;) {
		struct pollfd p = { .fd = s, .events = POLLIN };
		uint8_t asked[256];
		int c;

		poll(&p, 1, -1);
		c = accept(s, NULL, NULL);
		if (c >= 0 && read(c, asked, sizeof(asked)) > 0)
			io_write_full(c, buf, AGENT_HEADER + f.len);
	}
}

static _Noreturn void is_silent(int s)
{
	(void)s;
	for (;;)
		pause();
}

static _Noreturn void ends_soon(int s)
{
	struct pollfd p = { .fd = s, .events = POLLIN };

	poll(&p, 1, -1);
	usleep(500000);
	_exit(0);
}

static void start(void (*fn)(int s), const char *id)
{
	AUTO_STORE struct store st = STORE_INIT;
	AUTO_STATE struct state *state = NULL;
	AUTO_FREE char *text = NULL;
	uint64_t began = 0;
	struct err e = {};
	int s;

	assert_int_equal(store_open(&st, root, true, &e), 0);
	dir = store_make(&st, id, &e);
	assert_true(dir >= 0);
	s = vm_listen(dir, &e);
	assert_true(s >= 0);
	vmm = fork();
	if (vmm == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(dir); /* and its lock stays ours */
		fn(s);
	}
	close(s);
	assert_int_equal(proc_start_time(vmm, &began), 0);
	text = str_printf(
		"{\"ociVersion\":\"1.3.0\",\"id\":\"%s\",\"pid\":%d,\"pidStart\":%llu,"
		"\"bundle\":\"/\",\"rootfs\":\"/\",\"mode\":\"microvm\","
		"\"created\":\"2026-01-01T00:00:00Z\",\"cgroupDriver\":\"disabled\",\"owner\":0}",
		id, (int)vmm, (unsigned long long)began);
	if (state_parse(text, strlen(text), &state, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(store_write_state(dir, state, &e), 0);
}

static void stop(const char *id)
{
	AUTO_STORE struct store st = STORE_INIT;
	struct err e = {};

	kill(vmm, SIGKILL);
	waitpid(vmm, NULL, 0);
	close(dir);
	assert_int_equal(store_open(&st, root, false, &e), 0);
	store_remove(&st, id, &e);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* kill KILL ends it, and takes no longer than the guest may take to obey. */
static void is_killed(const char *id)
{
	struct err e = {};
	double begin = now();
	int status = 0;

	alarm(20);
	if (ctr_kill(&global, id, SIGKILL, false, &e) < 0)
		fail_msg("%s", e.msg);
	alarm(0);
	assert_true(now() - begin < 8);
	assert_int_equal(waitpid(vmm, &status, 0), vmm);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void killed_though_it_refuses(void **state)
{
	(void)state;
	start(answers_errors, "refuses");
	is_killed("refuses");
	stop("refuses");
}

static void killed_though_it_is_silent(void **state)
{
	(void)state;
	start(is_silent, "silent");
	is_killed("silent");
	stop("silent");
}

/* Nobody gets a connection any more. */
static void killed_though_its_queue_is_full(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fds[200], n = 0;

	(void)state;
	start(is_silent, "full");
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/full/" VM_SOCKET, root);
	for (; n < 200; n++) {
		fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (connect(fds[n], (struct sockaddr *)&a, sizeof(a)) < 0)
			break;
	}
	assert_true(n < 200);
	is_killed("full");
	for (; n >= 0; n--)
		close(fds[n]);
	stop("full");
}

/* Other signals go to the guest, and are not the VMM's: one of them would stop it for ever. */
static void a_stop_is_for_the_guest(void **state)
{
	struct err e = {};
	int status;

	(void)state;
	start(answers_errors, "stop");
	assert_int_equal(ctr_kill(&global, "stop", SIGSTOP, false, &e), -EBUSY);
	assert_string_equal(e.msg, "not ready");
	assert_int_equal(ctr_kill(&global, "stop", SIGRTMIN, false, &e), -EBUSY);
	assert_int_equal(waitpid(vmm, &status, WUNTRACED | WNOHANG), 0);
	stop("stop");
}

static int no_event(void *arg, struct json_out *j, struct err *e)
{
	(void)arg;
	(void)j;
	(void)e;
	return -EIO;
}

/* As with a paused one: the stream is there, and what it says comes when it says something. */
static void events_begin_without_an_answer(void **state)
{
	struct events_opts o = { .interval = 60000000000, .fn = no_event };
	struct err e = {};

	(void)state;
	start(ends_soon, "events");
	if (ctr_events(&global, "events", &o, &e) < 0)
		fail_msg("%s", e.msg);
	stop("events");
}

/* Whether it waits in poll(2) or recv(2). */
static bool waits(pid_t pid)
{
	AUTO_FREE char *path = str_printf("/proc/%d/wchan", (int)pid);
	AUTO_FREE char *where = NULL;

	assert_int_equal(io_read_file(AT_FDCWD, path, 4096, &where, NULL), 0);
	return strstr(where, "poll") || strstr(where, "skb");
}

static void exec_of_a_hung_one(bool detach)
{
	char *args[] = { "true", NULL };
	struct exec_opts o = { .args = { args, 1 }, .detach = detach };
	struct err e = {};
	int status = 0, code;
	pid_t pid;
	double begin;

	start(is_silent, "exec");
	pid = fork();
	if (pid == 0) {
		alarm(20);
		code = vm_exec(dir, "exec", &o, &status, &e);
		_exit(code == -EINTR ? 77 : 1);
	}
	/* it has asked, and waits */
	for (int i = 0; !waits(pid); i++) {
		assert_true(i < 1000);
		usleep(10000);
	}
	begin = now();
	kill(pid, SIGINT);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(now() - begin < 5);
	if (detach)
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
	else
		assert_int_equal(WEXITSTATUS(status), 77);
	stop("exec");
}

static void exec_can_be_ended_before_it_begins(void **state)
{
	(void)state;
	exec_of_a_hung_one(false);
	exec_of_a_hung_one(true);
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
	AUTO_FREE char *cmd = str_printf("rm -rf %s", root);

	(void)state;
	return system(cmd);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(killed_though_it_refuses),
	cmocka_unit_test(killed_though_it_is_silent),
	cmocka_unit_test(killed_though_its_queue_is_full),
	cmocka_unit_test(a_stop_is_for_the_guest),
	cmocka_unit_test(events_begin_without_an_answer),
	cmocka_unit_test(exec_can_be_ended_before_it_begins),
};

int main(int argc, char **argv)
{
	/* One test alone: its name. */
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, setup, teardown);
}
