/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/load.h"

#include "base/cleanup.h"
#include "microvm/layout.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PAGE = 4096,
	MAX_SEGMENTS = 64,
	MAX_NOTES = 64 << 10,
	NOTE_PVH = 18, /* XEN_ELFNOTE_PHYS32_ENTRY */
};

struct image {
	int fd;
	uint64_t size;
	Elf64_Ehdr eh;
	Elf64_Phdr ph[MAX_SEGMENTS];
	bool linux_notes, pvh;
	uint32_t pvh_entry;
};

static int read_at(int fd, void *buf, size_t len, uint64_t off, const char *what, struct err *e)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = pread(fd, (char *)buf + got, len - got, (off_t)(off + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "%s: read", what);
		if (n == 0)
			return err_set(e, ENOEXEC, "%s: the file is truncated", what);
		got += (size_t)n;
	}
	return 0;
}

static int file_size(int fd, const char *what, uint64_t *size, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "%s", what);
	if (!S_ISREG(st.st_mode) || st.st_size <= 0)
		return err_set(e, EINVAL, "%s: not a regular file with anything in it", what);
	*size = (uint64_t)st.st_size;
	return 0;
}

static int read_headers(struct image *im, struct err *e)
{
	const Elf64_Ehdr *eh = &im->eh;
	int r;

	if (im->size < sizeof(im->eh))
		return err_set(e, ENOEXEC, "guest kernel: the file is truncated");
	r = read_at(im->fd, &im->eh, sizeof(im->eh), 0, "guest kernel", e);
	if (r < 0)
		return r;
	if (memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0 || eh->e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh->e_ident[EI_DATA] != ELFDATA2LSB || eh->e_machine != EM_X86_64)
		return err_set(e, ENOEXEC, "guest kernel: not an x86_64 ELF image (a vmlinux)");
	if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN)
		return err_set(e, ENOEXEC, "guest kernel: not an executable image");
	if (eh->e_phentsize != sizeof(Elf64_Phdr) || eh->e_phnum == 0 || eh->e_phnum > MAX_SEGMENTS)
		return err_set(e, ENOEXEC, "guest kernel: %u program headers of %u bytes",
			       eh->e_phnum, eh->e_phentsize);
	if (eh->e_phoff > im->size || eh->e_phnum * sizeof(Elf64_Phdr) > im->size - eh->e_phoff)
		return err_set(e, ENOEXEC, "guest kernel: the file is truncated");
	return read_at(im->fd, im->ph, eh->e_phnum * sizeof(Elf64_Phdr), eh->e_phoff,
		       "guest kernel", e);
}

/* The notes of one segment: what kind of kernel this is. Names and values are 4-byte aligned. */
static void parse_notes(struct image *im, const uint8_t *p, size_t len)
{
	while (len >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr n;
		uint64_t name, desc;

		memcpy(&n, p, sizeof(n));
		p += sizeof(n);
		len -= sizeof(n);
		name = (n.n_namesz + 3ULL) & ~3ULL;
		desc = (n.n_descsz + 3ULL) & ~3ULL;
		if (name + desc > len)
			return;
		if (n.n_namesz == 6 && memcmp(p, "Linux", 6) == 0)
			im->linux_notes = true;
		if (n.n_namesz == 4 && memcmp(p, "Xen", 4) == 0 && n.n_type == NOTE_PVH &&
		    n.n_descsz >= sizeof(im->pvh_entry)) {
			memcpy(&im->pvh_entry, p + name, sizeof(im->pvh_entry));
			im->pvh = true;
		}
		p += name + desc;
		len -= name + desc;
	}
}

static int read_notes(struct image *im, struct err *e)
{
	for (unsigned int i = 0; i < im->eh.e_phnum; i++) {
		const Elf64_Phdr *ph = &im->ph[i];
		AUTO_FREE uint8_t *buf = NULL;
		int r;

		if (ph->p_type != PT_NOTE || ph->p_filesz == 0 || ph->p_filesz > MAX_NOTES)
			continue;
		if (ph->p_offset > im->size || ph->p_filesz > im->size - ph->p_offset)
			return err_set(e, ENOEXEC, "guest kernel: the file is truncated");
		buf = malloc(ph->p_filesz);
		if (!buf)
			return err_sys(e, ENOMEM, "guest kernel");
		r = read_at(im->fd, buf, ph->p_filesz, ph->p_offset, "guest kernel", e);
		if (r < 0)
			return r;
		parse_notes(im, buf, ph->p_filesz);
	}
	return 0;
}

/*
 * The file's pages in the place of guest memory, copied when the guest writes: all guests share
 * what they only read, and nothing is read that no guest looks at. Only for whole pages that lie in
 * the file as they lie in memory; the length of what was done.
 */
static uint64_t share_pages(int fd, uint8_t *at, const Elf64_Phdr *ph)
{
	const int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;
	const uint64_t len = ph->p_filesz & ~(uint64_t)(PAGE - 1);
	void *got;

	if (ph->p_offset % PAGE || ph->p_paddr % PAGE || len == 0)
		return 0;
	got = mmap(at, len, prot, flags, fd, (off_t)ph->p_offset);
	if (got == MAP_FAILED)
		return 0;
	madvise(got, len, MADV_DONTDUMP);
	return len;
}

static int load_segment(const struct mem *m, struct image *im, const Elf64_Phdr *ph,
			struct load_kernel *k, struct err *e)
{
	uint64_t shared;
	uint8_t *at;

	if (ph->p_filesz > ph->p_memsz || ph->p_offset > im->size ||
	    ph->p_filesz > im->size - ph->p_offset)
		return err_set(e, ENOEXEC, "guest kernel: the file is truncated or corrupt");
	if (ph->p_paddr < LAYOUT_KERNEL_MIN || ph->p_paddr > MEM_LOW_MAX)
		return err_set(e, ENOEXEC, "guest kernel: a segment at physical address 0x%llx",
			       (unsigned long long)ph->p_paddr);
	at = mem_at(m, ph->p_paddr, ph->p_memsz);
	if (!at)
		return err_set(
			e, ENOMEM,
			"guest memory: %llu MiB are too few for the kernel, which takes up to %llu MiB",
			(unsigned long long)(m->r[0].size >> 20),
			(unsigned long long)((ph->p_paddr >> 20) + (ph->p_memsz >> 20) + 1));
	if (ph->p_paddr + ph->p_memsz > k->end)
		k->end = ph->p_paddr + ph->p_memsz;
	shared = share_pages(im->fd, at, ph);
	return read_at(im->fd, at + shared, ph->p_filesz - shared, ph->p_offset + shared,
		       "guest kernel", e);
}

/* Whether some segment was loaded over address a, which fits into it. */
static bool loaded(const struct image *im, uint64_t a)
{
	for (unsigned int i = 0; i < im->eh.e_phnum; i++) {
		const Elf64_Phdr *ph = &im->ph[i];

		if (ph->p_type == PT_LOAD && a >= ph->p_paddr && a - ph->p_paddr < ph->p_filesz)
			return true;
	}
	return false;
}

int load_kernel(const struct mem *m, int fd, struct load_kernel *k, struct err *e)
{
	struct image im = { .fd = fd };
	struct load_kernel got = {};
	int r = file_size(fd, "guest kernel", &im.size, e);

	if (r == 0)
		r = read_headers(&im, e);
	if (r == 0)
		r = read_notes(&im, e);
	for (unsigned int i = 0; r == 0 && i < im.eh.e_phnum; i++)
		if (im.ph[i].p_type == PT_LOAD && (im.ph[i].p_memsz || im.ph[i].p_filesz))
			r = load_segment(m, &im, &im.ph[i], &got, e);
	if (r < 0)
		return r;
	got.how = im.pvh && !im.linux_notes ? LOAD_PVH : LOAD_LINUX64;
	got.entry = got.how == LOAD_PVH ? im.pvh_entry : im.eh.e_entry;
	if (!loaded(&im, got.entry))
		return err_set(
			e, ENOEXEC,
			"guest kernel: its entry 0x%llx is not a physical address in it, and it has no PVH note",
			(unsigned long long)got.entry);
	*k = got;
	return 0;
}

int load_initrd(const struct mem *m, int fd, uint64_t above, struct load_initrd *out, struct err *e)
{
	const uint64_t top = m->r[0].size;
	uint64_t size, gpa;
	int r;

	*out = (struct load_initrd){};
	if (fd < 0)
		return 0;
	r = file_size(fd, "initrd", &size, e);
	if (r < 0)
		return r;
	if (size > top || above > top - size)
		return err_set(
			e, ENOMEM,
			"guest memory: %llu MiB are too few for the kernel and an initrd of %llu MiB",
			(unsigned long long)(top >> 20), (unsigned long long)((size >> 20) + 1));
	gpa = (top - size) & ~4095ULL;
	if (gpa < above)
		gpa = above;
	r = read_at(fd, mem_at(m, gpa, size), size, 0, "initrd", e);
	if (r == 0)
		*out = (struct load_initrd){ .gpa = gpa, .size = size };
	return r;
}
