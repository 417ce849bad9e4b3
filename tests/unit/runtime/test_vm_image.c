/* SPDX-License-Identifier: Apache-2.0 */
/* What the first bytes of an image say of its file system. */
#include "runtime/vm_image.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void put(uint8_t *super, size_t at, uint64_t v, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		super[at + i] = (uint8_t)(v >> 8 * i);
}

/* Blocks of 1024 << log bytes. */
static void ext4(uint8_t super[VM_IMAGE_SUPER], uint64_t blocks, uint32_t log, uint32_t incompat)
{
	memset(super, 0, VM_IMAGE_SUPER);
	put(super, 4, blocks, 4);
	put(super, 24, log, 4);
	put(super, 56, 0xef53, 2);
	put(super, 96, incompat, 4);
	put(super, 336, blocks >> 32, 4);
}

static void erofs(uint8_t super[VM_IMAGE_SUPER], uint32_t blocks, uint8_t log)
{
	memset(super, 0, VM_IMAGE_SUPER);
	put(super, 0, 0xe0f5e1e2, 4);
	super[12] = log;
	put(super, 36, blocks, 4);
}

static void both_kinds(void **state)
{
	uint8_t super[VM_IMAGE_SUPER];
	struct vm_image i;

	(void)state;
	ext4(super, 24576, 0, 0x2c2);
	assert_int_equal(vm_image_parse(super, &i), 0);
	assert_int_equal(i.size, 24576 * 1024);
	assert_true(i.writable && !i.recover);
	ext4(super, 6144, 2, 0x2c6);
	assert_int_equal(vm_image_parse(super, &i), 0);
	assert_int_equal(i.size, 6144 * 4096);
	assert_true(i.writable && i.recover);
	erofs(super, 10, 12);
	assert_int_equal(vm_image_parse(super, &i), 0);
	assert_int_equal(i.size, 40960);
	assert_false(i.writable || i.recover);
}

/* The upper half counts only where the file system says that it has one. */
static void more_than_32_bits(void **state)
{
	uint8_t super[VM_IMAGE_SUPER];
	struct vm_image i;

	(void)state;
	ext4(super, (1ULL << 32) + 5, 2, 1 << 7);
	assert_int_equal(vm_image_parse(super, &i), 0);
	assert_true(i.size == ((1ULL << 32) + 5) * 4096);
	ext4(super, (1ULL << 32) + 5, 2, 0);
	assert_int_equal(vm_image_parse(super, &i), 0);
	assert_int_equal(i.size, 5 * 4096);
}

static void none(void **state)
{
	uint8_t super[VM_IMAGE_SUPER] = {};
	struct vm_image i = { .size = 7 };

	(void)state;
	assert_int_equal(vm_image_parse(super, &i), -EINVAL);
	memset(super, 0xff, sizeof(super));
	assert_int_equal(vm_image_parse(super, &i), -EINVAL);
	ext4(super, 0, 0, 0);
	assert_int_equal(vm_image_parse(super, &i), -EINVAL);
	ext4(super, 100, 7, 0);
	assert_int_equal(vm_image_parse(super, &i), -EINVAL);
	ext4(super, 100, 32, 0);
	assert_int_equal(vm_image_parse(super, &i), -EINVAL);
	ext4(super, UINT64_MAX, 6, 1 << 7);
	assert_int_equal(vm_image_parse(super, &i), -EINVAL);
	erofs(super, 0, 12);
	assert_int_equal(vm_image_parse(super, &i), -EINVAL);
	erofs(super, 10, 17);
	assert_int_equal(vm_image_parse(super, &i), -EINVAL);
	assert_int_equal(i.size, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_kinds),
		cmocka_unit_test(more_than_32_bits),
		cmocka_unit_test(none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
