/* SPDX-License-Identifier: Apache-2.0 */
#include "proc.h"

#include "base/cleanup.h"
#include "base/fdpass.h"
#include "base/io.h"
#include "base/sys.h"
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

/*
 * Of a dead process or a zombie, too. *dead: nothing of it runs. A process whose first thread has
 * ended is a zombie and lives on in the others.
 */
static int read_stat(pid_t pid, bool *dead, uint64_t *start)
{
	char path[32], buf[1024];
	unsigned long long t;
	char *p, state;
	int threads;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	n = io_read_small(AT_FDCWD, path, buf, sizeof(buf));
	if (n < 0)
		return n == -ENOENT ? -ESRCH : (int)n;
	/* The name in parentheses may hold anything, spaces and parentheses too. */
	p = strrchr(buf, ')');
	if (!p ||
	    sscanf(p + 1,
		   " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d %*d %llu",
		   &state, &threads, &t) != 3)
		return -EIO;
	*dead = state == 'X' || (state == 'Z' && threads <= 1);
	*start = t;
	return 0;
}

int proc_start_time(pid_t pid, uint64_t *start)
{
	bool dead;
	int r = read_stat(pid, &dead, start);

	return r == 0 && dead ? -ESRCH : r;
}

bool proc_ended(pid_t pid, uint64_t start)
{
	AUTO_CLOSE int fd = sys_pidfd_open(pid, 0);
	uint64_t now;
	bool dead;
	int r;

	if (fd < 0) /* the number may be a thread's by now */
		return fd == -ESRCH || fd == -EINVAL || fd == -ENOENT;
	r = read_stat(pid, &dead, &now);
	if (r < 0 || now != start)
		return r == 0 || r == -ESRCH;
	return proc_wait_end(fd, 0) == 0;
}

/* The number that is ours, whatever the namespace is where the pidfd came from. */
int proc_pid_of(int pidfd, pid_t *pid)
{
	char path[48], buf[1024];
	const char *line;
	ssize_t n;
	int v;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	n = io_read_small(AT_FDCWD, path, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	line = strstr(buf, "\nPid:");
	if (!line || sscanf(line, "\nPid: %d", &v) != 1)
		return -EIO;
	if (v <= 0)
		return -ESRCH;
	*pid = v;
	return 0;
}

bool proc_alive(pid_t pid, uint64_t start)
{
	uint64_t now;

	return pid > 0 && proc_start_time(pid, &now) == 0 && now == start;
}

int proc_pidfd(pid_t pid, uint64_t start)
{
	AUTO_CLOSE int fd = pid > 0 ? sys_pidfd_open(pid, 0) : -ESRCH;

	/* Some kernels say EINVAL of a process that is being reaped just now. */
	if (fd == -EINVAL)
		return -ESRCH;
	if (fd < 0)
		return fd;
	/* Checked after the open: from here on the number cannot be another's. */
	if (!proc_alive(pid, start))
		return -ESRCH;
	return TAKE_FD(fd);
}

int proc_wait_end(int pidfd, int ms)
{
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += ms / 1000;
	for (;;) {
		struct pollfd p = { .fd = pidfd, .events = POLLIN };
		int r = poll(&p, 1, ms);

		if (r > 0)
			return 0;
		if (r == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec > end.tv_sec)
			return -ETIMEDOUT;
	}
}

void proc_reap(pid_t pid, int pidfd, int ms)
{
	proc_wait_end(pidfd, ms);
	waitpid(pid, NULL, WNOHANG);
}

int proc_write_pid_file(const char *path, pid_t pid)
{
	char dir[PATH_MAX], text[16];
	const char *name = strrchr(path, '/');
	int n = snprintf(text, sizeof(text), "%d", pid);
	struct stat st;

	/* A pipe or a device is written to, and not replaced by a file. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		AUTO_CLOSE int there = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);

		return there < 0 ? -errno : io_write_full(there, text, (size_t)n);
	}
	name = name ? name + 1 : path;
	if ((size_t)(name - path) >= sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir, path, (size_t)(name - path));
	dir[name - path] = '\0';

	AUTO_CLOSE int fd = open(*dir ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return io_write_atomic(fd, name, text, (size_t)n, 0644);
}

int proc_send_pidfd(const char *path, int pidfd, struct err *e)
{
	AUTO_CLOSE int sock = console_connect(path, e);
	int r;

	if (sock < 0)
		return sock;
	r = fdpass_send(sock, "pidfd", strlen("pidfd"), &pidfd, 1);
	return r < 0 ? err_sys(e, -r, "send the pidfd to %s", path) : 0;
}
