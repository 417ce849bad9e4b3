/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/nl.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define ANSWER_SECONDS 10
#define ANSWER_MAX 32768 /* what the kernel puts into one message of a dump at most */
#define DUMP_TRIES 16    /* a dump during which something changed is taken anew */

static int open_here(struct nl *n)
{
	const struct timeval limit = { .tv_sec = ANSWER_SECONDS };
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (!s)
		return -errno;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0) {
		int r = -errno;

		mnl_socket_close(s);
		return r;
	}
	*n = (struct nl){ .sock = s, .port = mnl_socket_get_portid(s) };
	return 0;
}

int nl_open(struct nl *n, int netns_fd, struct err *e)
{
	AUTO_CLOSE int back = -1;
	int r;

	*n = (struct nl){};
	if (netns_fd < 0) {
		r = open_here(n);
		return r < 0 ? err_sys(e, -r, "open a netlink socket") : 0;
	}
	back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (back < 0)
		return err_sys(e, errno, "open /proc/thread-self/ns/net");
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return err_sys(e, errno, "enter the container's network namespace");
	r = open_here(n);
	if (setns(back, CLONE_NEWNET) < 0) {
		int code = errno;

		nl_close(n);
		return err_sys(e, code, "return to the own network namespace");
	}
	return r < 0 ? err_sys(e, -r, "open a netlink socket in the container") : 0;
}

void nl_close(struct nl *n)
{
	if (n->sock)
		mnl_socket_close(n->sock);
	n->sock = NULL;
}

void *nl_begin(union nl_request *q, uint16_t type, uint16_t flags, size_t len)
{
	memset(q, 0, sizeof(*q));
	mnl_nlmsg_put_header(q->buf);
	q->head.nlmsg_type = type;
	q->head.nlmsg_flags = NLM_F_REQUEST | flags;
	/* Both bits: each alone means something else to a request that makes something. */
	if ((flags & NLM_F_DUMP) != NLM_F_DUMP)
		q->head.nlmsg_flags |= NLM_F_ACK;
	return mnl_nlmsg_put_extra_header(&q->head, len);
}

/* The kernel's verdict: 0 or -errno. */
static int verdict(const struct nlmsghdr *m)
{
	const struct nlmsgerr *v = mnl_nlmsg_get_payload(m);

	if (mnl_nlmsg_get_payload_len(m) < sizeof(v->error))
		return -EBADMSG;
	return v->error > 0 ? -EBADMSG : v->error;
}

/* One datagram. 1: the answer goes on; 0: it has ended; -errno. */
static int read_some(struct nl *n, char *buf, size_t len, nl_fn fn, void *arg)
{
	const struct nlmsghdr *m = (const struct nlmsghdr *)buf;
	int left = (int)len, r;

	for (; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
		/* An old answer, whose reader has given up. */
		if (m->nlmsg_seq != n->seq || m->nlmsg_pid != n->port)
			continue;
		if (m->nlmsg_flags & NLM_F_DUMP_INTR)
			return -EINTR;
		if (m->nlmsg_type == NLMSG_ERROR)
			return verdict(m);
		if (m->nlmsg_type == NLMSG_DONE)
			return 0;
		r = fn && m->nlmsg_type >= NLMSG_MIN_TYPE ? fn(m, arg) : 0;
		if (r < 0)
			return r;
	}
	return 1;
}

static int talk_once(struct nl *n, union nl_request *q, nl_fn fn, void *arg)
{
	char buf[ANSWER_MAX] __attribute__((aligned(8)));
	int r;

	q->head.nlmsg_seq = ++n->seq;
	if (mnl_socket_sendto(n->sock, q->buf, q->head.nlmsg_len) < 0)
		return -errno;
	do {
		ssize_t len = mnl_socket_recvfrom(n->sock, buf, sizeof(buf));

		if (len < 0 && errno == EINTR)
			r = 1;
		else if (len <= 0)
			return len < 0 ? (errno == EAGAIN ? -ETIMEDOUT : -errno) : -EPIPE;
		else
			r = read_some(n, buf, (size_t)len, fn, arg);
	} while (r > 0);
	return r;
}

int nl_talk(struct nl *n, union nl_request *q, nl_fn fn, void *arg)
{
	bool dump = (q->head.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
	int r, tries = dump ? DUMP_TRIES : 1;

	do
		r = talk_once(n, q, fn, arg);
	while (r == -EINTR && --tries > 0);
	return r;
}

int nl_attrs(const struct nlmsghdr *m, size_t len, const struct nlattr **v, uint16_t max)
{
	const struct nlattr *a;

	memset(v, 0, (max + 1U) * sizeof(*v));
	if (mnl_nlmsg_get_payload_len(m) < len)
		return -EBADMSG;
	mnl_attr_for_each(a, m, len)
	{
		if (mnl_attr_get_type(a) <= max)
			v[mnl_attr_get_type(a)] = a;
	}
	return 0;
}
