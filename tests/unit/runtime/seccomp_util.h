/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the tests of seccomp: building profiles, and loading them in a child. Included once by
 * each.
 */
#ifndef CTR_TEST_SECCOMP_UTIL_H
#define CTR_TEST_SECCOMP_UTIL_H

#include "runtime/seccomp.h"

#include "base/cleanup.h"
#include "oci/names.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define NAMES(...)                                                      \
	{                                                               \
		.v = (char *[]){ __VA_ARGS__, NULL },                   \
		.n = sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *) \
	}
#define ARGS(...)                                                         \
	{                                                                 \
		.v = (struct spec_syscall_arg[]){ __VA_ARGS__ },          \
		.n = sizeof((struct spec_syscall_arg[]){ __VA_ARGS__ }) / \
		     sizeof(struct spec_syscall_arg)                      \
	}
#define RULES(...)                                                                                \
	{                                                                                         \
		.v = (struct spec_syscall[]){ __VA_ARGS__ },                                      \
		.n = sizeof((struct spec_syscall[]){ __VA_ARGS__ }) / sizeof(struct spec_syscall) \
	}

static inline void cleanup_prog(struct seccomp_prog *p)
{
	seccomp_free(p);
}
#define AUTO_PROG __attribute__((cleanup(cleanup_prog)))

/* Loads s in a child and runs fn there; the wait status. fn gives the exit status. */
static inline int under(const struct spec_seccomp *s, int (*fn)(void))
{
	AUTO_PROG struct seccomp_prog p = {};
	struct err e = {};
	int status, listener;
	pid_t pid;

	if (seccomp_compile(s, -1, &p, &e) < 0)
		fail_msg("%s", e.msg);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		prctl(PR_SET_DUMPABLE, 0);
		if (seccomp_install(&p, &listener) < 0)
			syscall(SYS_exit_group, 99);
		syscall(SYS_exit_group, fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static inline int exit_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#endif
