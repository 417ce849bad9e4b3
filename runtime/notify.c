/* SPDX-License-Identifier: Apache-2.0 */
#include "notify.h"

#include "base/cleanup.h"
#include "base/fdpass.h"
#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	MESSAGE_MAX = 4096, /* longer ones the manager does not take either */
	AT_ONCE = 64,       /* messages, before others have their turn, */
	AT_ONCE_MS = 100,   /* or begun within that time */
	LAST_WORDS = 4096,  /* messages at the end: more than a socket's queue has */
	SEND_MS = 2000,
	MANAGER_MS = 5000,
	DROP_MS = 500,
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
	const struct timeval patience = { .tv_sec = SEND_MS / 1000 };
	AUTO_CLOSE int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0 || probe < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	r = connect_to(probe, name);
	return r < 0 ? r : TAKE_FD(fd);
}

/*
 * Waits for one that is busy, but not again and again for one that does not read: it may miss what
 * is said until it reads again.
 */
static void send_on(struct notify *n, const char *msg, size_t len)
{
	struct sockaddr_un a;
	socklen_t alen = address(n->manager, &a);
	int flags = MSG_NOSIGNAL | (n->deaf ? MSG_DONTWAIT : 0);

	if (sendto(n->host, msg, len, flags, (struct sockaddr *)&a, alen) < 0) {
		if (!n->deaf)
			log_warn("NOTIFY_SOCKET: pass on \"%.*s\": %s", (int)strcspn(msg, "\n"),
				 msg, strerror(errno));
		n->deaf = true;
		return;
	}
	n->deaf = false;
	n->said = true;
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

/*
 * What is in a directory of the one that fd is goes, its own directories up to that one: so there
 * are never two levels, however deep the tree was. No link is followed.
 */
static int flatten(int fd, const char *name, unsigned int *made)
{
	int inner = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO_CLOSEDIR DIR *d = inner >= 0 ? fdopendir(inner) : NULL;
	struct dirent *de;

	if (!d) {
		int code = errno;

		if (inner >= 0)
			close(inner);
		return -code;
	}
	while ((de = readdir(d)) != NULL) {
		char up[16];
		int r;

		if (str_eq(de->d_name, ".") || str_eq(de->d_name, "..") ||
		    unlinkat(inner, de->d_name, 0) == 0)
			continue;
		if (errno != EISDIR && errno != EPERM)
			return -errno;
		do {
			snprintf(up, sizeof(up), "%u", (*made)++);
			r = renameat2(inner, de->d_name, fd, up, RENAME_NOREPLACE);
		} while (r < 0 && errno == EEXIST);
		if (r < 0)
			return -errno;
	}
	return unlinkat(fd, name, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY ? -errno : 0;
}

/* A container that is privileged enough can make it writable, and leave there what it likes. */
static int empty(int dir)
{
	AUTO_CLOSEDIR DIR *d = NULL;
	unsigned int made = 0;
	struct dirent *de;
	int fd = openat(dir, NOTIFY_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	for (bool any = true; any;) {
		any = false;
		rewinddir(d);
		while ((de = readdir(d)) != NULL) {
			int r = 0;

			if (str_eq(de->d_name, ".") || str_eq(de->d_name, ".."))
				continue;
			any = true;
			if (unlinkat(fd, de->d_name, 0) < 0 && errno != ENOENT)
				r = errno == EISDIR || errno == EPERM
					    ? flatten(fd, de->d_name, &made)
					    : -errno;
			if (r < 0 && r != -ENOENT)
				return r;
		}
	}
	return 0;
}

int notify_remove(int dir)
{
	int r = empty(dir);

	if (r < 0)
		return r;
	return unlinkat(dir, NOTIFY_DIR, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

/* What is there is of a start that was interrupted. */
static int listen_here(int dir)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	mode_t mask;
	int r = empty(dir);

	if (r < 0)
		return r;
	/* sun_path is short and state roots may be long: the directory's fd stands for it. */
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/" NOTIFY_DIR "/" NOTIFY_NAME,
		 dir);
	/* For whoever the program is in its container: the directory is in no other. */
	mask = umask(0);
	r = fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
	umask(mask);
	return r < 0 ? r : TAKE_FD(fd);
}

int notify_open(struct notify *n, int dir, struct err *e)
{
	const char *manager;
	int r;

	if (faccessat(dir, NOTIFY_DIR, F_OK, 0) < 0)
		return 0;
	r = notify_manager(&manager, e);
	if (r < 0 || !manager)
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
	n->fd = -1; /* see drop */
	cleanup_close(&n->host);
}

/* ---- messages ---- */

static bool may_say(const char *line, size_t len)
{
	static const char *const words[] = {
		"READY=",       "RELOADING=", "STOPPING=", "MONOTONIC_USEC=",
		"STATUS=",      "ERRNO=",     "BUSERROR=", "VARLINKERROR=",
		"EXIT_STATUS=", "WATCHDOG=",  "X_",        "EXTEND_TIMEOUT_USEC=",
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
	if (len && !msg[len - 1])
		len--;
	if (memchr(msg, '\0', len))
		return 0;
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

/*
 * Takes the first message away. The last close of a descriptor that came along may last as long as
 * the container likes (SO_LINGER), but not in a process that is killed, or ends: another one does
 * it, and what has not been read is left to our own end.
 */
static void drop(struct notify *n, bool with_fds)
{
	char any;
	int pidfd = -1;
	pid_t pid = with_fds ? fork() : -1;

	if (pid <= 0)
		recv(n->fd, &any, sizeof(any), 0);
	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return;
	pidfd = sys_pidfd_open(pid, 0);
	if (pidfd < 0 || proc_wait_end(pidfd, DROP_MS) < 0)
		kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cleanup_close(&pidfd);
}

/* The first message: its length, -EMSGSIZE when it is none for the manager, -EAGAIN: none there. */
static ssize_t take(struct notify *n, char *msg)
{
	struct iovec v = { .iov_base = msg, .iov_len = MESSAGE_MAX + 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	ssize_t got;

	do
		got = recvmsg(n->fd, &m, MSG_PEEK);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	drop(n, m.msg_flags & MSG_CTRUNC);
	return got > MESSAGE_MAX ? -EMSGSIZE : got;
}

/*
 * main_pid goes in the same message, so that the service is never ready with another one; from then
 * on it is not for us to say anything of the service.
 */
static void pass_on(struct notify *n, char *msg, size_t len, pid_t main_pid, bool *any)
{
	char main[32];
	size_t mlen = (size_t)sprintf(main, "\nMAINPID=%d", (int)main_pid);
	bool ready, fits;

	len = notify_filter(msg, len, &ready);
	if (!len)
		return;
	msg[len] = '\0';
	fits = len + mlen <= MESSAGE_MAX;
	if (ready && main_pid && fits) {
		memcpy(msg + len, main, mlen + 1);
		len += mlen;
	}
	send_on(n, msg, len);
	if (ready && main_pid && !fits)
		send_on(n, main + 1, mlen - 1);
	*any |= ready;
}

/*
 * As many as that, and for so long, and none after main_pid has been told. True when one was
 * READY=1.
 */
static bool pump(struct notify *n, int max, int ms, pid_t main_pid)
{
	int64_t end = sys_now_ms() + ms;
	bool any = false;

	for (int i = 0; n->fd >= 0 && i < max && sys_now_ms() <= end && !(any && main_pid); i++) {
		char msg[MESSAGE_MAX + 1];
		ssize_t got = take(n, msg);

		if (got >= 0)
			pass_on(n, msg, (size_t)got, main_pid, &any);
		else if (got != -EMSGSIZE)
			break;
	}
	return any;
}

bool notify_pump(struct notify *n, pid_t main_pid)
{
	return pump(n, AT_ONCE, AT_ONCE_MS, main_pid);
}

static void finish(struct notify *n)
{
	if (n->said && !n->deaf)
		await_manager(n);
	notify_close(n);
}

void notify_end(struct notify *n)
{
	pump(n, LAST_WORDS, MANAGER_MS, 0);
	finish(n);
}

void notify_wait(struct notify *n, int pidfd, pid_t pid)
{
	struct pollfd p[] = { { .fd = n->fd, .events = POLLIN },
			      { .fd = pidfd, .events = POLLIN } };
	bool ready = false;

	while (n->fd >= 0 && !ready && !p[1].revents) {
		if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
			break;
		ready = notify_pump(n, pid);
	}
	if (ready)
		finish(n);
	else
		notify_end(n);
}
