/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a test body in a forked child with namespaces of its own; CHECK instead of assert inside it.
 */
#ifndef CTR_TESTS_IN_CHILD_H
#define CTR_TESTS_IN_CHILD_H

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CHECK(cond)                                                                          \
	do {                                                                                 \
		if (!(cond)) {                                                               \
			fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #cond, \
				errno);                                                      \
			return 1;                                                            \
		}                                                                            \
	} while (0)

/* The same, with the text of a struct err. */
#define CHECK_OK(call, err)                                                                        \
	do {                                                                                       \
		if ((call) < 0) {                                                                  \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, (err)->msg); \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

#define CHECK_FAILS(call, code_, err, text)                                               \
	do {                                                                              \
		int check_r_ = (call);                                                    \
		if (check_r_ != -(code_) || !strstr((err)->msg, text)) {                  \
			fprintf(stderr, "%s:%d: %s: %d: %s\n", __FILE__, __LINE__, #call, \
				check_r_, (err)->msg);                                    \
			return 1;                                                         \
		}                                                                         \
	} while (0)

static inline void need_root(void)
{
	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		skip();
	}
}

/* flags: of unshare(2). The body returns 0 when all is well. */
static inline void in_child(int flags, int (*body)(void))
{
	int status;
	pid_t pid;

	need_root();
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (unshare(flags) < 0 ||
		    (flags & CLONE_NEWNS && mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0))
			_exit(99);
		_exit(body());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 99) {
		print_message("skipped: no namespaces to be had here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

#endif
