/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "microvm/kernel_image.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

/* The smallest vmlinux, and the smallest bzImage, that are right. */
struct tiny_elf {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
	uint8_t text[64];
};

static struct tiny_elf good_elf(void)
{
	struct tiny_elf t = {
		.eh = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				     EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_entry = 0x1000010,
			.e_phoff = offsetof(struct tiny_elf, ph),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 2,
		},
		.ph = { {
				.p_type = PT_LOAD,
				.p_offset = offsetof(struct tiny_elf, text),
				.p_vaddr = 0xffffffff81000000,
				.p_paddr = 0x1000000,
				.p_filesz = 64,
				.p_memsz = 4096,
			},
			{ .p_type = PT_NOTE } },
	};

	return t;
}

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

enum { BZ_SIZE = 4096, BZ_SETUP = 1024 };

static void good_bzimage(uint8_t b[BZ_SIZE])
{
	memset(b, 0, BZ_SIZE);
	b[0x1f1] = BZ_SETUP / 512 - 1;
	b[0x1fe] = 0x55;
	b[0x1ff] = 0xaa;
	memcpy(b + 0x202, "HdrS", 4);
	b[0x206] = 0x0f;
	b[0x207] = 0x02;
	b[0x20e] = 0x70; /* + 0x200 */
	b[0x20f] = 0x00;
	strcpy((char *)b + 0x270, "6.1.0-9-cloud-amd64 (someone@somewhere) #1 SMP");
	b[0x211] = 1;
	b[0x236] = 1;
	put32(b + 0x248, 100);
	put32(b + 0x24c, 2000);
}

static int parse(const void *p, size_t n, uint64_t size, struct kernel_image *img, struct err *e)
{
	AUTO_FREE uint8_t *copy = malloc(n ? n : 1);

	*e = (struct err){};
	memcpy(copy, p, n);
	return kernel_image_parse(copy, n, size, img, e);
}

static void elf(void **state)
{
	struct tiny_elf t = good_elf();
	struct kernel_image img;
	struct err e;

	(void)state;
	assert_int_equal(parse(&t, sizeof(t), sizeof(t), &img, &e), 0);
	assert_int_equal(img.format, KERNEL_ELF);
	/* an entry by its virtual address is as good */
	t.eh.e_entry = 0xffffffff81000010;
	assert_int_equal(parse(&t, sizeof(t), sizeof(t), &img, &e), 0);
}

static void bad_elf(const struct tiny_elf *t, size_t n, const char *why)
{
	struct kernel_image img;
	struct err e;

	assert_int_equal(parse(t, n, n, &img, &e), -ENOEXEC);
	if (!strstr(e.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", e.msg, why);
}

static void elf_refused(void **state)
{
	struct tiny_elf t = good_elf();

	(void)state;
	bad_elf(&t, 20, "truncated");
	bad_elf(&t, sizeof(t.eh) + 8, "truncated");
	bad_elf(&t, sizeof(t) - 1, "truncated");
	t.eh.e_machine = EM_AARCH64;
	bad_elf(&t, sizeof(t), "AArch64");
	t.eh.e_machine = 4711;
	bad_elf(&t, sizeof(t), "4711");
	t = good_elf();
	t.eh.e_ident[EI_CLASS] = ELFCLASS32;
	bad_elf(&t, sizeof(t), "32-bit x86");
	t = good_elf();
	t.eh.e_ident[EI_DATA] = ELFDATA2MSB;
	bad_elf(&t, sizeof(t), "byte order");
	t = good_elf();
	t.eh.e_type = ET_REL;
	bad_elf(&t, sizeof(t), "cannot be started");
	t = good_elf();
	t.ph[1].p_type = PT_INTERP;
	bad_elf(&t, sizeof(t), "a program for Linux");
	t = good_elf();
	t.eh.e_entry = 0;
	bad_elf(&t, sizeof(t), "entry");
	t = good_elf();
	t.ph[0].p_type = PT_NULL;
	bad_elf(&t, sizeof(t), "entry");
	t = good_elf();
	t.ph[0].p_offset = UINT64_MAX;
	bad_elf(&t, sizeof(t), "truncated");
	t = good_elf();
	t.ph[0].p_memsz = 1;
	bad_elf(&t, sizeof(t), "corrupt");
	t = good_elf();
	t.ph[0].p_paddr = UINT64_MAX;
	bad_elf(&t, sizeof(t), "corrupt");
	t = good_elf();
	t.eh.e_phoff = UINT64_MAX - 8;
	bad_elf(&t, sizeof(t), "truncated");
	t = good_elf();
	t.eh.e_phnum = UINT16_MAX;
	bad_elf(&t, sizeof(t), "truncated");
}

static void bzimage(void **state)
{
	uint8_t b[BZ_SIZE];
	struct kernel_image img;
	struct err e;

	(void)state;
	good_bzimage(b);
	assert_int_equal(parse(b, sizeof(b), sizeof(b), &img, &e), 0);
	assert_int_equal(img.format, KERNEL_BZIMAGE);
	assert_int_equal(img.payload, BZ_SETUP + 100);
	assert_int_equal(img.payload_len, 2000);
	assert_string_equal(img.release, "6.1.0-9-cloud-amd64");
}

static void bad_bz(const uint8_t *b, size_t n, const char *why)
{
	struct kernel_image img;
	struct err e;

	assert_int_equal(parse(b, n, n, &img, &e), -ENOEXEC);
	if (!strstr(e.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", e.msg, why);
}

static void bzimage_refused(void **state)
{
	uint8_t b[BZ_SIZE];

	(void)state;
	good_bzimage(b);
	bad_bz(b, 0x210, "truncated");
	bad_bz(b, BZ_SETUP, "truncated");
	bad_bz(b, BZ_SETUP + 2099, "truncated");
	b[0x206] = 7;
	bad_bz(b, sizeof(b), "2.07");
	good_bzimage(b);
	b[0x236] = 0;
	bad_bz(b, sizeof(b), "32-bit x86");
	good_bzimage(b);
	put32(b + 0x248, UINT32_MAX);
	bad_bz(b, sizeof(b), "truncated");
	good_bzimage(b);
	put32(b + 0x24c, UINT32_MAX);
	bad_bz(b, sizeof(b), "truncated");
	put32(b + 0x24c, 0);
	bad_bz(b, sizeof(b), "corrupt");
}

/* The text may lie anywhere, and may have no end. */
static void release_is_bounded(void **state)
{
	uint8_t b[BZ_SIZE];
	struct kernel_image img;
	struct err e;

	(void)state;
	for (unsigned int at = 0; at <= UINT16_MAX; at += 13) {
		good_bzimage(b);
		b[0x20e] = (uint8_t)at;
		b[0x20f] = (uint8_t)(at >> 8);
		assert_int_equal(parse(b, sizeof(b), sizeof(b), &img, &e), 0);
		assert_true(strlen(img.release) <= 64);
	}
	good_bzimage(b);
	memset(b + 0x270, 'x', BZ_SETUP - 0x270);
	assert_int_equal(parse(b, sizeof(b), sizeof(b), &img, &e), 0);
	assert_string_equal(img.release, "");
	strcpy((char *)b + 0x270, "../../etc");
	assert_int_equal(parse(b, sizeof(b), sizeof(b), &img, &e), 0);
	assert_string_equal(img.release, "");
}

static void not_kernels(void **state)
{
	static const struct {
		const char *bytes, *why;
		size_t n;
	} t[] = {
		{ "", "empty", 0 },
		{ "#!/bin/sh\n", "neither", 10 },
		{ "MZ and more", "EFI program", 11 },
		{ "\x7f"
		  "EL",
		  "neither", 3 },
	};
	uint8_t arm[64] = { 'M', 'Z' };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		bad_bz((const uint8_t *)t[i].bytes, t[i].n, t[i].why);
	memcpy(arm + 56, "ARM\x64", 4);
	bad_bz(arm, sizeof(arm), "AArch64");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elf),
		cmocka_unit_test(elf_refused),
		cmocka_unit_test(bzimage),
		cmocka_unit_test(bzimage_refused),
		cmocka_unit_test(release_is_bounded),
		cmocka_unit_test(not_kernels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
