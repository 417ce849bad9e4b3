/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: a file that claims to be a kernel, and what it is packed in; and the texts that say
 * which modules it has. A first byte chooses.
 */
#include "base/cleanup.h"
#include "microvm/initramfs_modules.h"
#include "microvm/kernel_image.h"
#include "microvm/kernel_modules.h"
#include "microvm/unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT_MAX (1 << 20)

static void unpack_one(enum kernel_packing how, const uint8_t *p, size_t n)
{
	static int fd = -1;
	struct err e = {};
	off_t end;

	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (lseek(fd, 0, SEEK_SET) != 0 || ftruncate(fd, 0) < 0)
		abort();
	if (unpack(how, p, n, fd, OUT_MAX, &e) < 0 && !e.msg[0])
		abort();
	end = lseek(fd, 0, SEEK_CUR);
	if (end < 0 || end > OUT_MAX)
		abort();
}

static void image(const uint8_t *p, size_t n)
{
	struct kernel_image img;
	struct err e = {};
	int r = kernel_image_parse(p, n < KERNEL_HEAD ? n : KERNEL_HEAD, n, &img, &e), how;

	if (r < 0) {
		if (!e.msg[0])
			abort();
		return;
	}
	if (img.format != KERNEL_BZIMAGE)
		return;
	if (img.payload + img.payload_len > n || strlen(img.release) > 64)
		abort();
	how = kernel_image_packing(p + img.payload, img.payload_len);
	if (how >= 0)
		unpack_one((enum kernel_packing)how, p + img.payload, img.payload_len);
}

/* Two texts with a NUL between them. */
static void modules(const uint8_t *p, size_t n)
{
	AUTO(str_list_free) struct str_list l = {};
	AUTO_FREE char *text = malloc(n + 2);
	const char *builtin;
	struct err e = {};

	memcpy(text, p, n);
	text[n] = text[n + 1] = '\0';
	builtin = text + strlen(text) + 1;
	if (kernel_module_order(text, builtin, "virtiofs", &l, &e) < 0 && !e.msg[0])
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE uint8_t *copy = NULL;
	size_t n = size ? size - 1 : 0;

	if (size == 0)
		return 0;
	copy = malloc(n ? n : 1);
	memcpy(copy, data + 1, n);
	switch (data[0] % 4) {
	case 0:
		image(copy, n);
		break;
	case 1:
		modules(copy, n);
		break;
	case 2:
		if (module_unsigned_size(copy, n) > n)
			abort();
		break;
	case 3: {
		int how = kernel_image_packing(copy, n);

		if (how >= 0)
			unpack_one((enum kernel_packing)how, copy, n);
		break;
	}
	}
	return 0;
}
