/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/vhost_user_msg.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { VERSION = 1, VERSION_MASK = 3, REPLY = 4 };

static void take_fds(struct vhost_message *m, struct msghdr *h)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		const size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n && m->n_fds < VHOST_MAX_FDS; i++)
			memcpy(&m->fds[m->n_fds++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
}

static ssize_t receive(int sock, struct msghdr *h)
{
	ssize_t n;

	do
		n = recvmsg(sock, h, MSG_CMSG_CLOEXEC | MSG_WAITALL);
	while (n < 0 && errno == EINTR);
	return n;
}

static int bad(const char **what, const char *text)
{
	*what = text;
	return -EPROTO;
}

int vhost_msg_read(int sock, struct vhost_message *m, const char **what)
{
	char control[CMSG_SPACE(VHOST_MAX_FDS * sizeof(int))] __attribute__((aligned(8)));
	struct iovec io = { &m->h, sizeof(m->h) };
	struct msghdr h = { .msg_iov = &io,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	ssize_t n;

	*m = (struct vhost_message){};
	n = receive(sock, &h);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return 0;
	take_fds(m, &h);
	if (n != sizeof(m->h) || h.msg_flags & MSG_CTRUNC)
		return bad(what, "a message that is cut short");
	if ((m->h.flags & VERSION_MASK) != VERSION)
		return bad(what, "a message of another version");
	if (m->h.size > sizeof(m->p))
		return bad(what, "a message that is too long");
	if (m->h.size == 0)
		return 1;
	io = (struct iovec){ &m->p, m->h.size };
	h = (struct msghdr){ .msg_iov = &io, .msg_iovlen = 1 };
	return receive(sock, &h) == (ssize_t)m->h.size ? 1
						       : bad(what, "a message that is cut short");
}

int vhost_msg_reply(int sock, struct vhost_message *m, uint32_t size)
{
	struct iovec io[2] = { { &m->h, sizeof(m->h) }, { &m->p, size } };
	const struct msghdr h = { .msg_iov = io, .msg_iovlen = 2 };
	const ssize_t len = (ssize_t)(sizeof(m->h) + size);

	m->h.flags = VERSION | REPLY;
	m->h.size = size;
	return sendmsg(sock, &h, MSG_NOSIGNAL) == len ? 0 : -EPROTO;
}

void vhost_msg_drop(struct vhost_message *m)
{
	while (m->n_fds)
		close(m->fds[--m->n_fds]);
}
