/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control messages are not queued but owed: a bit a message and port, paid when the driver has
 * given a buffer. So a driver that asks again and again makes nothing grow.
 */
#include "microvm/virtio_console.h"

#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT_CONSOLE, PORT_STREAM, PORTS };

/* Queues, in the order of the specification. */
enum { Q_RX0, Q_TX0, Q_CTL_RX, Q_CTL_TX, Q_RX1, Q_TX1, QUEUES };

/* What the device owes the driver, in the order in which it is paid. */
enum {
	OWE_ADD = 1,
	OWE_CONSOLE = 2,
	OWE_NAME = 4,
	OWE_OPEN = 8,
};

struct console {
	struct virtio_dev dev; /* first */
	struct virtio_console_config config;
	struct virtio_watch watch; /* of the stream */
	struct virtq_chain chain;
	const char *name;
	int out;           /* console */
	int stream;        /* -1 once the other side is gone */
	unsigned int lost; /* lines of the console that nobody took */
	unsigned int owed[PORTS];
	bool open;    /* the guest has opened the stream */
	bool starved; /* Q_RX1 had no buffer */
	bool blocked; /* the socket had no room */
	size_t sent;  /* bytes of the first chain of Q_TX1 that are already out */
};

static void stream(struct console *c, bool in, bool out);

/* ---- control ---- */

static size_t message(struct console *c, unsigned int port, unsigned int what, void *buf)
{
	struct virtio_console_control m = { .id = port, .value = 1 };
	size_t len = sizeof(m);

	switch (what) {
	case OWE_ADD:
		m.event = VIRTIO_CONSOLE_PORT_ADD;
		break;
	case OWE_CONSOLE:
		m.event = VIRTIO_CONSOLE_CONSOLE_PORT;
		break;
	case OWE_NAME:
		m.event = VIRTIO_CONSOLE_PORT_NAME;
		memcpy((char *)buf + len, c->name, strlen(c->name));
		len += strlen(c->name);
		break;
	default:
		m.event = VIRTIO_CONSOLE_PORT_OPEN;
	}
	memcpy(buf, &m, sizeof(m));
	return len;
}

/* Sends what is owed while there are buffers. */
static void pay(struct console *c)
{
	uint8_t buf[64];
	int r = 0;

	for (unsigned int port = 0; port < PORTS; port++) {
		while (c->owed[port]) {
			const unsigned int what = c->owed[port] & -c->owed[port];
			const size_t len = message(c, port, what, buf);

			r = virtq_pop(&c->dev.q[Q_CTL_RX], &c->chain);
			if (r <= 0)
				goto out;
			iov_copy_in(c->chain.iov + c->chain.n_out, c->chain.n_in, 0, buf, len);
			virtq_push(&c->dev.q[Q_CTL_RX], c->chain.head, (uint32_t)len);
			c->owed[port] &= ~what;
		}
	}
out:
	if (r < 0)
		virtio_dev_fail(&c->dev);
	else
		virtio_dev_notify(&c->dev, Q_CTL_RX);
}

static void on_control(struct console *c, const struct virtio_console_control *m)
{
	if (m->event == VIRTIO_CONSOLE_DEVICE_READY && m->value == 1) {
		c->owed[PORT_CONSOLE] |= OWE_ADD;
		c->owed[PORT_STREAM] |= OWE_ADD;
	} else if (m->id >= PORTS) {
		return;
	} else if (m->event == VIRTIO_CONSOLE_PORT_READY && m->value == 1) {
		c->owed[m->id] |=
			m->id == PORT_CONSOLE ? OWE_CONSOLE | OWE_OPEN : OWE_NAME | OWE_OPEN;
	} else if (m->event == VIRTIO_CONSOLE_PORT_OPEN && m->id == PORT_STREAM) {
		c->open = m->value == 1;
	}
}

static int serve_control(struct virtio_dev *d, struct virtq *q)
{
	struct console *c = (struct console *)d;
	struct virtio_console_control m;

	if (iov_copy_out(c->chain.iov, c->chain.n_out, 0, &m, sizeof(m)) == sizeof(m))
		on_control(c, &m);
	virtq_push(q, c->chain.head, 0);
	return 0;
}

static void control(struct console *c)
{
	const bool was_open = c->open;

	if (virtio_dev_serve(&c->dev, Q_CTL_TX, &c->chain, serve_control) < 0)
		return;
	pay(c);
	if (c->open != was_open)
		stream(c, true, false);
}

/* ---- hvc0 ---- */

static int serve_console(struct virtio_dev *d, struct virtq *q)
{
	struct console *c = (struct console *)d;
	const struct virtq_chain *chain = &c->chain;

	/* A full pipe loses it: a kernel that prints must not wait for a reader. */
	if (chain->n_out && writev(c->out, chain->iov, (int)chain->n_out) < 0)
		c->lost++;
	virtq_push(q, chain->head, 0);
	return 0;
}

/* ---- the stream ---- */

/* The other side is gone: what the guest still writes is dropped, and nothing more comes. */
static void hang_up(struct console *c)
{
	if (c->stream < 0)
		return;
	virtio_watch_set(&c->watch, 0);
	close(c->stream);
	c->stream = -1;
}

/*
 * Guest to host, as far as the socket takes it. A chain that is half out stays the first one: its
 * rest goes out when the socket has room, not its beginning again.
 */
static int stream_out(struct console *c)
{
	struct virtq *q = &c->dev.q[Q_TX1];
	static _Thread_local struct iovec part[VIRTQ_MAX_IOV];
	int r = 0, n = 0;

	c->blocked = false;
	while (n < VIRTIO_BUDGET && (r = virtq_pop(q, &c->chain)) > 0) {
		const struct msghdr msg = {
			.msg_iov = part,
			.msg_iovlen = iov_part(c->chain.iov, c->chain.n_out, c->sent, SIZE_MAX,
					       part, VIRTQ_MAX_IOV),
		};
		ssize_t put = 0;

		if (c->stream >= 0 && msg.msg_iovlen)
			put = sendmsg(c->stream, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (put < 0 && errno != EAGAIN)
			hang_up(c);
		else
			c->sent += put > 0 ? (size_t)put : 0;
		if (c->stream >= 0 && c->sent < c->chain.out_len) {
			virtq_unpop(q);
			c->blocked = true;
			break;
		}
		virtq_push(q, c->chain.head, 0);
		c->sent = 0;
		n++;
	}
	virtio_dev_notify(&c->dev, Q_TX1);
	if (n == VIRTIO_BUDGET)
		virtio_dev_again(&c->dev, Q_TX1);
	return r < 0 ? r : 0;
}

/* Host to guest: straight from the socket into the driver's buffers. */
static int stream_in(struct console *c)
{
	struct virtq *q = &c->dev.q[Q_RX1];
	int r = 0, n = 0;

	c->starved = false;
	while (c->open && c->stream >= 0 && n < VIRTIO_BUDGET) {
		ssize_t got;

		r = virtq_pop(q, &c->chain);
		c->starved = r == 0;
		if (r <= 0)
			break;
		got = readv(c->stream, c->chain.iov + c->chain.n_out, (int)c->chain.n_in);
		if (got <= 0) {
			virtq_unpop(q);
			/* No room for an answer is a driver's mistake, not the end. */
			if (got == 0 && c->chain.n_in == 0)
				r = -EIO;
			else if (got == 0 || errno != EAGAIN)
				hang_up(c);
			break;
		}
		virtq_push(q, c->chain.head, (uint32_t)got);
		n++;
	}
	virtio_dev_notify(&c->dev, Q_RX1);
	return r < 0 ? r : 0;
}

/* Moves what can be moved, and waits for what the next step needs. */
static void stream(struct console *c, bool in, bool out)
{
	uint32_t want = 0;
	int r = 0;

	if (out)
		r = stream_out(c);
	if (r == 0 && in)
		r = stream_in(c);
	if (r < 0) {
		virtio_dev_fail(&c->dev);
		return;
	}
	if (c->stream < 0)
		return;
	if (c->open && !c->starved)
		want |= EPOLLIN;
	if (c->blocked)
		want |= EPOLLOUT;
	if (virtio_watch_set(&c->watch, want) < 0)
		hang_up(c);
}

static void on_stream(struct virtio_dev *d, uint32_t events)
{
	stream((struct console *)d, events & (EPOLLIN | EPOLLHUP | EPOLLERR), events & EPOLLOUT);
}

/* ---- the device ---- */

static void kick(struct virtio_dev *d, unsigned int q)
{
	struct console *c = (struct console *)d;

	switch (q) {
	case Q_TX0:
		virtio_dev_serve(&c->dev, Q_TX0, &c->chain, serve_console);
		break;
	case Q_CTL_RX:
		pay(c);
		break;
	case Q_CTL_TX:
		control(c);
		break;
	case Q_RX1:
		stream(c, true, false);
		break;
	case Q_TX1:
		stream(c, false, true);
		break;
	}
}

static void reset(struct virtio_dev *d)
{
	struct console *c = (struct console *)d;

	memset(c->owed, 0, sizeof(c->owed));
	c->open = c->starved = c->blocked = false;
	c->sent = 0;
	if (c->stream >= 0)
		virtio_watch_set(&c->watch, 0);
}

static void console_free(struct virtio_dev *d)
{
	struct console *c = (struct console *)d;

	close(c->out);
	if (c->stream >= 0)
		close(c->stream);
	free(c);
}

static const struct virtio_ops ops = {
	.id = VIRTIO_ID_CONSOLE,
	.name = "console",
	.kick = kick,
	.reset = reset,
	.free = console_free,
};

int virtio_console_new(int console, int port, const char *name, struct virtio_dev **out,
		       struct err *e)
{
	/* Linux gives each entry of a receiving queue a page, for ever. */
	static const uint16_t sizes[QUEUES] = { [Q_RX0] = 2,     [Q_TX0] = 16, [Q_CTL_RX] = 8,
						[Q_CTL_TX] = 16, [Q_RX1] = 32, [Q_TX1] = 32 };
	struct console *c = calloc(1, sizeof(*c));

	if (!c) {
		close(console);
		close(port);
		return err_sys(e, ENOMEM, "virtio device console");
	}
	c->dev.ops = &ops;
	c->dev.offered = 1ULL << VIRTIO_CONSOLE_F_MULTIPORT;
	c->config.max_nr_ports = PORTS;
	c->dev.config = &c->config;
	c->dev.config_len = sizeof(c->config);
	c->dev.n_queues = QUEUES;
	for (unsigned int i = 0; i < QUEUES; i++)
		c->dev.q[i].max = sizes[i];
	c->watch = (struct virtio_watch){ .dev = &c->dev, .fn = on_stream, .fd = port };
	c->name = name;
	c->out = console;
	c->stream = port;
	*out = &c->dev;
	return 0;
}
