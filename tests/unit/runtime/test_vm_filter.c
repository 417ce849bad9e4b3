/* SPDX-License-Identifier: Apache-2.0 */
/* The filter of the machine's processes, in a child: what it forbids, and what must go on. */
#include "tests/unit/namespaces/in_child.h"

#include "base/sys.h"
#include "runtime/vm_jail.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool denied(long r)
{
	return r == -1 && errno == EPERM;
}

static void *thread(void *arg)
{
	*(int *)arg = 1;
	return NULL;
}

static int filter_body(void)
{
	struct clone_args a = { .exit_signal = SIGCHLD };
	struct err e = {};
	pthread_t t;
	int pidfd = -1, ran = 0, status;
	pid_t pid;

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK_OK(vm_jail_filter(&e), &e);
	/* root has all rights here: it is the filter that says no */
	CHECK(denied(unshare(CLONE_NEWUSER)) && denied(unshare(CLONE_NEWNS | CLONE_FS)));
	CHECK(denied(unshare(CLONE_NEWTIME)));
	CHECK(denied(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0)));
	CHECK(sys_clone3(&a) == -ENOSYS);
	CHECK(denied(mount("t", "/tmp", "tmpfs", 0, NULL)) && denied(umount("/none")));
	CHECK(denied(syscall(SYS_bpf, 0, NULL, 0)) && denied(syscall(SYS_io_uring_setup, 1, NULL)));
	CHECK(denied(syscall(SYS_ptrace, 0, 0, 0, 0)) && denied(syscall(SYS_keyctl, 0)));
	CHECK(denied(syscall(SYS_syslog, 2, NULL, 0)));
	CHECK(unshare(CLONE_FS) == 0);
	CHECK(pthread_create(&t, NULL, thread, &ran) == 0 && pthread_join(t, NULL) == 0 && ran);
	pid = sys_clone_pidfd(&pidfd);
	if (pid == 0) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	CHECK(pid > 0 && pidfd >= 0 && waitpid(pid, &status, 0) == pid && status == 0);
	return 0;
}

static void test_filter(void **state)
{
	(void)state;
	in_child(0, filter_body);
}

static int other_abi_body(void)
{
	struct err e = {};
	int status;
	pid_t pid;

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	pid = fork();
	if (pid == 0) {
		if (vm_jail_filter(&e) < 0)
			_exit(1);
		syscall(0x40000000 | SYS_getpid);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	return 0;
}

/* What has other numbers must not be a way around. */
static void test_other_abi(void **state)
{
	(void)state;
	in_child(0, other_abi_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_other_abi),
	};

	return cmocka_run_group_tests_name("vm_filter", tests, NULL, NULL);
}
