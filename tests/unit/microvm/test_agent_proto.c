/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and texts, as they should be and as nobody should send them. */
#include "microvm/agent_link.h"
#include "microvm/agent_proto.h"

#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

static void put(uint8_t *b, uint32_t len, uint16_t type, uint16_t flags, uint32_t id, uint32_t arg)
{
	agent_put_u32(b, len);
	agent_put_u32(b + 4, type | (uint32_t)flags << 16);
	agent_put_u32(b + 8, id);
	agent_put_u32(b + 12, arg);
}

static void frames_round_trip(void **state)
{
	uint8_t buf[AGENT_HEADER + 5] = {};
	struct agent_frame f = { .type = AGENT_DATA,
				 .flags = AGENT_TTY,
				 .id = 0x01020304,
				 .arg = 0xfffefdfc,
				 .len = 5,
				 .data = (const uint8_t *)"bytes" };
	struct agent_frame g;

	(void)state;
	agent_frame_header(buf, &f);
	memcpy(buf + AGENT_HEADER, "bytes", 5);
	for (size_t n = 0; n < sizeof(buf); n++)
		assert_int_equal(agent_frame_parse(buf, n, &g), 0);
	assert_int_equal(agent_frame_parse(buf, sizeof(buf), &g), sizeof(buf));
	assert_int_equal(g.type, f.type);
	assert_int_equal(g.flags, f.flags);
	assert_int_equal(g.id, f.id);
	assert_int_equal(g.arg, f.arg);
	assert_int_equal(g.len, 5);
	assert_memory_equal(g.data, "bytes", 5);
}

static void frames_that_are_none(void **state)
{
	static const struct {
		uint32_t len;
		uint16_t type, flags;
	} bad[] = {
		{ AGENT_FRAME_MAX + 1, AGENT_DATA, 0 },
		{ UINT32_MAX, AGENT_DATA, 0 },
		{ 0, 0, 0 },
		{ 0, AGENT_TYPES, 0 },
		{ 0, 0xffff, 0 },
		{ 0, AGENT_DATA, 8 },
		{ 0, AGENT_DATA, 0x8000 },
		{ 1, AGENT_DATA, AGENT_MORE }, /* no text */
		{ 0, AGENT_DONE,
		  AGENT_MORE }, /* a part of a text without bytes: could go on for ever */
	};
	uint8_t buf[AGENT_HEADER];
	struct agent_frame f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put(buf, bad[i].len, bad[i].type, bad[i].flags, 0, 0);
		assert_int_equal(agent_frame_parse(buf, sizeof(buf), &f), -EPROTO);
	}
}

static void errors_round_trip(void **state)
{
	uint8_t buf[8 + ERR_MSG_MAX];
	struct err e = {}, got;
	size_t n;

	(void)state;
	err_kind(&e, ERR_NOT_FOUND_PROGRAM, ENOENT, "exec: \"x\"");
	n = agent_err_put(buf, sizeof(buf), &e);
	agent_err_get(buf, n, &got);
	assert_int_equal(got.code, ENOENT);
	assert_int_equal(got.kind, ERR_NOT_FOUND_PROGRAM);
	assert_string_equal(got.msg, "exec: \"x\"");
}

static void errors_of_a_stranger(void **state)
{
	uint8_t buf[8 + 2 * ERR_MSG_MAX];
	struct err e;

	(void)state;
	/* no text, or not even a code */
	for (size_t n = 0; n <= 8; n++) {
		memset(buf, 0, sizeof(buf));
		assert_int_equal(agent_err_get(buf, n, &e), -EPROTO);
		assert_int_equal(e.code, EPROTO);
		assert_true(e.msg[0]);
	}
	/* a code and a kind that there are not, more text than fits, what a terminal acts on */
	memset(buf, 'x', sizeof(buf));
	memcpy(buf + 8, "\033[2J\r\n\0x\xc2\x9b", 10);
	agent_err_get(buf, sizeof(buf), &e);
	assert_int_equal(e.code, EPROTO);
	assert_int_equal(e.kind, ERR_PLAIN);
	assert_int_equal(strlen(e.msg), ERR_MSG_MAX - 1);
	assert_memory_equal(e.msg, "?[2J???x??x", 11);
	/* who wants the code only */
	assert_int_equal(agent_err_get(buf, sizeof(buf), NULL), -EPROTO);
}

/* ---- texts over a link ---- */

struct pair {
	struct agent_link a, b;
};

static void pair_open(struct pair *p, size_t text_max)
{
	struct err e;
	int s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	assert_int_equal(agent_link_open(&p->a, s[0], text_max, &e), 0);
	assert_int_equal(agent_link_open(&p->b, s[1], text_max, &e), 0);
	p->a.passes_fds = p->b.passes_fds = true;
}

static void pair_close(struct pair *p)
{
	agent_link_close(&p->a);
	agent_link_close(&p->b);
}

/* Moves bytes until b has a frame or there is nothing more: what agent_link_next says. */
static int pair_next(struct pair *p, struct agent_frame *f)
{
	int r;

	while ((r = agent_link_next(&p->b, f)) == 0) {
		assert_int_equal(agent_link_flush(&p->a), 0);
		if (agent_link_fill(&p->b) <= 0)
			return 0;
	}
	return r;
}

static void texts_round_trip(void **state)
{
	static const size_t len[] = {
		0, 1, AGENT_FRAME_MAX - 1, AGENT_FRAME_MAX, AGENT_FRAME_MAX + 1, 3 << 20
	};
	AUTO_FREE char *text = malloc(4 << 20);
	struct pair p;

	(void)state;
	pair_open(&p, 4 << 20);
	for (size_t i = 0; i < 4 << 20; i++)
		text[i] = (char)(i * 2654435761U >> 11);
	for (size_t i = 0; i < ARRAY_SIZE(len); i++) {
		struct agent_frame f = { .type = AGENT_CONFIG, .id = 3, .arg = 4 }, g;

		assert_int_equal(agent_link_send_text(&p.a, &f, text, len[i]), 0);
		f.type = AGENT_START;
		assert_int_equal(agent_link_send(&p.a, &f), 0);
		assert_int_equal(pair_next(&p, &g), 1);
		assert_int_equal(g.type, AGENT_CONFIG);
		assert_int_equal(g.len, len[i]);
		assert_int_equal(g.flags, 0);
		assert_memory_equal(g.data, text, len[i]);
		assert_int_equal(g.data[len[i]], 0);
		assert_int_equal(pair_next(&p, &g), 1);
		assert_int_equal(g.type, AGENT_START);
	}
	assert_int_equal(agent_link_send_text(&p.a, &(struct agent_frame){ .type = AGENT_CONFIG },
					      text, AGENT_TEXT_MAX + 1),
			 -EFBIG);
	pair_close(&p);
}

static void send_raw(struct pair *p, uint16_t type, uint16_t flags, uint32_t id)
{
	struct agent_frame f = {
		.type = type, .flags = flags, .id = id, .len = 4, .data = (const uint8_t *)"part"
	};

	assert_int_equal(agent_link_send(&p->a, &f), 0);
}

static void texts_that_are_none(void **state)
{
	static const struct {
		uint16_t type;
		uint32_t id;
	} second[] = { { AGENT_EXIT, 5 }, { AGENT_DONE, 6 }, { AGENT_CONFIG, 5 } };
	struct agent_frame f;
	struct pair p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(second); i++) {
		pair_open(&p, 1000);
		send_raw(&p, AGENT_DONE, AGENT_MORE, 5);
		send_raw(&p, second[i].type, 0, second[i].id);
		assert_int_equal(pair_next(&p, &f), -EPROTO);
		pair_close(&p);
	}
	/* One that does not end. */
	pair_open(&p, 1000);
	for (int i = 0; i < 300; i++)
		send_raw(&p, AGENT_DONE, AGENT_MORE, 5);
	assert_int_equal(pair_next(&p, &f), -EFBIG);
	pair_close(&p);
}

/* A peer that does not read costs no more than the bound. */
static void a_full_queue(void **state)
{
	AUTO_FREE char *text = calloc(1, AGENT_TEXT_MAX);
	struct agent_frame f = { .type = AGENT_CONFIG };
	struct pair p;
	int r, n = 0;

	(void)state;
	pair_open(&p, 1000);
	while ((r = agent_link_send_text(&p.a, &f, text, 1 << 20)) == 0)
		n++;
	assert_int_equal(r, -ENOBUFS);
	assert_in_range(n, 16, 21);
	assert_false(agent_link_room(&p.a));
	pair_close(&p);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(frames_round_trip), cmocka_unit_test(frames_that_are_none),
	cmocka_unit_test(errors_round_trip), cmocka_unit_test(errors_of_a_stranger),
	cmocka_unit_test(texts_round_trip),  cmocka_unit_test(texts_that_are_none),
	cmocka_unit_test(a_full_queue),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
