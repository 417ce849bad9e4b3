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

enum { FINE, NO_NAMESPACE, WRONG };

/* In a process of its own: whatever it starts from then on is in the new namespace. */
static int in_namespace(void)
{
	struct str_buf b = {};
	char zombie[64], parent[64];
	pid_t init, other;
	int r;

	if (unshare(CLONE_NEWPID) < 0)
		return NO_NAMESPACE;
	init = pausing("first");
	other = pausing("other");
	if (init < 0 || other < 0)
		return WRONG;
	/* A zombie, which is ours to reap, keeps the first process from its end, too. */
	kill(other, SIGKILL);
	waitid(P_PID, (id_t)other, &(siginfo_t){}, WEXITED | WNOWAIT);
	kill(init, SIGKILL);
	proc_where(init, &b);
	snprintf(zombie, sizeof(zombie), ", with process %d (", (int)other);
	snprintf(parent, sizeof(parent), ", state Z, parent %d)", (int)getpid());
	r = b.s && strstr(b.s, zombie) && strstr(b.s, parent) ? FINE : WRONG;
	if (r == WRONG)
		fprintf(stderr, "%s\n", b.s ? b.s : "nothing");
	str_buf_free(&b);
	waitpid(other, NULL, 0);
	waitpid(init, NULL, 0);
	return r;
}

static void others_of_namespace(void **state)
{
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(in_namespace());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NO_NAMESPACE)
		skip();
	assert_int_equal(WEXITSTATUS(status), FINE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(state_of_one),
		cmocka_unit_test(others_of_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
