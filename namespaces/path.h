/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths inside a root that belongs to somebody hostile. Every path is resolved once, by openat2
 * with RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS, and is an fd from then on.
 */
#ifndef CTR_NAMESPACES_PATH_H
#define CTR_NAMESPACES_PATH_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* Opens path below root_fd with flags (O_CLOEXEC is added). The fd or -errno. Symlinks resolve
 * inside the root. */
int path_open(int root_fd, const char *path, int flags);

/* An O_PATH fd for path below root_fd; its inode in *st (may be NULL). The fd or -errno. */
int path_resolve(int root_fd, const char *path, struct stat *st);

/*
 * The same, making what is missing: directories (mode) on the way, and at the end a directory or,
 * when want_dir is false, an empty regular file (mode 0644). Each step is made by
 * mkdirat/O_CREAT|O_EXCL|O_NOFOLLOW relative to the fd of the step before; nothing is made outside
 * the root, whoever races with it.
 */
int path_make(int root_fd, const char *path, bool want_dir, mode_t mode, struct err *e);

/*
 * The same without an error text, for who wants to know more: *st is the inode, *existed tells
 * whether it was there before. What exists is taken whatever its kind; the caller looks at *st. The
 * fd or -errno.
 */
int path_make_stat(int root_fd, const char *path, bool want_dir, mode_t mode, struct stat *st,
		   bool *existed);

/*
 * The same, but for a link at the end: it is not followed, the fd is of the link. ".." is no name
 * for the end: -EINVAL.
 */
int path_make_nofollow(int root_fd, const char *path, bool want_dir, mode_t mode, struct stat *st,
		       bool *existed);

/*
 * The id of the mount that fd is on. A negative fd is passed on as the error. 0 or -errno; -ENOSYS:
 * the kernel does not tell (before 5.8).
 */
int path_mount_id(int fd, uint64_t *id);

/*
 * A trusted procfs for writes below /proc/self or /proc/sys (security.md rules 2 and 8): a detached
 * one of our own (fsopen) where the kernel and an outer container allow it, otherwise /proc
 * verified to be a procfs root. The fd or -errno with *e set.
 */
int path_procfs(struct err *e);

/* Opens a file below that procfs without crossing mounts or following links (but /proc/self,
 * thread-self). */
int path_procfs_open(int proc_fd, const char *path, int flags, struct err *e);

#endif
