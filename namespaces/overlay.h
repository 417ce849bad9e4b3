/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of an OS clone: a copy-on-write overlay of this machine's own "/". Made by the child in
 * its new mount namespace, from detached mounts only, so that everything goes away with the
 * container.
 */
#ifndef CTR_NAMESPACES_OVERLAY_H
#define CTR_NAMESPACES_OVERLAY_H

#include "base/err.h"

#include <stdint.h>

/*
 * Opens the disk FILE (making and formatting it on first use: sparse, ext4) and mounts it through a
 * loop device with autoclear: *mount_fd is the detached mount, for overlay_root; when it goes, the
 * device goes. Called in the parent: the child may already sit in a cgroup that denies it all block
 * devices. size in bytes, used on first use only (0: a default of 8 GiB). A file in use by another
 * clone is refused.
 */
int overlay_disk_open(const char *file, uint64_t size, int *mount_fd, struct err *e);

/*
 * The merged root as a detached mount (fd), lower = "/" of the current mount namespace (and an
 * overlay of its own for each ordinary file system mounted below it, like /usr, /var or /home on
 * partitions of their own). disk_fd: the upper layer's disk, not yet attached anywhere, or -1 for a
 * tmpfs of at most tmpfs_size bytes (0: the kernel's default).
 */
int overlay_root(int disk_fd, uint64_t tmpfs_size, int *root_fd, struct err *e);

#endif
