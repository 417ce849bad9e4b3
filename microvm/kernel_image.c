/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/kernel_image.h"

#include "base/cleanup.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* The setup header of a bzImage: offsets into the file. */
enum {
	AT_SETUP_SECTS = 0x1f1,
	AT_BOOT_FLAG = 0x1fe,
	AT_MAGIC = 0x202,
	AT_VERSION = 0x206,
	AT_RELEASE = 0x20e,
	AT_LOADFLAGS = 0x211,
	AT_XLOADFLAGS = 0x236,
	AT_PAYLOAD = 0x248,
	AT_PAYLOAD_LEN = 0x24c,
	HEADER_END = 0x268,
	SECTOR = 512,
};
#define BOOT_FLAG 0xaa55
#define MAGIC "HdrS"
/* Protocol 2.08 brought the payload's place; 2.12 the word whose first bit says "64 bit". */
#define VERSION_PAYLOAD 0x208
#define VERSION_XLOADFLAGS 0x20c
#define LOADED_HIGH 1
#define XLF_KERNEL_64 1

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static const char *machine_name(unsigned int machine)
{
	switch (machine) {
	case EM_386:
		return "32-bit x86";
	case EM_X86_64:
		return "x86-64";
	case EM_AARCH64:
		return "AArch64";
	case EM_ARM:
		return "ARM";
	case EM_RISCV:
		return "RISC-V";
	case EM_PPC64:
		return "PowerPC64";
	case EM_S390:
		return "S/390";
	}
	return NULL;
}

static int wrong_machine(unsigned int machine, struct err *e)
{
	const char *name = machine_name(machine);

	if (name)
		return err_set(e, ENOEXEC, "a kernel for %s, not for x86-64", name);
	return err_set(e, ENOEXEC, "a kernel for the ELF machine %u, not for x86-64", machine);
}

/* One program header: 1 when it is loaded and holds the entry, 0, or an error. */
static int check_phdr(const Elf64_Phdr *ph, uint64_t size, uint64_t entry, bool *loads,
		      struct err *e)
{
	if (ph->p_type != PT_LOAD && ph->p_type != PT_NOTE)
		return 0;
	if (ph->p_offset > size || ph->p_filesz > size - ph->p_offset)
		return err_set(e, ENOEXEC, "truncated: a segment ends beyond the file's end");
	if (ph->p_type == PT_NOTE || ph->p_memsz == 0)
		return 0;
	if (ph->p_filesz > ph->p_memsz || ph->p_memsz > KERNEL_MAX ||
	    ph->p_paddr > UINT64_MAX - ph->p_memsz)
		return err_set(e, ENOEXEC, "corrupt: a segment's size makes no sense");
	*loads = true;
	return (entry >= ph->p_paddr && entry - ph->p_paddr < ph->p_filesz) ||
	       (entry >= ph->p_vaddr && entry - ph->p_vaddr < ph->p_filesz);
}

static int parse_elf(const uint8_t *head, size_t n, uint64_t size, struct kernel_image *out,
		     struct err *e)
{
	bool loads = false, entered = false;
	Elf64_Ehdr eh;

	if (n < sizeof(eh))
		return err_set(e, ENOEXEC, "truncated: it ends inside the ELF header");
	memcpy(&eh, head, sizeof(eh));
	if (eh.e_ident[EI_DATA] == ELFDATA2MSB)
		return err_set(e, ENOEXEC, "a kernel of the other byte order, not for x86-64");
	if (eh.e_machine != EM_X86_64 || eh.e_ident[EI_CLASS] != ELFCLASS64)
		return wrong_machine(eh.e_machine == EM_X86_64 ? EM_386 : eh.e_machine, e);
	if ((eh.e_type != ET_EXEC && eh.e_type != ET_DYN) || eh.e_phentsize != sizeof(Elf64_Phdr))
		return err_set(e, ENOEXEC, "not a kernel: an ELF file that cannot be started");
	if (eh.e_phoff > n || (uint64_t)eh.e_phnum * sizeof(Elf64_Phdr) > n - eh.e_phoff)
		return err_set(e, ENOEXEC, "%s: its program headers are not in its first %d bytes",
			       n < KERNEL_HEAD ? "truncated" : "corrupt", KERNEL_HEAD);
	for (unsigned int i = 0; i < eh.e_phnum; i++) {
		Elf64_Phdr ph;
		int r;

		memcpy(&ph, head + eh.e_phoff + i * sizeof(ph), sizeof(ph));
		if (ph.p_type == PT_INTERP)
			return err_set(e, ENOEXEC, "not a kernel: a program for Linux");
		r = check_phdr(&ph, size, eh.e_entry, &loads, e);
		if (r < 0)
			return r;
		entered |= r > 0;
	}
	if (!loads || !entered)
		return err_set(e, ENOEXEC, "not a kernel: no segment holds the ELF entry point");
	*out = (struct kernel_image){ .format = KERNEL_ELF };
	return 0;
}

/* The word up to the first blank of the version text; anything else than a plain name is none. */
static void copy_release(const uint8_t *head, size_t n, size_t setup_end, char release[65])
{
	size_t at = (size_t)get16(head + AT_RELEASE) + SECTOR, len = 0;

	release[0] = '\0';
	if (at == SECTOR)
		return;
	if (setup_end > n)
		setup_end = n;
	while (at + len < setup_end && head[at + len] > ' ' && len < 64) {
		char c = (char)head[at + len];

		if (c == '/' || c & 0x80) {
			len = 0;
			break;
		}
		release[len++] = c;
	}
	if (at + len >= setup_end || head[at + len] > ' ')
		len = 0; /* no end: it is not a name */
	release[len] = '\0';
	if (release[0] == '.')
		release[0] = '\0';
}

static int parse_bzimage(const uint8_t *head, size_t n, uint64_t size, struct kernel_image *out,
			 struct err *e)
{
	size_t sects = head[AT_SETUP_SECTS] ? head[AT_SETUP_SECTS] : 4,
	       setup = (sects + 1) * SECTOR;
	unsigned int version = get16(head + AT_VERSION);
	uint64_t payload = get32(head + AT_PAYLOAD), len = get32(head + AT_PAYLOAD_LEN);

	if (version < VERSION_PAYLOAD || !(head[AT_LOADFLAGS] & LOADED_HIGH))
		return err_set(e, ENOEXEC,
			       "a kernel of before Linux 2.6.26 (boot protocol %u.%02u)",
			       version >> 8, version & 0xff);
	if (version < VERSION_XLOADFLAGS || !(get16(head + AT_XLOADFLAGS) & XLF_KERNEL_64))
		return wrong_machine(EM_386, e);
	if (setup >= size || payload > size - setup || len > size - setup - payload)
		return err_set(e, ENOEXEC,
			       "truncated: its payload ends %llu bytes beyond the file's end",
			       (unsigned long long)(setup + payload + len - size));
	if (len < 16)
		return err_set(e, ENOEXEC, "corrupt: its payload has %llu bytes",
			       (unsigned long long)len);
	*out = (struct kernel_image){
		.format = KERNEL_BZIMAGE,
		.payload = setup + payload,
		.payload_len = len,
	};
	copy_release(head, n, setup, out->release);
	return 0;
}

/* What else people take for a kernel: told by what it is. */
static int name_other(const uint8_t *head, size_t n, struct err *e)
{
	if (n >= 64 && memcmp(head + 56, "ARM\x64", 4) == 0)
		return wrong_machine(EM_AARCH64, e);
	if (n >= 64 && memcmp(head + 56, "RSC\x05", 4) == 0)
		return wrong_machine(EM_RISCV, e);
	if (n >= 2 && memcmp(head, "MZ", 2) == 0)
		return err_set(e, ENOEXEC, "not a kernel: an EFI program without a Linux header");
	return err_set(e, ENOEXEC, "not a kernel: neither an ELF file nor a bzImage");
}

int kernel_image_parse(const uint8_t *head, size_t n, uint64_t size, struct kernel_image *out,
		       struct err *e)
{
	if (n == 0)
		return err_set(e, ENOEXEC, "not a kernel: the file is empty");
	if (size > KERNEL_MAX)
		return err_set(e, ENOEXEC, "not a kernel: larger than %llu MiB", KERNEL_MAX >> 20);
	if (n >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0)
		return parse_elf(head, n, size, out, e);
	if (n >= AT_VERSION && get16(head + AT_BOOT_FLAG) == BOOT_FLAG &&
	    memcmp(head + AT_MAGIC, MAGIC, 4) == 0) {
		if (n < HEADER_END)
			return err_set(e, ENOEXEC, "truncated: it ends inside the boot header");
		return parse_bzimage(head, n, size, out, e);
	}
	return name_other(head, n, e);
}

static const struct {
	const char *name, *magic;
	size_t len;
} packings[] = {
	[KERNEL_GZIP] = { "gzip", "\x1f\x8b", 2 },
	[KERNEL_BZIP2] = { "bzip2", "BZh", 3 },
	[KERNEL_LZMA] = { "lzma", "\x5d\x00\x00", 3 },
	[KERNEL_XZ] = { "xz",
			"\xfd"
			"7zXZ",
			6 },
	[KERNEL_LZO] = { "lzo", "\x89LZO", 4 },
	[KERNEL_LZ4] = { "lz4", "\x02\x21\x4c\x18", 4 },
	[KERNEL_ZSTD] = { "zstd", "\x28\xb5\x2f\xfd", 4 },
	[KERNEL_PLAIN] = { "none", ELFMAG, SELFMAG },
};
_Static_assert(ARRAY_SIZE(packings) == KERNEL_PACKINGS, "a row for each packing");

int kernel_image_packing(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(packings); i++)
		if (n >= packings[i].len && memcmp(p, packings[i].magic, packings[i].len) == 0)
			return (int)i;
	return -ENOEXEC;
}

const char *kernel_packing_name(enum kernel_packing p)
{
	return packings[p].name;
}
