/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "driver.h"

#include "microvm/layout.h"
#include "microvm/virtio_mmio.h"

#include <linux/virtio_mmio.h>
#include <poll.h>
#include <unistd.h>

enum { ACK = 1, DRIVER = 2, OK = 4, FEATURES = 8, NEEDS_RESET = 0x40, FAILED = 0x80 };

static struct mem mem;
static struct loop loop;
static struct virtio_dev dev;
static struct virtio_mmio mmio;
static struct bus bus;
static struct driver drv;
static int kicks[2], resets, activations, freed, activate_result;
static uint8_t config[6] = { 1, 2, 3, 4, 5, 6 };
static uint32_t config_written;
static const struct timespec soon = { .tv_sec = 1LL << 40 };

static int on_activate(struct virtio_dev *d)
{
	assert_true(d->active);
	activations++;
	return activate_result;
}

static void on_kick(struct virtio_dev *d, unsigned int q)
{
	(void)d;
	__atomic_fetch_add(&kicks[q], 1, __ATOMIC_SEQ_CST);
}

static void on_reset(struct virtio_dev *d)
{
	assert_false(d->active);
	resets++;
}

static void on_config(struct virtio_dev *d, size_t off, const void *buf, size_t len)
{
	(void)d;
	assert_true(off + len <= sizeof(config));
	memcpy(&config_written, buf, len);
}

static void on_free(struct virtio_dev *d)
{
	(void)d;
	freed++;
}

static const struct virtio_ops ops = {
	.id = 99,
	.name = "test",
	.activate = on_activate,
	.kick = on_kick,
	.reset = on_reset,
	.config_write = on_config,
	.free = on_free,
};

static uint32_t rd(uint64_t off)
{
	uint32_t v;

	bus_read(&bus, LAYOUT_VIRTIO + off, &v, 4);
	return v;
}

static void wr(uint64_t off, uint32_t v)
{
	bus_write(&bus, LAYOUT_VIRTIO + off, &v, 4);
}

static int setup(void **state)
{
	(void)state;
	memset(kicks, 0, sizeof(kicks));
	resets = activations = freed = activate_result = 0;
	config_written = 0;
	bus = (struct bus){};
	dev = (struct virtio_dev){ .ops = &ops,
				   .offered = 1ULL << 3 | 1ULL << 40,
				   .config = config,
				   .config_len = sizeof(config),
				   .n_queues = 2 };
	dev.q[0].max = 16;
	dev.q[1].max = 8;
	if (mem_init(&mem, DRIVER_RAM, NULL) < 0 || loop_init(&loop, "test", NULL) < 0 ||
	    virtio_mmio_init(&mmio, &dev, LAYOUT_VIRTIO, &mem, &loop, NULL) < 0)
		return -1;
	return bus_add(&bus, &mmio.bus);
}

static int teardown(void **state)
{
	(void)state;
	if (loop_stop(&loop, &soon) < 0)
		return -1;
	virtio_mmio_free(&mmio);
	virtio_mmio_free(&mmio);
	mem_free(&mem);
	return freed == 1 ? 0 : -1;
}

static void features(uint64_t v)
{
	wr(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	wr(VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)v);
	wr(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	wr(VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(v >> 32));
}

static void negotiate(void)
{
	wr(VIRTIO_MMIO_STATUS, ACK);
	wr(VIRTIO_MMIO_STATUS, ACK | DRIVER);
	features(1ULL << 32 | 1ULL << 3);
	wr(VIRTIO_MMIO_STATUS, ACK | DRIVER | FEATURES);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), ACK | DRIVER | FEATURES);
}

static void queue(uint32_t n, uint32_t size)
{
	struct virtq tmp = {};

	driver_init(&drv, &mem, &tmp, n, (uint16_t)(size ? size : 1));
	drv.q = &dev.q[n];
	wr(VIRTIO_MMIO_QUEUE_SEL, n);
	wr(VIRTIO_MMIO_QUEUE_NUM, size);
	wr(VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)tmp.desc);
	wr(VIRTIO_MMIO_QUEUE_DESC_HIGH, 0);
	wr(VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)tmp.avail);
	wr(VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 0);
	wr(VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)tmp.used);
	wr(VIRTIO_MMIO_QUEUE_USED_HIGH, 0);
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
}

static void ready(void)
{
	negotiate();
	queue(0, 16);
	queue(1, 8);
	wr(VIRTIO_MMIO_STATUS, ACK | DRIVER | FEATURES | OK);
}

static bool irq_rang(void)
{
	uint64_t n;

	return read(mmio.irq, &n, sizeof(n)) == sizeof(n);
}

static void test_identity(void **state)
{
	uint64_t wide;
	uint16_t two;
	uint8_t one;

	(void)state;
	assert_int_equal(rd(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(rd(VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(rd(VIRTIO_MMIO_DEVICE_ID), 99);
	assert_int_equal(rd(VIRTIO_MMIO_DEVICE_FEATURES), 1U << 3 | 1U << 28 | 1U << 29);
	wr(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(rd(VIRTIO_MMIO_DEVICE_FEATURES), 1 | 1 << 8);
	wr(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(rd(VIRTIO_MMIO_DEVICE_FEATURES), 0);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_NUM_MAX), 16);
	wr(VIRTIO_MMIO_QUEUE_SEL, 1);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_NUM_MAX), 8);
	wr(VIRTIO_MMIO_QUEUE_SEL, 2);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	wr(VIRTIO_MMIO_QUEUE_SEL, 0xffffffff);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
	/* No shared memory. */
	assert_int_equal(rd(0xb0), 0xffffffff);
	assert_int_equal(rd(0xb4), 0xffffffff);
	/* Only whole registers. */
	bus_read(&bus, LAYOUT_VIRTIO, &one, 1);
	assert_int_equal(one, 0xff);
	bus_read(&bus, LAYOUT_VIRTIO + 2, &two, 2);
	assert_int_equal(two, 0xffff);
	bus_read(&bus, LAYOUT_VIRTIO, &wide, 8);
	assert_int_equal(wide, UINT64_MAX);
	/* Behind the device. */
	bus_read(&bus, LAYOUT_VIRTIO + LAYOUT_VIRTIO_SIZE - 2, &wide, 4);
	assert_int_equal((uint32_t)wide, 0xffffffff);
}

static void test_config(void **state)
{
	uint64_t v = 0;
	uint32_t w = 0xaabbccdd;

	(void)state;
	bus_read(&bus, LAYOUT_VIRTIO + 0x100, &v, 8);
	assert_int_equal(v, 0x060504030201);
	bus_read(&bus, LAYOUT_VIRTIO + 0x104, &w, 4);
	assert_int_equal(w, 0x0605);
	bus_read(&bus, LAYOUT_VIRTIO + 0x1fc, &w, 4);
	assert_int_equal(w, 0);
	w = 0x11223344;
	bus_write(&bus, LAYOUT_VIRTIO + 0x102, &w, 4);
	assert_int_equal(config_written, 0x11223344);
	w = 5;
	bus_write(&bus, LAYOUT_VIRTIO + 0x103, &w, 4);
	bus_write(&bus, LAYOUT_VIRTIO + 0x106, &w, 1);
	bus_write(&bus, LAYOUT_VIRTIO + 0x1fc, &w, 4);
	assert_int_equal(config_written, 0x11223344);
}

static void test_order(void **state)
{
	static const uint32_t no[] = { DRIVER, ACK | DRIVER, ACK | OK, ACK | DRIVER | FEATURES | OK,
				       0x20 };

	(void)state;
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		wr(VIRTIO_MMIO_STATUS, no[i]);
		assert_int_equal(rd(VIRTIO_MMIO_STATUS), 0);
	}
	negotiate();
	wr(VIRTIO_MMIO_STATUS, ACK);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), ACK | DRIVER | FEATURES);
	wr(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(resets, 1);
	wr(VIRTIO_MMIO_STATUS, FAILED);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), FAILED);
	wr(VIRTIO_MMIO_STATUS, FAILED | ACK);
	wr(VIRTIO_MMIO_STATUS, ACK);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), FAILED);
	wr(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), 0);
}

static void try_features(uint64_t v, bool fit)
{
	wr(VIRTIO_MMIO_STATUS, 0);
	wr(VIRTIO_MMIO_STATUS, ACK);
	features(1ULL << 32); /* too early */
	wr(VIRTIO_MMIO_STATUS, ACK | DRIVER);
	features(v);
	wr(VIRTIO_MMIO_STATUS, ACK | DRIVER | FEATURES);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), ACK | DRIVER | (fit ? FEATURES : 0));
}

static void test_features(void **state)
{
	(void)state;
	try_features(0, false);
	try_features(1ULL << 3, false);              /* not version 1 */
	try_features(1ULL << 32 | 1ULL << 4, false); /* not offered */
	try_features(1ULL << 32 | 1ULL << 63, false);
	try_features(1ULL << 32, true);
	try_features(1ULL << 32 | 1ULL << 40 | 1ULL << 29, true);
	/* Not after FEATURES_OK any more. */
	features(0);
	assert_int_equal(mmio.driver_features, 1ULL << 32 | 1ULL << 40 | 1ULL << 29);
}

/* The registers of queues do nothing outside their window (and then not while one is ready). */
static void test_queue_window(void **state)
{
	(void)state;
	queue(0, 16);
	assert_int_equal(dev.q[0].size, 0);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_READY), 0);
	negotiate();
	queue(0, 16);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_READY), 1);
	wr(VIRTIO_MMIO_QUEUE_NUM, 4);
	wr(VIRTIO_MMIO_QUEUE_DESC_LOW, 0);
	assert_int_equal(dev.q[0].size, 16);
	assert_int_equal(dev.q[0].desc, DRIVER_RINGS);
	wr(VIRTIO_MMIO_STATUS, ACK | DRIVER | FEATURES | OK);
	assert_int_equal(activations, 1);
	wr(VIRTIO_MMIO_QUEUE_READY, 0);
	wr(VIRTIO_MMIO_QUEUE_NUM, 4);
	wr(VIRTIO_MMIO_QUEUE_DESC_HIGH, 1);
	assert_int_equal(dev.q[0].size, 16);
	assert_int_equal(dev.q[0].desc, DRIVER_RINGS);
	assert_true(dev.q[0].ready);
	wr(VIRTIO_MMIO_STATUS, ACK | DRIVER | FEATURES | OK);
	assert_int_equal(activations, 1);
	wr(VIRTIO_MMIO_STATUS, 0);
	assert_false(dev.q[0].ready);
	assert_int_equal(dev.q[0].max, 16);
}

static void test_bad_queue(void **state)
{
	static const uint32_t sizes[] = { 0, 3, 32, 0x10010, 0xffffffff };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		wr(VIRTIO_MMIO_STATUS, 0);
		negotiate();
		queue(0, sizes[i]);
		wr(VIRTIO_MMIO_STATUS, ACK | DRIVER | FEATURES | OK);
		assert_int_equal(rd(VIRTIO_MMIO_STATUS),
				 ACK | DRIVER | FEATURES | OK | NEEDS_RESET);
		assert_int_equal(rd(VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
		assert_true(irq_rang());
		assert_false(dev.active);
	}
	assert_int_equal(activations, 0);
}

static void test_activation_fails(void **state)
{
	(void)state;
	activate_result = -5;
	ready();
	assert_true(rd(VIRTIO_MMIO_STATUS) & NEEDS_RESET);
	assert_false(dev.active);
	activate_result = 0;
	wr(VIRTIO_MMIO_STATUS, 0);
	ready();
	assert_true(dev.active);
	assert_int_equal(dev.features, 1ULL << 32 | 1ULL << 3);
}

static void wait_kicks(int q, int n)
{
	for (int i = 0; i < 2000 && __atomic_load_n(&kicks[q], __ATOMIC_SEQ_CST) < n; i++)
		poll(NULL, 0, 1);
	assert_int_equal(__atomic_load_n(&kicks[q], __ATOMIC_SEQ_CST), n);
}

/* A notification that came before DRIVER_OK is not lost, and none reaches a device after reset. */
static void test_kicks(void **state)
{
	(void)state;
	assert_int_equal(loop_start(&loop, NULL), 0);
	wr(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	wr(VIRTIO_MMIO_QUEUE_NOTIFY, 77);
	wr(VIRTIO_MMIO_QUEUE_NOTIFY, 0xffffffff);
	poll(NULL, 0, 20);
	assert_int_equal(kicks[0], 0);
	ready();
	wait_kicks(0, 1);
	wait_kicks(1, 1);
	wr(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
	wait_kicks(1, 2);
	wr(VIRTIO_MMIO_STATUS, 0);
	wr(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
	poll(NULL, 0, 20);
	assert_int_equal(kicks[1], 2);
}

static void test_interrupts(void **state)
{
	(void)state;
	ready();
	dev.transport->interrupt(&dev, VIRTIO_INT_RING);
	assert_true(irq_rang());
	/* Not acknowledged: one is on its way. */
	dev.transport->interrupt(&dev, VIRTIO_INT_RING);
	assert_false(irq_rang());
	assert_int_equal(rd(VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	virtio_dev_config_changed(&dev);
	assert_true(irq_rang());
	assert_int_equal(rd(VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	assert_int_equal(rd(VIRTIO_MMIO_CONFIG_GENERATION), 1);
	wr(VIRTIO_MMIO_INTERRUPT_ACK, 1);
	assert_int_equal(rd(VIRTIO_MMIO_INTERRUPT_STATUS), 2);
	dev.transport->interrupt(&dev, VIRTIO_INT_RING);
	assert_true(irq_rang());
	virtio_dev_fail(&dev);
	assert_true(rd(VIRTIO_MMIO_STATUS) & NEEDS_RESET);
	assert_false(dev.active);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_identity),         T(test_config),       T(test_order),
		T(test_features),         T(test_queue_window), T(test_bad_queue),
		T(test_activation_fails), T(test_kicks),        T(test_interrupts),
	};

	return cmocka_run_group_tests_name("virtio_mmio", tests, NULL, NULL);
}
