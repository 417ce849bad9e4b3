/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executes a mount plan under a root fd. Every mount is made detached, gets its attributes, and is
 * then moved onto an fd; a path inside the root is resolved once and is an fd from then on.
 */
#ifndef CTR_NAMESPACES_MOUNT_EXEC_H
#define CTR_NAMESPACES_MOUNT_EXEC_H

#include "base/err.h"
#include "namespaces/mount_plan.h"
#include "namespaces/rootfs.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/*
 * The tmpfs mounts that were made, as owned fds: all that is in them came from the set-up itself or
 * was copied from the image. fds and not ids, because what a mount was made with is there already,
 * and its id would cost each container a call. Of more than MOUNT_MADE_MAX only the first.
 */
#define MOUNT_MADE_MAX 64
struct mount_made {
	int fd[MOUNT_MADE_MAX];
	size_t n;
};

void mount_made_close(struct mount_made *m);

/*
 * All operations of o->plan, in order, below root_fd. *made is filled, and *late with the mounts
 * that the plan leaves writable for the set-up (late_ro); on failure in part.
 */
int mount_exec(int root_fd, const struct rootfs_opts *o, struct mount_made *made,
	       struct mount_late *late, struct err *e);

/*
 * A detached clone of what a bind operation shows, id-mapped when the operation says so: by the
 * user namespace userns_fd when the operation has no mappings of its own. The fd or -errno.
 */
int mount_source_open(const struct mount_op *op, int userns_fd, struct err *e);

/* How the source of a bind is opened: AT_RECURSIVE, AT_SYMLINK_NOFOLLOW. Pure. */
unsigned int mount_source_flags(const struct mount_op *op);

/* Attaches a detached mount (or moves an attached one) onto what target_fd refers to. 0 or -errno.
 */
int mount_attach(int mnt_fd, int target_fd);

/* mount_setattr of the mount that fd refers to. 0 or -errno. */
int mount_attr_fd(int fd, bool recursive, uint64_t set, uint64_t clr);

/* Changes the propagation (MS_SHARED ..., with MS_REC) of the mount that fd refers to. 0 or -errno.
 */
int mount_propagation_fd(int fd, uint64_t ms);

/* ---- mount_target.c ---- */

/* What an operation is carried out on. */
struct mount_target {
	int fd; /* O_PATH, owned */
	bool existed;
	struct stat st;
};

/*
 * Opens the target of op below root_fd, made when it is missing: a directory, or a file when
 * want_dir is false. 0 or -errno with *e set; *t is to be closed in either case.
 */
int mount_target_open(int root_fd, const struct mount_op *op, bool want_dir, struct mount_target *t,
		      struct err *e);

void mount_target_close(struct mount_target *t);

#define AUTO_MOUNT_TARGET __attribute__((cleanup(mount_target_close)))

/* Whether op makes a new file system of that type. */
bool mount_op_is(const struct mount_op *op, const char *fstype);

/* ---- mount_late.c ---- */

/* Keeps the mount when its operation is late_ro; mnt stays the caller's. 0 or -errno with *e. */
int mount_late_keep(struct mount_late *l, const struct mount_op *op, int mnt, struct err *e);

/* Makes all of them read-only, whatever lies over them by now. 0 or -errno with *e set. */
int mount_exec_late(const struct mount_late *l, struct err *e);

void mount_late_close(struct mount_late *l);

/* ---- mount_fs.c ---- */

struct mount_fs {
	const char *fstype, *source;
	const struct spec_strings *data;  /* "key=value", "key"; may be NULL */
	const struct spec_strings *flags; /* may be NULL */
	const char *mode;                 /* "mode" of a tmpfs, or NULL */
	uint64_t attrs;                   /* MOUNT_ATTR_* */
};

/*
 * A new instance of a file system as a detached mount: the fd or -errno. The kernel's own messages
 * are part of the error. *refused (may be NULL) tells that the call itself is not to be had here
 * (an old kernel, an outer seccomp filter), so that mount(2) is worth trying.
 */
int mount_fs_new(const struct mount_fs *f, bool *refused, struct err *e);

/* Changes the super block of the mount that fd refers to. */
int mount_fs_reconfigure(int fd, const struct mount_op *op, struct err *e);

/* ---- mount_legacy.c: mount(2) through a verified /proc/self/fd, for where the calls above are
 * refused ---- */

int mount_legacy_fs(const struct mount_op *op, int target_fd, const char *mode, struct err *e);
int mount_legacy_bind(int source_fd, bool recursive, int target_fd, struct err *e);
/* fd must be of the mount itself (resolved again after it was mounted). */
int mount_legacy_attr(int fd, uint64_t set, uint64_t clr, struct err *e);
int mount_legacy_propagation(int fd, uint64_t ms, struct err *e);

/* ---- mount_copyup.c ---- */

/*
 * Copies the tree below directory src_fd into directory dst_fd: content, modes, owners, times,
 * xattrs, links. dst_fd itself keeps its owner, group and mode where the options of the file system
 * ("uid=", "gid=", "mode=") say them.
 */
int mount_copy_up(int src_fd, int dst_fd, const struct spec_strings *options, struct err *e);

/*
 * The extended attributes of one file for another, fds that can be read. Those that its file system
 * has no room for (user.* of a tmpfs before Linux 6.6) are left out, as cp -a does. 0 or -errno;
 * *what then says at what ("set an attribute of").
 */
int mount_copy_xattrs(int src, int dst, const char **what);

#endif
