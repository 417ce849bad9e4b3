/* SPDX-License-Identifier: Apache-2.0 */
/* The cache, and the two that use it: kernels and initramfs archives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "microvm/initramfs.h"
#include "microvm/kernel_find.h"
#include "microvm/vm_cache.h"
#include "packed.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static char dir[32];
static int at = -1;

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/ctr-cache-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return at < 0;
}

static int teardown(void **state)
{
	DIR *d = opendir(dir);
	struct dirent *ent;

	(void)state;
	while ((ent = readdir(d)))
		unlinkat(at, ent->d_name, 0);
	closedir(d);
	close(at);
	return rmdir(dir);
}

static size_t entries(const char *prefix)
{
	AUTO_CLOSEDIR DIR *d = opendir(dir);
	struct dirent *ent;
	size_t n = 0;

	while ((ent = readdir(d)))
		n += ent->d_name[0] != '.' && str_after(ent->d_name, prefix);
	return n;
}

static size_t temps(void)
{
	AUTO_CLOSEDIR DIR *d = opendir(dir);
	struct dirent *ent;
	size_t n = 0;

	while ((ent = readdir(d)))
		n += str_after(ent->d_name, ".new-") != NULL;
	return n;
}

static void entry_appears_whole(void **state)
{
	AUTO_FREE char *temp = NULL;
	struct err e = {};
	char got[8] = "";
	mode_t mask = umask(0077);
	int fd = vm_cache_begin(at, &temp, &e);
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	assert_non_null(temp);
	assert_int_equal(io_write_full(fd, "abc", 3), 0);
	assert_int_equal(vm_cache_get(at, "x-1"), -ENOENT);
	fd = vm_cache_commit(at, fd, temp, "x-1", &e);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, got, sizeof(got), 0), 3);
	assert_int_equal(write(fd, "no", 2), -1);
	close(fd);
	fd = vm_cache_get(at, "x-1");
	assert_int_equal(pread(fd, got, sizeof(got), 0), 3);
	/* to be opened again by a VMM that is not its owner; the directory keeps others out */
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0444);
	umask(mask);
	close(fd);
	assert_int_equal(temps(), 0);
}

static void aborted_leaves_nothing(void **state)
{
	AUTO_FREE char *temp = NULL;
	struct err e = {};
	int fd = vm_cache_begin(at, &temp, &e);

	(void)state;
	vm_cache_abort(at, fd, temp);
	assert_int_equal(temps(), 0);
}

static void without_a_cache(void **state)
{
	char *temp = NULL;
	struct err e = {};
	int fd = vm_cache_begin(-1, &temp, &e);

	(void)state;
	assert_true(fd >= 0);
	assert_null(temp);
	fd = vm_cache_commit(-1, fd, temp, "x", &e);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(vm_cache_get(-1, "x"), -ENOENT);
}

static void others_entries_are_none(void **state)
{
	int fd = openat(at, "x-2", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	close(fd);
	assert_int_equal(fchmodat(at, "x-2", 0666, 0), 0);
	assert_int_equal(vm_cache_get(at, "x-2"), -ENOENT);
	assert_int_equal(symlinkat("/etc/passwd", at, "x-3"), 0);
	assert_int_equal(vm_cache_get(at, "x-3"), -ELOOP);
}

static void make_old(const char *name, time_t age)
{
	const struct timespec t[2] = { { .tv_sec = time(NULL) - age },
				       { .tv_sec = time(NULL) - age } };
	int fd = openat(at, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	close(fd);
	assert_int_equal(utimensat(at, name, t, 0), 0);
}

static void unused_ones_go(void **state)
{
	const int day = 24 * 3600;
	AUTO_FREE char *temp = NULL;
	struct err e = {};
	int fd;

	(void)state;
	make_old("y-unused", 31 * day);
	make_old("y-used", 31 * day);
	make_old("y-young", 29 * day);
	make_old(".new-0", 2 * day);
	make_old(".new-1", 0);
	fd = vm_cache_get(at, "y-used");
	assert_true(fd >= 0);
	close(fd);
	fd = vm_cache_begin(at, &temp, &e);
	close(vm_cache_commit(at, fd, temp, "y-new", &e));
	assert_int_equal(entries("y-"), 3);
	assert_int_equal(vm_cache_get(at, "y-unused"), -ENOENT);
	assert_int_equal(temps(), 1);
	unlinkat(at, ".new-1", 0);
}

static void key_follows_the_file(void **state)
{
	AUTO_CLOSE int fd = openat(at, "f", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	struct stat st;
	uint64_t a, b;

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	a = vm_cache_key_file(VM_CACHE_KEY, &st);
	st.st_size++;
	b = vm_cache_key_file(VM_CACHE_KEY, &st);
	assert_true(a != b);
	assert_true(vm_cache_key(1, "ab", 2) != vm_cache_key(1, "ba", 2));
}

/* ---- kernels ---- */
static char *in_dir(const char *name)
{
	char *path = str_printf("%s/%s", dir, name);

	assert_non_null(path);
	return path;
}

static void write_file(const char *name, const void *p, size_t n)
{
	assert_int_equal(io_write_atomic(at, name, p, n, 0600), 0);
}

static void kernel_refused(const char *name, int code, const char *why)
{
	AUTO_FREE char *path = in_dir(name);
	AUTO_KERNEL struct kernel k = KERNEL_INIT;
	struct err e = {};

	assert_int_equal(kernel_open(path, at, &k, &e), code);
	assert_int_equal(k.fd, -1);
	if (!strstr(e.msg, why) || !strstr(e.msg, path))
		fail_msg("\"%s\" does not say \"%s\"", e.msg, why);
}

static size_t make_bzimage(uint8_t *b, const void *payload, size_t n, uint32_t unpacked)
{
	memset(b, 0, 1024);
	b[0x1f1] = 1;
	b[0x1fe] = 0x55;
	b[0x1ff] = 0xaa;
	memcpy(b + 0x202, "HdrS", 4);
	b[0x206] = 0x0f;
	b[0x207] = 0x02;
	b[0x211] = 1;
	b[0x236] = 1;
	n += 4;
	memcpy(b + 0x24c, &(uint32_t){ (uint32_t)n }, 4);
	memcpy(b + 1024, payload, n - 4);
	memcpy(b + 1024 + n - 4, &unpacked, 4);
	return 1024 + n;
}

static size_t make_elf(uint8_t *b)
{
	Elf64_Ehdr eh = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_entry = 0x1000000,
		.e_phoff = sizeof(eh),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1,
	};
	Elf64_Phdr ph = {
		.p_type = PT_LOAD,
		.p_paddr = 0x1000000,
		.p_filesz = 256,
		.p_memsz = 256,
	};

	memset(b, 0, 256);
	memcpy(b, &eh, sizeof(eh));
	memcpy(b + sizeof(eh), &ph, sizeof(ph));
	return 256;
}

static void bad_kernels(void **state)
{
	uint8_t b[4096];
	size_t n;

	(void)state;
	kernel_refused("nothing", -ENOENT, "No such file");
	write_file("empty", "", 0);
	kernel_refused("empty", -ENOEXEC, "empty");
	write_file("text", "hello, hello, hello\n", 20);
	kernel_refused("text", -ENOEXEC, "neither an ELF file nor a bzImage");
	kernel_refused("", -EISDIR, "not a regular file");
	n = make_bzimage(b, packed_xz, sizeof(packed_xz), PACKED_SIZE);
	write_file("cut", b, n - 1);
	kernel_refused("cut", -ENOEXEC, "truncated");
	write_file("textkernel", b, n);
	kernel_refused("textkernel", -ENOEXEC, "unpacked: not a kernel");
	n = make_bzimage(b, packed_xz, sizeof(packed_xz), PACKED_SIZE - 1);
	write_file("more", b, n);
	kernel_refused("more", -ENOEXEC, "more comes out");
	n = make_bzimage(b, packed_xz, sizeof(packed_xz), UINT32_MAX);
	write_file("huge", b, n);
	kernel_refused("huge", -ENOEXEC, "MiB");
	n = make_bzimage(b, "what is this?", 13, 4);
	write_file("unknown", b, n);
	kernel_refused("unknown", -ENOEXEC, "not packed in any way");
	assert_int_equal(entries("vmlinux"), 0);
	assert_int_equal(temps(), 0);
}

static void elf_kernel(void **state)
{
	AUTO_FREE char *path = in_dir("vmlinux-9.9.9");
	AUTO_KERNEL struct kernel k = KERNEL_INIT;
	struct err e = {};
	uint8_t b[4096];

	(void)state;
	write_file("vmlinux-9.9.9", b, make_elf(b));
	assert_int_equal(kernel_open(path, at, &k, &e), 0);
	assert_string_equal(k.path, path);
	assert_string_equal(k.release, "9.9.9");
	assert_false(k.modular);
	unlinkat(at, "vmlinux-9.9.9", 0);
}

static void damage(const char *prefix)
{
	AUTO_CLOSEDIR DIR *d = opendir(dir);
	struct dirent *ent;

	while ((ent = readdir(d)))
		if (str_after(ent->d_name, prefix)) {
			assert_int_equal(fchmodat(at, ent->d_name, 0600, 0), 0);
			assert_int_equal(io_write_file(at, ent->d_name, "damaged"), 0);
		}
}

/* Unpacked once; a damaged entry is made again. */
static void bzimage_is_cached(void **state)
{
	AUTO_FREE char *path = in_dir("bz");
	uint8_t b[4096], elf[256], got[257];
	size_t n = make_elf(elf);

	(void)state;
	write_file("bz", b, make_bzimage(b, elf, n, (uint32_t)n));
	for (int i = 0; i < 3; i++) {
		AUTO_KERNEL struct kernel k = KERNEL_INIT;
		struct err e = {};

		assert_int_equal(kernel_open(path, at, &k, &e), 0);
		assert_in_range(pread(k.fd, got, sizeof(got), 0), n, n + 4);
		assert_memory_equal(got, elf, n);
		assert_int_equal(entries("vmlinux-"), 1);
		if (i == 1)
			damage("vmlinux-");
	}
}

/* ---- initramfs ---- */
static char *list_archive(int fd)
{
	char cmd[100];
	AUTO_FREE char *out = calloc(1, 65536);
	FILE *p;

	/* cpio(1) takes it from a copy: the descriptor may be a memfd that is closed on exec */
	snprintf(cmd, sizeof(cmd), "cpio -tn --quiet </proc/%d/fd/%d", getpid(), fd);
	p = popen(cmd, "r");
	assert_non_null(p);
	assert_true(fread(out, 1, 65535, p) > 0);
	assert_int_equal(pclose(p), 0);
	return TAKE_PTR(out);
}

static void initramfs_holds_us(void **state)
{
	const struct kernel k = KERNEL_INIT;
	struct err e = {};
	AUTO_CLOSE int a = initramfs_open(&k, 0, NULL, at, &e);
	AUTO_CLOSE int b = initramfs_open(&k, INITRAMFS_NET, NULL, at, &e);
	AUTO_CLOSE int c = initramfs_open(&k, 0, NULL, -1, &e);
	AUTO_FREE char *text = NULL;
	struct stat sa, sb, sc;

	(void)state;
	assert_true(a >= 0 && b >= 0 && c >= 0);
	/* without modules the features make no difference */
	assert_int_equal(fstat(a, &sa), 0);
	assert_int_equal(fstat(b, &sb), 0);
	assert_int_equal(fstat(c, &sc), 0);
	assert_int_equal(sa.st_ino, sb.st_ino);
	assert_int_equal(sa.st_size, sc.st_size);
	assert_int_equal(entries("initramfs-"), 1);
	text = list_archive(a);
	assert_non_null(strstr(text, "\ninit\n"));
	assert_non_null(strstr(text, "\ndev/console\n"));
	assert_non_null(strstr(text, "/libc.so.6\n"));
	assert_non_null(strstr(text, "/libcmocka.so.0\n"));
	assert_non_null(strstr(text, "\nlib64/ld-linux-x86-64.so.2\n"));
	assert_null(strstr(text, "ctr/modules"));
}

/* The program runs from nothing but the archive. */
static void initramfs_is_complete(void **state)
{
	const struct kernel k = KERNEL_INIT;
	struct err e = {};
	AUTO_CLOSE int fd = initramfs_open(&k, 0, NULL, at, &e);
	char cmd[400];

	(void)state;
	if (geteuid() != 0) {
		puts("only root can change its root directory");
		skip();
	}
	snprintf(
		cmd, sizeof(cmd),
		"mkdir %s.x && cd %s.x && cpio -idn --quiet </proc/%d/fd/%d 2>/dev/null; "
		"PATH=$PATH:/usr/sbin chroot %s.x /init --of-the-archive; r=$?; rm -rf %s.x; exit $r",
		dir, dir, getpid(), fd, dir, dir);
	assert_int_equal(system(cmd), 42 << 8);
}

static void initramfs_with_a_user_s(void **state)
{
	const struct kernel k = KERNEL_INIT;
	AUTO_FREE char *path = in_dir("user");
	struct err e = {};
	AUTO_CLOSE int plain_fd = initramfs_open(&k, 0, NULL, at, &e);
	AUTO_CLOSE int fd = -1;
	struct stat a, b;
	char got[1024];

	(void)state;
	write_file("user", "12345", 5);
	fd = initramfs_open(&k, 0, path, at, &e);
	assert_true(fd >= 0);
	assert_int_equal(fstat(plain_fd, &a), 0);
	assert_int_equal(fstat(fd, &b), 0);
	assert_int_equal(b.st_size, a.st_size + 512);
	assert_int_equal(pread(fd, got, sizeof(got), 0), sizeof(got));
	assert_memory_equal(got, "12345\0\0\0", 8);
	assert_memory_equal(got + 512, "070701", 6);
	unlinkat(at, "user", 0);
	assert_int_equal(initramfs_open(&k, 0, path, at, &e), -ENOENT);
	assert_non_null(strstr(e.msg, path));
	assert_int_equal(initramfs_open(&k, 0, "/dev/null", at, &e), -EINVAL);
}

static void damaged_initramfs_is_made_again(void **state)
{
	const struct kernel k = KERNEL_INIT;
	struct err e = {};
	struct stat st;
	AUTO_CLOSE int fd = -1;

	(void)state;
	damage("initramfs-");
	fd = initramfs_open(&k, 0, NULL, at, &e);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_size > 100000);
}

static void modules_that_are_missing(void **state)
{
	const struct kernel k = { .fd = -1, .release = "0.0.0-none", .modular = true };
	struct err e = {};

	(void)state;
	assert_int_equal(initramfs_open(&k, 0, NULL, at, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "/lib/modules/0.0.0-none"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entry_appears_whole),
		cmocka_unit_test(aborted_leaves_nothing),
		cmocka_unit_test(without_a_cache),
		cmocka_unit_test(others_entries_are_none),
		cmocka_unit_test(unused_ones_go),
		cmocka_unit_test(key_follows_the_file),
		cmocka_unit_test(bad_kernels),
		cmocka_unit_test(elf_kernel),
		cmocka_unit_test(bzimage_is_cached),
		cmocka_unit_test(initramfs_holds_us),
		cmocka_unit_test(initramfs_is_complete),
		cmocka_unit_test(initramfs_with_a_user_s),
		cmocka_unit_test(damaged_initramfs_is_made_again),
		cmocka_unit_test(modules_that_are_missing),
	};

	/* At once: there is no /proc, which the leak checker needs at a usual end. */
	if (argc == 2 && str_eq(argv[1], "--of-the-archive"))
		_exit(42);
	return cmocka_run_group_tests(tests, setup, teardown);
}
