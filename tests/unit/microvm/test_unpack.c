/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "microvm/unpack.h"
#include "packed.h"

#include <errno.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>

/* Unpacks to memory; what came out, or the error. */
static int run(enum kernel_packing how, const uint8_t *p, size_t n, uint64_t max, char **out,
	       size_t *len, struct err *e)
{
	AUTO_CLOSE int fd = memfd_create("unpack", MFD_CLOEXEC);
	/* a copy of exactly this size: what reads beyond it is found */
	AUTO_FREE uint8_t *copy = malloc(n ? n : 1);
	int r;

	assert_true(fd >= 0);
	memcpy(copy, p, n);
	r = unpack(how, copy, n, fd, max, e);
	if (r < 0)
		return r;
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return io_read_all(fd, 1 << 20, out, len);
}

static void assert_text(const char *s, size_t n)
{
	size_t line = strlen(PACKED_LINE);

	assert_int_equal(n, PACKED_SIZE);
	for (size_t i = 0; i < n; i += line)
		assert_memory_equal(s + i, PACKED_LINE, line);
}

static void every_format(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(packed); i++) {
		AUTO_FREE char *out = NULL;
		struct err e = {};
		size_t n = 0;

		assert_int_equal(kernel_image_packing(packed[i].p, packed[i].n), packed[i].how);
		assert_int_equal(
			run(packed[i].how, packed[i].p, packed[i].n, PACKED_SIZE, &out, &n, &e), 0);
		assert_text(out, n);
	}
}

/* What Linux appends behind the data: its unpacked size. */
static void what_follows_is_ignored(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(packed); i++) {
		AUTO_FREE uint8_t *longer = malloc(packed[i].n + 4);
		AUTO_FREE char *out = NULL;
		struct err e = {};
		size_t n = 0;

		memcpy(longer, packed[i].p, packed[i].n);
		memset(longer + packed[i].n, 0, 4);
		assert_int_equal(
			run(packed[i].how, longer, packed[i].n + 4, PACKED_SIZE, &out, &n, &e), 0);
		assert_text(out, n);
	}
}

static void never_more_than_said(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(packed); i++) {
		AUTO_FREE char *out = NULL;
		struct err e = {};
		size_t n = 0;

		assert_int_equal(run(packed[i].how, packed[i].p, packed[i].n, PACKED_SIZE - 1, &out,
				     &n, &e),
				 -ENOEXEC);
		assert_non_null(strstr(e.msg, "more comes out"));
	}
}

/* Every shorter length: an error or (the end being optional) less, never a crash. */
static void truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(packed); i++) {
		for (size_t n = 6; n < packed[i].n; n++) {
			AUTO_FREE char *out = NULL;
			struct err e = {};
			size_t len = 0;
			int r = run(packed[i].how, packed[i].p, n, PACKED_SIZE, &out, &len, &e);

			assert_true(r == -ENOEXEC || packed[i].how == KERNEL_LZMA ||
				    packed[i].how == KERNEL_LZ4);
			if (r < 0)
				assert_true(e.msg[0] != '\0');
		}
	}
}

static void corrupt(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(packed); i++) {
		for (size_t at = 0; at < packed[i].n; at++) {
			AUTO_FREE uint8_t *bad = malloc(packed[i].n);
			AUTO_FREE char *out = NULL;
			struct err e = {};
			size_t len = 0;

			memcpy(bad, packed[i].p, packed[i].n);
			bad[at] ^= 0x55;
			if (run(packed[i].how, bad, packed[i].n, PACKED_SIZE, &out, &len, &e) < 0)
				assert_true(e.msg[0] != '\0');
			else
				assert_true(len <= PACKED_SIZE);
		}
	}
}

/* Only the last block of LZ4 may be less than full: the format itself would not tell. */
static void a_short_block_is_corrupt(void **state)
{
	uint8_t twice[sizeof(packed_lz4) * 2 - 4];
	AUTO_FREE char *out = NULL;
	struct err e = {};
	size_t n = 0;

	(void)state;
	memcpy(twice, packed_lz4, sizeof(packed_lz4));
	memcpy(twice + sizeof(packed_lz4), packed_lz4 + 4, sizeof(packed_lz4) - 4);
	assert_int_equal(run(KERNEL_LZ4, twice, sizeof(twice), 2 * PACKED_SIZE, &out, &n, &e),
			 -ENOEXEC);
	assert_non_null(strstr(e.msg, "corrupt"));
}

static void lzo_is_refused(void **state)
{
	const uint8_t lzo[16] = { 0x89, 'L', 'Z', 'O' };
	struct err e = {};
	AUTO_FREE char *out = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(kernel_image_packing(lzo, sizeof(lzo)), KERNEL_LZO);
	assert_int_equal(run(KERNEL_LZO, lzo, sizeof(lzo), 100, &out, &n, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "lzo"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_format),
		cmocka_unit_test(what_follows_is_ignored),
		cmocka_unit_test(never_more_than_said),
		cmocka_unit_test(truncated),
		cmocka_unit_test(corrupt),
		cmocka_unit_test(a_short_block_is_corrupt),
		cmocka_unit_test(lzo_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
