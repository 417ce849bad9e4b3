/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: what a QEMU in the guest's hands says to a device behind vhost-user. Each message is
 * seven bytes (request, flags, which descriptor comes with it, the length in two, what to put into
 * guest memory before it in two) and its payload.
 */
#include "microvm/vhost_user.h"
#include "tests/unit/microvm/vhost_send.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

enum { RAM = 256 << 10, HEAD = 7 };

static struct {
	struct virtio_dev dev; /* first */
	struct virtq_chain c;
} echo;

static void check(bool ok)
{
	if (!ok)
		__builtin_trap();
}

/* Reads and writes every byte of every request. */
static void kick(struct virtio_dev *d, unsigned int qi)
{
	int n = 0, r;

	while (n++ < VIRTIO_BUDGET && (r = virtq_pop(&d->q[qi], &echo.c)) > 0) {
		char buf[256];
		size_t len = iov_copy_out(echo.c.iov, echo.c.n_out, 0, buf, sizeof(buf));

		len = iov_copy_in(echo.c.iov + echo.c.n_out, echo.c.n_in, 0, buf, len);
		virtq_push(&d->q[qi], echo.c.head, (uint32_t)len);
	}
	if (r < 0)
		virtio_dev_fail(d);
	virtio_dev_notify(d, qi);
}

static const struct virtio_ops ops = { .name = "echo", .kick = kick };

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static int memfd = -1;
	static unsigned char *ram;
	struct err e = {};
	int sv[2], event;

	if (memfd < 0) {
		memfd = memfd_create("guest", MFD_CLOEXEC);
		check(ftruncate(memfd, RAM) == 0);
		ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
		check(ram != MAP_FAILED);
	}
	memset(ram, 0, RAM);
	echo.dev = (struct virtio_dev){ .ops = &ops, .n_queues = 2 };
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
	event = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	while (size >= HEAD) {
		const unsigned char *h = data;
		size_t len = h[3] | (size_t)(h[4] & 3) << 8;

		data += HEAD;
		size -= HEAD;
		if (len > size)
			len = size;
		/* the rings and descriptors that the guest has made */
		memcpy(ram + (h[5] << 8), data, len);
		vhost_send(sv[0], (const uint32_t[3]){ h[0] % 24, h[1], (uint32_t)len }, data, len,
			   h[2] & 1   ? memfd
			   : h[2] & 2 ? event
				      : -1,
			   MSG_DONTWAIT);
		data += len;
		size -= len;
	}
	shutdown(sv[0], SHUT_WR);
	if (vhost_user_serve(&echo.dev, sv[1], &e) < 0)
		check(e.code != 0 && e.msg[0]);
	for (unsigned int i = 0; i < 2; i++)
		check(!echo.dev.q[i].running);
	close(event);
	close(sv[0]);
	close(sv[1]);
	return 0;
}
