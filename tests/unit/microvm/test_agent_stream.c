/* SPDX-License-Identifier: Apache-2.0 */
/* Sources and sinks at both ends of a link: credit, ends, readers that stand still or go. */
#include "microvm/agent_stream.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

struct rig {
	struct agent_link a, b; /* a has the source, b the sink */
	struct agent_source source;
	struct agent_sink sink;
	int in, out; /* the test's ends */
};

static void rig_open_fds(struct rig *r, int source, int sink)
{
	struct err e;
	int s[2];

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	assert_int_equal(agent_link_open(&r->a, s[0], 1000, &e), 0);
	assert_int_equal(agent_link_open(&r->b, s[1], 1000, &e), 0);
	agent_source_init(&r->source, source, 7, 1);
	agent_sink_init(&r->sink, sink, 7, 1);
}

static void rig_open(struct rig *r)
{
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
	r->in = in[1];
	r->out = out[0];
	fcntl(r->in, F_SETFL, O_NONBLOCK);
	fcntl(r->out, F_SETFL, O_NONBLOCK);
	rig_open_fds(r, in[0], out[1]);
}

static void rig_close(struct rig *r)
{
	agent_source_close(&r->source);
	agent_sink_close(&r->sink);
	agent_link_close(&r->a);
	agent_link_close(&r->b);
	cleanup_close(&r->in);
	cleanup_close(&r->out);
}

static void take(struct agent_link *l, struct rig *r)
{
	struct agent_frame f;

	while (agent_link_next(l, &f) > 0) {
		assert_int_equal(f.id, 7);
		assert_int_equal(f.arg, 1);
		if (f.type == AGENT_DATA)
			assert_int_equal(agent_sink_put(&r->sink, &r->b, f.data, f.len), 0);
		else if (f.type == AGENT_CREDIT)
			assert_int_equal(agent_source_credit(&r->source, agent_get_u32(f.data)), 0);
		else if (f.type == AGENT_CLOSE)
			assert_int_equal(agent_source_unread(&r->source, &r->a), 0);
		else
			fail_msg("type %u", f.type);
	}
}

/* Everything that can move moves. */
static void pump(struct rig *r)
{
	for (int i = 0; i < 50; i++) {
		assert_int_equal(agent_source_pump(&r->source, &r->a), 0);
		assert_int_equal(agent_link_flush(&r->a), 0);
		if (agent_link_fill(&r->b) > 0)
			take(&r->b, r);
		assert_int_equal(agent_sink_pump(&r->sink, &r->b), 0);
		assert_int_equal(agent_link_flush(&r->b), 0);
		if (agent_link_fill(&r->a) > 0)
			take(&r->a, r);
	}
}

static void all_bytes_and_the_end(void **state)
{
	enum { TOTAL = 3 << 20 };
	AUTO_FREE uint8_t *buf = malloc(TOTAL), *got = malloc(TOTAL + 1);
	struct rig r;
	size_t sent = 0, n = 0;
	ssize_t k = -1;

	(void)state;
	rig_open(&r);
	for (size_t i = 0; i < TOTAL; i++)
		buf[i] = (uint8_t)(i * 2654435761U >> 9);
	while (k != 0) {
		if (sent < TOTAL && (k = write(r.in, buf + sent, TOTAL - sent)) > 0)
			sent += (size_t)k;
		if (sent == TOTAL && r.in >= 0)
			close(TAKE_FD(r.in));
		pump(&r);
		while ((k = read(r.out, got + n, TOTAL + 1 - n)) > 0)
			n += (size_t)k;
		assert_true(r.sink.len + r.sink.owed <= AGENT_WINDOW);
	}
	assert_int_equal(n, TOTAL);
	assert_memory_equal(buf, got, TOTAL);
	rig_close(&r);
}

/* The source stops after a window, and no memory grows. */
static void a_reader_that_stands_still(void **state)
{
	char block[4096] = {};
	struct rig r;
	size_t sent = 0;
	int quiet = 0;

	(void)state;
	rig_open(&r);
	while (quiet < 3) {
		ssize_t k = write(r.in, block, sizeof(block));

		quiet = k > 0 ? 0 : quiet + 1;
		sent += k > 0 ? (size_t)k : 0;
		pump(&r);
	}
	assert_int_equal(agent_source_events(&r.source, &r.a), 0);
	assert_int_equal(r.source.credit + r.sink.len + r.sink.owed, AGENT_WINDOW);
	/* two pipes and a window */
	assert_true(sent <= 2 * 65536 + AGENT_WINDOW);
	rig_close(&r);
}

static void a_reader_that_goes(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	close(TAKE_FD(r.out));
	assert_int_equal(write(r.in, "text", 4), 4);
	pump(&r);
	assert_true(r.source.ended);
	assert_true(r.sink.ended && r.sink.eof);
	assert_int_equal(write(r.in, "text", 4), -1);
	assert_int_equal(errno, EPIPE);
	rig_close(&r);
}

static void without_descriptors(void **state)
{
	struct rig r = { .in = -1, .out = -1 };

	(void)state;
	rig_open_fds(&r, -1, -1);
	pump(&r);
	assert_true(r.source.ended && r.sink.ended);
	rig_close(&r);
}

static void files_and_sockets(void **state)
{
	char path[] = "/tmp/ctr-stream-XXXXXX";
	struct rig r = { .in = -1 };
	char got[8] = "";
	int s[2], fd = mkostemp(path, O_CLOEXEC);

	(void)state;
	unlink(path);
	assert_int_equal(write(fd, "content", 7), 7);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	r.out = s[1];
	rig_open_fds(&r, fd, s[0]);
	pump(&r);
	assert_int_equal(read(r.out, got, 8), 7);
	assert_string_equal(got, "content");
	assert_int_equal(read(r.out, got, 8), 0);
	rig_close(&r);
}

/* What comes before its descriptor does. */
static void a_pending_sink(void **state)
{
	struct rig r;
	char got[8] = "";
	int sink;

	(void)state;
	rig_open(&r);
	sink = TAKE_FD(r.sink.fd.fd);
	r.sink.pending = true;
	assert_int_equal(write(r.in, "early", 5), 5);
	close(TAKE_FD(r.in));
	pump(&r);
	assert_false(r.sink.ended);
	agent_sink_attach(&r.sink, sink);
	pump(&r);
	assert_int_equal(read(r.out, got, 8), 5);
	assert_string_equal(got, "early");
	assert_int_equal(read(r.out, got, 8), 0);
	rig_close(&r);
}

/* ---- a peer that does not keep to it ---- */

static void more_than_the_window(void **state)
{
	AUTO_FREE uint8_t *buf = calloc(1, AGENT_WINDOW + 1);
	struct rig r;

	(void)state;
	rig_open(&r);
	assert_int_equal(agent_source_credit(&r.source, 1), -EPROTO);
	r.source.credit = 10;
	assert_int_equal(agent_source_credit(&r.source, UINT32_MAX), -EPROTO);
	assert_int_equal(agent_source_credit(&r.source, AGENT_WINDOW - 10), 0);
	assert_int_equal(agent_sink_put(&r.sink, &r.b, buf, AGENT_WINDOW + 1), -EPROTO);
	assert_int_equal(agent_sink_put(&r.sink, &r.b, buf, AGENT_WINDOW), 0);
	/* A pipe took a part of it; nothing was given back yet for all of that. */
	assert_int_equal(agent_sink_put(&r.sink, &r.b, buf, AGENT_WINDOW), -EPROTO);
	rig_close(&r);
}

static void data_after_the_end(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	assert_int_equal(agent_sink_put(&r.sink, &r.b, NULL, 0), 0);
	assert_int_equal(agent_sink_put(&r.sink, &r.b, (const uint8_t *)"x", 1), -EPROTO);
	assert_int_equal(agent_sink_put(&r.sink, &r.b, NULL, 0), -EPROTO);
	rig_close(&r);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(all_bytes_and_the_end), cmocka_unit_test(a_reader_that_stands_still),
	cmocka_unit_test(a_reader_that_goes),    cmocka_unit_test(without_descriptors),
	cmocka_unit_test(files_and_sockets),     cmocka_unit_test(a_pending_sink),
	cmocka_unit_test(more_than_the_window),  cmocka_unit_test(data_after_the_end),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
