/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "microvm/initramfs_modules.h"
#include "microvm/kernel_modules.h"

#include <errno.h>
#include <string.h>

static const char dep[] = "kernel/v/virtio_mmio.ko: kernel/v/virtio.ko kernel/v/virtio_ring.ko\n"
			  "kernel/v/virtio.ko: kernel/v/virtio_ring.ko\n"
			  "kernel/v/virtio_ring.ko:\n"
			  "kernel/c/virtio-rng.ko.xz: kernel/v/virtio.ko\n"
			  "kernel/x/lost.ko: kernel/x/missing.ko\n"
			  "kernel/x/a.ko: kernel/x/b.ko\n"
			  "kernel/x/b.ko: kernel/x/a.ko\n"
			  "kernel/x/last.ko:";
static const char builtin[] = "kernel/fs/ext4/ext4.ko\nkernel/lib/crc16.ko\n";

static void found(void **state)
{
	(void)state;
	assert_int_equal(kernel_module_find(dep, builtin, "virtio"), KERNEL_MODULE_FILE);
	assert_int_equal(kernel_module_find(dep, builtin, "virtio_rng"), KERNEL_MODULE_FILE);
	assert_int_equal(kernel_module_find(dep, builtin, "virtio-mmio"), KERNEL_MODULE_FILE);
	assert_int_equal(kernel_module_find(dep, builtin, "last"), KERNEL_MODULE_FILE);
	assert_int_equal(kernel_module_find(dep, builtin, "ext4"), KERNEL_MODULE_BUILTIN);
	assert_int_equal(kernel_module_find(dep, builtin, "virt"), KERNEL_MODULE_NONE);
	assert_int_equal(kernel_module_find(dep, builtin, "virtio_mmio2"), KERNEL_MODULE_NONE);
	assert_int_equal(kernel_module_find("", "", "virtio"), KERNEL_MODULE_NONE);
}

static void needed_first(void **state)
{
	AUTO(str_list_free) struct str_list l = {};
	struct err e = {};

	(void)state;
	assert_int_equal(kernel_module_order(dep, builtin, "virtio_mmio", &l, &e), 0);
	assert_int_equal(kernel_module_order(dep, builtin, "virtio_rng", &l, &e), 0);
	assert_int_equal(kernel_module_order(dep, builtin, "virtio_mmio", &l, &e), 0);
	assert_int_equal(kernel_module_order(dep, builtin, "ext4", &l, &e), 0);
	assert_int_equal(l.n, 4);
	assert_string_equal(l.v[0], "kernel/v/virtio_ring.ko");
	assert_string_equal(l.v[1], "kernel/v/virtio.ko");
	assert_string_equal(l.v[2], "kernel/v/virtio_mmio.ko");
	assert_string_equal(l.v[3], "kernel/c/virtio-rng.ko.xz");
}

static void refused(void **state)
{
	AUTO(str_list_free) struct str_list l = {};
	struct err e = {};

	(void)state;
	assert_int_equal(kernel_module_order(dep, builtin, "nothing", &l, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "nothing"));
	assert_int_equal(kernel_module_order(dep, builtin, "lost", &l, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "missing.ko"));
	assert_int_equal(kernel_module_order(dep, builtin, "a", &l, &e), -ELOOP);
}

static void names(void **state)
{
	char name[16];

	(void)state;
	assert_string_equal(kernel_module_name("k/virtio-rng.ko.zst", name, sizeof(name)), ".zst");
	assert_string_equal(name, "virtio_rng");
	assert_string_equal(kernel_module_name("x.ko", name, sizeof(name)), "");
	assert_null(kernel_module_name("x.kot", name, sizeof(name)));
	assert_null(kernel_module_name(".ko", name, sizeof(name)));
	assert_null(kernel_module_name("k/readme", name, sizeof(name)));
	assert_null(kernel_module_name("k/much_too_long_a_name.ko", name, sizeof(name)));
}

#define MARK "~Module signature appended~\n"

static void signatures(void **state)
{
	uint8_t m[200] = "module";
	size_t end = 100 + 12;

	(void)state;
	assert_int_equal(module_unsigned_size(m, sizeof(m)), sizeof(m));
	memcpy(m + end, MARK, strlen(MARK));
	m[end - 1] = 30;
	assert_int_equal(module_unsigned_size(m, end + strlen(MARK)), 70);
	/* a signature longer than the file takes nothing but itself away */
	m[end - 4] = 0xff;
	assert_int_equal(module_unsigned_size(m, end + strlen(MARK)), 100);
	assert_int_equal(module_unsigned_size((const uint8_t *)MARK, strlen(MARK)), strlen(MARK));
	assert_int_equal(module_unsigned_size(m, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found), cmocka_unit_test(needed_first), cmocka_unit_test(refused),
		cmocka_unit_test(names), cmocka_unit_test(signatures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
