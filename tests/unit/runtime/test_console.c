/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/console.h"

#include "base/cleanup.h"
#include "base/fdpass.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[] = "/tmp/ctr-test-console-XXXXXX";

#define CHECK(cond)                                                           \
	do {                                                                  \
		if (!(cond)) {                                                \
			dprintf(9, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			_exit(1);                                             \
		}                                                             \
	} while (0)

/* Listens at name in the working directory, which keeps the address short. */
static int listen_at(const char *name, int type)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", name);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static void sends_over(const char *path, int type, const char *name)
{
	AUTO_CLOSE int l = listen_at(name, type);
	struct err e = {};
	AUTO_CLOSE int sock = console_connect(path, &e);
	AUTO_CLOSE int peer = -1, got = -1;
	size_t n = 1;
	char text[64] = "";
	struct stat a, b;

	if (sock < 0)
		fail_msg("%s", e.msg);
	assert_true(fcntl(sock, F_GETFD) & FD_CLOEXEC);
	peer = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	assert_true(peer >= 0);

	AUTO_CLOSE int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	assert_true(master >= 0);
	assert_int_equal(console_send(sock, master, "/dev/pts/7", &e), 0);
	assert_int_equal(fdpass_recv(peer, text, sizeof(text), &got, &n), strlen("/dev/pts/7"));
	assert_string_equal(text, "/dev/pts/7");
	assert_int_equal(n, 1);
	assert_int_equal(fstat(master, &a), 0);
	assert_int_equal(fstat(got, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	unlink(name);
}

static void connect_and_send(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/sock", dir);
	sends_over(path, SOCK_STREAM, "sock");
	sends_over(path, SOCK_SEQPACKET, "sock");
	sends_over("sock", SOCK_STREAM, "sock");
}

/* The longest that fits, the first that does not, and one far beyond. */
static void long_paths(void **state)
{
	static const size_t lengths[] = { 107, 108, 109, 300 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		char path[512];
		size_t n = (size_t)snprintf(path, sizeof(path), "%s/", dir);
		size_t fill = lengths[i] - n - strlen("/sock");

		for (size_t k = 0; k < fill; k++)
			path[n + k] = k % 100 == 99 ? '/' : 'd';
		if (path[n + fill - 1] == '/')
			path[n + fill - 1] = 'd';
		path[n + fill] = '\0';
		for (size_t k = n; k <= n + fill; k++) {
			char was = path[k];

			if (was && was != '/')
				continue;
			path[k] = '\0';
			assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
			path[k] = was;
		}
		assert_int_equal(chdir(path), 0);
		strcat(path, "/sock");
		assert_int_equal(strlen(path), lengths[i]);
		sends_over(path, SOCK_STREAM, "sock");
		assert_int_equal(chdir(dir), 0);
	}
}

static void connect_errors(void **state)
{
	struct err e = {};
	char path[600];

	(void)state;
	assert_int_equal(console_connect("/no/such/socket", &e), -ENOENT);
	assert_string_equal(e.msg, "console socket /no/such/socket: No such file or directory");
	assert_int_equal(console_connect("", &e), -ENOENT);
	close(open("plain", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(console_connect("plain", &e), -ECONNREFUSED);
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(console_connect(path, &e), -ENAMETOOLONG);
	path[0] = '/';
	assert_int_equal(console_connect(path, &e), -ENAMETOOLONG);
}

static void send_to_nobody(void **state)
{
	struct err e = {};
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	close(sv[1]);
	/* no SIGPIPE either */
	assert_int_equal(console_send(sv[0], 0, "x", &e), -EPIPE);
	assert_non_null(strstr(e.msg, "console socket"));
	close(sv[0]);
}

static void adopt_in_child(int slave, const struct spec_console_size *size)
{
	struct winsize ws;
	struct err e = {};
	struct stat st;

	CHECK(setsid() > 0);
	CHECK(console_adopt(slave, size, 1000, &e) == 0);
	for (int fd = 0; fd <= 2; fd++) {
		CHECK(isatty(fd));
		CHECK(!(fcntl(fd, F_GETFD) & FD_CLOEXEC));
	}
	CHECK(tcgetpgrp(0) == getpid());
	CHECK(fstat(0, &st) == 0);
	CHECK(geteuid() != 0 || st.st_uid == 1000);
	CHECK(ioctl(0, TIOCGWINSZ, &ws) == 0);
	CHECK(ws.ws_row == (size ? 33 : 0) && ws.ws_col == (size ? 101 : 0));
	_exit(0);
}

static void adopt_with(const struct spec_console_size *size, bool as_stdin)
{
	int master, slave, status;
	pid_t pid;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	fcntl(slave, F_SETFD, FD_CLOEXEC);
	pid = fork();
	if (pid == 0) {
		dup2(2, 9);
		if (as_stdin) {
			/* the slave may itself be one of 0..2 */
			slave = dup3(slave, 0, O_CLOEXEC);
		}
		adopt_in_child(slave, size);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(master);
	close(slave);
}

static void adopt(void **state)
{
	struct spec_console_size size = { .height = 33, .width = 101 };

	(void)state;
	adopt_with(&size, false);
	adopt_with(NULL, false);
	adopt_with(&size, true);
}

static void adopt_errors(void **state)
{
	struct spec_console_size size = { .height = 70000, .width = 1 };
	AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct err e = {};

	(void)state;
	assert_int_equal(console_adopt(null, &size, 0, &e), -ERANGE);
	assert_non_null(strstr(e.msg, "process.consoleSize"));
	size.height = 1;
	assert_int_equal(console_adopt(null, &size, 0, &e), -ENOTTY);
}

static void raw_and_back(void **state)
{
	struct console_raw c;
	struct termios before, raw, after;
	struct err e = {};
	int master, slave;

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(slave, &before), 0);
	assert_int_equal(console_raw_enter(&c, slave, &e), 0);
	assert_int_equal(tcgetattr(slave, &raw), 0);
	assert_false(raw.c_lflag & (ICANON | ECHO | ISIG));
	console_raw_restore(&c);
	assert_int_equal(tcgetattr(slave, &after), 0);
	assert_int_equal(after.c_lflag, before.c_lflag);
	assert_int_equal(after.c_oflag, before.c_oflag);
	/* once is enough: what somebody sets later stays */
	raw.c_lflag |= ECHO;
	assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
	console_raw_restore(&c);
	assert_int_equal(tcgetattr(slave, &after), 0);
	assert_false(after.c_lflag & ICANON);
	close(master);
	close(slave);
	slave = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(console_raw_enter(&c, slave, &e), -ENOTTY);
	assert_int_equal(c.fd, -1);
	console_raw_restore(&c);
	close(slave);
}

static void copy_size(void **state)
{
	struct winsize ws = { .ws_row = 12, .ws_col = 34 };
	int m1, s1, m2, s2;

	(void)state;
	assert_int_equal(openpty(&m1, &s1, NULL, NULL, &ws), 0);
	assert_int_equal(openpty(&m2, &s2, NULL, NULL, NULL), 0);
	assert_int_equal(console_copy_size(s1, m2), 0);
	assert_int_equal(ioctl(s2, TIOCGWINSZ, &ws), 0);
	assert_int_equal(ws.ws_row, 12);
	assert_int_equal(ws.ws_col, 34);
	close(s2);
	s2 = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(console_copy_size(s1, s2), -ENOTTY);
	assert_int_equal(console_copy_size(s2, s1), -ENOTTY);
	close(s2);
	close(m1);
	close(s1);
	close(m2);
}

/* The user's is stdin, or what else of the three is a terminal. */
static void user_size(void **state)
{
	struct winsize ws = { .ws_row = 5, .ws_col = 6 };
	int m1, s1, m2, s2, status;
	pid_t pid;

	(void)state;
	assert_int_equal(openpty(&m1, &s1, NULL, NULL, &ws), 0);
	assert_int_equal(openpty(&m2, &s2, NULL, NULL, NULL), 0);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		dup2(2, 9);
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		CHECK(console_user_size(m2) == -ENOTTY);
		dup2(s1, 2);
		CHECK(console_user_size(m2) == 0);
		CHECK(ioctl(s2, TIOCGWINSZ, &ws) == 0 && ws.ws_row == 5 && ws.ws_col == 6);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(m1);
	close(s1);
	close(m2);
	close(s2);
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "cd / && rm -rf %s", dir);
	return chdir("/") == 0 ? system(cmd) : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connect_and_send),
		cmocka_unit_test(long_paths),
		cmocka_unit_test(connect_errors),
		cmocka_unit_test(send_to_nobody),
		cmocka_unit_test(adopt),
		cmocka_unit_test(adopt_errors),
		cmocka_unit_test(raw_and_back),
		cmocka_unit_test(copy_size),
		cmocka_unit_test(user_size),
	};

	return cmocka_run_group_tests_name("console", tests, setup, teardown);
}
