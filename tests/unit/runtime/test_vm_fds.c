/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a jailed VMM cannot make of the descriptors that it has, and which part of the host its QEMU
 * gets.
 */
#include "runtime/vm_fds.h"
#include "runtime/vm_jail.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static int again(int fd, int flags)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return open(link, flags | O_CLOEXEC);
}

/* In a child with mounts of its own. */
static void in_namespace(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(unshare(CLONE_NEWNS) < 0 ? 100 : fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 100)
		skip(); /* not permitted */
	assert_int_equal(status, 0);
}

static int open_file(char name[32])
{
	strcpy(name, "/tmp/ctr-vm-fds-XXXXXX");
	return mkstemp(name);
}

#define EXPECT(cond)                              \
	do {                                      \
		if (!(cond))                      \
			return __LINE__ % 90 + 1; \
	} while (0)

static int files(void)
{
	struct vm_config c = { .initrd = memfd_create("m", MFD_CLOEXEC), .n_disks = 2 };
	char kernel[32], image[32], second[48];
	int w = open_file(kernel), i = open_file(image), other = open(image, O_RDONLY | O_CLOEXEC);
	struct err e = {};
	struct stat st;
	char byte;

	EXPECT(w >= 0 && i >= 0 && c.initrd >= 0 && write(w, "k", 1) == 1);
	c.kernel = again(w, O_RDONLY);
	c.disks[0] = (struct vm_disk){ .fd = again(i, O_RDONLY), .ro = true };
	c.disks[1] = (struct vm_disk){ .fd = again(i, O_RDWR) };
	EXPECT(flock(c.disks[0].fd, LOCK_SH | LOCK_NB) == 0);
	EXPECT(vm_fds_read_only(&c, &e) == 0);
	EXPECT(pread(c.kernel, &byte, 1, 0) == 1 && byte == 'k');
	EXPECT(again(c.kernel, O_RDWR) < 0 && errno == EROFS);
	EXPECT(again(c.kernel, O_RDONLY) >= 0);
	EXPECT(fchmod(c.kernel, 0777) < 0 && errno == EROFS);
	EXPECT(fcntl(c.kernel, F_GETFD) & FD_CLOEXEC);
	EXPECT(again(c.disks[0].fd, O_RDWR) < 0 && errno == EROFS);
	EXPECT(flock(other, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
	EXPECT(again(c.disks[1].fd, O_RDWR) >= 0);
	EXPECT(again(c.initrd, O_RDWR) >= 0);
	/* Another file of that name is not taken for it. */
	EXPECT(snprintf(second, sizeof(second), "%s-link", kernel) < (int)sizeof(second));
	EXPECT(link(kernel, second) == 0);
	c.kernel = again(w, O_RDONLY);
	EXPECT(rename(image, kernel) == 0);
	EXPECT(fstat(c.kernel, &st) == 0 && st.st_nlink == 1);
	EXPECT(vm_fds_read_only(&c, &e) < 0);
	EXPECT(unlink(kernel) == 0 && unlink(second) == 0);
	/* Nor is one without a name anybody else's. */
	EXPECT(vm_fds_read_only(&c, &e) == 0);
	return 0;
}

static void read_only_files(void **state)
{
	(void)state;
	in_namespace(files);
}

static int device(void)
{
	struct vm_config c = { .kernel = -1, .initrd = -1, .n_disks = 1 };
	struct err e = {};

	c.disks[0] = (struct vm_disk){ .fd = open("/dev/null", O_RDONLY | O_CLOEXEC), .ro = true };
	EXPECT(c.disks[0].fd >= 0);
	EXPECT(vm_fds_read_only(&c, &e) == 0);
	EXPECT(again(c.disks[0].fd, O_RDWR) < 0 && errno == EACCES);
	return 0;
}

static void read_only_device(void **state)
{
	(void)state;
	in_namespace(device);
}

static int proc(void)
{
	struct err e = {};
	int fd = vm_fds_proc(&e), file;
	char own[16];

	EXPECT(fd >= 0);
	file = memfd_create("m", MFD_CLOEXEC);
	snprintf(own, sizeof(own), "%d", file);
	EXPECT(openat(fd, own, O_RDWR | O_CLOEXEC) >= 0);
	EXPECT(openat(fd, "../../sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC) < 0);
	EXPECT(openat(fd, "../status", O_RDONLY | O_CLOEXEC) < 0);
	EXPECT(fchdir(fd) == 0 && open("../status", O_RDONLY | O_CLOEXEC) < 0);
	return 0;
}

static void own_descriptors(void **state)
{
	(void)state;
	in_namespace(proc);
}

static void part_of_qemu(void **state)
{
	static const char *const cases[][2] = {
		{ "/opt/qemu/bin/qemu-system-x86_64", "/opt/qemu" },
		{ "/usr/local/bin/qemu-system-x86_64", "/usr/local" },
		{ "/home/u/qemu/bin/qemu-system-x86_64", "/home/u/qemu" },
		{ "/home/u/bin/qemu-system-x86_64", "/home/u/bin/qemu-system-x86_64" },
		{ "/home/u/qemu-system-x86_64", "/home/u/qemu-system-x86_64" },
		{ "/home/u/build/qemu-system-x86_64", "/home/u/build" },
		{ "/root/qemu-system-x86_64", "/root/qemu-system-x86_64" },
		{ "/opt/bin/qemu-system-x86_64", "/opt" },
		{ "/nix/store/x-qemu/bin/qemu-system-x86_64", "/nix/store" },
		{ "/bin/qemu-system-x86_64", "/bin/qemu-system-x86_64" },
		{ "/qemu-system-x86_64", "/qemu-system-x86_64" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *part = vm_jail_qemu_part(cases[i][0]);

		assert_string_equal(part, cases[i][1]);
		free(part);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(read_only_files),
	cmocka_unit_test(read_only_device),
	cmocka_unit_test(own_descriptors),
	cmocka_unit_test(part_of_qemu),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
