/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/proc.h"

#include "base/cleanup.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static pid_t pausing(const char *name)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, name);
		for (;;)
			pause();
	}
	return pid;
}

static void state_of_one(void **state)
{
	AUTO(str_buf_free) struct str_buf b = {}, none = {};
	pid_t pid = pausing("one");

	(void)state;
	assert_true(pid > 0);
	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	proc_where(pid, &b);
	assert_int_equal(strncmp(b.s, ": state T", 9), 0);
	assert_null(strstr(b.s, "with process"));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	proc_where(pid, &none);
	assert_null(none.s);
}

/* What keeps the first process of a namespace from its end. */
static void others_of_namespace(void **state)
{
	AUTO(str_buf_free) struct str_buf b = {};
	char want[64];
	pid_t init, other;

	(void)state;
	if (unshare(CLONE_NEWPID) < 0)
		skip();
	init = pausing("first");
	other = pausing("a) b");
	assert_true(init > 0 && other > 0);
	/* A zombie, which is ours to reap, is one, too. */
	kill(other, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)other, &(siginfo_t){}, WEXITED | WNOWAIT), 0);
	kill(init, SIGKILL);
	proc_where(init, &b);
	snprintf(want, sizeof(want), ", with process %d (", (int)other);
	assert_non_null(strstr(b.s, want));
	snprintf(want, sizeof(want), ", state Z, parent %d)", (int)getpid());
	assert_non_null(strstr(b.s, want));
	assert_int_equal(waitpid(other, NULL, 0), other);
	assert_int_equal(waitpid(init, NULL, 0), init);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(state_of_one),
		cmocka_unit_test(others_of_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
