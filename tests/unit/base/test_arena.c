/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"

#include <string.h>

static int all_zero(const unsigned char *p, size_t n)
{
	while (n-- > 0)
		if (*p++)
			return 0;
	return 1;
}

/* Everything is zeroed, aligned, and overlaps nothing, whatever the sizes. */
static void test_sizes(void **state)
{
	enum { N = 3000 };
	static unsigned char *p[N];
	static size_t size[N];
	struct arena a = { 0 };

	(void)state;
	for (size_t i = 0; i < N; i++) {
		size[i] = i % 100 == 99 ? i * 7 : i % 61;
		p[i] = arena_alloc(&a, size[i]);
		assert_non_null(p[i]);
		assert_int_equal((uintptr_t)p[i] % _Alignof(max_align_t), 0);
		assert_true(all_zero(p[i], size[i]));
		memset(p[i], (int)(i % 255) + 1, size[i]);
	}
	for (size_t i = 0; i < N; i++)
		for (size_t k = 0; k < size[i]; k++)
			assert_int_equal(p[i][k], i % 255 + 1);
	arena_free(&a);
	assert_null(a.head);
	arena_free(&a);
}

/* Around the size of a block, and far above it; small ones go on in the block that was open. */
static void test_big(void **state)
{
	static const size_t sizes[] = {
		4095, 4096, 4097, 16000, 16352, 16368, 16383, 16384, 16385, 1 << 20, 5 << 20,
	};
	struct arena a = { 0 };
	char *small, *next;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		unsigned char *p = arena_alloc(&a, sizes[i]);

		assert_non_null(p);
		assert_true(all_zero(p, sizes[i]));
		memset(p, 0xaa, sizes[i]);
	}
	small = arena_alloc(&a, 16);
	assert_non_null(arena_alloc(&a, 1 << 20));
	next = arena_alloc(&a, 16);
	assert_ptr_equal(next, small + 16);
	arena_free(&a);

	/* a big one first */
	assert_non_null(arena_alloc(&a, 1 << 20));
	assert_non_null(arena_alloc(&a, 1));
	arena_free(&a);
}

static void test_overflow(void **state)
{
	struct arena a = { 0 };

	(void)state;
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX - 8));
	assert_null(arena_alloc(&a, SIZE_MAX / 2 + 1));
	assert_null(arena_array(&a, SIZE_MAX / 2, 3));
	assert_null(arena_array(&a, SIZE_MAX, SIZE_MAX));
	assert_null(arena_array(&a, (size_t)1 << 33, (size_t)1 << 33));
	assert_null(arena_strndup(&a, "x", SIZE_MAX));
	assert_null(a.head);
	/* and it still works */
	assert_non_null(arena_array(&a, 10, 10));
	assert_non_null(arena_array(&a, 0, 10));
	arena_free(&a);
}

static void test_strings(void **state)
{
	struct arena a = { 0 };
	char text[10000], *s;

	(void)state;
	assert_string_equal(arena_strdup(&a, ""), "");
	assert_string_equal(arena_strdup(&a, "word"), "word");
	assert_string_equal(arena_strndup(&a, "word", 2), "wo");
	assert_string_equal(arena_strndup(&a, "word", 0), "");
	s = arena_strndup(&a, "a\0b", 3);
	assert_memory_equal(s, "a\0b", 4);
	assert_string_equal(arena_printf(&a, "%s-%d", "x", 7), "x-7");
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_string_equal(arena_strdup(&a, text), text);
	assert_string_equal(arena_printf(&a, "%s", text), text);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_big),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
