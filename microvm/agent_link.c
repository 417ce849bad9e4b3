/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/agent_link.h"

#include "base/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	IN_SIZE = 2 * (AGENT_HEADER + AGENT_FRAME_MAX),
	/* Streams fill the queue up to here: enough to keep the port busy. */
	OUT_SOFT = 192 << 10,
	/* Texts and small frames may go beyond. */
	OUT_HARD = AGENT_TEXT_MAX + (AGENT_TEXT_MAX >> 2),
};

int agent_link_open(struct agent_link *l, int fd, size_t text_max, struct err *e)
{
	int flags = fcntl(fd, F_GETFL);

	*l = (struct agent_link){ .fd = fd, .text_max = text_max };
	l->in = malloc(IN_SIZE);
	if (!l->in)
		return err_sys(e, ENOMEM, "agent connection");
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(e, errno, "agent connection");
	return 0;
}

static void drop_fds(struct agent_link *l)
{
	while (l->n_fds > 0)
		close(l->fds[--l->n_fds]);
}

void agent_link_close(struct agent_link *l)
{
	drop_fds(l);
	if (l->fd >= 0)
		close(l->fd);
	free(l->in);
	free(l->text);
	free(l->out);
	*l = (struct agent_link)AGENT_LINK_INIT;
}

uint8_t *agent_link_reserve(struct agent_link *l, size_t len)
{
	size_t have = l->out_to - l->out_from, need = have + AGENT_HEADER + len;

	if (l->out_from > 0 && l->out_to + AGENT_HEADER + len > l->out_cap) {
		memmove(l->out, l->out + l->out_from, have);
		l->out_from = 0;
		l->out_to = have;
	}
	if (need > l->out_cap) {
		size_t cap = l->out_cap ? l->out_cap : 4096;
		uint8_t *p;

		while (cap < need)
			cap *= 2;
		p = realloc(l->out, cap);
		if (!p)
			return NULL;
		l->out = p;
		l->out_cap = cap;
	}
	return l->out + l->out_to + AGENT_HEADER;
}

void agent_link_commit(struct agent_link *l, const struct agent_frame *f)
{
	agent_frame_header(l->out + l->out_to, f);
	l->out_to += AGENT_HEADER + f->len;
}

int agent_link_send(struct agent_link *l, const struct agent_frame *f)
{
	uint8_t *p;

	if (l->out_to - l->out_from + AGENT_HEADER + f->len > OUT_HARD)
		return -ENOBUFS;
	p = agent_link_reserve(l, f->len);
	if (!p)
		return -ENOMEM;
	if (f->len)
		memcpy(p, f->data, f->len);
	agent_link_commit(l, f);
	return 0;
}

int agent_link_send_text(struct agent_link *l, const struct agent_frame *f, const char *text,
			 size_t len)
{
	size_t from = l->out_to - l->out_from;
	int r;

	if (len > AGENT_TEXT_MAX)
		return -EFBIG;
	do {
		struct agent_frame part = *f;

		part.data = (const uint8_t *)text;
		part.len = len < AGENT_FRAME_MAX ? (uint32_t)len : AGENT_FRAME_MAX;
		len -= part.len;
		text += part.len;
		if (len)
			part.flags |= AGENT_MORE;
		r = agent_link_send(l, &part);
	} while (r == 0 && len);
	/* Half of a text would be worse than none. */
	if (r < 0)
		l->out_to = l->out_from + from;
	return r;
}

int agent_link_send_err(struct agent_link *l, uint32_t id, const struct err *e)
{
	uint8_t buf[8 + ERR_MSG_MAX];
	struct agent_frame f = { .type = AGENT_ERROR, .id = id, .data = buf };

	f.len = (uint32_t)agent_err_put(buf, sizeof(buf), e);
	return agent_link_send(l, &f);
}

bool agent_link_room(const struct agent_link *l)
{
	return l->out_to - l->out_from < OUT_SOFT;
}

bool agent_link_pending(const struct agent_link *l)
{
	return l->out_to > l->out_from;
}

int agent_link_flush(struct agent_link *l)
{
	while (l->out_to > l->out_from) {
		const uint8_t *p = l->out + l->out_from;
		size_t len = l->out_to - l->out_from;
		ssize_t n =
			l->passes_fds ? send(l->fd, p, len, MSG_NOSIGNAL) : write(l->fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		l->out_from += (size_t)n;
	}
	l->out_from = l->out_to = 0;
	/* A configuration went through: its room is not needed again. */
	if (l->out_cap > 4 * OUT_SOFT) {
		free(l->out);
		l->out = NULL;
		l->out_cap = 0;
	}
	return 0;
}

static void compact(struct agent_link *l)
{
	l->in_from += l->in_taken;
	l->in_taken = 0;
	memmove(l->in, l->in + l->in_from, l->in_to - l->in_from);
	l->in_to -= l->in_from;
	l->in_from = 0;
}

static ssize_t receive(struct agent_link *l, void *buf, size_t len)
{
	size_t n = AGENT_LINK_FDS - l->n_fds;
	ssize_t got;

	if (l->passes_fds) {
		got = fdpass_recv(l->fd, buf, len, l->fds + l->n_fds, &n);
		if (got > 0)
			l->n_fds += n;
		return got;
	}
	do
		got = read(l->fd, buf, len);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

int agent_link_fill(struct agent_link *l)
{
	ssize_t n;

	compact(l);
	if (l->in_to == IN_SIZE)
		return 1;
	n = receive(l, l->in + l->in_to, IN_SIZE - l->in_to);
	if (n == -EAGAIN)
		return 0;
	if (n <= 0)
		return n < 0 ? (int)n : -ECONNRESET;
	l->in_to += (size_t)n;
	return 1;
}

static int add_text(struct agent_link *l, const struct agent_frame *f)
{
	size_t need = l->text_len + f->len + 1;

	if (need - 1 > l->text_max)
		return -EFBIG;
	if (need > l->text_cap) {
		size_t cap = need < 4096 ? 4096 : 2 * need;
		char *p = realloc(l->text, cap);

		if (!p)
			return -ENOMEM;
		l->text = p;
		l->text_cap = cap;
	}
	if (f->len)
		memcpy(l->text + l->text_len, f->data, f->len);
	l->text_len += f->len;
	l->text[l->text_len] = '\0';
	return 0;
}

/* 1 when f is now the whole text. */
static int put_together(struct agent_link *l, struct agent_frame *f)
{
	int r;

	if (!l->text_open) {
		l->text_len = 0;
		l->text_head = *f;
	}
	r = add_text(l, f);
	if (r < 0)
		return r;
	l->text_open = f->flags & AGENT_MORE;
	if (l->text_open)
		return 0;
	*f = l->text_head;
	f->flags &= (uint16_t)~AGENT_MORE;
	f->data = (const uint8_t *)l->text;
	f->len = (uint32_t)l->text_len;
	return 1;
}

static bool continues(const struct agent_link *l, const struct agent_frame *f)
{
	return f->type == l->text_head.type && f->id == l->text_head.id &&
	       f->arg == l->text_head.arg;
}

/* A long text has been taken: its room is not needed again. */
static void forget_text(struct agent_link *l)
{
	if (l->text_open || l->text_cap <= OUT_SOFT)
		return;
	free(l->text);
	l->text = NULL;
	l->text_cap = 0;
}

int agent_link_next(struct agent_link *l, struct agent_frame *f)
{
	forget_text(l);
	for (;;) {
		int n;

		l->in_from += l->in_taken;
		l->in_taken = 0;
		n = agent_frame_parse(l->in + l->in_from, l->in_to - l->in_from, f);
		if (n <= 0)
			return n;
		l->in_taken = (size_t)n;
		if (l->text_open && !continues(l, f))
			return -EPROTO;
		if (!agent_type_text(f->type))
			return 1;
		n = put_together(l, f);
		if (n != 0)
			return n;
	}
}

size_t agent_link_take_fds(struct agent_link *l, int fds[AGENT_LINK_FDS])
{
	size_t n = l->n_fds;

	for (size_t i = 0; i < AGENT_LINK_FDS; i++)
		fds[i] = i < n ? l->fds[i] : -1;
	l->n_fds = 0;
	return n;
}
