/* SPDX-License-Identifier: Apache-2.0 */
/* That each wrapper makes its call, with its arguments in order, and gives -errno. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int child_status(pid_t pid)
{
	int status;

	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_clone3(void **state)
{
	int pidfd = -1;
	struct clone_args a = { .flags = CLONE_PIDFD,
				.exit_signal = SIGCHLD,
				.pidfd = (uintptr_t)&pidfd };
	struct clone_args bad = { .flags = CLONE_SIGHAND };
	pid_t pid = sys_clone3(&a);

	(void)state;
	if (pid == 0)
		_exit(42);
	assert_true(pidfd >= 0);
	assert_int_equal(child_status(pid), 42);
	close(pidfd);
	assert_int_equal(sys_clone3(&bad), -EINVAL);
}

static void test_openat2(void **state)
{
	char dir[] = "/tmp/ctr-sys-XXXXXX";
	AUTO_CLOSE int at = -1;
	struct stat st;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = sys_openat2(at, "file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640,
			 RESOLVE_IN_ROOT);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777 & ~027, 0640 & ~027);
	close(fd);
	assert_int_equal(symlinkat("/etc/passwd", at, "link"), 0);
	assert_int_equal(sys_openat2(at, "link", O_RDONLY | O_CLOEXEC, 0, RESOLVE_IN_ROOT),
			 -ENOENT);
	assert_int_equal(sys_openat2(at, "link", O_RDONLY | O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS),
			 -ELOOP);
	assert_int_equal(sys_openat2(at, "..", O_PATH | O_CLOEXEC, 0, RESOLVE_BENEATH), -EXDEV);
	assert_int_equal(sys_openat2(at, "file", O_RDONLY, 0, 1ull << 40), -EINVAL);
	unlinkat(at, "file", 0);
	unlinkat(at, "link", 0);
	assert_int_equal(rmdir(dir), 0);
}

/* The mount calls, by what they say to what cannot be: no privilege is needed. */
static void test_mount_errors(void **state)
{
	const struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	(void)state;
	assert_int_equal(sys_open_tree(-1, "", AT_EMPTY_PATH), -EBADF);
	assert_int_equal(sys_open_tree(AT_FDCWD, "/nonexistent", 0), -ENOENT);
	assert_int_equal(sys_fsconfig(-1, FSCONFIG_CMD_CREATE, NULL, NULL, 0), -EINVAL);
	assert_true(sys_fsconfig(STDIN_FILENO, FSCONFIG_SET_FLAG, "x", NULL, 0) < 0);
	assert_true(sys_move_mount(-1, "", -1, "", MOVE_MOUNT_F_EMPTY_PATH) < 0);
	assert_true(sys_fsmount(-1, 0, 0) < 0);
	assert_true(sys_fspick(AT_FDCWD, "/nonexistent", 0) < 0);
	assert_true(sys_mount_setattr(-1, "", AT_EMPTY_PATH, &attr) < 0);
	assert_true(sys_pivot_root("/nonexistent", "/nonexistent") < 0);
	assert_true(sys_fsopen("nosuchfs", 0) < 0);
}

/* And what they do, where it is allowed: a file system made, configured, looked at. */
static void test_mount(void **state)
{
	AUTO_CLOSE int fs = -1, mnt = -1, fd = -1;
	const struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	fs = sys_fsopen("tmpfs", FSOPEN_CLOEXEC);
	if (fs == -EPERM || fs == -ENOSYS)
		skip();
	assert_true(fs >= 0);
	assert_int_equal(sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0712", 0), 0);
	assert_int_equal(sys_fsconfig(fs, FSCONFIG_SET_STRING, "nosuchoption", "1", 0), -EINVAL);
	assert_int_equal(sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), 0);
	mnt = sys_fsmount(fs, FSMOUNT_CLOEXEC, 0);
	assert_true(mnt >= 0);
	assert_int_equal(fstat(mnt, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0712);
	fd = openat(mnt, "f", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(TAKE_FD(fd));
	assert_int_equal(sys_mount_setattr(mnt, "", AT_EMPTY_PATH, &attr), 0);
	assert_int_equal(openat(mnt, "g", O_CREAT | O_WRONLY | O_CLOEXEC, 0600), -1);
	assert_int_equal(errno, EROFS);
	fd = sys_open_tree(mnt, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	assert_true(fd >= 0 || fd == -EINVAL); /* newer kernels clone detached mounts */
}

static void test_pidfd(void **state)
{
	AUTO_CLOSE int pidfd = -1;
	int p[2], copy;
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	pidfd = sys_pidfd_open(pid, 0);
	assert_true(pidfd >= 0);
	assert_int_equal(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
	copy = sys_pidfd_getfd(pidfd, p[1], 0);
	if (copy >= 0) { /* Yama may deny it */
		assert_int_equal(write(copy, "x", 1), 1);
		assert_int_equal(read(p[0], &c, 1), 1);
		close(copy);
	}
	assert_int_equal(sys_pidfd_getfd(pidfd, 9999, 0) < 0, 1);
	assert_int_equal(sys_pidfd_send_signal(pidfd, 0, NULL, 0), 0);
	assert_int_equal(sys_pidfd_send_signal(pidfd, 999, NULL, 0), -EINVAL);
	assert_int_equal(sys_pidfd_send_signal(pidfd, SIGKILL, NULL, 0), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(sys_pidfd_send_signal(pidfd, 0, NULL, 0), -ESRCH);
	assert_int_equal(sys_pidfd_open(-1, 0), -EINVAL);
	close(p[0]);
	close(p[1]);
}

static void test_close_range(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		int fd = fcntl(STDERR_FILENO, F_DUPFD, 100), r = 0;

		if (sys_close_range(101, 99, 0) != -EINVAL)
			r = 1;
		else if (sys_close_range(100, 100, 4 /* CLOSE_RANGE_CLOEXEC */) != 0 ||
			 fcntl(fd, F_GETFD) != FD_CLOEXEC)
			r = 2;
		else if (sys_close_range(100, ~0u, 0) != 0 || fcntl(fd, F_GETFD) != -1)
			r = 3;
		_exit(r);
	}
	assert_int_equal(child_status(pid), 0);
}

static void test_execveat(void **state)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)"exit $STATUS", NULL };
	char *envp[] = { (char *)"STATUS=9", NULL };
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		int fd = open("/bin/sh", O_PATH | O_CLOEXEC);

		sys_execveat(fd, "", argv, envp, AT_EMPTY_PATH);
		_exit(1);
	}
	assert_int_equal(child_status(pid), 9);
	assert_int_equal(sys_execveat(AT_FDCWD, "/nonexistent", argv, envp, 0), -ENOENT);
	assert_int_equal(sys_execveat(AT_FDCWD, "/etc/passwd", argv, envp, 0), -EACCES);
}

/* Both halves of the 64 bits, each set in its place. */
static void test_capset(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		const uint64_t low = 1ull << CAP_CHOWN, high = 1ull << CAP_MAC_ADMIN;
		struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
		struct __user_cap_data_struct d[2];

		if (geteuid() != 0 || syscall(SYS_capget, &h, d) < 0 || !(d[1].permitted & 2))
			_exit(77);
		if (sys_capset(low, low | high, low) != 0 || syscall(SYS_capget, &h, d) < 0)
			_exit(1);
		if (d[0].effective != 1 || d[1].effective != 0 || d[0].permitted != 1 ||
		    d[1].permitted != 2 || d[0].inheritable != 1 || d[1].inheritable != 0)
			_exit(2);
		/* what was given up does not come back */
		_exit(sys_capset(~0ull >> 24, ~0ull >> 24, 0) == -EPERM ? 0 : 3);
	}
	status = child_status(pid);
	if (status == 77) {
		print_message("skipped: without capabilities\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static void test_keyring(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		int a = sys_keyctl_join("_ctr_test"), b = sys_keyctl_join("_ctr_test");
		char text[64] = "";

		/* a kernel without keys, or a filter, says so */
		if (a == -ENOSYS || a == -EPERM || a == -EDQUOT)
			_exit(0);
		if (a < 0 || b < 0)
			_exit(1);
		/* too little room, and enough of it for a new one with its permissions */
		if (sys_keyctl_describe(b, text, 8) <= 8 || *text ||
		    sys_keyctl_describe(b, text, sizeof(text)) != (int)strlen(text) + 1 ||
		    !strstr(text, ";3f130000;_ctr_test"))
			_exit(2);
		/* found by that name from now on: it is ours */
		if (sys_keyctl_setperm(b, 0x3f1b0000) < 0 || sys_keyctl_join("_ctr_test") != 0)
			_exit(3);
		_exit(0);
	}
	assert_int_equal(child_status(pid), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clone3),       cmocka_unit_test(test_openat2),
		cmocka_unit_test(test_mount_errors), cmocka_unit_test(test_mount),
		cmocka_unit_test(test_pidfd),        cmocka_unit_test(test_close_range),
		cmocka_unit_test(test_execveat),     cmocka_unit_test(test_capset),
		cmocka_unit_test(test_keyring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
