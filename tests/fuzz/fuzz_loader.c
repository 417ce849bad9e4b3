/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: a file that claims to be a kernel. Whatever it says, it is loaded inside guest memory
 * above 1 MiB, and its entry is in what was loaded.
 */
#include "microvm/layout.h"
#include "microvm/load.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

enum { RAM = 4 << 20 };

static void check(bool ok)
{
	if (!ok)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static int fd = -1;
	struct load_initrd initrd;
	struct load_kernel k;
	struct mem m;
	struct err e = {};

	if (fd < 0)
		fd = memfd_create("kernel", MFD_CLOEXEC);
	check(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	check(mem_init(&m, RAM, NULL) == 0);
	if (load_kernel(&m, fd, &k, &e) == 0) {
		check(k.entry >= LAYOUT_KERNEL_MIN && k.entry < k.end && k.end <= RAM);
		if (load_initrd(&m, fd, k.end, &initrd, &e) == 0)
			check(initrd.gpa >= k.end && initrd.gpa + initrd.size <= RAM);
	} else {
		check(e.code != 0 && e.msg[0]);
	}
	for (size_t i = 0; i < LAYOUT_KERNEL_MIN; i += 4096)
		check(m.r[0].host[i] == 0);
	mem_free(&m);
	return 0;
}
