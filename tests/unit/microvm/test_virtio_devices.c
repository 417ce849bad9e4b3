/* SPDX-License-Identifier: Apache-2.0 */
/* The disk and the entropy device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "driver.h"

#include "microvm/virtio_blk.h"
#include "microvm/virtio_rng.h"

#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SECTORS = 64 };

static struct mem mem;
static struct virtio_dev *dev;
static struct driver drv[VIRTIO_MAX_QUEUES];
static struct test_transport transport;
static struct err e;
static int fd = -1;

static int setup(void **state)
{
	(void)state;
	e = (struct err){};
	return mem_init(&mem, DRIVER_RAM, NULL);
}

static int teardown(void **state)
{
	(void)state;
	if (dev)
		dev->ops->free(dev);
	dev = NULL;
	if (fd >= 0)
		close(fd);
	fd = -1;
	mem_free(&mem);
	return 0;
}

static uint8_t *data(uint64_t off)
{
	return mem_at(&mem, DRIVER_DATA + off, 4096);
}

static void attach(void)
{
	assert_int_equal(driver_attach(dev, &mem, NULL, dev->offered, drv, 16, &transport), 0);
}

static void disk(bool ro)
{
	char sector[512];

	fd = memfd_create("disk", MFD_CLOEXEC);
	for (int i = 0; i < SECTORS; i++) {
		memset(sector, 'A' + i % 26, sizeof(sector));
		assert_int_equal(write(fd, sector, sizeof(sector)), sizeof(sector));
	}
	assert_int_equal(write(fd, "rest", 4), 4);
	assert_int_equal(virtio_blk_new(fd, ro, "disk0", &dev, &e), 0);
	attach();
}

/* One request: header at 0, data at 4096, status at 8192. Its status; *len is what was written. */
static int request(uint32_t type, uint64_t sector, uint32_t bytes, bool in, uint32_t *len)
{
	const struct virtio_blk_outhdr h = { .type = type, .sector = sector };
	const uint64_t addr[] = { DRIVER_DATA, DRIVER_DATA + 4096, DRIVER_DATA + 8192 };
	const uint32_t lens[] = { sizeof(h), bytes, 1 };
	const bool ins[] = { false, in, true };
	const uint64_t addr0[] = { DRIVER_DATA, DRIVER_DATA + 8192 };
	const uint32_t lens0[] = { sizeof(h), 1 };
	const bool ins0[] = { false, true };
	uint32_t head;

	memcpy(data(0), &h, sizeof(h));
	*data(8192) = 0xee;
	if (bytes)
		driver_add(&drv[0], addr, lens, ins, 3);
	else
		driver_add(&drv[0], addr0, lens0, ins0, 2);
	dev->ops->kick(dev, 0);
	assert_true(driver_get(&drv[0], &head, len));
	return *data(8192);
}

static void test_blk_read(void **state)
{
	const struct virtio_blk_config *c;
	uint32_t len;

	(void)state;
	disk(false);
	c = dev->config;
	assert_int_equal(c->capacity, SECTORS);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 3, 1024, true, &len), VIRTIO_BLK_S_OK);
	assert_int_equal(len, 1025);
	assert_int_equal(data(4096)[0], 'D');
	assert_int_equal(data(4096)[1023], 'E');
	assert_int_equal(transport.rings, 1);
}

static void test_blk_write(void **state)
{
	char back[512];
	uint32_t len;

	(void)state;
	disk(false);
	memset(data(4096), 'z', 512);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 63, 512, false, &len), VIRTIO_BLK_S_OK);
	assert_int_equal(len, 1);
	assert_int_equal(pread(fd, back, 512, 63 * 512), 512);
	assert_int_equal(back[511], 'z');
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, false, &len), VIRTIO_BLK_S_OK);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 20, true, &len), VIRTIO_BLK_S_OK);
	assert_string_equal((char *)data(4096), "disk0");
	assert_int_equal(request(77, 0, 20, true, &len), VIRTIO_BLK_S_UNSUPP);
}

static void test_blk_bounds(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t bytes;
	} bad[] = { { 64, 512 }, { 63, 1024 }, { 0, 511 }, { ~0ULL, 512 }, { 1ULL << 55, 512 } };
	uint32_t len;

	(void)state;
	disk(false);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(request(VIRTIO_BLK_T_IN, bad[i].sector, bad[i].bytes, true, &len),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(len, 0);
		assert_int_equal(request(VIRTIO_BLK_T_OUT, bad[i].sector, bad[i].bytes, false,
					 &len),
				 VIRTIO_BLK_S_IOERR);
	}
	/* The image became shorter: an error, not what lies behind. */
	assert_int_equal(ftruncate(fd, 1024), 0);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 1, 1024, true, &len), VIRTIO_BLK_S_IOERR);
	assert_int_equal(transport.broken, 0);
}

/* The same memory over and over: more than a driver asks for at once, though the disk has it. */
static void test_blk_longest(void **state)
{
	enum { PIECES = 17, QUEUE = 32 };
	const struct virtio_blk_outhdr h = { .type = VIRTIO_BLK_T_OUT };
	uint64_t addr[PIECES + 2] = { DRIVER_DATA };
	uint32_t lens[PIECES + 2] = { sizeof(h) }, head, len;
	bool ins[PIECES + 2] = {};

	(void)state;
	fd = memfd_create("disk", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, 128 << 20), 0);
	assert_int_equal(virtio_blk_new(fd, false, "disk0", &dev, &e), 0);
	assert_int_equal(driver_attach(dev, &mem, NULL, dev->offered, drv, QUEUE, &transport), 0);
	memcpy(data(0), &h, sizeof(h));
	for (int i = 1; i <= PIECES; i++)
		lens[i] = DRIVER_RAM;
	addr[PIECES + 1] = DRIVER_DATA + 8192;
	lens[PIECES + 1] = 1;
	ins[PIECES + 1] = true;
	driver_add(&drv[0], addr, lens, ins, PIECES + 2);
	dev->ops->kick(dev, 0);
	assert_true(driver_get(&drv[0], &head, &len));
	assert_int_equal(*data(8192), VIRTIO_BLK_S_IOERR);
}

static void test_blk_read_only(void **state)
{
	uint32_t len;

	(void)state;
	disk(true);
	assert_true(dev->offered & 1ULL << VIRTIO_BLK_F_RO);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 512, false, &len), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 512, true, &len), VIRTIO_BLK_S_OK);
	assert_int_equal(data(4096)[0], 'A');
}

/* No room for a status, or half a header: the device stops. */
static void test_blk_broken_request(void **state)
{
	const uint64_t addr = DRIVER_DATA;
	const uint32_t len = 16, half = 8;
	const bool in = false;

	(void)state;
	disk(false);
	driver_add(&drv[0], &addr, &len, &in, 1);
	dev->ops->kick(dev, 0);
	assert_int_equal(transport.broken, 1);
	attach();
	driver_add(&drv[0], (uint64_t[]){ addr, addr + 4096 }, (uint32_t[]){ half, 1 },
		   (bool[]){ false, true }, 2);
	dev->ops->kick(dev, 0);
	assert_int_equal(transport.broken, 1);
}

static void test_blk_image(void **state)
{
	(void)state;
	fd = memfd_create("disk", MFD_CLOEXEC);
	assert_true(virtio_blk_new(fd, false, "disk0", &dev, &e) < 0);
	assert_non_null(strstr(e.msg, "disk0"));
}

static void test_rng(void **state)
{
	const uint64_t addr[] = { DRIVER_DATA, DRIVER_DATA + 0x20000 };
	const uint32_t lens[] = { 64, 0x20000 };
	const bool in[] = { true, true };
	uint32_t head, len;
	int zeroes = 0;

	(void)state;
	assert_int_equal(virtio_rng_new(&dev, &e), 0);
	attach();
	driver_add(&drv[0], addr, lens, in, 1);
	driver_add(&drv[0], addr + 1, lens + 1, in, 1);
	dev->ops->kick(dev, 0);
	assert_true(driver_get(&drv[0], &head, &len));
	assert_int_equal(len, 64);
	for (int i = 0; i < 64; i++)
		zeroes += data(0)[i] == 0;
	assert_in_range(zeroes, 0, 16);
	/* However much the guest wants. */
	assert_true(driver_get(&drv[0], &head, &len));
	assert_int_equal(len, 64 << 10);
	assert_int_equal(transport.rings, 1);
	/* Only its own piece was touched. */
	assert_int_equal(*(uint8_t *)mem_at(&mem, DRIVER_DATA + 64, 1), 0);
}

/* Many requests: a turn for the others in between. */
static void test_rng_budget(void **state)
{
	const uint64_t addr = DRIVER_DATA;
	const uint32_t one = 8;
	const bool in = true;

	(void)state;
	assert_int_equal(virtio_rng_new(&dev, &e), 0);
	dev->q[0].max = 256;
	assert_int_equal(driver_attach(dev, &mem, NULL, 0, drv, 256, &transport), 0);
	for (int i = 0; i < VIRTIO_BUDGET + 1; i++)
		driver_add(&drv[0], &addr, &one, &in, 1);
	dev->ops->kick(dev, 0);
	assert_int_equal(transport.again, 1);
	assert_int_equal(dev->q[0].next_used, VIRTIO_BUDGET);
	dev->ops->kick(dev, 0);
	assert_int_equal(transport.again, 1);
	assert_int_equal(dev->q[0].next_used, VIRTIO_BUDGET + 1);
}

static void test_rng_broken(void **state)
{
	(void)state;
	assert_int_equal(virtio_rng_new(&dev, &e), 0);
	attach();
	driver_expose(&drv[0], 999);
	dev->ops->kick(dev, 0);
	assert_int_equal(transport.broken, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_blk_read),    T(test_blk_write),     T(test_blk_bounds),
		T(test_blk_longest), T(test_blk_read_only), T(test_blk_broken_request),
		T(test_blk_image),   T(test_rng),           T(test_rng_budget),
		T(test_rng_broken),
	};

	return cmocka_run_group_tests_name("virtio devices", tests, NULL, NULL);
}
