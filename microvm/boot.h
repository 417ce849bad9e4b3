/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a kernel finds in memory when it is entered: the map of memory, the command line, where the
 * initrd and the ACPI tables are, a seed for its random numbers; page tables and segments for the
 * 64-bit entry.
 */
#ifndef CTR_MICROVM_BOOT_H
#define CTR_MICROVM_BOOT_H

#include "microvm/load.h"

#include <asm/bootparam.h>

enum { BOOT_SEED = 64, BOOT_MAX_E820 = 8 };

struct boot {
	struct load_kernel kernel;
	struct load_initrd initrd;
	const char *cmdline;
	uint64_t rsdp;           /* guest physical address of the ACPI tables' root */
	uint8_t seed[BOOT_SEED]; /* random bytes that nobody else keeps */
};

/* The map of memory: at most BOOT_MAX_E820 entries into out. Returns how many. */
size_t boot_e820(const struct mem *m, struct boot_e820_entry *out);

/* One to one for 4 GiB in pages of 2 MiB, at LAYOUT_PAGE_TABLES: what the 64-bit entry needs. */
void boot_page_tables(const struct mem *m);

/* Writes all of it below 1 MiB. -E2BIG when the command line is longer than the kernel keeps. */
int boot_write(const struct mem *m, const struct boot *b, struct err *e);

#endif
