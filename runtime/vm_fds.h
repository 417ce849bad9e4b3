/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a jailed VMM keeps of the host's files, in mounts that are only its own and read-only. A
 * descriptor alone is no limit: who has /proc/self/fd opens a file anew through it, for writing as
 * well, and who owns it changes its mode. What many machines are made of (kernel, initramfs, an
 * image that is shared) must not be one's to change.
 *
 * In the VMM's mount namespace, while the host's tree is its root.
 */
#ifndef CTR_VM_FDS_H
#define CTR_VM_FDS_H

#include "base/err.h"
#include "microvm/vm_config.h"

/*
 * kernel, initrd and the read-only disks of the configuration: each descriptor keeps its number and
 * has the same file in such a mount; a disk's lock (flock) is shared anew before the old one goes.
 * Left as they are: files without a name (memfd), those to whose name the caller may not walk, and
 * devices that our cgroup denies.
 */
int vm_fds_read_only(struct vm_config *config, struct err *e);

/*
 * Our own /proc/self/fd for the file server, and nothing else of that procfs: ".." ends there, and
 * nothing can be written. The fd, the caller's; or -errno.
 */
int vm_fds_proc(struct err *e);

#endif
