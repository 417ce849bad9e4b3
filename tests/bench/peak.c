/* SPDX-License-Identifier: Apache-2.0 */
/*
 *	peak FILE PROGRAM [ARG...]
 *
 * Runs the program and appends the largest resident set, in KiB, of it and of all that it waited
 * for to FILE. Static and tiny on purpose: what a child inherits before its execve counts as its
 * own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct rusage use;
	int status, fd;
	pid_t pid;

	if (argc < 3) {
		dprintf(2, "usage: peak FILE PROGRAM [ARG...]\n");
		return 125;
	}
	fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	pid = fd < 0 ? -1 : fork();
	if (pid == 0) {
		execvp(argv[2], argv + 2);
		dprintf(2, "peak: %s: %s\n", argv[2], strerror(errno));
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &use) < 0 ||
	    dprintf(fd, "%ld\n", use.ru_maxrss) < 0) {
		dprintf(2, "peak: %s: %s\n", argv[1], strerror(errno));
		return 125;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
