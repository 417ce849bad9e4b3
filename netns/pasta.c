/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pasta may do is cut down to what was asked for: it forwards no port by itself (its default
 * is to look for listeners every second), gives the container no way to the user's own loopback
 * address, and has no environment.
 *
 * The namespaces are given by descriptors: the container's own entries of /proc are closed to all
 * but root once it cannot be dumped. The user namespace is opened first, through this process; the
 * other from inside of that, where only /proc/self is open, so it is pasta's standard input.
 *
 * Its pid comes through a file in a directory of /tmp that is removed at once: the profile that
 * Debian ships for AppArmor lets it write nowhere else for certain.
 */
#include "netns/pasta.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "base/sys.h"
#include "netns/run.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define START_SECONDS 10
#define STOP_MS 5000
#define OUT_MAX 65536
#define TEMPLATE "/tmp/ctr-pasta-XXXXXX"

static const char *const places[] = { "/usr/local/bin/pasta", "/usr/bin/pasta", "/bin/pasta" };

static const char *find(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

int pasta_find(struct err *e)
{
	if (find())
		return 0;
	return err_set(e, ENOENT,
		       "the network of a container that is not root's needs pasta, of the package "
		       "passt: not installed (or take --network none or host)");
}

/* ---- ports ---- */

static int try_port(const struct ip_port *p, uint32_t port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	bool v4 = p->ip.family == AF_INET, tcp = p->proto == IPPROTO_TCP;
	AUTO_CLOSE int fd = -1;
	int on = 1, r;

	memcpy(&four.sin_addr, p->ip.b, 4);
	if (p->ip.family == AF_INET6)
		memcpy(&six.sin6_addr, p->ip.b, 16);
	fd = socket(v4 ? AF_INET : AF_INET6, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	/* IPv6 off: all of its addresses are those of IPv4 */
	if (fd < 0 && !p->ip.family) {
		v4 = true;
		fd = socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	}
	if (fd < 0)
		return -errno;
	if (tcp)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (p->ip.family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	r = v4 ? bind(fd, (struct sockaddr *)&four, sizeof(four))
	       : bind(fd, (struct sockaddr *)&six, sizeof(six));
	if (r == 0 && tcp)
		r = listen(fd, 1);
	return r < 0 ? -errno : 0;
}

/*
 * Until 2024 pasta keeps for each UDP port of the container one port of the host that answers come
 * from; what was asked at another never gets one.
 */
static int check_udp(const struct pasta_request *q, struct err *e)
{
	for (size_t i = 0; i < q->n_ports; i++)
		for (size_t k = 0; k < i; k++) {
			const struct ip_port *a = &q->ports[k], *b = &q->ports[i];
			uint32_t from = a->container > b->container ? a->container : b->container;

			if (a->proto == IPPROTO_UDP && b->proto == IPPROTO_UDP &&
			    from < (uint32_t)a->container + a->count &&
			    from < (uint32_t)b->container + b->count)
				return err_set(e, EINVAL,
					       "--publish: pasta serves port %u/udp of a container "
					       "at one port of the host only",
					       from);
		}
	return 0;
}

/* pasta is content when it gets one port of a range: here each is looked at. */
static int check_ports(const struct pasta_request *q, struct err *e)
{
	for (size_t i = 0; i < q->n_ports; i++) {
		const struct ip_port *p = &q->ports[i];

		for (uint32_t k = 0; k < p->count; k++) {
			int r = try_port(p, p->host + k);

			if (r == -EACCES)
				return err_set(
					e, EACCES,
					"port %u: below net.ipv4.ip_unprivileged_port_start, "
					"for root only",
					p->host + k);
			if (r < 0)
				return err_sys(e, -r, "port %u/%s", p->host + k,
					       p->proto == IPPROTO_UDP ? "udp" : "tcp");
		}
	}
	return 0;
}

static int add_word(struct str_list *l, const char *option, const char *value)
{
	int r = str_list_add(l, option);

	return r < 0 || !value ? r : str_list_add(l, value);
}

/* [ADDRESS/]HOST[-LAST]:CONTAINER[-LAST] */
static int add_port(struct str_list *l, const struct ip_port *p)
{
	char address[IP_TEXT] = "", host[32], inside[32], spec[128];
	uint32_t more = p->count - 1U;

	if (p->ip.family)
		ip_text(&p->ip, address);
	snprintf(host, sizeof(host), more ? "%u-%u" : "%u", p->host, p->host + more);
	snprintf(inside, sizeof(inside), more ? "%u-%u" : "%u", p->container, p->container + more);
	snprintf(spec, sizeof(spec), "%s%s%s:%s", address, p->ip.family ? "/" : "", host, inside);
	return add_word(l, p->proto == IPPROTO_UDP ? "-u" : "-t", spec);
}

static int add_ports(struct str_list *l, const struct pasta_request *q)
{
	bool tcp = false, udp = false;
	int r = 0;

	for (size_t i = 0; i < q->n_ports && r == 0; i++) {
		r = add_port(l, &q->ports[i]);
		*(q->ports[i].proto == IPPROTO_UDP ? &udp : &tcp) = true;
	}
	if (r == 0 && !tcp)
		r = add_word(l, "-t", "none");
	if (r == 0 && !udp)
		r = add_word(l, "-u", "none");
	return r;
}

/* ---- the command ---- */

static int add_rest(struct str_list *l, const struct pasta_request *q)
{
	char text[IP_TEXT], mtu[16];
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(q->ip) && r == 0; i++)
		if (q->ip[i].family)
			r = add_word(l, "-a", ip_text(&q->ip[i], text));
	if (r == 0 && q->mac)
		r = add_word(l, "--ns-mac-addr", q->mac);
	snprintf(mtu, sizeof(mtu), "%u", q->mtu);
	if (r == 0 && q->mtu)
		r = add_word(l, "-m", mtu);
	if (r == 0 && q->dns.family)
		r = add_word(l, "--dns-forward", ip_text(&q->dns, text));
	return r;
}

static int command(struct str_list *l, const struct pasta_request *q, const char *pid_file)
{
	char userns[48], netns[4200];
	const char *const fixed[][2] = {
		{ "pasta", NULL },
		{ "--config-net", NULL },
		{ "--quiet", NULL },
		{ "--no-map-gw", NULL },
		{ "--userns", userns },
		{ "--netns", netns },
		{ "--ns-ifname", q->ifname },
		{ "--tcp-ns", "none" },
		{ "--udp-ns", "none" },
		{ "--pid", pid_file },
	};
	int r = 0;

	snprintf(userns, sizeof(userns), "/proc/%d/fd/%d", (int)getpid(), q->userns_fd);
	if (snprintf(netns, sizeof(netns), "%s/" PASTA_NETNS, q->dir_path) >= (int)sizeof(netns))
		return -ENAMETOOLONG;
	for (size_t i = 0; i < ARRAY_SIZE(fixed) && r == 0; i++)
		r = add_word(l, fixed[i][0], fixed[i][1]);
	if (r == 0)
		r = add_ports(l, q);
	return r < 0 ? r : add_rest(l, q);
}

/* What it said, without what it says when there is no syslog. */
static void complaint(char *text)
{
	char *save = NULL, *last = NULL;

	for (char *s = strtok_r(text, "\n", &save); s; s = strtok_r(NULL, "\n", &save))
		if (!str_after(s, "Failed to send "))
			last = s;
	if (last)
		memmove(text, last, strlen(last) + 1);
	else
		text[0] = '\0';
}

static int launch(const struct pasta_request *q, const char *pid_file, struct err *e)
{
	AUTO(str_list_free) struct str_list words = {};
	AUTO(run_result_free) struct run_result res = {};
	char *env[] = { (char *)"PATH=/usr/bin:/bin", NULL };
	struct run_request run = {
		.path = find(), .envp = env, .out_max = OUT_MAX, .seconds = START_SECONDS
	};
	int r = command(&words, q, pid_file);

	if (!run.path)
		return pasta_find(e);
	if (r < 0)
		return err_sys(e, -r, "pasta");
	run.argv = words.v;
	run.in_fd = q->netns_fd;
	r = run_program(&run, &res, e);
	if (r < 0 || !res.status)
		return r;
	complaint(res.err);
	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		return err_sys(e, errno, "pasta: %s: /dev/net/tun", res.err);
	return err_set(e, EIO, "pasta: %s", res.err[0] ? res.err : "ended without a word");
}

/* ---- which process it is ---- */

/* The 22nd field of its stat: when it started. -ESRCH. */
static int start_time(pid_t pid, uint64_t *out)
{
	char path[32], buf[1024], *s, *save = NULL;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (io_read_small(AT_FDCWD, path, buf, sizeof(buf)) < 0)
		return -ESRCH;
	s = strrchr(buf, ')');
	s = s ? strtok_r(s + 1, " ", &save) : NULL;
	for (int i = 3; i < 22 && s; i++)
		s = strtok_r(NULL, " ", &save);
	return s && str_to_u64(s, UINT64_MAX, out) == 0 ? 0 : -ESRCH;
}

static int record(const struct pasta_request *q, const char *pid_file, struct err *e)
{
	char text[64];
	uint64_t pid, start;
	int r;

	if (io_read_small(AT_FDCWD, pid_file, text, sizeof(text)) < 0 ||
	    str_to_u64(text, INT32_MAX, &pid) < 0 || start_time((pid_t)pid, &start) < 0)
		return err_set(e, EIO, "pasta: ended as soon as it was started");
	snprintf(text, sizeof(text), "%llu %llu\n", (unsigned long long)pid,
		 (unsigned long long)start);
	r = io_write_atomic(q->dir, PASTA_FILE, text, strlen(text), 0600);
	return r < 0 ? err_sys(e, -r, "write " PASTA_FILE) : 0;
}

int pasta_start(const struct pasta_request *q, struct err *e)
{
	char tmp[] = TEMPLATE, pid_file[sizeof(TEMPLATE) + 8];
	int r = check_udp(q, e);

	if (r == 0)
		r = check_ports(q, e);
	if (r < 0)
		return r;
	if (symlinkat("/proc/self/fd/0", q->dir, PASTA_NETNS) < 0)
		return err_sys(e, errno, "pasta: make the link " PASTA_NETNS);
	if (!mkdtemp(tmp)) {
		r = err_sys(e, errno, "pasta: make a directory in /tmp");
	} else {
		snprintf(pid_file, sizeof(pid_file), "%s/pid", tmp);
		r = launch(q, pid_file, e);
		if (r == 0)
			r = record(q, pid_file, e);
		unlink(pid_file);
		rmdir(tmp);
	}
	/* What has been started, if it has, sees its link go. */
	if (r < 0)
		unlinkat(q->dir, PASTA_NETNS, 0);
	return r;
}

/* A pidfd for the process that was recorded, or -ESRCH. */
static int recorded(int dir)
{
	AUTO_CLOSE int fd = -1;
	uint64_t pid, start, now;
	char text[64], *space;

	if (io_read_small(dir, PASTA_FILE, text, sizeof(text)) < 0)
		return -ESRCH;
	space = strchr(text, ' ');
	if (!space)
		return -ESRCH;
	*space = '\0';
	if (str_to_u64(text, INT32_MAX, &pid) < 0 || str_to_u64(space + 1, UINT64_MAX, &start) < 0)
		return -ESRCH;
	fd = sys_pidfd_open((pid_t)pid, 0);
	/* After the descriptor: from here on the number is not given to another. */
	if (fd < 0 || start_time((pid_t)pid, &now) < 0 || now != start)
		return -ESRCH;
	return TAKE_FD(fd);
}

int pasta_check(int dir, struct err *e)
{
	AUTO_CLOSE int fd = recorded(dir);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd >= 0 && poll(&p, 1, 0) == 0 ? 0 : err_set(e, ESRCH, "pasta: has ended");
}

void pasta_stop(int dir)
{
	AUTO_CLOSE int fd = recorded(dir);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	unlinkat(dir, PASTA_NETNS, 0);
	if (fd >= 0 && sys_pidfd_send_signal(fd, SIGTERM, NULL, 0) == 0 &&
	    poll(&p, 1, STOP_MS) == 0) {
		sys_pidfd_send_signal(fd, SIGKILL, NULL, 0);
		poll(&p, 1, STOP_MS);
	}
	unlinkat(dir, PASTA_FILE, 0);
}
