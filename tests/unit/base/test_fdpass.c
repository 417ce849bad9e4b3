/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/fdpass.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int s[2];

static int setup(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s);
}

static int teardown(void **state)
{
	(void)state;
	close(s[0]);
	if (s[1] >= 0)
		close(s[1]);
	return 0;
}

static size_t count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_message(void **state)
{
	char buf[16];

	(void)state;
	assert_int_equal(fdpass_send(s[0], "hello", 6, NULL, 0), 0);
	assert_int_equal(fdpass_send(s[0], "next", 5, NULL, 0), 0);
	assert_int_equal(fdpass_recv(s[1], buf, sizeof(buf), NULL, NULL), 6);
	assert_string_equal(buf, "hello");
	assert_int_equal(fdpass_recv(s[1], buf, sizeof(buf), NULL, NULL), 5);
	assert_string_equal(buf, "next");
}

/* What arrives is the same file, closed on exec, and the sender keeps its own. */
static void test_fds(void **state)
{
	int p[2], got[2] = { -1, -1 };
	size_t n = 2;
	char c;

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(fdpass_send(s[0], "x", 1, p, 2), 0);
	assert_int_equal(fdpass_recv(s[1], &c, 1, got, &n), 1);
	assert_int_equal(n, 2);
	assert_int_equal(fcntl(got[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(got[1], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(p[1], F_GETFD), 0);
	assert_int_equal(write(got[1], "y", 1), 1);
	assert_int_equal(read(p[0], &c, 1), 1);
	assert_int_equal(c, 'y');
	for (int i = 0; i < 2; i++) {
		close(p[i]);
		close(got[i]);
	}
}

static void test_most(void **state)
{
	int fds[FDPASS_MAX + 1], got[FDPASS_MAX];
	size_t n = FDPASS_MAX, before = count_fds();
	char c = 'x';

	(void)state;
	for (int i = 0; i <= FDPASS_MAX; i++)
		fds[i] = s[0];
	assert_int_equal(fdpass_send(s[0], &c, 1, fds, FDPASS_MAX + 1), -E2BIG);
	assert_int_equal(fdpass_send(s[0], &c, 1, fds, FDPASS_MAX), 0);
	assert_int_equal(fdpass_recv(s[1], &c, 1, got, &n), 1);
	assert_int_equal(n, FDPASS_MAX);
	assert_int_equal(count_fds(), before + FDPASS_MAX);
	for (size_t i = 0; i < n; i++)
		close(got[i]);
}

/* More than asked for: what is over is closed, not leaked. */
static void test_unwanted(void **state)
{
	size_t before = count_fds(), n;
	int fds[3] = { s[0], s[0], s[0] }, got[3] = { -1, -1, -1 };
	char c = 'x';

	(void)state;
	assert_int_equal(fdpass_send(s[0], &c, 1, fds, 3), 0);
	assert_int_equal(fdpass_recv(s[1], &c, 1, NULL, NULL), 1);
	assert_int_equal(count_fds(), before);

	assert_int_equal(fdpass_send(s[0], &c, 1, fds, 3), 0);
	n = 1;
	assert_int_equal(fdpass_recv(s[1], &c, 1, got, &n), 1);
	assert_int_equal(n, 1);
	assert_int_equal(got[1], -1);
	assert_int_equal(count_fds(), before + 1);
	close(got[0]);

	/* none came */
	assert_int_equal(fdpass_send(s[0], &c, 1, NULL, 0), 0);
	n = 3;
	assert_int_equal(fdpass_recv(s[1], &c, 1, got, &n), 1);
	assert_int_equal(n, 0);
}

/* Somebody else's sender may put more descriptors into a message than we ever take. */
static void test_flood(void **state)
{
	enum { MANY = 200 };
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(MANY * sizeof(int))];
	} u = { 0 };
	char c = 'x';
	struct iovec iov = { &c, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = u.buf,
			      .msg_controllen = sizeof(u.buf) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&msg);
	size_t before = count_fds(), n = FDPASS_MAX;
	int fds[MANY], got[FDPASS_MAX];

	(void)state;
	for (int i = 0; i < MANY; i++)
		fds[i] = s[0];
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(h), fds, sizeof(fds));
	assert_int_equal(sendmsg(s[0], &msg, 0), 1);
	assert_int_equal(fdpass_recv(s[1], &c, 1, got, &n), 1);
	assert_int_equal(n, FDPASS_MAX);
	assert_int_equal(count_fds(), before + FDPASS_MAX);
	for (size_t i = 0; i < n; i++)
		close(got[i]);
}

/* Neither a signal nor a wait for ever when the other end has gone. */
static void test_gone(void **state)
{
	char c = 'x';

	(void)state;
	close(s[1]);
	s[1] = -1;
	assert_int_equal(fdpass_send(s[0], &c, 1, NULL, 0), -EPIPE);
	assert_int_equal(fdpass_recv(s[0], &c, 1, NULL, NULL), 0);
	assert_int_equal(fdpass_send(-1, &c, 1, NULL, 0), -EBADF);
	assert_int_equal(fdpass_recv(-1, &c, 1, NULL, NULL), -EBADF);
}

static void test_bad_fd(void **state)
{
	int fd = -1;
	char c = 'x';

	(void)state;
	assert_int_equal(fdpass_send(s[0], &c, 1, &fd, 1), -EBADF);
	assert_int_equal(recv(s[1], &c, 1, MSG_DONTWAIT), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_message), TEST(test_fds),  TEST(test_most),   TEST(test_unwanted),
		TEST(test_flood),   TEST(test_gone), TEST(test_bad_fd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
