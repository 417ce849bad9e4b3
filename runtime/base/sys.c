/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sys.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

#define RET(expr)                                \
	({                                       \
		long ret_ = (expr);              \
		(int)(ret_ < 0 ? -errno : ret_); \
	})

pid_t sys_clone_pidfd(int *pidfd)
{
	return RET(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, pidfd, NULL, 0));
}

pid_t sys_clone3(struct clone_args *args)
{
	return RET(syscall(SYS_clone3, args, sizeof(*args)));
}

int sys_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	struct open_how how = { .flags = flags, .mode = mode, .resolve = resolve };
	int r;

	for (int tries = 0; tries < 1000; tries++) {
		r = RET(syscall(SYS_openat2, dirfd, path, &how, sizeof(how)));
		if (r != -EAGAIN && r != -EINTR)
			break;
	}
	return r;
}

int sys_open_tree(int dirfd, const char *path, unsigned int flags)
{
	return RET(syscall(SYS_open_tree, dirfd, path, flags));
}

int sys_move_mount(int from_fd, const char *from, int to_fd, const char *to, unsigned int flags)
{
	return RET(syscall(SYS_move_mount, from_fd, from, to_fd, to, flags));
}

int sys_fsopen(const char *fstype, unsigned int flags)
{
	return RET(syscall(SYS_fsopen, fstype, flags));
}

int sys_fsconfig(int fsfd, unsigned int cmd, const char *key, const void *value, int aux)
{
	return RET(syscall(SYS_fsconfig, fsfd, cmd, key, value, aux));
}

int sys_fsmount(int fsfd, unsigned int flags, unsigned int attrs)
{
	return RET(syscall(SYS_fsmount, fsfd, flags, attrs));
}

int sys_fspick(int dirfd, const char *path, unsigned int flags)
{
	return RET(syscall(SYS_fspick, dirfd, path, flags));
}

int sys_mount_setattr(int dirfd, const char *path, unsigned int flags,
		      const struct mount_attr *attr)
{
	return RET(syscall(SYS_mount_setattr, dirfd, path, flags, attr, sizeof(*attr)));
}

int sys_pivot_root(const char *new_root, const char *put_old)
{
	return RET(syscall(SYS_pivot_root, new_root, put_old));
}

int sys_pidfd_open(pid_t pid, unsigned int flags)
{
	return RET(syscall(SYS_pidfd_open, pid, flags));
}

int sys_pidfd_send_signal(int pidfd, int sig, siginfo_t *info, unsigned int flags)
{
	return RET(syscall(SYS_pidfd_send_signal, pidfd, sig, info, flags));
}

int sys_pidfd_getfd(int pidfd, int target, unsigned int flags)
{
	return RET(syscall(SYS_pidfd_getfd, pidfd, target, flags));
}

int sys_close_range(unsigned int first, unsigned int last, unsigned int flags)
{
	return RET(syscall(SYS_close_range, first, last, flags));
}

int sys_execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags)
{
	return RET(syscall(SYS_execveat, dirfd, path, argv, envp, flags));
}

int sys_keyctl_join(const char *name)
{
	return RET(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name));
}

int sys_keyctl_describe(int key, char *text, size_t size)
{
	return RET(syscall(SYS_keyctl, KEYCTL_DESCRIBE, key, text, size));
}

int sys_keyctl_setperm(int key, uint32_t perm)
{
	return RET(syscall(SYS_keyctl, KEYCTL_SETPERM, key, perm));
}

int sys_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	for (int i = 0; i < 2; i++) {
		d[i].effective = (uint32_t)(effective >> (32 * i));
		d[i].permitted = (uint32_t)(permitted >> (32 * i));
		d[i].inheritable = (uint32_t)(inheritable >> (32 * i));
	}
	return RET(syscall(SYS_capset, &h, d));
}

int64_t sys_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
