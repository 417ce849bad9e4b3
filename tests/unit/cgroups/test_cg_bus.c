/* SPDX-License-Identifier: Apache-2.0 */
/* A message bus that is not there, hangs up, or never answers; the real one is met in the test
 * machine. */
#include "cgroups/cg_bus.h"
#include "cgroups/cg_systemd.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#define DEADLINE_MS 300
#define LATE_MS 5000 /* a slow machine is no failure, a wait without end is */

static char tmp[64];

enum behaviour { SILENT, HANG_UP, HELLO_ONLY };

/* Authenticates the client as everybody and then says nothing more. */
static void hello_only(int fd)
{
	static const char yes[] =
		"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n";
	char buf[512];

	if (read(fd, buf, sizeof(buf)) > 0 && write(fd, yes, strlen(yes)) > 0)
		while (read(fd, buf, sizeof(buf)) > 0)
			;
}

static _Noreturn void serve(int listener, enum behaviour how)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (how == HANG_UP)
			close(fd);
		else if (how == HELLO_ONLY)
			hello_only(fd);
	}
}

static pid_t start(enum behaviour how)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char address[128];
	pid_t pid;

	strcpy(tmp, "/tmp/test-bus-XXXXXX");
	assert_non_null(mkdtemp(tmp));
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/bus", tmp);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 8), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		serve(fd, how);
	close(fd);
	snprintf(address, sizeof(address), "unix:path=%s", a.sun_path);
	setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
	setenv("DBUS_SESSION_BUS_ADDRESS", address, 1);
	return pid;
}

static void end(pid_t pid)
{
	char path[128];

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	snprintf(path, sizeof(path), "%s/bus", tmp);
	unlink(path);
	rmdir(tmp);
}

static void no_library(void)
{
	void *h = dlopen("libsystemd.so.0", RTLD_LAZY);

	if (!h) {
		print_message("libsystemd is not installed\n");
		skip();
	}
	dlclose(h);
}

/* Every kind of call of one bus: the first waits for the deadline, what comes after it fails at
 * once. */
static void all_calls(struct cg_bus *b, const char *want)
{
	struct cg_props none = { 0 };
	char *path = NULL;
	struct err e;
	int version;

	assert_int_equal(cg_bus_version(b, &version, &e), -ETIMEDOUT);
	if (!strstr(e.msg, want) || !str_after(e.msg, "cgroup manager systemd: "))
		fail_msg("%s", e.msg);
	assert_true(cg_bus_start(b, "x.scope", &none, &e) < 0);
	assert_true(cg_bus_set(b, "x.scope", &none, &e) < 0);
	assert_true(cg_bus_stop(b, "x.scope", &e) < 0);
	assert_true(cg_bus_cgroup(b, "x.scope", "Scope", &path, &e) < 0);
	assert_null(path);
}

static void never_answers(enum behaviour how, bool user, const char *want)
{
	struct cg_bus *b = NULL;
	struct err e = { 0 };
	int64_t from;
	pid_t pid;

	no_library();
	pid = start(how);
	from = cg_now_ms();
	if (cg_bus_open(user, DEADLINE_MS, &b, &e) < 0)
		fail_msg("%s", e.msg);
	all_calls(b, want);
	assert_true(cg_now_ms() - from >= DEADLINE_MS);
	assert_true(cg_now_ms() - from < LATE_MS);
	cg_bus_close(b);
	end(pid);
}

static void test_silent(void **state)
{
	(void)state;
	never_answers(SILENT, false, "no answer from systemd over the system bus");
	never_answers(SILENT, true, "no answer from systemd over the user's bus");
}

static void test_hello_only(void **state)
{
	(void)state;
	never_answers(HELLO_ONLY, false, "no answer from systemd");
}

/* Seen when connecting, or by the first call. */
static void test_hang_up(void **state)
{
	struct cg_bus *b = NULL;
	struct err e = { 0 };
	int version;
	pid_t pid;

	(void)state;
	no_library();
	pid = start(HANG_UP);
	if (cg_bus_open(false, LATE_MS, &b, &e) == 0)
		assert_true(cg_bus_version(b, &version, &e) < 0);
	assert_non_null(str_after(e.msg, "cgroup manager systemd: "));
	assert_int_not_equal(e.code, ETIMEDOUT);
	cg_bus_close(b);
	end(pid);
}

/* No bus: creating is an error and leaves no process; removing goes on without it. */
static void test_no_bus(void **state)
{
	struct spec_pair unknown = { "org.systemd.property.X", "'y'" };
	struct spec_map annotations = { &unknown, 1 };
	struct cg_create_opts o = { .id = "x",
				    .driver = CG_DRIVER_SYSTEMD,
				    .annotations = &annotations };
	AUTO_CG struct cg *cg = NULL;
	struct err e = { 0 };

	(void)state;
	no_library();
	setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1);
	assert_int_equal(cg_create(&o, &cg, &e), -ENOENT);
	assert_string_equal(
		e.msg,
		"cgroup manager systemd: connect to the system bus: No such file or directory");
	o.cgroups_path = "/not/a/triple";
	assert_int_equal(cg_create(&o, &cg, &e), -EINVAL);
	assert_null(cg);
	assert_int_equal(waitpid(-1, NULL, __WALL | WNOHANG), -1);
	assert_int_equal(cg_open("/no-such-cgroup-of-a-test", "no-such.scope", CG_DRIVER_SYSTEMD,
				 &cg, &e),
			 0);
	assert_string_equal(cg_unit(cg), "no-such.scope");
	assert_int_equal(cg_placed(cg, &e), 0);
	assert_int_equal(cg_remove(cg, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_hello_only),
		cmocka_unit_test(test_hang_up),
		cmocka_unit_test(test_no_bus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
