/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: the guest's memory and what it writes to a device's registers, through the transport,
 * the queues and each device. Input: a byte for the device, a number of register writes (offset,
 * value), the memory from address 0 on. Every piece of a chain must lie in guest memory.
 */
#include "microvm/layout.h"
#include "microvm/virtio_blk.h"
#include "microvm/virtio_console.h"
#include "microvm/virtio_mmio.h"
#include "microvm/virtio_rng.h"

#include <fcntl.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

enum { RAM = 1 << 20, MAX_WRITES = 64, KICKS = 4 };

static struct mem mem;
static struct loop loop;
static int disk = -1;

static void check(bool ok)
{
	if (!ok)
		__builtin_trap();
}

static void once(void)
{
	if (mem.n)
		return;
	check(mem_init(&mem, RAM, NULL) == 0 && loop_init(&loop, "fuzz", NULL) == 0);
	disk = memfd_create("disk", MFD_CLOEXEC);
	check(disk >= 0 && ftruncate(disk, 64 << 10) == 0);
}

/* The queue alone: all that comes out of it is counted and looked at. */
static void queue(const unsigned char *data, size_t size)
{
	static struct virtq_chain c;
	struct virtq q = { .max = 256, .ready = true };

	if (size < 4)
		return;
	q.size = (uint16_t)(1U << (data[0] & 7));
	q.desc = 0;
	q.avail = 0x1000 + (data[1] & 0xfeU);
	q.used = 0x2000 + (data[2] & 0xfcU);
	memcpy(mem.r[0].host, data + 4, size - 4);
	if (virtq_start(&q, &mem, data[3] & 1) < 0)
		return;
	for (int i = 0; i < 300; i++) {
		size_t out = 0, in = 0;

		if (virtq_pop(&q, &c) <= 0)
			break;
		check(c.n_out + c.n_in > 0 && c.n_out + c.n_in <= VIRTQ_MAX_IOV);
		for (unsigned int j = 0; j < c.n_out + c.n_in; j++) {
			const uint8_t *p = c.iov[j].iov_base;

			check(c.iov[j].iov_len > 0 && p >= mem.r[0].host &&
			      c.iov[j].iov_len <= (size_t)(mem.r[0].host + RAM - p));
			*(j < c.n_out ? &out : &in) += c.iov[j].iov_len;
		}
		check(out == c.out_len && in == c.in_len);
		virtq_push(&q, c.head, 1);
		virtq_wants_irq(&q);
	}
}

static struct virtio_dev *device(unsigned int kind, int fds[2])
{
	struct virtio_dev *dev = NULL;
	int s[2];

	switch (kind) {
	case 1:
		check(virtio_rng_new(&dev, NULL) == 0);
		break;
	case 2:
		check(virtio_blk_new(disk, false, "disk", &dev, NULL) == 0);
		break;
	default:
		check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s) == 0);
		check(write(s[0], "some bytes for the guest", 24) == 24);
		fds[0] = s[0];
		check(virtio_console_new(open("/dev/null", O_WRONLY | O_CLOEXEC), s[1], "port",
					 &dev, NULL) == 0);
	}
	return dev;
}

/* A driver that gets as far as it can, with rings wherever the input says. */
static void drive(struct bus *bus, const unsigned char *w, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++, w += 5) {
		const uint64_t at = LAYOUT_VIRTIO + w[0] * 4ULL;
		uint32_t v;

		memcpy(&v, w + 1, sizeof(v));
		if (w[0] & 0x80)
			bus_read(bus, at & ~0x200ULL, &v, 4);
		else
			bus_write(bus, at, &v, 4);
	}
}

static void bring_up(struct bus *bus, const struct virtio_dev *dev)
{
	static const uint32_t steps[][2] = {
		{ VIRTIO_MMIO_STATUS, 0 },
		{ VIRTIO_MMIO_STATUS, 1 },
		{ VIRTIO_MMIO_STATUS, 3 },
		{ VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0 },
		{ VIRTIO_MMIO_DRIVER_FEATURES, 1U << 29 | 2 },
		{ VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1 },
		{ VIRTIO_MMIO_DRIVER_FEATURES, 1 },
		{ VIRTIO_MMIO_STATUS, 0xb },
	};
	uint32_t v = 0xf;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		bus_write(bus, LAYOUT_VIRTIO + steps[i][0], &steps[i][1], 4);
	for (uint32_t q = 0; q < dev->n_queues; q++) {
		const uint32_t at = q * 0x4000;
		const uint32_t regs[][2] = {
			{ VIRTIO_MMIO_QUEUE_SEL, q },
			{ VIRTIO_MMIO_QUEUE_NUM, dev->q[q].max },
			{ VIRTIO_MMIO_QUEUE_DESC_LOW, at },
			{ VIRTIO_MMIO_QUEUE_AVAIL_LOW, at + 0x1000 },
			{ VIRTIO_MMIO_QUEUE_USED_LOW, at + 0x2000 },
			{ VIRTIO_MMIO_QUEUE_READY, 1 },
		};

		for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++)
			bus_write(bus, LAYOUT_VIRTIO + regs[i][0], &regs[i][1], 4);
	}
	bus_write(bus, LAYOUT_VIRTIO + VIRTIO_MMIO_STATUS, &v, 4);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct virtio_mmio t;
	struct virtio_dev *dev;
	struct bus bus = {};
	int fds[2] = { -1, -1 };
	unsigned int kind, n;

	once();
	if (size < 2)
		return 0;
	memset(mem.r[0].host, 0, 0x20000);
	kind = data[0] & 3;
	n = data[1] & (MAX_WRITES - 1);
	if (size < 2 + n * 5ULL || size - 2 > RAM / 2)
		return 0;
	if (kind == 0) {
		queue(data + 2, size - 2);
		return 0;
	}
	dev = device(kind, fds);
	check(virtio_mmio_init(&t, dev, LAYOUT_VIRTIO, &mem, &loop, NULL) == 0);
	check(bus_add(&bus, &t.bus) == 0);
	memcpy(mem.r[0].host, data + 2 + n * 5, size - 2 - n * 5);
	if (data[0] & 4)
		bring_up(&bus, dev);
	drive(&bus, data + 2, n);
	for (unsigned int i = 0; i < KICKS * dev->n_queues; i++)
		if (dev->active)
			dev->ops->kick(dev, i % dev->n_queues);
	virtio_mmio_free(&t);
	if (fds[0] >= 0)
		close(fds[0]);
	return 0;
}
