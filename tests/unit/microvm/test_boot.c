/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "microvm/boot.h"
#include "microvm/layout.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RAM (64ULL << 20)
#define AT 0x1000000ULL

/* A kernel as small as one can be: headers, notes, a page of text, a page of bss. */
struct image {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
	uint8_t notes[64];
	uint8_t pad[4096 - sizeof(Elf64_Ehdr) - 2 * sizeof(Elf64_Phdr) - 64];
	uint8_t text[4096 + 16];
};

static struct mem mem;
static struct image im;
static struct load_kernel k;
static struct err e;
static int fd = -1;

static void note(const char *name, uint32_t type, uint32_t value)
{
	const Elf64_Nhdr n = { (uint32_t)strlen(name) + 1, sizeof(value), type };
	uint8_t *p = im.notes + im.ph[1].p_filesz;

	memcpy(p, &n, sizeof(n));
	memcpy(p + sizeof(n), name, n.n_namesz);
	p += sizeof(n) + ((n.n_namesz + 3) & ~3U);
	memcpy(p, &value, sizeof(value));
	im.ph[1].p_filesz = (uint64_t)(p + sizeof(value) - im.notes);
}

static int setup(void **state)
{
	(void)state;
	memset(&im, 0, sizeof(im));
	memcpy(im.eh.e_ident, ELFMAG, SELFMAG);
	im.eh.e_ident[EI_CLASS] = ELFCLASS64;
	im.eh.e_ident[EI_DATA] = ELFDATA2LSB;
	im.eh.e_type = ET_EXEC;
	im.eh.e_machine = EM_X86_64;
	im.eh.e_phentsize = sizeof(Elf64_Phdr);
	im.eh.e_phnum = 2;
	im.eh.e_phoff = offsetof(struct image, ph);
	im.eh.e_entry = AT + 8;
	im.ph[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
				 .p_offset = offsetof(struct image, text),
				 .p_vaddr = 0xffffffff81000000,
				 .p_paddr = AT,
				 .p_filesz = sizeof(im.text),
				 .p_memsz = 3 * 4096 };
	im.ph[1] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = offsetof(struct image, notes) };
	memset(im.text, 0x90, sizeof(im.text));
	im.text[sizeof(im.text) - 1] = 0xf4;
	e = (struct err){};
	fd = memfd_create("kernel", MFD_CLOEXEC);
	return fd < 0 ? -1 : mem_init(&mem, RAM, NULL);
}

static int teardown(void **state)
{
	(void)state;
	mem_free(&mem);
	close(fd);
	return 0;
}

static int load(void)
{
	assert_int_equal(pwrite(fd, &im, sizeof(im), 0), sizeof(im));
	return load_kernel(&mem, fd, &k, &e);
}

static void test_load(void **state)
{
	const uint8_t *at = mem_at(&mem, AT, 3 * 4096);

	(void)state;
	note("Linux", 0x101, 0);
	note("Xen", 18, AT + 4);
	assert_int_equal(load(), 0);
	assert_int_equal(k.how, LOAD_LINUX64);
	assert_int_equal(k.entry, AT + 8);
	assert_int_equal(k.end, AT + 3 * 4096);
	assert_memory_equal(at, im.text, sizeof(im.text));
	assert_int_equal(at[sizeof(im.text)], 0);
	assert_int_equal(at[3 * 4096 - 1], 0);
}

/* What the guest writes is not written into the kernel's file. */
static void test_load_is_private(void **state)
{
	uint8_t byte;

	(void)state;
	assert_int_equal(load(), 0);
	memset(mem_at(&mem, AT, 4096), 0xcc, 4096);
	assert_int_equal(pread(fd, &byte, 1, offsetof(struct image, text)), 1);
	assert_int_equal(byte, 0x90);
}

static void test_load_unaligned(void **state)
{
	(void)state;
	im.ph[0].p_paddr = AT + 16;
	im.eh.e_entry = AT + 16;
	assert_int_equal(load(), 0);
	assert_memory_equal(mem_at(&mem, AT + 16, sizeof(im.text)), im.text, sizeof(im.text));
}

static void test_foreign_kernel(void **state)
{
	(void)state;
	note("Xen", 18, AT + 4);
	im.eh.e_entry = 0xffffffff81000008;
	assert_int_equal(load(), 0);
	assert_int_equal(k.how, LOAD_PVH);
	assert_int_equal(k.entry, AT + 4);
}

static void assert_refused(int code, const char *text)
{
	assert_int_equal(load(), -code);
	if (!strstr(e.msg, text))
		fail_msg("\"%s\" is not in \"%s\"", text, e.msg);
}

static void test_not_a_kernel(void **state)
{
	(void)state;
	im.eh.e_ident[EI_CLASS] = ELFCLASS32;
	assert_refused(ENOEXEC, "not an x86_64 ELF image");
	im.eh.e_ident[EI_CLASS] = ELFCLASS64;
	im.eh.e_machine = EM_AARCH64;
	assert_refused(ENOEXEC, "not an x86_64 ELF image");
	im.eh.e_machine = EM_X86_64;
	im.eh.e_type = ET_REL;
	assert_refused(ENOEXEC, "not an executable");
	im.eh.e_type = ET_EXEC;
	im.eh.e_phnum = 65535;
	assert_refused(ENOEXEC, "program headers");
	im.eh.e_phnum = 2;
	im.eh.e_phoff = sizeof(im) - 8;
	assert_refused(ENOEXEC, "truncated");
	im.eh.e_phoff = ~0ULL;
	assert_refused(ENOEXEC, "truncated");
}

static void test_bad_segments(void **state)
{
	const Elf64_Phdr good = im.ph[0];

	(void)state;
	im.ph[0].p_filesz = ~0ULL;
	im.ph[0].p_memsz = ~0ULL;
	assert_refused(ENOEXEC, "truncated");
	im.ph[0] = good;
	im.ph[0].p_offset = ~0ULL - 100;
	assert_refused(ENOEXEC, "truncated");
	im.ph[0] = good;
	im.ph[0].p_memsz = good.p_filesz - 1;
	assert_refused(ENOEXEC, "truncated");
	im.ph[0] = good;
	im.ph[0].p_paddr = 0x7000;
	assert_refused(ENOEXEC, "physical address");
	im.ph[0].p_paddr = ~0ULL - 4096;
	assert_refused(ENOEXEC, "physical address");
	im.ph[0].p_paddr = RAM - 4096;
	assert_refused(ENOMEM, "64 MiB are too few for the kernel");
	im.ph[0] = good;
	im.ph[0].p_memsz = ~0ULL;
	assert_refused(ENOMEM, "too few");
	im.ph[0] = good;
	im.ph[1] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_paddr = 4096, .p_filesz = 4096 };
	im.eh.e_entry = 4096;
	assert_refused(ENOEXEC, "corrupt");
	im.ph[1] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = offsetof(struct image, notes) };
	im.eh.e_entry = AT + 4096 * 3;
	assert_refused(ENOEXEC, "its entry");
	im.eh.e_entry = 0xffffffff81000008;
	assert_refused(ENOEXEC, "its entry");
}

/* Notes that lie about their lengths are passed over. */
static void test_bad_notes(void **state)
{
	const Elf64_Nhdr n = { 0xffffffff, 0xfffffffe, 18 };

	(void)state;
	memcpy(im.notes, &n, sizeof(n));
	im.ph[1].p_filesz = 64;
	assert_int_equal(load(), 0);
	im.ph[1].p_offset = sizeof(im) - 16;
	assert_refused(ENOEXEC, "truncated");
	im.ph[1].p_offset = 0;
	im.ph[1].p_filesz = ~0ULL;
	assert_int_equal(load(), 0);
}

static void test_truncated(void **state)
{
	(void)state;
	assert_int_equal(load(), 0);
	for (off_t n = 0; n < (off_t)sizeof(im); n += 61) {
		assert_int_equal(ftruncate(fd, n), 0);
		assert_true(load_kernel(&mem, fd, &k, &e) < 0);
	}
}

static void test_initrd(void **state)
{
	struct load_initrd out;
	char data[5000];

	(void)state;
	memset(data, 'i', sizeof(data));
	assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
	assert_int_equal(load_initrd(&mem, fd, AT, &out, &e), 0);
	assert_int_equal(out.size, 5000);
	assert_int_equal(out.gpa % 4096, 0);
	assert_true(out.gpa + out.size <= RAM && out.gpa > RAM - 3 * 4096);
	assert_memory_equal(mem_at(&mem, out.gpa, out.size), data, sizeof(data));
	assert_int_equal(load_initrd(&mem, fd, RAM - 4999, &out, &e), -ENOMEM);
	assert_int_equal(load_initrd(&mem, fd, RAM - 5000, &out, &e), 0);
	assert_int_equal(out.gpa, RAM - 5000);
	assert_int_equal(load_initrd(&mem, -1, AT, &out, &e), 0);
	assert_int_equal(out.size, 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(load_initrd(&mem, fd, AT, &out, &e), -EINVAL);
}

static void test_params(void **state)
{
	struct boot b = { .kernel = { .how = LOAD_LINUX64 },
			  .initrd = { 0x2000000, 4096 },
			  .cmdline = "console=hvc0",
			  .rsdp = LAYOUT_ACPI };
	const struct boot_params *p = mem_at(&mem, LAYOUT_ZERO_PAGE, sizeof(*p));
	const struct setup_data *sd = mem_at(&mem, LAYOUT_SETUP_DATA, sizeof(*sd));
	const uint64_t *pt = mem_at(&mem, LAYOUT_PAGE_TABLES, 6 * 4096);

	(void)state;
	memset(b.seed, 7, sizeof(b.seed));
	assert_int_equal(boot_write(&mem, &b, &e), 0);
	assert_int_equal(p->hdr.boot_flag, 0xaa55);
	assert_memory_equal(&p->hdr.header, "HdrS", 4);
	assert_string_equal(mem_at(&mem, p->hdr.cmd_line_ptr, 16), "console=hvc0");
	assert_int_equal(p->hdr.ramdisk_image, 0x2000000);
	assert_int_equal(p->acpi_rsdp_addr, LAYOUT_ACPI);
	assert_int_equal(p->hdr.setup_data, LAYOUT_SETUP_DATA);
	assert_int_equal(sd->type, 9);
	assert_int_equal(sd->len, BOOT_SEED);
	assert_int_equal(sd->data[BOOT_SEED - 1], 7);
	assert_int_equal(pt[0], LAYOUT_PAGE_TABLES + 0x1003);
	assert_int_equal(pt[512 + 3], LAYOUT_PAGE_TABLES + 0x5003);
	assert_int_equal(pt[1024 + 2047], 0xffe00083);
}

static void test_pvh_params(void **state)
{
	const struct boot b = { .kernel = { .how = LOAD_PVH },
				.initrd = { 0x2000000, 4096 },
				.cmdline = "x",
				.rsdp = LAYOUT_ACPI };
	const uint32_t *info = mem_at(&mem, LAYOUT_PVH_INFO, 64);

	(void)state;
	assert_int_equal(boot_write(&mem, &b, &e), 0);
	assert_int_equal(info[0], 0x336ec578);
	assert_int_equal(info[3], 1);
	assert_int_equal(info[8], LAYOUT_ACPI);
	assert_int_equal(info[12], 5);
	assert_int_equal(*(uint64_t *)mem_at(&mem, LAYOUT_PVH_MODULES, 8), 0x2000000);
}

static void test_long_cmdline(void **state)
{
	char line[LAYOUT_CMDLINE_MAX + 1];
	const struct boot b = { .cmdline = line };

	(void)state;
	memset(line, 'x', sizeof(line));
	line[LAYOUT_CMDLINE_MAX] = '\0';
	assert_int_equal(boot_write(&mem, &b, &e), -E2BIG);
	line[LAYOUT_CMDLINE_MAX - 1] = '\0';
	assert_int_equal(boot_write(&mem, &b, &e), 0);
}

/* Ordered, nothing twice, tables not offered as RAM, all RAM above 1 MiB named. */
static void test_e820(void **state)
{
	static const uint64_t sizes[] = { 64ULL << 20, 3ULL << 30, 5ULL << 30 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct boot_e820_entry map[BOOT_MAX_E820];
		struct mem m = { .r = { { 0, sizes[i] < MEM_LOW_MAX ? sizes[i] : MEM_LOW_MAX,
					  NULL },
					{ MEM_HIGH, sizes[i] - MEM_LOW_MAX, NULL } },
				 .n = sizes[i] > MEM_LOW_MAX ? 2 : 1 };
		const size_t n = boot_e820(&m, map);
		uint64_t ram = 0, end = 0;

		assert_in_range(n, 5, BOOT_MAX_E820);
		for (size_t j = 0; j < n; j++) {
			assert_true(map[j].addr >= end && map[j].size > 0);
			end = map[j].addr + map[j].size;
			if (map[j].type != 1)
				continue;
			ram += map[j].size;
			assert_true(end <= LAYOUT_ACPI || map[j].addr >= LAYOUT_KERNEL_MIN);
			assert_true(end <= MEM_LOW_MAX || map[j].addr >= MEM_HIGH);
		}
		assert_int_equal(ram, sizes[i] - LAYOUT_KERNEL_MIN + LAYOUT_LOW_END);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_load),           T(test_load_is_private), T(test_load_unaligned),
		T(test_foreign_kernel), T(test_not_a_kernel),    T(test_bad_segments),
		T(test_bad_notes),      T(test_truncated),       T(test_initrd),
		T(test_params),         T(test_pvh_params),      T(test_long_cmdline),
		T(test_e820),
	};

	return cmocka_run_group_tests_name("boot", tests, NULL, NULL);
}
