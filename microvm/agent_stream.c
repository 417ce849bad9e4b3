/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/agent_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

enum {
	READ_MAX = 32 << 10,
	/* Less than a pipe has room for when poll calls it writable. */
	SMALL_WRITE = 4096,
	/* Credit goes back in pieces that keep the other side busy and cost few frames. */
	CREDIT_PIECE = AGENT_WINDOW / 4,
	DEFAULT_VEOF = 4,
};

static bool nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && flags & O_NONBLOCK;
}

static bool may_block(const struct stat *st)
{
	return S_ISFIFO(st->st_mode) || S_ISCHR(st->st_mode);
}

int agent_fd_reopen(int fd, int access)
{
	char path[32];
	struct stat st;
	int again;

	if (fd < 0 || fstat(fd, &st) < 0 || !may_block(&st) || nonblocking(fd))
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (again < 0)
		return fd;
	close(fd);
	return again;
}

void agent_fd_nonblocking(int fd, int access)
{
	int again = agent_fd_reopen(fcntl(fd, F_DUPFD_CLOEXEC, 3), access);

	if (again >= 0)
		dup2(again, fd);
	if (again >= 0)
		close(again);
}

struct agent_fd agent_fd_open(int fd, int access)
{
	struct agent_fd f = { .fd = agent_fd_reopen(fd, access), .kind = AGENT_FD_PLAIN };
	struct stat st;

	if (f.fd < 0 || fstat(f.fd, &st) < 0)
		f.kind = AGENT_FD_NONE;
	else if (S_ISSOCK(st.st_mode))
		f.kind = AGENT_FD_SOCKET;
	else if (may_block(&st) && !nonblocking(f.fd))
		f.kind = AGENT_FD_BLOCKING;
	return f;
}

void agent_fd_close(struct agent_fd *f)
{
	if (f->fd >= 0)
		close(f->fd);
	*f = (struct agent_fd){ .fd = -1 };
}

static bool ready(const struct agent_fd *f, short events)
{
	struct pollfd p = { .fd = f->fd, .events = events };

	return f->kind != AGENT_FD_BLOCKING || poll(&p, 1, 0) > 0;
}

/* The count, 0 at the end, -EAGAIN, -errno. */
static ssize_t fd_read(const struct agent_fd *f, void *buf, size_t len)
{
	ssize_t n;

	if (!ready(f, POLLIN))
		return -EAGAIN;
	do
		n = f->kind == AGENT_FD_SOCKET ? recv(f->fd, buf, len, MSG_DONTWAIT)
					       : read(f->fd, buf, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static ssize_t fd_write(const struct agent_fd *f, const void *buf, size_t len)
{
	ssize_t n;

	if (!ready(f, POLLOUT))
		return -EAGAIN;
	if (f->kind == AGENT_FD_BLOCKING && len > SMALL_WRITE)
		len = SMALL_WRITE;
	do
		n = f->kind == AGENT_FD_SOCKET ? send(f->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL)
					       : write(f->fd, buf, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* ---- source ---- */

void agent_source_init(struct agent_source *s, int fd, uint32_t id, uint32_t arg)
{
	*s = (struct agent_source){
		.fd = agent_fd_open(fd, O_RDONLY),
		.id = id,
		.arg = arg,
		.credit = AGENT_WINDOW,
	};
}

void agent_source_close(struct agent_source *s)
{
	agent_fd_close(&s->fd);
	s->ended = true;
}

short agent_source_events(const struct agent_source *s, const struct agent_link *l)
{
	return !s->ended && s->fd.fd >= 0 && s->credit && agent_link_room(l) ? POLLIN : 0;
}

int agent_source_credit(struct agent_source *s, uint32_t bytes)
{
	if (bytes > AGENT_WINDOW - s->credit)
		return -EPROTO;
	s->credit += bytes;
	return 0;
}

static int source_end(struct agent_source *s, struct agent_link *l)
{
	struct agent_frame f = { .type = AGENT_DATA, .id = s->id, .arg = s->arg };

	agent_source_close(s);
	return agent_link_send(l, &f);
}

int agent_source_unread(struct agent_source *s, struct agent_link *l)
{
	return s->ended ? 0 : source_end(s, l);
}

int agent_source_pump(struct agent_source *s, struct agent_link *l)
{
	struct agent_frame f = { .type = AGENT_DATA, .id = s->id, .arg = s->arg };
	size_t max = s->credit < READ_MAX ? s->credit : READ_MAX;
	uint8_t *p;
	ssize_t n;

	if (s->ended)
		return 0;
	if (s->fd.fd < 0)
		return source_end(s, l);
	if (!agent_source_events(s, l))
		return 0;
	p = agent_link_reserve(l, max);
	if (!p)
		return -ENOMEM;
	n = fd_read(&s->fd, p, max);
	s->dry = n <= 0;
	if (n == -EAGAIN)
		return 0;
	if (n <= 0)
		return source_end(s, l);
	s->credit -= (uint32_t)n;
	f.len = (uint32_t)n;
	agent_link_commit(l, &f);
	return 0;
}

/* ---- sink ---- */

void agent_sink_init(struct agent_sink *s, int fd, uint32_t id, uint32_t arg)
{
	*s = (struct agent_sink){ .fd = agent_fd_open(fd, O_WRONLY), .id = id, .arg = arg };
}

void agent_sink_attach(struct agent_sink *s, int fd)
{
	s->fd = agent_fd_open(fd, O_WRONLY);
	s->pending = false;
}

void agent_sink_close(struct agent_sink *s)
{
	agent_fd_close(&s->fd);
	free(s->buf);
	s->buf = NULL;
	s->from = s->len = 0;
	s->ended = true;
}

short agent_sink_events(const struct agent_sink *s)
{
	return !s->ended && !s->pending && s->len ? POLLOUT : 0;
}

int agent_sink_unread(struct agent_sink *s, struct agent_link *l)
{
	struct agent_frame f = { .type = AGENT_CLOSE, .id = s->id, .arg = s->arg };

	agent_sink_close(s);
	if (s->told || s->eof)
		return 0;
	s->told = true;
	return agent_link_send(l, &f);
}

static int give_credit(struct agent_sink *s, struct agent_link *l)
{
	uint8_t bytes[4];
	struct agent_frame f = {
		.type = AGENT_CREDIT, .id = s->id, .arg = s->arg, .len = 4, .data = bytes
	};

	/* Small change waits: the other side has credit enough. */
	if (s->eof || s->ended || s->owed < CREDIT_PIECE)
		return 0;
	agent_put_u32(bytes, s->owed);
	s->owed = 0;
	return agent_link_send(l, &f);
}

/* The terminal's end-of-file character, behind whatever has been typed. */
static void put_veof(struct agent_sink *s)
{
	struct termios t;
	char eof[2] = { DEFAULT_VEOF, DEFAULT_VEOF };
	bool canonical = false;

	if (tcgetattr(s->fd.fd, &t) == 0) {
		canonical = t.c_lflag & ICANON;
		if (t.c_cc[VEOF] != _POSIX_VDISABLE)
			eof[0] = eof[1] = (char)t.c_cc[VEOF];
	}
	/* In the middle of a line the first one only ends the line without a newline. */
	fd_write(&s->fd, eof, canonical && s->mid_line ? 2 : 1);
}

static int sink_end(struct agent_sink *s)
{
	if (s->tty)
		put_veof(s);
	agent_sink_close(s);
	return 0;
}

int agent_sink_pump(struct agent_sink *s, struct agent_link *l)
{
	if (s->pending)
		return 0;
	while (!s->ended && s->len) {
		ssize_t n = fd_write(&s->fd, s->buf + s->from, s->len);

		if (n == -EAGAIN)
			break;
		if (n < 0)
			return agent_sink_unread(s, l);
		s->from += (size_t)n;
		s->len -= (size_t)n;
		s->owed += (uint32_t)n;
	}
	if (!s->ended && s->eof && s->len == 0)
		return sink_end(s);
	return give_credit(s, l);
}

static int keep(struct agent_sink *s, const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	if (!s->buf) {
		s->buf = malloc(AGENT_WINDOW);
		if (!s->buf)
			return -ENOMEM;
	}
	if (s->from + s->len + len > AGENT_WINDOW) {
		memmove(s->buf, s->buf + s->from, s->len);
		s->from = 0;
	}
	memcpy(s->buf + s->from + s->len, data, len);
	s->len += len;
	return 0;
}

int agent_sink_put(struct agent_sink *s, struct agent_link *l, const uint8_t *data, size_t len)
{
	int r;

	if (s->eof)
		return -EPROTO;
	if (s->ended) {
		s->eof = len == 0;
		return 0;
	}
	if (len > AGENT_WINDOW - s->len - s->owed)
		return -EPROTO;
	if (len == 0) {
		s->eof = true;
		return agent_sink_pump(s, l);
	}
	if (s->fd.fd < 0 && !s->pending)
		return agent_sink_unread(s, l);
	s->mid_line = data[len - 1] != '\n';
	while (!s->pending && s->len == 0 && len) {
		ssize_t n = fd_write(&s->fd, data, len);

		if (n == -EAGAIN)
			break;
		if (n < 0)
			return agent_sink_unread(s, l);
		data += n;
		len -= (size_t)n;
		s->owed += (uint32_t)n;
	}
	r = keep(s, data, len);
	return r < 0 ? r : give_credit(s, l);
}
