/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/str.h"
#include "netns/forward.h"
#include "netns/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void good(void **state)
{
	/* text, and the same as it is written */
	static const char *const texts[][2] = {
		{ "8080:80", "8080:80/tcp" },
		{ "8080:80/udp", "8080:80/udp" },
		{ "1:65535", "1:65535/tcp" },
		{ "8000-8009:80-89", "8000-8009:80-89/tcp" },
		{ "80-80:90-90", "80:90/tcp" },
		{ "192.0.2.1:80:81", "192.0.2.1:80:81/tcp" },
		{ "0.0.0.0:80:81", "0.0.0.0:80:81/tcp" },
		{ "[2001:db8::1]:80-81:90-91/udp", "[2001:db8::1]:80-81:90-91/udp" },
		{ "[::]:80:81", "[::]:80:81/tcp" },
	};
	char buf[PORT_TEXT];
	struct ip_port p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(port_parse(texts[i][0], &p, NULL), 0);
		assert_string_equal(port_text(&p, buf), texts[i][1]);
	}
}

static void bad(void **state)
{
	static const char *const texts[] = {
		"",
		"80",
		":",
		"80:",
		":80",
		"0:80",
		"80:0",
		"65536:80",
		"80:65536",
		"a:80",
		"80:a",
		"80:80/sctp",
		"80:80/",
		"81-80:81-80",
		"80-81:80",
		"80:80-81",
		"1.2.3:80:80",
		"1.2.3.4.5:80:80",
		"::1:80:80",
		"[::1:80:80",
		"[1.2.3.4]:80:80",
		"80:80:80:80",
		"+80:80",
		" 80:80",
		"80:80 ",
		"-80:80",
		"80-:80",
		"1-65535:1-65535x",
		"[::1]:80",
		"80:80/tcp/udp",
		"1.2.3.4:80",
		"1111111111111111111111111111111111111111111111111111111111111111111111111111111:1",
	};
	struct ip_port p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct err e = {};

		assert_int_equal(port_parse(texts[i], &p, &e), -EINVAL);
		assert_non_null(strstr(e.msg, "--publish: "));
	}
}

static bool meet(const char *a, const char *b, uint16_t *port)
{
	struct ip_port x, y;

	assert_int_equal(port_parse(a, &x, NULL), 0);
	assert_int_equal(port_parse(b, &y, NULL), 0);
	assert_int_equal(port_overlap(&x, &y, port), port_overlap(&y, &x, port));
	return port_overlap(&x, &y, port);
}

static void overlaps(void **state)
{
	uint16_t port = 0;

	(void)state;
	assert_true(meet("80:80", "80:81", &port));
	assert_int_equal(port, 80);
	assert_true(meet("80-90:80-90", "88-99:1-12", &port));
	assert_int_equal(port, 88);
	assert_false(meet("80-87:80-87", "88:80", &port));
	assert_false(meet("80:80", "80:80/udp", &port));
	assert_false(meet("1.2.3.4:80:80", "1.2.3.5:80:80", &port));
	assert_true(meet("1.2.3.4:80:80", "80:80", &port));
	assert_true(meet("[fd00::1]:80:80", "80:80", &port));
	assert_false(meet("[fd00::1]:80:80", "1.2.3.4:80:80", &port));
	assert_false(meet("0.0.0.0:80:80", "[::]:80:80", &port));
	assert_true(meet("0.0.0.0:80:80", "80:80", &port));
	assert_true(meet("[::]:80:80", "80:80", &port));
	assert_true(meet("0.0.0.0:80:80", "1.2.3.4:80:80", &port));
	assert_true(meet("[::]:80:80", "[fd00::1]:80:80", &port));
	assert_false(meet("0.0.0.0:80:80", "[fd00::1]:80:80", &port));
	assert_false(meet("[::]:80:80", "1.2.3.4:80:80", &port));
	assert_true(meet("65000-65535:1-536", "65535:1", &port));
	assert_int_equal(port, 65535);
}

/* One of this program's own. */
static void taken(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct ip_port p = { .proto = IPPROTO_TCP, .count = 1, .container = 80 };
	struct err e = {};
	char pid[32];

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	p.host = ntohs(a.sin_port);
	assert_int_equal(port_check(&p, &e), -EADDRINUSE);
	snprintf(pid, sizeof(pid), "by process %d (", getpid());
	assert_non_null(strstr(e.msg, pid));
	p.proto = IPPROTO_UDP;
	assert_int_equal(port_check(&p, &e), 0);
	p.ip = (struct ip){ .family = AF_INET, .b = { 198, 51, 100, 99 } };
	assert_int_equal(port_check(&p, &e), -EADDRNOTAVAIL);
}

static int listen_at(const char *text, in_port_t port, struct ip_port *p)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = port };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = port };
	int fd, on = 1, r;

	assert_int_equal(ip_parse(text, &p->ip), 0);
	memcpy(&four.sin_addr, p->ip.b, 4);
	memcpy(&six.sin6_addr, p->ip.b, 16);
	fd = socket(p->ip.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (p->ip.family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	r = p->ip.family == AF_INET6 ? bind(fd, (struct sockaddr *)&six, sizeof(six))
				     : bind(fd, (struct sockaddr *)&four, sizeof(four));
	if (r == 0 && listen(fd, 1) == 0)
		return fd;
	close(fd);
	return -1;
}

static void expect_owner(const struct ip_port *p, pid_t pid)
{
	struct err e = {};
	char text[32];

	assert_int_equal(port_check(p, &e), -EADDRINUSE);
	snprintf(text, sizeof(text), "by process %d (", pid);
	if (!strstr(e.msg, text))
		fail_msg("not %s: %s", text, e.msg);
}

/* The same port of two addresses, of two processes: each is named for its own. */
static void owners(void **state)
{
	static const char *const pairs[][2] = {
		{ "127.0.0.1", "127.0.0.2" },
		{ "127.0.0.1", "::1" },
		{ "::1", "127.0.0.1" },
		{ "127.0.0.1", "::" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct ip_port mine = { .proto = IPPROTO_TCP, .count = 1, .container = 80 };
		struct ip_port theirs = mine;
		struct sockaddr_in6 a;
		socklen_t len = sizeof(a);
		AUTO_CLOSE int fd = listen_at(pairs[i][0], 0, &mine), other = -1;
		int status, ready[2];
		pid_t pid;
		char c;

		/* This machine may have no IPv6. */
		if (fd < 0)
			continue;
		assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
		assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
		pid = fork();
		if (pid == 0) {
			close(fd);
			other = listen_at(pairs[i][1], a.sin6_port, &theirs);
			if (other >= 0 && write(ready[1], "y", 1) == 1)
				pause();
			_exit(0);
		}
		close(ready[1]);
		mine.host = theirs.host = ntohs(a.sin6_port);
		assert_int_equal(ip_parse(pairs[i][1], &theirs.ip), 0);
		if (read(ready[0], &c, 1) == 1) {
			expect_owner(&mine, getpid());
			expect_owner(&theirs, pid);
		}
		close(ready[0]);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
}

static void forwarding_links(void **state)
{
	static const char *const wrong[] = { "5 eth0", "4eth0", "4 ",
					     "4 a/b",  "x",     "4 1234567890123456",
					     "\n" };
	AUTO(forward_free) struct forward_links l = {};
	AUTO(str_buf_free) struct str_buf b = {};
	struct forward_links none = {};

	(void)state;
	assert_int_equal(forward_parse("4 eth0\n6 br-lan.10\n", &l), 0);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.v[1].family, NET_6);
	assert_string_equal(l.v[1].name, "br-lan.10");
	forward_format(&l, &b);
	assert_string_equal(b.s, "4 eth0\n6 br-lan.10\n");
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(forward_parse(wrong[i], &none), -EINVAL);
	assert_int_equal(forward_parse("", &none), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),     cmocka_unit_test(bad),
		cmocka_unit_test(overlaps), cmocka_unit_test(taken),
		cmocka_unit_test(owners),   cmocka_unit_test(forwarding_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
