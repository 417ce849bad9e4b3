/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The back end of vhost-user, with this test as QEMU and as the guest's driver: messages over a
 * socket, a memory file that both map, a device that gives back what it was sent in capitals.
 */
#include "microvm/vhost_user.h"

#include "driver.h"
#include "vhost_send.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <linux/vhost_types.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { QUEUE = 1, SIZE = 8, UVA = 0x7000000 };

struct shout {
	struct virtio_dev dev; /* first */
	struct virtq_chain c;
	int resets;
};

static void kick(struct virtio_dev *d, unsigned int qi)
{
	struct shout *s = (struct shout *)d;
	struct virtq *q = &d->q[qi];
	int r;

	while ((r = virtq_pop(q, &s->c)) > 0) {
		char buf[64];
		size_t n = iov_copy_out(s->c.iov, s->c.n_out, 0, buf, sizeof(buf));

		for (size_t i = 0; i < n; i++)
			buf[i] = (char)toupper(buf[i]);
		n = iov_copy_in(s->c.iov + s->c.n_out, s->c.n_in, 0, buf, n);
		virtq_push(q, s->c.head, (uint32_t)n);
	}
	if (r < 0)
		virtio_dev_fail(d);
	virtio_dev_notify(d, qi);
}

static void reset(struct virtio_dev *d)
{
	((struct shout *)d)->resets++;
}

static const struct virtio_ops ops = { .name = "shout", .kick = kick, .reset = reset };

static struct {
	struct shout shout;
	pthread_t thread;
	int sock, result;
	struct err e;
	int memfd, kick, call;
	struct mem mem;
	struct virtq q;
	struct driver driver;
} t;

static void *serve(void *arg)
{
	const int sock = *(int *)arg;

	t.result = vhost_user_serve(&t.shout.dev, sock, &t.e);
	close(sock);
	return NULL;
}

static int back_end;

static int setup(void **state)
{
	int sv[2];

	(void)state;
	memset(&t, 0, sizeof(t));
	t.shout.dev.ops = &ops;
	t.shout.dev.n_queues = 2;
	t.memfd = memfd_create("guest", MFD_CLOEXEC);
	t.kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t.call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t.memfd < 0 || ftruncate(t.memfd, DRIVER_RAM) < 0 || t.kick < 0 || t.call < 0)
		return -1;
	t.mem.r[0] = (struct mem_region){
		.size = DRIVER_RAM,
		.host = mmap(NULL, DRIVER_RAM, PROT_READ | PROT_WRITE, MAP_SHARED, t.memfd, 0),
	};
	t.mem.n = 1;
	driver_init(&t.driver, &t.mem, &t.q, 0, SIZE);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -1;
	t.sock = sv[0];
	back_end = sv[1];
	return pthread_create(&t.thread, NULL, serve, &back_end) ? -1 : 0;
}

/* The end of the stream is the end of the device. */
static int end(void)
{
	if (t.sock >= 0) {
		close(t.sock);
		t.sock = -1;
		pthread_join(t.thread, NULL);
	}
	return t.result;
}

static int teardown(void **state)
{
	(void)state;
	end();
	mem_free(&t.mem);
	close(t.memfd);
	close(t.kick);
	close(t.call);
	return 0;
}

static void send_raw(uint32_t request, uint32_t flags, const void *p, uint32_t size, int fd)
{
	const uint32_t h[3] = { request, flags, size };

	/* a device that has ended does not listen */
	if (vhost_send(t.sock, h, p, size, fd, 0) < 0)
		assert_int_equal(errno, EPIPE);
}

static void send_u64(uint32_t request, uint64_t v, int fd)
{
	send_raw(request, 1, &v, sizeof(v), fd);
}

static void send_state(uint32_t request, uint32_t index, uint32_t num)
{
	const struct vhost_vring_state s = { index, num };

	send_raw(request, 1, &s, sizeof(s), -1);
}

static uint64_t answer(uint32_t request)
{
	struct {
		uint32_t request, flags, size;
		uint64_t v;
	} __attribute__((packed)) a;

	assert_int_equal(recv(t.sock, &a, sizeof(a), MSG_WAITALL), sizeof(a));
	assert_int_equal(a.request, request);
	assert_int_equal(a.flags, 5);
	assert_int_equal(a.size, 8);
	return a.v;
}

static void send_memory(uint64_t size, uint64_t offset)
{
	const struct {
		uint32_t n, padding;
		uint64_t gpa, size, uva, offset;
	} m = { .n = 1, .size = size, .uva = UVA, .offset = offset };

	send_raw(5, 1, &m, sizeof(m), t.memfd);
}

static void send_addr(uint64_t desc)
{
	const struct vhost_vring_addr a = { .index = QUEUE,
					    .desc_user_addr = desc,
					    .avail_user_addr = UVA + t.q.avail,
					    .used_user_addr = UVA + t.q.used };

	send_raw(9, 1, &a, sizeof(a), -1);
}

/* What QEMU says until the queue runs, in its order. */
static void begin(void)
{
	uint64_t features;

	send_raw(1, 1, NULL, 0, -1);
	features = answer(1);
	assert_true(features & 1ULL << 32 && features & 1ULL << 30);
	send_raw(15, 1, NULL, 0, -1);
	send_u64(16, answer(15), -1);
	send_raw(17, 1, NULL, 0, -1);
	assert_int_equal(answer(17), 2);
	send_raw(3, 1, NULL, 0, -1);
	send_u64(13, QUEUE, t.call);
	send_u64(2, 1ULL << 32 | 1ULL << 30, -1);
	send_memory(DRIVER_RAM, 0);
	send_state(8, QUEUE, SIZE);
	send_state(10, QUEUE, 0);
	send_addr(UVA + t.q.desc);
	send_u64(12, QUEUE, t.kick);
	send_state(18, QUEUE, 1);
}

static void ask(const char *text, const char *want)
{
	const uint64_t addr[] = { DRIVER_DATA, DRIVER_DATA + 0x1000 }, one = 1;
	const uint32_t len[] = { (uint32_t)strlen(text) + 1, 64 };
	const bool in[] = { false, true };
	struct pollfd p = { .fd = t.call, .events = POLLIN };
	uint64_t n;

	memcpy(mem_at(&t.mem, addr[0], 64), text, len[0]);
	driver_add(&t.driver, addr, len, in, 2);
	assert_int_equal(write(t.kick, &one, sizeof(one)), sizeof(one));
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(read(t.call, &n, sizeof(n)), sizeof(n));
	assert_string_equal(mem_at(&t.mem, addr[1], 64), want);
}

static void test_serves(void **state)
{
	(void)state;
	begin();
	ask("hello", "HELLO");
	ask("again", "AGAIN");
	/* Memory that comes anew while a queue runs: it goes on where it was. */
	send_memory(DRIVER_RAM, 0);
	ask("moved", "MOVED");
	for (int i = 0; i < 3 * SIZE; i++)
		ask("around", "AROUND");
	assert_int_equal(end(), 0);
	assert_int_equal(t.shout.resets, 1);
}

static void test_needs_reply(void **state)
{
	const uint64_t features = 1ULL << 32 | 1ULL << 30;

	(void)state;
	send_u64(16, 1 << 3, -1);
	send_raw(2, 1 | 8, &features, sizeof(features), -1);
	assert_int_equal(answer(2), 0);
	assert_int_equal(end(), 0);
}

/* A stopped queue tells where it is, and can begin again. */
static void test_stop(void **state)
{
	(void)state;
	begin();
	ask("one", "ONE");
	ask("two", "TWO");
	send_state(11, QUEUE, 0);
	assert_int_equal(answer(11), QUEUE | 2ULL << 32);
	driver_init(&t.driver, &t.mem, &t.q, 0, SIZE);
	send_addr(UVA + t.q.desc);
	send_u64(12, QUEUE, t.kick);
	ask("three", "THREE");
	assert_int_equal(end(), 0);
	assert_int_equal(t.shout.resets, 2);
}

static const char more[2000];

static void assert_broken(const char *text)
{
	/* it ends by itself: what is said after it is not read */
	pthread_join(t.thread, NULL);
	close(t.sock);
	t.sock = -1;
	assert_true(t.result < 0);
	if (!strstr(t.e.msg, text))
		fail_msg("\"%s\" is not in: %s", text, t.e.msg);
}

#define BROKEN(name, text, ...)        \
	static void name(void **state) \
	{                              \
		(void)state;           \
		__VA_ARGS__;           \
		assert_broken(text);   \
	}

BROKEN(test_unknown, "request 99 is not known", send_raw(99, 1, NULL, 0, -1))
BROKEN(test_version, "another version", send_raw(1, 2, NULL, 0, -1))
BROKEN(test_length, "length that it cannot have", send_raw(2, 1, "x", 1, -1))
BROKEN(test_long, "too long", send_raw(2, 1, more, sizeof(more), -1))
BROKEN(test_features, "not offered", send_u64(2, 1ULL << 60, -1))
BROKEN(test_beyond_file, "larger than its file", send_memory(DRIVER_RAM + 4096, 0))
BROKEN(test_beyond_file2, "larger than its file", send_memory(DRIVER_RAM, 4096))
BROKEN(test_no_size, "cannot be", send_memory(0, 0))
BROKEN(test_huge, "cannot be", send_memory(~0ULL, 0))
BROKEN(test_offset, "cannot be", send_memory(4096, 100))
BROKEN(test_queue_number, "size that it cannot have", send_state(8, 7, SIZE))
BROKEN(test_queue_size, "size that it cannot have", send_state(8, QUEUE, 4096))
BROKEN(test_base, "begin at its start", send_state(10, QUEUE, 3))
BROKEN(test_enable, "does not have", send_state(18, 2, 1))
BROKEN(test_no_kick, "without a kick", send_u64(12, QUEUE, -1))
BROKEN(test_outside, "outside of guest memory", begin(), send_state(11, QUEUE, 0), answer(11),
       send_addr(UVA - 16), send_u64(12, QUEUE, t.kick))
BROKEN(test_not_whole, "does not fit", begin(), send_state(11, QUEUE, 0), answer(11),
       send_addr(UVA + DRIVER_RAM - 16), send_u64(12, QUEUE, t.kick))

/* What the guest writes is not believed either. */
static void test_guest_breaks_rule(void **state)
{
	const uint64_t addr[] = { 1ULL << 40 }, one = 1;
	const uint32_t len[] = { 16 };
	const bool in[] = { true };

	(void)state;
	begin();
	driver_add(&t.driver, addr, len, in, 1);
	assert_int_equal(write(t.kick, &one, sizeof(one)), sizeof(one));
	assert_broken("rule of its queues");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_serves),       T(test_needs_reply),  T(test_stop),
		T(test_unknown),      T(test_version),      T(test_length),
		T(test_long),         T(test_features),     T(test_beyond_file),
		T(test_beyond_file2), T(test_no_size),      T(test_huge),
		T(test_offset),       T(test_queue_number), T(test_queue_size),
		T(test_base),         T(test_enable),       T(test_no_kick),
		T(test_outside),      T(test_not_whole),    T(test_guest_breaks_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
