/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: what a guest may send to the host's half of the agent, in the three phases of its
 * life. Nothing it says may do more than end the machine with one error.
 */
#include "base/cleanup.h"
#include "microvm/agent_host_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

enum { PHASES = 3, HEADER = 2 * (PHASES - 1), CHUNK_MAX = 64 << 10 };

static enum vm_end ended(struct vmm *v, const char **text)
{
	(void)v;
	*text = "for a reason";
	return VM_END_CRASH;
}

static const struct vmm_ops ops = { .name = "fuzz", .end = ended };

/* All of it, or the socket's fill: nobody reads meanwhile. */
static void feed(int fd, const unsigned char *data, size_t len)
{
	send(fd, data, len < CHUNK_MAX ? len : CHUNK_MAX, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* As after HELLO and the set-up by a good guest: the input alone seldom gets so far. */
static void feed_good(int fd)
{
	uint8_t b[2 * AGENT_HEADER + 8];

	agent_frame_header(b, &(struct agent_frame){ .type = AGENT_HELLO, .len = 8 });
	agent_put_u32(b + AGENT_HEADER, AGENT_VERSION);
	agent_put_u32(b + AGENT_HEADER + 4, 0);
	agent_frame_header(b + AGENT_HEADER + 8, &(struct agent_frame){ .type = AGENT_DONE });
	feed(fd, b, sizeof(b));
}

static void check(int r, const struct err *e)
{
	if (r < 0 && (!e->msg[0] || !e->code))
		abort();
	for (const char *s = e->msg; r < 0 && *s; s++)
		if (*s == '\033' || *s == '\n')
			abort();
}

/* An exec whose client has gone, and a command that waits for an answer. */
static void add_work(struct agent_host *h)
{
	int fds[3] = { open("/dev/zero", O_RDONLY | O_CLOEXEC), open("/dev/null", O_WRONLY),
		       open("/dev/null", O_WRONLY) };
	int s[2];

	host_proc_open(h, 1, fds, false, -1);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) < 0)
		return;
	close(s[1]);
	h->clients[0] = (struct host_client){ .used = true, .proc = -1, .request = AGENT_REQUESTS };
	agent_link_open(&h->clients[0].link, s[0], 1000, NULL);
}

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	size_t part[PHASES - 1];
	int s[2], console[2], status, r;
	struct vmm v = { .ops = &ops };
	struct agent_host_opts o = { .vmm = &v,
				     .id = "fuzz",
				     .config = "{}",
				     .config_len = 2,
				     .stdio = { -1, -1, -1 },
				     .listen = -1,
				     .boot_ms = 1,
				     .setup_ms = 1 };
	struct agent_host *h = NULL;
	struct err e = {};
	sigset_t mask;

	if (size < HEADER)
		return 0;
	for (int i = 0; i < PHASES - 1; i++)
		part[i] = data[2 * i] | (size_t)data[2 * i + 1] << 8;
	data += HEADER;
	size -= HEADER;
	sigprocmask(SIG_SETMASK, NULL, &mask);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) < 0 ||
	    pipe2(console, O_CLOEXEC | O_NONBLOCK) < 0)
		abort();
	v.ctl = s[0];
	v.console = console[0];
	v.ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (int i = 0; i < PHASES - 1; i++)
		part[i] = part[i] < size ? part[i] : size;
	/* Odd: from the very first byte; even: a good guest until it is set up. */
	if (part[0] & 1)
		feed(s[1], data, part[0]);
	else
		feed_good(s[1]);
	r = agent_host_create(&h, &o, &e);
	check(r, &e);
	if (r == 0) {
		add_work(h);
		feed(s[1], data, part[1]);
		r = agent_host_start(h, &e);
		check(r, &e);
	}
	if (h && r < 0)
		h->phase = HOST_RUNNING;
	if (h && !h->failed) {
		feed(s[1], data + part[1], size - part[1]);
		shutdown(s[1], SHUT_WR);
		eventfd_write(v.ended, 1);
		check(agent_host_run(h, &status, &e), &e);
	}
	agent_host_free(h);
	close_all((const int[]){ s[0], s[1], console[0], console[1], v.ended }, 5);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return 0;
}
