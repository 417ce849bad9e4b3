/* SPDX-License-Identifier: Apache-2.0 */
/* Puts an ELF kernel and an initrd into guest memory. The files may be anything: all is checked. */
#ifndef CTR_MICROVM_LOAD_H
#define CTR_MICROVM_LOAD_H

#include "microvm/mem.h"

enum load_entry {
	LOAD_LINUX64, /* 64-bit mode, RSI = boot_params (Documentation/x86/boot.rst) */
	LOAD_PVH,     /* 32-bit mode, EBX = hvm_start_info (Xen's PVH, start_info.h) */
};

struct load_kernel {
	enum load_entry how;
	uint64_t entry; /* guest physical */
	uint64_t end;   /* the first byte behind all it occupies, bss too */
};

struct load_initrd {
	uint64_t gpa, size; /* both 0 without one */
};

/*
 * Loads the PT_LOAD segments of the x86_64 executable behind fd to their physical addresses. Linux
 * (it has notes by that name) is entered in 64-bit mode, anything else by its PVH note when it has
 * one. Zeroed memory is expected: bss is not cleared. Guest memory may then be the file's own pages
 * (copied on write), so the file must not change while the machine runs.
 */
int load_kernel(const struct mem *m, int fd, struct load_kernel *k, struct err *e);

/* Reads the file behind fd to the top of low RAM, above `above`; fd -1: no initrd. */
int load_initrd(const struct mem *m, int fd, uint64_t above, struct load_initrd *out,
		struct err *e);

#endif
