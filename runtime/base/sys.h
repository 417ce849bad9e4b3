/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls that the C library does not wrap, and constants that its headers may lack. All
 * return what the system call returns, or -errno (never -1 with errno): the rest of ctr speaks
 * -errno.
 */
#ifndef CTR_BASE_SYS_H
#define CTR_BASE_SYS_H

#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

/* clone3(2) as fork: the child continues here with 0. -errno on failure. */
pid_t sys_clone3(struct clone_args *args);

/* clone(2) as fork with a pidfd, where clone3 is not to be had. The same. */
pid_t sys_clone_pidfd(int *pidfd);

/* openat2(2); retried on EAGAIN (a rename raced with RESOLVE_IN_ROOT) a bounded number of times. */
int sys_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);

int sys_open_tree(int dirfd, const char *path, unsigned int flags);
int sys_move_mount(int from_fd, const char *from, int to_fd, const char *to, unsigned int flags);
int sys_fsopen(const char *fstype, unsigned int flags);
int sys_fsconfig(int fsfd, unsigned int cmd, const char *key, const void *value, int aux);
int sys_fsmount(int fsfd, unsigned int flags, unsigned int attrs);
int sys_fspick(int dirfd, const char *path, unsigned int flags);
int sys_mount_setattr(int dirfd, const char *path, unsigned int flags,
		      const struct mount_attr *attr);
int sys_pivot_root(const char *new_root, const char *put_old);
int sys_pidfd_open(pid_t pid, unsigned int flags);
int sys_pidfd_send_signal(int pidfd, int sig, siginfo_t *info, unsigned int flags);
int sys_pidfd_getfd(int pidfd, int target, unsigned int flags);
int sys_close_range(unsigned int first, unsigned int last, unsigned int flags);
int sys_execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags);
/* KEYCTL_JOIN_SESSION_KEYRING: the keyring's serial, 0 when it is the caller's already. */
int sys_keyctl_join(const char *name);
/* KEYCTL_DESCRIBE: the length of the text with its NUL; nothing is written when that is > size. */
int sys_keyctl_describe(int key, char *text, size_t size);
int sys_keyctl_setperm(int key, uint32_t perm);
int sys_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable);

/* Milliseconds of CLOCK_MONOTONIC: for deadlines. */
int64_t sys_now_ms(void);

#endif
