/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "driver.h"

#include "microvm/virtio_console.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_console.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RX0, TX0, CTL_RX, CTL_TX, RX1, TX1 };
enum { SIZE = 16, BUF = 4096 };

static struct mem mem;
static struct loop loop;
static struct virtio_dev *dev;
static struct driver drv[VIRTIO_MAX_QUEUES];
static struct test_transport transport;
static int console[2], sock[2];

static int setup(void **state)
{
	(void)state;
	if (mem_init(&mem, DRIVER_RAM, NULL) < 0 || loop_init(&loop, "test", NULL) < 0 ||
	    pipe2(console, O_CLOEXEC | O_NONBLOCK) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sock) < 0 ||
	    virtio_console_new(console[1], sock[1], "a.port", &dev, NULL) < 0)
		return -1;
	return driver_attach(dev, &mem, &loop, dev->offered, drv, SIZE, &transport);
}

static int teardown(void **state)
{
	const struct timespec soon = { .tv_sec = 1LL << 40 };

	(void)state;
	if (loop_stop(&loop, &soon) < 0)
		return -1;
	dev->ops->reset(dev);
	dev->ops->free(dev);
	close(console[0]);
	if (sock[0] >= 0)
		close(sock[0]);
	mem_free(&mem);
	return 0;
}

/* Buffer i of queue q in guest memory. */
static uint64_t at(unsigned int q, unsigned int i)
{
	return DRIVER_DATA + q * 0x20000ULL + i * (uint64_t)BUF;
}

static void give(unsigned int q, uint32_t len)
{
	const uint64_t addr = at(q, drv[q].next_desc);
	const bool in = true;

	driver_add(&drv[q], &addr, &len, &in, 1);
}

static void tx(unsigned int q, const void *buf, uint32_t len)
{
	const uint64_t addr = at(q, drv[q].next_desc);
	const bool in = false;

	memcpy(mem_at(&mem, addr, len), buf, len);
	driver_add(&drv[q], &addr, &len, &in, 1);
	dev->ops->kick(dev, q);
}

static void control(uint32_t id, uint16_t event, uint16_t value)
{
	const struct virtio_console_control m = { .id = id, .event = event, .value = value };
	uint32_t head = 0, len = 0;

	tx(CTL_TX, &m, sizeof(m));
	assert_true(driver_get(&drv[CTL_TX], &head, &len));
}

static void expect(uint32_t id, uint16_t event, const char *name)
{
	struct virtio_console_control m;
	uint32_t head = 0, len = 0;
	uint8_t *p;

	assert_true(driver_get(&drv[CTL_RX], &head, &len));
	p = mem_at(&mem, at(CTL_RX, head), BUF);
	memcpy(&m, p, sizeof(m));
	assert_int_equal(m.id, id);
	assert_int_equal(m.event, event);
	assert_int_equal(m.value, 1);
	assert_int_equal(len, sizeof(m) + (name ? strlen(name) : 0));
	if (name)
		assert_memory_equal(p + sizeof(m), name, strlen(name));
}

static void expect_none(void)
{
	uint32_t head = 0, len = 0;

	assert_false(driver_get(&drv[CTL_RX], &head, &len));
}

static void open_port(void)
{
	for (int i = 0; i < 8; i++)
		give(CTL_RX, BUF);
	control(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	expect(0, VIRTIO_CONSOLE_PORT_ADD, NULL);
	expect(1, VIRTIO_CONSOLE_PORT_ADD, NULL);
	control(0, VIRTIO_CONSOLE_PORT_READY, 1);
	expect(0, VIRTIO_CONSOLE_CONSOLE_PORT, NULL);
	expect(0, VIRTIO_CONSOLE_PORT_OPEN, NULL);
	control(1, VIRTIO_CONSOLE_PORT_READY, 1);
	expect(1, VIRTIO_CONSOLE_PORT_NAME, "a.port");
	expect(1, VIRTIO_CONSOLE_PORT_OPEN, NULL);
	control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	expect_none();
}

static void test_handshake(void **state)
{
	(void)state;
	open_port();
}

/* Without buffers the device owes; however often it is asked, it owes each thing once. */
static void test_owing(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
		control(0, VIRTIO_CONSOLE_PORT_READY, 1);
		control(2, VIRTIO_CONSOLE_PORT_READY, 1);
		control(0xffffffff, VIRTIO_CONSOLE_PORT_OPEN, 1);
		control(0, 999, 1);
	}
	expect_none();
	for (int i = 0; i < 6; i++)
		give(CTL_RX, BUF);
	dev->ops->kick(dev, CTL_RX);
	expect(0, VIRTIO_CONSOLE_PORT_ADD, NULL);
	expect(0, VIRTIO_CONSOLE_CONSOLE_PORT, NULL);
	expect(0, VIRTIO_CONSOLE_PORT_OPEN, NULL);
	expect(1, VIRTIO_CONSOLE_PORT_ADD, NULL);
	expect_none();
	assert_int_equal(transport.broken, 0);
}

static void test_short_control(void **state)
{
	uint32_t head = 0, len = 0;

	(void)state;
	tx(CTL_TX, "abc", 3);
	assert_true(driver_get(&drv[CTL_TX], &head, &len));
	expect_none();
}

static void test_console(void **state)
{
	uint32_t head = 0, len = 0;
	char buf[64] = "";

	(void)state;
	tx(TX0, "panic\n", 6);
	assert_true(driver_get(&drv[TX0], &head, &len));
	assert_int_equal(read(console[0], buf, sizeof(buf)), 6);
	assert_string_equal(buf, "panic\n");
	assert_int_equal(transport.rings, 1);
}

/* Nobody reads: the guest goes on. */
static void test_console_flood(void **state)
{
	static char big[BUF];
	uint32_t head = 0, len = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		tx(TX0, big, sizeof(big));
		assert_true(driver_get(&drv[TX0], &head, &len));
	}
	assert_int_equal(transport.broken, 0);
}

static void test_stream_out(void **state)
{
	uint32_t head = 0, len = 0;
	char buf[64] = "";

	(void)state;
	open_port();
	tx(TX1, "hello", 5);
	assert_true(driver_get(&drv[TX1], &head, &len));
	assert_int_equal(read(sock[0], buf, sizeof(buf)), 5);
	assert_string_equal(buf, "hello");
}

static bool until(unsigned int q)
{
	uint32_t head = 0, len = 0;

	for (int i = 0; i < 2000; i++) {
		bool got;

		pthread_mutex_lock(&dev->lock);
		got = driver_get(&drv[q], &head, &len);
		pthread_mutex_unlock(&dev->lock);
		if (got)
			return true;
		poll(NULL, 0, 1);
	}
	return false;
}

/* A reader that is slow makes the guest wait; not a byte is lost or comes twice. */
static void test_stream_out_waits(void **state)
{
	static uint8_t data[BUF], back[BUF];
	uint32_t sent = 0, seen = 0, answered = 0;
	int size = 4096;

	(void)state;
	setsockopt(sock[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	open_port();
	assert_int_equal(loop_start(&loop, NULL), 0);
	while (seen < 200 * BUF) {
		ssize_t n;

		while (sent < 200 && sent - answered < SIZE) {
			for (uint32_t i = 0; i < BUF; i++)
				data[i] = (uint8_t)((sent * BUF + i) * 7 / 5);
			pthread_mutex_lock(&dev->lock);
			tx(TX1, data, BUF);
			pthread_mutex_unlock(&dev->lock);
			sent++;
		}
		n = read(sock[0], back, sizeof(back));
		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			poll(&(struct pollfd){ .fd = sock[0], .events = POLLIN }, 1, 2000);
			continue;
		}
		for (ssize_t i = 0; i < n; i++, seen++)
			assert_int_equal(back[i], (uint8_t)(seen * 7 / 5));
		pthread_mutex_lock(&dev->lock);
		for (uint32_t h, l; driver_get(&drv[TX1], &h, &l);)
			answered++;
		pthread_mutex_unlock(&dev->lock);
	}
	while (answered < 200) {
		assert_true(until(TX1));
		answered++;
	}
	assert_int_equal(transport.broken, 0);
}

/* What the host sends waits until the guest has opened the port and given buffers. */
static void test_stream_in(void **state)
{
	uint32_t head = 0, len = 0;

	(void)state;
	assert_int_equal(write(sock[0], "early", 5), 5);
	give(RX1, BUF);
	dev->ops->kick(dev, RX1);
	assert_false(driver_get(&drv[RX1], &head, &len));
	open_port();
	assert_true(driver_get(&drv[RX1], &head, &len));
	assert_int_equal(len, 5);
	assert_memory_equal(mem_at(&mem, at(RX1, 0), 5), "early", 5);
	/* No buffer now: it stays in the socket. */
	assert_int_equal(write(sock[0], "later", 5), 5);
	assert_int_equal(loop_start(&loop, NULL), 0);
	poll(NULL, 0, 20);
	pthread_mutex_lock(&dev->lock);
	give(RX1, 3);
	give(RX1, BUF);
	dev->ops->kick(dev, RX1);
	pthread_mutex_unlock(&dev->lock);
	assert_true(until(RX1));
	assert_true(until(RX1));
	assert_memory_equal(mem_at(&mem, at(RX1, 1), 3), "lat", 3);
	assert_memory_equal(mem_at(&mem, at(RX1, 2), 2), "er", 2);
	give(RX1, BUF);
	dev->ops->kick(dev, RX1);
	assert_int_equal(write(sock[0], "event", 5), 5);
	assert_true(until(RX1));
}

/* The host goes away: what the guest writes is dropped, and it is not stuck. */
static void test_hang_up(void **state)
{
	static char big[BUF];
	uint32_t head = 0, len = 0;

	(void)state;
	open_port();
	give(RX1, BUF);
	dev->ops->kick(dev, RX1);
	assert_int_equal(loop_start(&loop, NULL), 0);
	close(sock[0]);
	sock[0] = -1;
	for (int i = 0; i < 100; i++) {
		pthread_mutex_lock(&dev->lock);
		tx(TX1, big, sizeof(big));
		assert_true(driver_get(&drv[TX1], &head, &len));
		pthread_mutex_unlock(&dev->lock);
	}
	assert_int_equal(transport.broken, 0);
}

static void test_reset_in_the_middle(void **state)
{
	(void)state;
	open_port();
	tx(TX1, "x", 1);
	dev->active = false;
	dev->ops->reset(dev);
	assert_int_equal(write(sock[0], "kept", 4), 4);
	assert_int_equal(driver_attach(dev, &mem, &loop, dev->offered, drv, SIZE, &transport), 0);
	give(RX1, BUF);
	dev->ops->kick(dev, RX1);
	assert_int_equal(dev->q[RX1].next_used, 0);
	open_port();
	assert_memory_equal(mem_at(&mem, at(RX1, 0), 4), "kept", 4);
}

static void test_broken_queues(void **state)
{
	(void)state;
	for (unsigned int q = CTL_RX; q <= TX1; q++) {
		assert_int_equal(driver_attach(dev, &mem, &loop, 0, drv, SIZE, &transport), 0);
		open_port();
		driver_expose(&drv[q], 500);
		dev->ops->kick(dev, q);
		if (q == CTL_RX)
			control(1, VIRTIO_CONSOLE_PORT_READY, 1);
		if (q == CTL_RX)
			for (int i = 0; i < 8; i++)
				control(1, VIRTIO_CONSOLE_PORT_READY, 1);
		assert_true(transport.broken > 0);
		dev->ops->reset(dev);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_handshake),        T(test_owing),
		T(test_short_control),    T(test_console),
		T(test_console_flood),    T(test_stream_out),
		T(test_stream_out_waits), T(test_stream_in),
		T(test_hang_up),          T(test_reset_in_the_middle),
		T(test_broken_queues),
	};

	return cmocka_run_group_tests_name("virtio_console", tests, NULL, NULL);
}
