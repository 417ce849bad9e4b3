/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "driver.h"

#include <errno.h>

#define SIZE 8

static struct mem mem;
static struct virtq q;
static struct driver drv;
static struct virtq_chain c;

static int setup(void **state)
{
	(void)state;
	q = (struct virtq){ .max = 256 };
	if (mem_init(&mem, DRIVER_RAM, NULL) < 0)
		return -1;
	driver_init(&drv, &mem, &q, 0, SIZE);
	return virtq_start(&q, &mem, false);
}

static int teardown(void **state)
{
	(void)state;
	mem_free(&mem);
	return 0;
}

static void restart(bool event_idx)
{
	virtq_stop(&q);
	driver_init(&drv, &mem, &q, 0, SIZE);
	assert_int_equal(virtq_start(&q, &mem, event_idx), 0);
}

static void test_memory(void **state)
{
	(void)state;
	assert_non_null(mem_at(&mem, 0, DRIVER_RAM));
	assert_non_null(mem_at(&mem, DRIVER_RAM - 1, 1));
	assert_null(mem_at(&mem, DRIVER_RAM - 1, 2));
	assert_null(mem_at(&mem, DRIVER_RAM, 1));
	assert_null(mem_at(&mem, 0, 0));
	assert_null(mem_at(&mem, 16, UINT64_MAX));
	assert_null(mem_at(&mem, UINT64_MAX, 2));
	assert_ptr_equal(mem_at(&mem, 4096, 1), (uint8_t *)mem_at(&mem, 0, 1) + 4096);
	assert_int_equal((uintptr_t)mem_at(&mem, 0, 1) % (2 << 20), 0);
}

static void test_memory_above_the_gap(void **state)
{
	struct mem m = {};
	struct err e = {};

	(void)state;
	assert_int_equal(mem_init(&m, MEM_LOW_MAX + (2ULL << 20), &e), 0);
	assert_int_equal(m.n, 2);
	assert_null(mem_at(&m, MEM_LOW_MAX - 1, 2));
	assert_null(mem_at(&m, MEM_LOW_MAX, 1));
	assert_null(mem_at(&m, MEM_HIGH - 1, 2));
	assert_non_null(mem_at(&m, MEM_HIGH, 2 << 20));
	assert_null(mem_at(&m, MEM_HIGH + (2 << 20), 1));
	mem_free(&m);
	assert_null(mem_at(&m, 0, 1));
	assert_int_equal(mem_init(&m, 0, &e), -EINVAL);
	assert_int_equal(mem_init(&m, 4097, &e), -EINVAL);
	assert_int_equal(mem_init(&m, MEM_MAX + 4096, &e), -EINVAL);
}

static void test_start_refuses(void **state)
{
	static const struct {
		uint16_t size;
		uint64_t desc, avail, used;
	} bad[] = {
		{ 0, 0x1000, 0x2000, 0x3000 },          { 3, 0x1000, 0x2000, 0x3000 },
		{ 512, 0x1000, 0x4000, 0x6000 },        { 8, 0x1008, 0x2000, 0x3000 },
		{ 8, 0x1000, 0x2001, 0x3000 },          { 8, 0x1000, 0x2000, 0x3002 },
		{ 8, DRIVER_RAM - 16, 0x2000, 0x3000 }, { 8, 0x1000, DRIVER_RAM - 20, 0x3000 },
		{ 8, 0x1000, 0x2000, DRIVER_RAM - 68 }, { 8, 0x1000, 0x2000, ~3ULL },
		{ 8, ~15ULL, 0x2000, 0x3000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct virtq b = {
			.max = 256,
			.size = bad[i].size,
			.ready = true,
			.desc = bad[i].desc,
			.avail = bad[i].avail,
			.used = bad[i].used,
		};

		assert_int_equal(virtq_start(&b, &mem, false), -EINVAL);
		assert_int_equal(virtq_pop(&b, &c), 0);
		b.ready = false;
		assert_int_equal(virtq_start(&b, &mem, false), 0);
		assert_int_equal(virtq_pop(&b, &c), 0);
		assert_false(virtq_wants_irq(&b));
	}
}

static void test_request(void **state)
{
	const uint64_t addr[] = { DRIVER_DATA, DRIVER_DATA + 0x1000, DRIVER_DATA + 0x3000 };
	const uint32_t len[] = { 16, 0x1000, 1 };
	const bool in[] = { false, true, true };
	uint32_t head, written;
	uint16_t h;

	(void)state;
	for (int round = 0; round < 70000; round++) {
		assert_int_equal(virtq_pop(&q, &c), 0);
		h = driver_add(&drv, addr, len, in, 3);
		assert_int_equal(virtq_pop(&q, &c), 1);
		assert_int_equal(c.head, h);
		assert_int_equal(c.n_out, 1);
		assert_int_equal(c.n_in, 2);
		assert_int_equal(c.out_len, 16);
		assert_int_equal(c.in_len, 0x1001);
		assert_ptr_equal(c.iov[1].iov_base, mem_at(&mem, addr[1], 1));
		assert_int_equal(virtq_pop(&q, &c), 0);
		virtq_push(&q, h, 5);
		assert_true(virtq_wants_irq(&q));
		assert_false(virtq_wants_irq(&q));
		assert_true(driver_get(&drv, &head, &written));
		assert_int_equal(head, h);
		assert_int_equal(written, 5);
		assert_false(driver_get(&drv, &head, &written));
	}
}

/* Pieces that touch are one; the border between question and answer stays. */
static void test_joined(void **state)
{
	const uint64_t addr[] = { DRIVER_DATA, DRIVER_DATA + 16, DRIVER_DATA + 32,
				  DRIVER_DATA + 48 };
	const uint32_t len[] = { 16, 16, 16, 16 };
	const bool in[] = { false, false, true, true };

	(void)state;
	driver_add(&drv, addr, len, in, 4);
	assert_int_equal(virtq_pop(&q, &c), 1);
	assert_int_equal(c.n_out, 1);
	assert_int_equal(c.n_in, 1);
	assert_int_equal(c.iov[0].iov_len, 32);
	assert_int_equal(c.iov[1].iov_len, 32);
}

static void test_unpop(void **state)
{
	const uint64_t addr = DRIVER_DATA;
	const uint32_t len = 16;
	const bool in = true;

	(void)state;
	driver_add(&drv, &addr, &len, &in, 1);
	assert_int_equal(virtq_pop(&q, &c), 1);
	virtq_unpop(&q);
	assert_int_equal(virtq_pop(&q, &c), 1);
	assert_int_equal(virtq_pop(&q, &c), 0);
}

static void assert_broken(void)
{
	assert_int_equal(virtq_pop(&q, &c), -EIO);
	assert_true(q.broken);
	assert_int_equal(virtq_pop(&q, &c), -EIO);
	assert_false(virtq_wants_irq(&q));
	restart(false);
	assert_int_equal(virtq_pop(&q, &c), 0);
}

static void test_index_too_far(void **state)
{
	(void)state;
	driver_avail(&drv)[1] = SIZE + 1;
	assert_broken();
	driver_avail(&drv)[1] = (uint16_t)-1;
	assert_broken();
}

static void test_head_outside(void **state)
{
	(void)state;
	driver_expose(&drv, SIZE);
	assert_broken();
	driver_expose(&drv, 0xffff);
	assert_broken();
}

static void test_bad_chains(void **state)
{
	static const struct vring_desc bad[][2] = {
		{ { DRIVER_DATA, 16, VRING_DESC_F_NEXT, 0 } },    /* itself */
		{ { DRIVER_DATA, 16, VRING_DESC_F_NEXT, SIZE } }, /* outside */
		{ { DRIVER_DATA, 0, 0, 0 } },                     /* nothing */
		{ { DRIVER_RAM - 8, 16, 0, 0 } },                 /* its end outside */
		{ { DRIVER_RAM, 1, 0, 0 } },                      /* outside of RAM */
		{ { UINT64_MAX - 3, 16, 0, 0 } },                 /* overflow */
		{ { 4096, UINT32_MAX, 0, 0 } },                   /* too long */
		{ { DRIVER_DATA, 16, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1 },
		  { DRIVER_DATA, 16, 0, 0 } }, /* the order */
		{ { DRIVER_DATA, 16, VRING_DESC_F_NEXT, 1 },
		  { DRIVER_DATA, 16, VRING_DESC_F_NEXT, 0 } }, /* a ring */
		{ { DRIVER_DATA, 32, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1 } },
		{ { DRIVER_DATA, 17, VRING_DESC_F_INDIRECT, 0 } },
		{ { DRIVER_DATA, 0, VRING_DESC_F_INDIRECT, 0 } },
		{ { DRIVER_DATA, 16 * (SIZE + 1), VRING_DESC_F_INDIRECT, 0 } },
		{ { DRIVER_RAM - 16, 32, VRING_DESC_F_INDIRECT, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (uint16_t n = 0; n < 2; n++)
			driver_desc(&drv, n, bad[i][n].addr, bad[i][n].len, bad[i][n].flags,
				    bad[i][n].next);
		driver_expose(&drv, 0);
		assert_broken();
	}
}

static void indirect(const struct vring_desc *table, uint16_t n)
{
	memcpy(mem_at(&mem, DRIVER_DATA, 16ULL * n), table, 16ULL * n);
	driver_desc(&drv, 0, DRIVER_DATA, 16U * n, VRING_DESC_F_INDIRECT, 0);
	driver_expose(&drv, 0);
}

static void test_indirect(void **state)
{
	const uint64_t at = DRIVER_DATA + 0x1000;
	const struct vring_desc good[] = {
		{ at, 16, VRING_DESC_F_NEXT, 2 },
		{ at, 8, VRING_DESC_F_WRITE, 0 },
		{ at + 0x1000, 4, VRING_DESC_F_NEXT, 1 },
	};
	const struct vring_desc nested[] = { { at, 16, VRING_DESC_F_INDIRECT, 0 } };
	const struct vring_desc loop[] = { { at, 16, VRING_DESC_F_NEXT, 1 },
					   { at, 16, VRING_DESC_F_NEXT, 0 } };
	const struct vring_desc outside[] = { { at, 16, VRING_DESC_F_NEXT, 1 } };

	(void)state;
	indirect(good, 3);
	assert_int_equal(virtq_pop(&q, &c), 1);
	assert_int_equal(c.n_out, 2);
	assert_int_equal(c.n_in, 1);
	assert_int_equal(c.out_len, 20);
	indirect(nested, 1);
	assert_broken();
	indirect(loop, 2);
	assert_broken();
	indirect(outside, 1);
	assert_broken();
}

/* With EVENT_IDX the device says for which entry it wants to be woken, and asks once more. */
static void test_event_idx(void **state)
{
	const uint64_t addr = DRIVER_DATA;
	const uint32_t len = 16;
	const bool in = true;
	uint16_t *event;

	(void)state;
	restart(true);
	event = driver_used(&drv) + 2 + 4 * SIZE;
	assert_int_equal(virtq_pop(&q, &c), 0);
	assert_int_equal(*event, 0);
	for (uint16_t i = 0; i < 3; i++)
		driver_add(&drv, &addr, &len, &in, 1);
	for (uint16_t i = 0; i < 3; i++) {
		assert_int_equal(virtq_pop(&q, &c), 1);
		virtq_push(&q, c.head, 0);
		assert_int_equal(*event, 0);
	}
	assert_int_equal(virtq_pop(&q, &c), 0);
	assert_int_equal(*event, 3);
	/* used_event = 0: the first entry was to be told */
	assert_true(virtq_wants_irq(&q));
	driver_avail(&drv)[2 + SIZE] = 5;
	for (uint16_t i = 0; i < 2; i++) {
		driver_add(&drv, &addr, &len, &in, 1);
		assert_int_equal(virtq_pop(&q, &c), 1);
		virtq_push(&q, c.head, 0);
		assert_false(virtq_wants_irq(&q));
	}
	driver_add(&drv, &addr, &len, &in, 1);
	assert_int_equal(virtq_pop(&q, &c), 1);
	virtq_push(&q, c.head, 0);
	assert_true(virtq_wants_irq(&q));
}

static void test_no_interrupt(void **state)
{
	const uint64_t addr = DRIVER_DATA;
	const uint32_t len = 16;
	const bool in = true;

	(void)state;
	driver_avail(&drv)[0] = VRING_AVAIL_F_NO_INTERRUPT;
	driver_add(&drv, &addr, &len, &in, 1);
	assert_int_equal(virtq_pop(&q, &c), 1);
	virtq_push(&q, c.head, 0);
	assert_false(virtq_wants_irq(&q));
}

static void test_iov(void **state)
{
	char a[] = "abc", b[] = "defg", d[] = "hi", out[16] = "";
	const struct iovec v[] = { { a, 3 }, { b, 4 }, { d, 2 } };
	struct iovec part[3];

	(void)state;
	assert_int_equal(iov_copy_out(v, 3, 0, out, sizeof(out)), 9);
	assert_memory_equal(out, "abcdefghi", 9);
	assert_int_equal(iov_copy_out(v, 3, 2, out, 3), 3);
	assert_memory_equal(out, "cde", 3);
	assert_int_equal(iov_copy_out(v, 3, 7, out, 9), 2);
	assert_memory_equal(out, "hi", 2);
	assert_int_equal(iov_copy_out(v, 3, 9, out, 9), 0);
	assert_int_equal(iov_copy_in(v, 3, 2, "XYZ", 3), 3);
	assert_memory_equal(a, "abX", 3);
	assert_memory_equal(b, "YZfg", 4);
	assert_int_equal(iov_part(v, 3, 1, 7, part, 3), 3);
	assert_ptr_equal(part[0].iov_base, a + 1);
	assert_int_equal(part[0].iov_len, 2);
	assert_int_equal(part[1].iov_len, 4);
	assert_int_equal(part[2].iov_len, 1);
	assert_int_equal(iov_part(v, 3, 3, 4, part, 3), 1);
	assert_int_equal(iov_part(v, 3, 0, 100, part, 2), 2);
	assert_int_equal(iov_part(v, 3, 9, 1, part, 2), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_memory),        T(test_memory_above_the_gap),
		T(test_start_refuses), T(test_request),
		T(test_joined),        T(test_unpop),
		T(test_index_too_far), T(test_head_outside),
		T(test_bad_chains),    T(test_indirect),
		T(test_event_idx),     T(test_no_interrupt),
		T(test_iov),
	};

	return cmocka_run_group_tests_name("virtq", tests, NULL, NULL);
}
