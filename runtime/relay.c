/* SPDX-License-Identifier: Apache-2.0 */
/*
 * O_NONBLOCK belongs to the open file, and the user's terminal is open in their shell as well. So
 * terminals and pipes are opened once more through /proc/self/fd; what cannot be (sockets, the
 * terminal of another user) is asked with poll before each read and small write.
 */
#include "runtime/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <string.h>
#include <unistd.h>

#define SMALL_WRITE 512 /* what a descriptor that poll calls writable takes without blocking */
#define PUMP_ROUNDS 16  /* then the caller looks for signals */
#define DEFAULT_VEOF 4

static struct relay_end open_end(int fd, int flags)
{
	struct relay_end end = { .fd = fd };
	char path[32];
	struct stat st;
	int own;

	if (fstat(fd, &st) < 0) {
		end.finished = true;
		return end;
	}
	if (!S_ISCHR(st.st_mode) && !S_ISFIFO(st.st_mode))
		return end;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own >= 0) {
		end.fd = own;
		end.own = true;
	}
	return end;
}

static bool ready(const struct relay_end *end, short events)
{
	struct pollfd p = { .fd = end->fd, .events = events };

	return end->own || poll(&p, 1, 0) > 0;
}

static int watch(int epfd, int fd, uint32_t events, uint64_t tag)
{
	struct epoll_event ev = { .events = events | EPOLLET, .data.u64 = tag };

	/* EPERM: a regular file or the like, always ready. EEXIST: one descriptor is both ends. */
	if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) < 0 && errno != EPERM && errno != EEXIST)
		return -errno;
	return 0;
}

void relay_resize(struct relay *r)
{
	console_user_size(r->master);
}

void relay_continue(struct relay *r)
{
	console_raw_restore(&r->raw);
	if (r->user_tty)
		console_raw_enter(&r->raw, STDIN_FILENO, NULL);
	relay_resize(r);
}

int relay_start(struct relay *r, int master, int epfd, uint64_t tag, struct err *e)
{
	int flags, x;

	*r = (struct relay){ .master = master, .raw.fd = -1 };
	r->in = open_end(STDIN_FILENO, O_RDONLY);
	r->out = open_end(STDOUT_FILENO, O_WRONLY);
	flags = fcntl(master, F_GETFL);
	if (flags < 0 || fcntl(master, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(e, errno, "prepare the terminal's master");
	x = watch(epfd, master, EPOLLIN | EPOLLOUT, tag);
	if (x == 0 && !r->in.finished)
		x = watch(epfd, r->in.fd, EPOLLIN, tag);
	if (x == 0 && !r->out.finished)
		x = watch(epfd, r->out.fd, EPOLLOUT, tag);
	if (x < 0)
		return err_sys(e, -x, "watch the terminal");
	relay_resize(r);
	r->user_tty = isatty(STDIN_FILENO);
	return r->user_tty ? console_raw_enter(&r->raw, STDIN_FILENO, e) : 0;
}

static void close_end(struct relay_end *end)
{
	if (end->own)
		close(end->fd);
	*end = (struct relay_end){ .fd = -1, .finished = true };
}

void relay_stop(struct relay *r)
{
	console_raw_restore(&r->raw);
	close_end(&r->in);
	close_end(&r->out);
}

static bool empty(const struct relay_buf *b)
{
	return b->from == b->to;
}

static void filled(struct relay_buf *b, size_t n)
{
	b->from = 0;
	b->to = n;
}

/* Reads into the empty buffer. The count, 0 at the end of file, or -errno. */
static ssize_t fill(struct relay_buf *b, int fd)
{
	ssize_t n;

	do
		n = read(fd, b->bytes, sizeof(b->bytes));
	while (n < 0 && errno == EINTR);
	if (n > 0)
		filled(b, (size_t)n);
	return n < 0 ? -errno : n;
}

/* Writes at most max bytes of the buffer. The count or -errno. */
static ssize_t drain(struct relay_buf *b, int fd, size_t max)
{
	size_t len = b->to - b->from;
	ssize_t n;

	do
		n = write(fd, b->bytes + b->from, len < max ? len : max);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		b->from += (size_t)n;
	return n < 0 ? -errno : n;
}

static bool from_master(struct relay *r)
{
	ssize_t n;

	if (!empty(&r->to_user))
		return false;
	n = fill(&r->to_user, r->master);
	/* EIO: nobody has the other side open now; somebody may open it again. */
	r->master_dry = n <= 0;
	return n > 0;
}

static bool to_user(struct relay *r)
{
	ssize_t n;

	if (empty(&r->to_user))
		return false;
	if (r->out.finished) {
		/* Nobody reads; a payload that is blocked on its terminal would never end. */
		filled(&r->to_user, 0);
		return true;
	}
	if (!ready(&r->out, POLLOUT))
		return false;
	n = drain(&r->to_user, r->out.fd, r->out.own ? SIZE_MAX : SMALL_WRITE);
	if (n < 0 && n != -EAGAIN)
		r->out.finished = true;
	return n != -EAGAIN;
}

/* At the end of stdin: the terminal's end-of-file character, behind whatever has been typed. */
static void queue_eof(struct relay *r)
{
	struct termios t;
	char eof = DEFAULT_VEOF;
	bool canonical = r->remote;

	if (tcgetattr(r->master, &t) == 0) {
		canonical |= (t.c_lflag & ICANON) != 0;
		if (t.c_cc[VEOF] != _POSIX_VDISABLE)
			eof = (char)t.c_cc[VEOF];
	}
	/* In the middle of a line the first one only ends the line without a newline. */
	r->to_master.bytes[0] = r->to_master.bytes[1] = eof;
	filled(&r->to_master, canonical && r->mid_line ? 2 : 1);
	r->eof_sent = true;
}

static bool from_user(struct relay *r)
{
	ssize_t n;

	if (!empty(&r->to_master) || r->eof_sent)
		return false;
	if (!r->in.finished) {
		if (!ready(&r->in, POLLIN))
			return false;
		n = fill(&r->to_master, r->in.fd);
		/* A job in the background may not read; it gets the terminal back later. */
		if (n == -EAGAIN || (n == -EIO && console_in_background(r->in.fd)))
			return false;
		if (n > 0) {
			r->mid_line = r->to_master.bytes[n - 1] != '\n';
			return true;
		}
		r->in.finished = true;
	}
	queue_eof(r);
	return true;
}

static bool to_master(struct relay *r)
{
	ssize_t n;

	if (empty(&r->to_master))
		return false;
	n = drain(&r->to_master, r->master, SIZE_MAX);
	/* EIO: nobody has the other side open, so nobody can be given it. */
	if (n < 0 && n != -EAGAIN)
		filled(&r->to_master, 0);
	return n > 0;
}

bool relay_pump(struct relay *r, bool input)
{
	/* Some shells bring a job that was never stopped to the front without a word. */
	if (input && r->user_tty && r->raw.fd < 0)
		console_raw_enter(&r->raw, STDIN_FILENO, NULL);
	for (int i = 0; i < PUMP_ROUNDS; i++) {
		bool moved = from_master(r);

		moved |= to_user(r);
		if (input) {
			moved |= from_user(r);
			moved |= to_master(r);
		}
		if (!moved)
			return false;
	}
	return true;
}

bool relay_drained(const struct relay *r)
{
	return empty(&r->to_user) && r->master_dry;
}
