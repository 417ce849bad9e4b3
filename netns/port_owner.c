/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has a port. The test is to bind it; only when that fails is the owner looked for, in /proc.
 */
#include "netns/port.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define TABLE_MAX ((size_t)64 << 20)
#define TCP_LISTEN_STATE 0x0a

#define ADDRESS_MAX 32

/* An address as the tables have it: words of four bytes, each a number of this machine's order. */
static bool read_address(const char *hex, struct ip *out)
{
	size_t len = strlen(hex);

	if (len != 8 && len != ADDRESS_MAX)
		return false;
	*out = (struct ip){ .family = len == 8 ? AF_INET : AF_INET6 };
	for (size_t i = 0; i < len / 8; i++) {
		char word[9] = "";
		uint32_t v;

		memcpy(word, hex + i * 8, 8);
		v = (uint32_t)strtoul(word, NULL, 16);
		memcpy(out->b + i * 4, &v, 4);
	}
	return true;
}

/* Whether who has the address has this one too. A socket of IPv6 may be one of IPv4 as well. */
static bool has_address(const struct ip *socket, const struct ip *wanted)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct ip four = { .family = AF_INET };

	if (ip_is_any(socket))
		return true;
	if (socket->family == wanted->family)
		return ip_is_any(wanted) || ip_cmp(socket, wanted) == 0;
	if (wanted->family != AF_INET || memcmp(socket->b, mapped, sizeof(mapped)) != 0)
		return false;
	memcpy(four.b, socket->b + sizeof(mapped), 4);
	return ip_is_any(wanted) || ip_cmp(&four, wanted) == 0;
}

/* The socket of that port and address in a table of /proc/net; 0: none. */
static unsigned long find_inode(const char *table, bool tcp, const struct ip *ip, uint16_t port)
{
	AUTO_FREE char *text = NULL;
	char *save = NULL;

	if (io_read_file(AT_FDCWD, table, TABLE_MAX, &text, NULL) < 0)
		return 0;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char address[ADDRESS_MAX + 1];
		unsigned int local, state;
		unsigned long inode;
		struct ip at;

		if (sscanf(line,
			   " %*u: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*u %lu",
			   address, &local, &state, &inode) == 4 &&
		    local == port && inode && (!tcp || state == TCP_LISTEN_STATE) &&
		    read_address(address, &at) && has_address(&at, ip))
			return inode;
	}
	return 0;
}

/* Whether process pid has a socket of that inode open. */
static bool has_socket(const char *pid, unsigned long inode)
{
	char path[64], want[48], link[64];
	AUTO_CLOSEDIR DIR *d = NULL;
	struct dirent *de;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	snprintf(want, sizeof(want), "socket:[%lu]", inode);
	d = opendir(path);
	while (d && (de = readdir(d)) != NULL) {
		ssize_t n = readlinkat(dirfd(d), de->d_name, link, sizeof(link) - 1);

		if (n <= 0)
			continue;
		link[n] = '\0';
		if (str_eq(link, want))
			return true;
	}
	return false;
}

static bool find_process(unsigned long inode, char pid[24], char name[32])
{
	AUTO_CLOSEDIR DIR *d = opendir("/proc");
	struct dirent *de;
	char path[64];

	while (d && (de = readdir(d)) != NULL) {
		if (de->d_name[0] < '1' || de->d_name[0] > '9' || !has_socket(de->d_name, inode))
			continue;
		snprintf(pid, 24, "%.20s", de->d_name);
		snprintf(path, sizeof(path), "/proc/%s/comm", pid);
		if (io_read_small(AT_FDCWD, path, name, 32) < 0)
			strcpy(name, "?");
		return true;
	}
	return false;
}

static int taken(const struct ip_port *p, int family, uint16_t port, struct err *e)
{
	static const char *const tables[2][2] = {
		{ "/proc/thread-self/net/udp", "/proc/thread-self/net/udp6" },
		{ "/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6" },
	};
	bool tcp = p->proto == IPPROTO_TCP;
	const char *proto = tcp ? "tcp" : "udp";
	struct ip ip = p->ip.family ? p->ip : (struct ip){ .family = (uint8_t)family };
	unsigned long inode = 0;
	char pid[24], name[32];

	/* Of IPv6 alone nothing is in the way that is not in its own table. */
	if (family == AF_INET)
		inode = find_inode(tables[tcp][0], tcp, &ip, port);
	if (!inode)
		inode = find_inode(tables[tcp][1], tcp, &ip, port);
	if (inode && find_process(inode, pid, name))
		return err_set(e, EADDRINUSE,
			       "--publish: port %u/%s of the host is taken by process %s (%s)",
			       port, proto, pid, name);
	return err_set(
		e, EADDRINUSE,
		"--publish: port %u/%s of the host is taken by a process that is not to be seen "
		"from here",
		port, proto);
}

static int try_bind(const struct ip_port *p, int family, uint16_t port)
{
	bool tcp = p->proto == IPPROTO_TCP;
	AUTO_CLOSE int fd = socket(family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	int on = 1, r;

	if (fd < 0)
		return errno == EAFNOSUPPORT ? 0 : -errno;
	/* Connections that have ended are no obstacle; who listens still is. */
	if (tcp)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
		if (p->ip.family)
			memcpy(&a6.sin6_addr, p->ip.b, 16);
		r = bind(fd, (const struct sockaddr *)&a6, sizeof(a6));
	} else {
		if (p->ip.family)
			memcpy(&a4.sin_addr, p->ip.b, 4);
		r = bind(fd, (const struct sockaddr *)&a4, sizeof(a4));
	}
	if (r == 0 && tcp)
		r = listen(fd, 1);
	return r < 0 ? -errno : 0;
}

static int check_one(const struct ip_port *p, int family, uint16_t port, struct err *e)
{
	char buf[IP_TEXT];
	int r = try_bind(p, family, port);

	if (r == -EADDRINUSE)
		return taken(p, family, port, e);
	if (r == -EADDRNOTAVAIL && p->ip.family)
		return err_set(e, EADDRNOTAVAIL, "--publish: the host has no address %s",
			       ip_text(&p->ip, buf));
	/* A namespace without IPv6 has no address to bind, and no port to take either. */
	if (r == -EADDRNOTAVAIL)
		return 0;
	return r < 0 ? err_sys(e, -r, "--publish: port %u of the host", port) : 0;
}

int port_check(const struct ip_port *p, struct err *e)
{
	int r = 0;

	for (uint32_t i = 0; i < p->count && r == 0; i++) {
		uint16_t port = (uint16_t)(p->host + i);

		if (p->ip.family != AF_INET6)
			r = check_one(p, AF_INET, port, e);
		if (r == 0 && p->ip.family != AF_INET)
			r = check_one(p, AF_INET6, port, e);
	}
	return r;
}
