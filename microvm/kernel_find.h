/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's kernel: which file it is, and that file as an ELF vmlinux. A compressed image
 * (bzImage) is unpacked once, on the host, and kept in the cache.
 */
#ifndef CTR_KERNEL_FIND_H
#define CTR_KERNEL_FIND_H

#include "base/err.h"

#include <limits.h>
#include <stdbool.h>

struct kernel {
	int fd;              /* ELF vmlinux of this machine's architecture, read only */
	char path[PATH_MAX]; /* the file that it came from */
	/* uname -r, or "" when the file does not say (an ELF file outside /boot) */
	char release[65];
	bool modular; /* its virtio drivers are modules below /lib/modules/RELEASE */
};

#define KERNEL_INIT      \
	{                \
		.fd = -1 \
	}

/*
 * Opens the kernel `path`, or when that is NULL the first of: /usr/lib/ctr/vmlinux; lib/ctr/vmlinux
 * beside the bin directory of this program; guest/vmlinux beside this program; the newest
 * /boot/vmlinuz-* that has virtio. cache: the directory of vm_cache_open, or -1 (then a bzImage is
 * unpacked to memory each time). *k is written on success only; its fd belongs to the caller.
 * Errors: -ENOENT (none found: says where it looked, and what brings one), -ENOEXEC (not a kernel,
 * corrupt, truncated, of another architecture), -ENOTSUP (no virtio, or a compression that this
 * host cannot undo), -errno of files.
 */
int kernel_open(const char *path, int cache, struct kernel *k, struct err *e);

/* Closes and resets; NULL-safe members, idempotent. */
void kernel_close(struct kernel *k);
#define AUTO_KERNEL __attribute__((cleanup(kernel_close)))

#endif
