/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's first file system, a newc cpio archive that ctr makes by itself:
 *
 *   /init              this program (mode 0755), argv[0] of it is "/init"
 *   the shared objects that it needs, at the paths at which it has them, with their interpreter
 *   /dev/console       5:1, so that the kernel can give init its descriptors
 *   /dev /proc /sys /run /tmp /mnt /root
 *                      empty directories
 *   /ctr/modules       only for a modular kernel: paths of modules, one a line, in the order in
 *                      which to load them; none is compressed or signed
 *   /ctr/mod/NAME.ko   these modules
 */
#ifndef CTR_INITRAMFS_H
#define CTR_INITRAMFS_H

#include "base/err.h"
#include "microvm/kernel_find.h"

#define INITRAMFS_MODULES "/ctr/modules"

/* What the machine has beside console, share and random numbers: a modular kernel needs more. */
enum initramfs_feature {
	INITRAMFS_DISK = 1 << 0,    /* virtio-blk, ext4, erofs */
	INITRAMFS_NET = 1 << 1,     /* virtio-net */
	INITRAMFS_OVERLAY = 1 << 2, /* overlayfs */
};

/*
 * The archive for kernel k and the features, as a descriptor to read (from offset 0 to its end).
 * initrd: an archive of the user's (vm.kernel.initrd, any compression that the kernel knows) that
 * the kernel unpacks before ours, or NULL. cache: the directory of vm_cache_open, or -1 (made in
 * memory each time). -ENOENT names a module that is missing, -errno otherwise.
 */
int initramfs_open(const struct kernel *k, unsigned int features, const char *initrd, int cache,
		   struct err *e);

#endif
