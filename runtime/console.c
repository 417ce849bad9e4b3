/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/console.h"

#include "base/cleanup.h"
#include "base/fdpass.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Fills addr for path. A path beyond sun_path goes through its directory, which *dir keeps open. */
static int socket_address(const char *path, struct sockaddr_un *addr, int *dir)
{
	const char *name = strrchr(path, '/');
	size_t room = sizeof(addr->sun_path);
	char parent[PATH_MAX];
	int n;

	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!*path)
		return -ENOENT;
	if (strlen(path) < room) {
		memcpy(addr->sun_path, path, strlen(path) + 1);
		return 0;
	}
	if (!name || (size_t)(name - path) >= sizeof(parent) - 1)
		return -ENAMETOOLONG;
	memcpy(parent, path, (size_t)(name - path));
	parent[name - path] = '\0';
	*dir = open(name == path ? "/" : parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*dir < 0)
		return -errno;
	n = snprintf(addr->sun_path, room, "/proc/self/fd/%d/%s", *dir, name + 1);
	return n < (int)room ? 0 : -ENAMETOOLONG;
}

static int try_connect(const struct sockaddr_un *addr, int type)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	do
		r = connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : TAKE_FD(fd);
}

int console_connect(const char *path, struct err *e)
{
	AUTO_CLOSE int dir = -1;
	struct sockaddr_un addr;
	int r = socket_address(path, &addr, &dir);

	if (r == 0) {
		r = try_connect(&addr, SOCK_STREAM);
		if (r == -EPROTOTYPE)
			r = try_connect(&addr, SOCK_SEQPACKET);
	}
	return r < 0 ? err_sys(e, -r, "console socket %s", path) : r;
}

int console_send(int sock, int master, const char *name, struct err *e)
{
	int r = fdpass_send(sock, name, strlen(name), &master, 1);

	return r < 0 ? err_sys(e, -r, "console socket: send the terminal") : 0;
}

static int set_size(int slave, const struct spec_console_size *size, struct err *e)
{
	struct winsize ws;

	if (size->height > USHRT_MAX || size->width > USHRT_MAX)
		return err_set(e, ERANGE, "process.consoleSize: %llu x %llu: larger than %u",
			       (unsigned long long)size->height, (unsigned long long)size->width,
			       (unsigned int)USHRT_MAX);
	ws = (struct winsize){
		.ws_row = (unsigned short)size->height,
		.ws_col = (unsigned short)size->width,
	};
	if (ioctl(slave, TIOCSWINSZ, &ws) < 0)
		return err_sys(e, errno, "process.consoleSize: set the size of the terminal");
	return 0;
}

int console_adopt(int slave, const struct spec_console_size *size, uid_t uid, struct err *e)
{
	if (size) {
		int r = set_size(slave, size, e);

		if (r < 0)
			return r;
	}
	/*
	 * A uid without a mapping or a devpts of somebody else's user namespace: the terminal still
	 * works.
	 */
	if (fchown(slave, uid, (gid_t)-1) < 0 && errno != EPERM && errno != EINVAL &&
	    errno != EROFS && errno != EOVERFLOW)
		return err_sys(e, errno, "change the owner of the terminal to %u", uid);
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		return err_sys(e, errno, "make the terminal the controlling one");
	for (int fd = 0; fd <= 2; fd++) {
		/* dup2 onto itself would leave close-on-exec as it is */
		if (fd == slave ? fcntl(fd, F_SETFD, 0) < 0 : dup2(slave, fd) < 0)
			return err_sys(e, errno, "make the terminal fd %d", fd);
	}
	return 0;
}

bool console_in_background(int fd)
{
	pid_t front = tcgetpgrp(fd);

	return front >= 0 && front != getpgrp();
}

int console_raw_enter(struct console_raw *c, int fd, struct err *e)
{
	struct termios raw;

	c->fd = -1;
	/* The kernel would not refuse: SIGTTOU is blocked. */
	if (console_in_background(fd))
		return 0;
	if (tcgetattr(fd, &c->saved) < 0)
		return err_sys(e, errno, "read the terminal's settings");
	raw = c->saved;
	cfmakeraw(&raw);
	if (tcsetattr(fd, TCSANOW, &raw) < 0)
		return err_sys(e, errno, "make the terminal raw");
	c->fd = fd;
	return 0;
}

void console_raw_restore(struct console_raw *c)
{
	int fd = c->fd, saved = errno;

	c->fd = -1;
	if (fd >= 0 && !console_in_background(fd))
		tcsetattr(fd, TCSANOW, &c->saved);
	errno = saved;
}

int console_user_size(int master)
{
	for (int fd = 0; fd <= 2; fd++)
		if (console_copy_size(fd, master) == 0)
			return 0;
	return -ENOTTY;
}

int console_copy_size(int from, int to)
{
	struct winsize ws;

	if (ioctl(from, TIOCGWINSZ, &ws) < 0)
		return -errno;
	/* Of a terminal that has none: what the other one has (process.consoleSize) is better. */
	if (!ws.ws_row && !ws.ws_col)
		return -ENODATA;
	return ioctl(to, TIOCSWINSZ, &ws) < 0 ? -errno : 0;
}
