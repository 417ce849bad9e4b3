/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's root file system, in the child, in its new mount namespace. Three steps, because
 * hooks and the console come between them:
 *
 *   rootfs_prepare  propagation, the root as a mount of its own, every mount of the spec, default
 * devices and links (here: createContainer hooks, which see the host's tree and the prepared root)
 *   rootfs_enter    pivot_root (or MS_MOVE + chroot); cwd and root are the container's afterwards
 *   rootfs_protect  read-only paths, masked paths, root.readonly
 *
 * Everything goes through root_fd (security.md rule 1).
 */
#ifndef CTR_NAMESPACES_ROOTFS_H
#define CTR_NAMESPACES_ROOTFS_H

#include "base/err.h"
#include "namespaces/mount_plan.h"
#include "oci/spec.h"

#include <stdbool.h>

struct overlay_below;

struct rootfs_opts {
	const struct spec *spec;
	const char *path; /* host path of the root; NULL when root_mount is given */
	int root_mount;   /* a detached mount to use as root (overlay), or -1; owned by rootfs
			     afterwards */
	const struct overlay_below *below; /* made read-only with the root; may be NULL */
	const struct mount_plan *plan;
	bool new_mount_ns; /* false: the container shares a mount namespace (no pivot, chroot only,
			      no mounts) */
	bool userns;       /* inside a user namespace: device nodes are bound from the host */
	bool no_pivot;
	/*
	 * Asks the parent for a detached clone (open_tree) of host path `source`, with flags of
	 * AT_RECURSIVE and AT_SYMLINK_NOFOLLOW: used when the child, in its user namespace, may not
	 * walk to it (EACCES). Returns an fd or -errno.
	 */
	int (*open_source)(void *arg, const char *source, unsigned int flags, struct err *e);
	/*
	 * The same for operation `op` of the plan when it is id-mapped, ready mapped (the parent
	 * calls mount_source_open of mount_exec.h): inside a user namespace only the parent may
	 * map. NULL: done here.
	 */
	int (*open_idmapped)(void *arg, size_t op, struct err *e);
	void *arg;
};

/* Mounts that become read-only only after the whole set-up; see mount_exec.h. */
struct mount_late {
	struct {
		int fd; /* owned */
		const struct mount_op *op;
	} *v;
	size_t n;
};

struct rootfs {
	const struct rootfs_opts *o;
	int root_fd;    /* O_PATH of the root mount; -1 before prepare */
	bool on_top;    /* the root is attached on top of "/", not at its own path */
	bool dev_bound; /* /dev came by a bind mount: nothing of ours is made or replaced in it */
	bool chrooted;  /* ctr's root is not that of its mount namespace */
	struct mount_late late;
	int null_mnt; /* a clone of the host's /dev/null, verified, for masked files; -1 without any
		       */
};

#define ROOTFS_INIT                           \
	{                                     \
		.root_fd = -1, .null_mnt = -1 \
	}

int rootfs_prepare(struct rootfs *r, const struct rootfs_opts *o, struct err *e);
int rootfs_enter(struct rootfs *r, struct err *e);
int rootfs_protect(struct rootfs *r, struct err *e);
void rootfs_close(struct rootfs *r);

/* --no-pivot, the inside of rootfs_enter (rootfs_move.c): the root is moved over "/" and entered by
 * chroot. */
int rootfs_move(struct rootfs *r, struct err *e);

#endif
