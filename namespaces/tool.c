/* SPDX-License-Identifier: Apache-2.0 */
#include "namespaces/tool.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

static const char *const dirs[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
				    "/usr/bin",        "/sbin",          "/bin" };

static int find(const char *name, char *path, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(path, size, "%s/%s", dirs[i], name);
		if (access(path, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

static void __attribute__((noreturn)) child(const char *path, char *const argv[], int out)
{
	char *const env[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *)"LC_ALL=C",
			      NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (null >= 0)
		dup2(null, 0);
	if (dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(127);
	/* Ours are close-on-exec, those of who called us need not be. */
	sys_close_range(3, ~0U, 0); /* since Linux 5.9; before that they stay */
	execve(path, argv, env);
	_exit(127);
}

static int ms_left(const struct timespec *end)
{
	struct timespec now;
	int64_t ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (int64_t)(end->tv_sec - now.tv_sec) * 1000 + (end->tv_nsec - now.tv_nsec) / 1000000;
	return ms < 0 ? 0 : (int)ms;
}

/* Keeps the end of what the program writes until it closes its output. -ETIMEDOUT. */
static int collect(int fd, char *tail, size_t size, int timeout)
{
	struct timespec end;
	size_t len = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += timeout;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int r = poll(&p, 1, ms_left(&end));
		ssize_t n;

		if (r < 0 && errno == EINTR)
			continue;
		if (r == 0)
			return -ETIMEDOUT;
		if (len > size / 2) {
			memmove(tail, tail + len - size / 2, size / 2);
			len = size / 2;
		}
		n = read(fd, tail + len, size - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n > 0)
			len += (size_t)n;
		tail[len] = '\0';
		if (n <= 0)
			break;
	}
	while (len && (tail[len - 1] == '\n' || tail[len - 1] == ' '))
		tail[--len] = '\0';
	return 0;
}

int tool_run(char *const argv[], int timeout, struct err *e)
{
	char path[PATH_MAX], tail[1024] = "";
	int p[2], status = 0, r;
	AUTO_CLOSE int in = -1;
	pid_t pid;

	if (find(argv[0], path, sizeof(path)) < 0)
		return err_set(e, ENOENT, "run %s: not installed", argv[0]);
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, errno, "run %s: pipe", argv[0]);
	in = p[0];
	pid = fork();
	if (pid == 0)
		child(path, argv, p[1]);
	close(p[1]);
	if (pid < 0)
		return err_sys(e, errno, "run %s: fork", argv[0]);
	r = collect(in, tail, sizeof(tail), timeout);
	if (r < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return err_set(e, ETIMEDOUT, "run %s: no answer within %d s", argv[0], timeout);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return err_set(e, EIO, "run %s: killed by signal %d", argv[0], WTERMSIG(status));
	return err_set(e, EIO, "run %s: exit status %d: %s", argv[0], WEXITSTATUS(status),
		       tail[0] ? tail : "no message");
}
