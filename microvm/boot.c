/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/boot.h"

#include "microvm/layout.h"

#include <errno.h>
#include <string.h>

/* e820 types; the kernel's header keeps them to itself. */
enum { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3 };

#define HDR_MAGIC 0x53726448U /* "HdrS" */
#define SETUP_SEED 9          /* SETUP_RNG_SEED: kernels that do not know it skip it */
#define PVH_MAGIC 0x336ec578U

/* Xen's public/arch-x86/hvm/start_info.h, version 1. */
struct pvh_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modules, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct pvh_module {
	uint64_t addr, size, cmdline, reserved;
};

struct pvh_range {
	uint64_t addr, size;
	uint32_t type, reserved;
};

size_t boot_e820(const struct mem *m, struct boot_e820_entry *out)
{
	size_t n = 0;

	/* The kernel takes its first page, the tables above and the hole for what they are. */
	out[n++] = (struct boot_e820_entry){ 0, LAYOUT_LOW_END, E820_RAM };
	out[n++] = (struct boot_e820_entry){ LAYOUT_LOW_END, LAYOUT_ACPI - LAYOUT_LOW_END,
					     E820_RESERVED };
	out[n++] = (struct boot_e820_entry){ LAYOUT_ACPI, LAYOUT_ACPI_MAX, E820_ACPI };
	out[n++] = (struct boot_e820_entry){
		LAYOUT_ACPI + LAYOUT_ACPI_MAX,
		LAYOUT_KERNEL_MIN - LAYOUT_ACPI - LAYOUT_ACPI_MAX,
		E820_RESERVED,
	};
	out[n++] = (struct boot_e820_entry){ LAYOUT_KERNEL_MIN, m->r[0].size - LAYOUT_KERNEL_MIN,
					     E820_RAM };
	for (size_t i = 1; i < m->n; i++)
		out[n++] = (struct boot_e820_entry){ m->r[i].gpa, m->r[i].size, E820_RAM };
	return n;
}

void boot_page_tables(const struct mem *m)
{
	uint64_t *t = mem_at(m, LAYOUT_PAGE_TABLES, 6 * 4096);
	const uint64_t present_rw = 3, huge = 0x80;

	t[0] = (LAYOUT_PAGE_TABLES + 4096) | present_rw;
	for (uint64_t i = 0; i < 4; i++)
		t[512 + i] = (LAYOUT_PAGE_TABLES + (2 + i) * 4096) | present_rw;
	for (uint64_t i = 0; i < 4 * 512; i++)
		t[1024 + i] = (i << 21) | present_rw | huge;
}

static void seed(const struct mem *m, const struct boot *b)
{
	const struct setup_data sd = { .type = SETUP_SEED, .len = BOOT_SEED };
	uint8_t *at = mem_at(m, LAYOUT_SETUP_DATA, sizeof(sd) + BOOT_SEED);

	memcpy(at, &sd, sizeof(sd));
	memcpy(at + sizeof(sd), b->seed, BOOT_SEED);
}

static void linux_params(const struct mem *m, const struct boot *b)
{
	struct boot_params *p = mem_at(m, LAYOUT_ZERO_PAGE, sizeof(*p));
	struct boot_e820_entry map[BOOT_MAX_E820];
	size_t n = boot_e820(m, map);

	memset(p, 0, sizeof(*p));
	p->hdr.boot_flag = 0xaa55;
	p->hdr.header = HDR_MAGIC;
	p->hdr.version = 0x020f;
	p->hdr.type_of_loader = 0xff;
	p->hdr.loadflags = LOADED_HIGH;
	p->hdr.kernel_alignment = 0x1000000;
	p->hdr.cmd_line_ptr = LAYOUT_CMDLINE;
	p->hdr.cmdline_size = (uint32_t)strlen(b->cmdline);
	p->hdr.ramdisk_image = (uint32_t)b->initrd.gpa;
	p->hdr.ramdisk_size = (uint32_t)b->initrd.size;
	p->hdr.setup_data = LAYOUT_SETUP_DATA;
	p->acpi_rsdp_addr = b->rsdp;
	p->e820_entries = (uint8_t)n;
	memcpy(p->e820_table, map, n * sizeof(map[0]));
	seed(m, b);
	boot_page_tables(m);
}

static void pvh_params(const struct mem *m, const struct boot *b)
{
	struct boot_e820_entry map[BOOT_MAX_E820];
	const size_t n = boot_e820(m, map);
	struct pvh_range *range = mem_at(m, LAYOUT_PVH_MEMMAP, n * sizeof(*range));
	const struct pvh_module mod = { .addr = b->initrd.gpa, .size = b->initrd.size };
	const struct pvh_info info = {
		.magic = PVH_MAGIC,
		.version = 1,
		.nr_modules = b->initrd.size ? 1 : 0,
		.modules = LAYOUT_PVH_MODULES,
		.cmdline = LAYOUT_CMDLINE,
		.rsdp = b->rsdp,
		.memmap = LAYOUT_PVH_MEMMAP,
		.memmap_entries = (uint32_t)n,
	};

	for (size_t i = 0; i < n; i++)
		range[i] = (struct pvh_range){ map[i].addr, map[i].size, map[i].type, 0 };
	memcpy(mem_at(m, LAYOUT_PVH_MODULES, sizeof(mod)), &mod, sizeof(mod));
	memcpy(mem_at(m, LAYOUT_PVH_INFO, sizeof(info)), &info, sizeof(info));
}

int boot_write(const struct mem *m, const struct boot *b, struct err *e)
{
	const size_t len = strlen(b->cmdline) + 1;

	_Static_assert(LAYOUT_PVH_INFO + sizeof(struct pvh_info) <= LAYOUT_PVH_MODULES, "pvh");
	if (m->r[0].size <= LAYOUT_KERNEL_MIN)
		return err_set(e, ENOMEM, "guest memory: less than 1 MiB");
	if (len > LAYOUT_CMDLINE_MAX)
		return err_set(e, E2BIG, "guest kernel: its command line is longer than %d bytes",
			       LAYOUT_CMDLINE_MAX - 1);
	memcpy(mem_at(m, LAYOUT_CMDLINE, len), b->cmdline, len);
	if (b->kernel.how == LOAD_PVH)
		pvh_params(m, b);
	else
		linux_params(m, b);
	return 0;
}
