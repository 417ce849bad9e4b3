/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a file that claims to be a kernel is. Pure; every number of the file is checked before it is
 * used. An ELF file is a vmlinux; a bzImage is what the x86 boot protocol describes
 * (Documentation/arch/x86/boot.rst of Linux), and what matters of it is its payload, which is an
 * ELF file again.
 */
#ifndef CTR_KERNEL_IMAGE_H
#define CTR_KERNEL_IMAGE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum kernel_format { KERNEL_ELF, KERNEL_BZIMAGE };

enum kernel_packing {
	KERNEL_GZIP,
	KERNEL_BZIP2,
	KERNEL_LZMA,
	KERNEL_XZ,
	KERNEL_LZO,
	KERNEL_LZ4,
	KERNEL_ZSTD,
	KERNEL_PLAIN, /* an ELF file as it is */
	KERNEL_PACKINGS
};

/* How much of a file's start kernel_image_parse wants to see, when the file has it. */
enum { KERNEL_HEAD = 64 << 10 };

/* No kernel is larger than this, packed or not. */
#define KERNEL_MAX (512ULL << 20)

struct kernel_image {
	enum kernel_format format;
	/* bzImage only: */
	uint64_t payload, payload_len; /* inside the file */
	char release[65];              /* "" when it does not say */
};

/*
 * head: the first n bytes (KERNEL_HEAD of them, or all) of a file of `size` bytes. -ENOEXEC: not a
 * kernel, truncated, corrupt, or for another architecture; *e says which, without naming the file.
 */
int kernel_image_parse(const uint8_t *head, size_t n, uint64_t size, struct kernel_image *out,
		       struct err *e);

/* How the payload, of whose start n bytes are given, is packed; -ENOEXEC: in no known way. */
int kernel_image_packing(const uint8_t *p, size_t n);

/* "xz", and the like. */
const char *kernel_packing_name(enum kernel_packing p);

#endif
