/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of an OS clone: a copy-on-write overlay of this machine's own "/". Made by the child in
 * its new mount namespace, from detached mounts only, so that everything goes away with the
 * container.
 */
#ifndef CTR_NAMESPACES_OVERLAY_H
#define CTR_NAMESPACES_OVERLAY_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Opens the disk FILE (making and formatting it on first use: sparse, ext4) and mounts it through a
 * loop device with autoclear: *mount_fd is the detached mount, for overlay_root; when it goes, the
 * device goes. Called in the parent: the child may already sit in a cgroup that denies it all block
 * devices. size in bytes, used on first use only (0: a default of 8 GiB). A file in use by another
 * clone is refused.
 */
int overlay_disk_open(const char *file, uint64_t size, int *mount_fd, struct err *e);

/* The file systems below a clone's "/", in its tree: O_PATH. Zero-initialise. */
struct overlay_below {
	int *fd;
	size_t n;
};

/*
 * The merged root as a detached mount (fd), lower = "/" of the current mount namespace (and an
 * overlay of its own for each ordinary file system mounted below it, like /usr, /var or /home on
 * partitions of their own). disk_fd: the upper layer's disk, not yet attached anywhere, or -1 for a
 * tmpfs of at most tmpfs_size bytes (0: the kernel's default). What the host forbids on one of them
 * (set-user-ID, devices, programs) is forbidden in the clone, too; a directory that is covered by a
 * file system of another kind is not to be seen. below (may be NULL): those other than "/" that can
 * be written, for who makes the whole read-only; the caller's, also after an error.
 */
int overlay_root(int disk_fd, uint64_t tmpfs_size, struct overlay_below *below, int *root_fd,
		 struct err *e);
void overlay_below_close(struct overlay_below *o);

#endif
