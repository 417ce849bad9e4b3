/* SPDX-License-Identifier: Apache-2.0 */
#include "notify.h"

#include "base/cleanup.h"
#include "base/fdpass.h"
#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	MESSAGE_MAX = 4096, /* longer ones the manager does not take either */
	AT_ONCE = 64,       /* messages, before others have their turn */
	MANAGER_MS = 5000,
};

/* ---- the manager ---- */

int notify_manager(const char **out, struct err *e)
{
	const struct sockaddr_un *a = NULL;
	const char *v = getenv("NOTIFY_SOCKET");

	*out = NULL;
	if (!v || !*v)
		return 0;
	if ((v[0] != '/' && v[0] != '@') || !v[1])
		return err_set(
			e, EINVAL,
			"NOTIFY_SOCKET: \"%.64s\": neither an absolute path nor an abstract name",
			v);
	if (strlen(v) >= sizeof(a->sun_path))
		return err_set(e, EINVAL, "NOTIFY_SOCKET: \"%.64s...\": longer than %zu bytes", v,
			       sizeof(a->sun_path) - 1);
	*out = v;
	return 0;
}

static socklen_t address(const char *name, struct sockaddr_un *a)
{
	size_t len = strlen(name);

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(a->sun_path, name, len);
	if (name[0] == '@')
		a->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static int connect_to(int fd, const char *manager)
{
	struct sockaddr_un a;
	socklen_t len = address(manager, &a);

	return connect(fd, (struct sockaddr *)&a, len) < 0 ? -errno : 0;
}

/* Not connected: a manager that was started anew is the manager all the same. */
static int open_manager(const char *name)
{
	const struct timeval patience = { .tv_sec = MANAGER_MS / 1000 };
	AUTO_CLOSE int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0 || probe < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	r = connect_to(probe, name);
	return r < 0 ? r : TAKE_FD(fd);
}

static void send_on(struct notify *n, const char *msg, size_t len)
{
	struct sockaddr_un a;
	socklen_t alen = address(n->manager, &a);

	n->said = true;
	if (sendto(n->host, msg, len, MSG_NOSIGNAL, (struct sockaddr *)&a, alen) < 0)
		log_warn("NOTIFY_SOCKET: pass on \"%.*s\": %s", (int)strcspn(msg, "\n"), msg,
			 strerror(errno));
}

/*
 * A manager asks /proc whose message it is: we must still be there. It closes the descriptor when
 * it gets to this one.
 */
static void await_manager(struct notify *n)
{
	static const char barrier[] = "BARRIER=1";
	struct pollfd p = {};
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	p.fd = ends[0];
	if (connect_to(n->host, n->manager) == 0 &&
	    fdpass_send(n->host, barrier, sizeof(barrier) - 1, &ends[1], 1) == 0) {
		close(ends[1]);
		ends[1] = -1;
		while (poll(&p, 1, MANAGER_MS) < 0 && errno == EINTR)
			;
	}
	close(ends[0]);
	if (ends[1] >= 0)
		close(ends[1]);
}

/* ---- the container's socket ---- */

int notify_make(int dir, struct err *e)
{
	if (mkdirat(dir, NOTIFY_DIR, 0755) < 0 || fchmodat(dir, NOTIFY_DIR, 0755, 0) < 0)
		return err_sys(e, errno, "make " NOTIFY_DIR " in the state directory");
	return 0;
}

int notify_remove(int dir)
{
	if (unlinkat(dir, NOTIFY_DIR "/" NOTIFY_NAME, 0) < 0 && errno != ENOENT)
		return -errno;
	return unlinkat(dir, NOTIFY_DIR, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

/* What is there is of a start that was interrupted. */
static int listen_here(int dir)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	/* sun_path is short and state roots may be long: the directory's fd stands for it. */
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/" NOTIFY_DIR "/" NOTIFY_NAME,
		 dir);
	if (unlinkat(dir, NOTIFY_DIR "/" NOTIFY_NAME, 0) < 0 && errno != ENOENT)
		return -errno;
	/* Whoever the program is in its container: the directory is in no other. */
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    fchmodat(dir, NOTIFY_DIR "/" NOTIFY_NAME, 0777, 0) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int notify_open(struct notify *n, int dir, struct err *e)
{
	const char *manager;
	int r = notify_manager(&manager, e);

	if (r < 0 || !manager || faccessat(dir, NOTIFY_DIR, F_OK, 0) < 0)
		return r;
	r = open_manager(manager);
	if (r < 0) {
		log_warn("NOTIFY_SOCKET %s: connect: %s: nobody will hear of the program", manager,
			 strerror(-r));
		return 0;
	}
	n->host = r;
	n->manager = manager;
	r = listen_here(dir);
	if (r < 0)
		return err_sys(e, -r, "make the container's NOTIFY_SOCKET");
	n->fd = r;
	return 0;
}

void notify_close(struct notify *n)
{
	cleanup_close(&n->fd);
	cleanup_close(&n->host);
}

/* ---- messages ---- */

static bool may_say(const char *line, size_t len)
{
	static const char *const words[] = {
		"READY=",         "RELOADING=", "STOPPING=", "MONOTONIC_USEC=",
		"STATUS=",        "ERRNO=",     "BUSERROR=", "VARLINKERROR=",
		"EXIT_STATUS=",   "WATCHDOG=",  "X_",        "EXTEND_TIMEOUT_USEC=",
		"WATCHDOG_USEC=",
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (len >= strlen(words[i]) && memcmp(line, words[i], strlen(words[i])) == 0)
			return true;
	return false;
}

size_t notify_filter(char *msg, size_t len, bool *ready)
{
	static const char word[] = "READY=1";
	size_t out = 0;

	*ready = false;
	for (size_t at = 0, n; at < len; at += n + 1) {
		const char *line = msg + at, *end = memchr(line, '\n', len - at);

		n = end ? (size_t)(end - line) : len - at;
		if (!may_say(line, n))
			continue;
		*ready |= n == sizeof(word) - 1 && memcmp(line, word, n) == 0;
		if (out)
			msg[out++] = '\n';
		memmove(msg + out, line, n);
		out += n;
	}
	return out;
}

bool notify_pump(struct notify *n, pid_t main_pid)
{
	bool any = false;

	for (int i = 0; n->fd >= 0 && i < AT_ONCE; i++) {
		char msg[MESSAGE_MAX + sizeof("\nMAINPID=2147483647")];
		bool ready;
		/* Descriptors that came along are closed by the kernel. */
		ssize_t got = recv(n->fd, msg, MESSAGE_MAX + 1, 0);
		size_t len;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		if (got > MESSAGE_MAX)
			continue;
		len = notify_filter(msg, (size_t)got, &ready);
		if (!len)
			continue;
		msg[len] = '\0';
		if (ready && main_pid)
			len += (size_t)sprintf(msg + len, "\nMAINPID=%d", (int)main_pid);
		send_on(n, msg, len);
		any |= ready;
	}
	return any;
}

void notify_end(struct notify *n)
{
	notify_pump(n, 0);
	if (n->said)
		await_manager(n);
	notify_close(n);
}

void notify_wait(struct notify *n, int pidfd, pid_t pid)
{
	struct pollfd p[] = { { .fd = n->fd, .events = POLLIN },
			      { .fd = pidfd, .events = POLLIN } };
	bool ready = false;

	while (n->fd >= 0 && !ready && !p[1].revents) {
		if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
			break;
		/* What it has said before its end is there when that is seen. */
		ready = notify_pump(n, p[1].revents ? 0 : pid);
	}
	notify_end(n);
}
