/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/nl.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define ANSWER_SECONDS 10
#define ANSWER_MAX 32768 /* what the kernel puts into one message of a dump at most */
#define DUMP_TRIES 16    /* a dump during which something changed is taken anew */

static int open_here(struct nl *n, int protocol)
{
	const struct timeval limit = { .tv_sec = ANSWER_SECONDS };
	struct mnl_socket *s = mnl_socket_open2(protocol, SOCK_CLOEXEC);
	int on = 1;

	if (!s)
		return -errno;
	/* A verdict need not repeat what it is about; an old kernel does so all the same. */
	mnl_socket_setsockopt(s, NETLINK_CAP_ACK, &on, sizeof(on));
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
		r = open_here(n, NETLINK_ROUTE);
		return r < 0 ? err_sys(e, -r, "open a netlink socket") : 0;
	}
	back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (back < 0)
		return err_sys(e, errno, "open /proc/thread-self/ns/net");
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return err_sys(e, errno, "enter the container's network namespace");
	r = open_here(n, NETLINK_ROUTE);
	if (setns(back, CLONE_NEWNET) < 0) {
		int code = errno;

		nl_close(n);
		return err_sys(e, code, "return to the own network namespace");
	}
	return r < 0 ? err_sys(e, -r, "open a netlink socket in the container") : 0;
}

int nl_open_filter(struct nl *n, struct err *e)
{
	int r = open_here(n, NETLINK_NETFILTER);

	return r < 0 ? err_sys(e, -r, "nf_tables: open a netlink socket") : 0;
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

/* mnl_nlmsg_ok takes a length beyond INT_MAX for a negative one, which fits. */
bool nl_message_ok(const struct nlmsghdr *m, int left)
{
	return left >= (int)sizeof(*m) && m->nlmsg_len >= sizeof(*m) &&
	       m->nlmsg_len <= (uint32_t)left;
}

int nl_read(const void *buf, size_t len, uint32_t seq, uint32_t port, bool *torn, nl_fn fn,
	    void *arg)
{
	const struct nlmsghdr *m = buf;
	int left = (int)len, r;

	for (; nl_message_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
		/* An old answer, whose reader has given up. */
		if (m->nlmsg_seq != seq || m->nlmsg_pid != port)
			continue;
		if (m->nlmsg_flags & NLM_F_DUMP_INTR)
			*torn = true;
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

/* One datagram into buf: its length, or -errno. */
static ssize_t receive(struct nl *n, char *buf, size_t size)
{
	ssize_t len;

	do
		len = mnl_socket_recvfrom(n->sock, buf, size);
	while (len < 0 && errno == EINTR);
	if (len <= 0)
		return len < 0 ? (errno == EAGAIN ? -ETIMEDOUT : -errno) : -EPIPE;
	return len;
}

static int talk_once(struct nl *n, union nl_request *q, nl_fn fn, void *arg)
{
	bool dump = (q->head.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP, torn = false;
	char buf[ANSWER_MAX] __attribute__((aligned(8)));
	int r;

	q->head.nlmsg_seq = ++n->seq;
	if (mnl_socket_sendto(n->sock, q->buf, q->head.nlmsg_len) < 0)
		return -errno;
	/* A dump is read to its end in any case: until then the socket cannot begin another. */
	do {
		ssize_t len = receive(n, buf, sizeof(buf));

		if (len == -ENOBUFS && dump) {
			torn = true;
			r = 1;
			continue;
		}
		if (len < 0)
			return (int)len;
		r = nl_read(buf, (size_t)len, n->seq, n->port, &torn, fn, arg);
	} while (r > 0);
	return r == 0 && torn ? -EINTR : r;
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

/* ---- batches ---- */

static void append(struct nl_batch *b, const void *data, size_t len)
{
	size_t cap = b->cap ? b->cap : NL_REQUEST_MAX;
	char *grown;

	while (cap < b->len + len)
		cap *= 2;
	if (cap != b->cap) {
		grown = realloc(b->buf, cap);
		if (!grown) {
			b->failed = true;
			return;
		}
		b->buf = grown;
		b->cap = cap;
	}
	memcpy(b->buf + b->len, data, len);
	b->len += len;
}

/* What stands around the requests of a ruleset. */
static void append_frame(struct nl_batch *b, uint16_t type)
{
	union nl_request q;
	struct nfgenmsg *g;

	mnl_nlmsg_put_header(memset(q.buf, 0, sizeof(q.buf)));
	q.head.nlmsg_type = type;
	q.head.nlmsg_flags = NLM_F_REQUEST;
	g = mnl_nlmsg_put_extra_header(&q.head, sizeof(*g));
	g->res_id = htons(NFNL_SUBSYS_NFTABLES);
	append(b, q.buf, q.head.nlmsg_len);
}

void nl_batch_add(struct nl_batch *b, const union nl_request *q)
{
	if (b->n == 0 && b->ruleset)
		append_frame(b, NFNL_MSG_BATCH_BEGIN);
	b->last = b->len;
	append(b, q->buf, MNL_ALIGN(q->head.nlmsg_len));
	b->n++;
}

/* Numbers all messages, from first on; only the last request asks for a word when it succeeds. */
static void number(struct nl_batch *b, uint32_t first)
{
	struct nlmsghdr *m;

	for (size_t at = 0; at < b->len; at += MNL_ALIGN(m->nlmsg_len)) {
		m = (struct nlmsghdr *)(b->buf + at);
		m->nlmsg_seq = first++;
		m->nlmsg_flags &= (uint16_t)~NLM_F_ACK;
		if (at == b->last)
			m->nlmsg_flags |= NLM_F_ACK;
	}
}

struct batch_answer {
	uint32_t first, last, which;
	int result;
};

/* True when the answer has ended. */
static bool read_verdicts(struct nl *n, const struct nl_batch *b, const char *buf, ssize_t len,
			  struct batch_answer *a)
{
	const struct nlmsghdr *m = (const struct nlmsghdr *)buf;
	int left = (int)len, r;

	for (; nl_message_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
		uint32_t at = m->nlmsg_seq - a->first;

		if (m->nlmsg_pid != n->port || at > a->last - a->first ||
		    m->nlmsg_type != NLMSG_ERROR)
			continue;
		r = verdict(m);
		if (r < 0 && a->result == 0) {
			a->result = r;
			a->which = b->ruleset && at > 0 ? at - 1 : at;
		}
		/* On its frame: the whole of a ruleset was turned down. */
		if (m->nlmsg_seq == a->last || (b->ruleset && at == 0))
			return true;
	}
	return false;
}

static int exchange(struct nl *n, struct nl_batch *b, struct batch_answer *a)
{
	char buf[ANSWER_MAX] __attribute__((aligned(8)));
	int size = (int)b->len * 2;

	/* Beyond what anybody may have: with the rights that changing links needs, it works. */
	if (b->len > ANSWER_MAX)
		setsockopt(mnl_socket_get_fd(n->sock), SOL_SOCKET, SO_SNDBUFFORCE, &size,
			   sizeof(size));
	if (mnl_socket_sendto(n->sock, b->buf, b->len) < 0)
		return -errno;
	for (;;) {
		ssize_t len = receive(n, buf, sizeof(buf));

		if (len < 0)
			return (int)len;
		if (read_verdicts(n, b, buf, len, a))
			return a->result;
	}
}

int nl_batch_talk(struct nl *n, struct nl_batch *b, uint32_t *which)
{
	struct batch_answer a = { .first = n->seq + 1 };
	int r = 0;

	if (b->n > 0) {
		if (b->ruleset)
			append_frame(b, NFNL_MSG_BATCH_END);
		a.last = n->seq + b->n + (b->ruleset ? 1 : 0);
		if (!b->failed)
			number(b, a.first);
		n->seq += b->n + (b->ruleset ? 2 : 0);
		r = b->failed ? -ENOMEM : exchange(n, b, &a);
	}
	if (which)
		*which = a.which;
	b->len = b->n = 0;
	b->failed = false;
	return r;
}

void nl_batch_free(struct nl_batch *b)
{
	free(b->buf);
	*b = (struct nl_batch){};
}

int nl_attrs(const struct nlmsghdr *m, size_t len, const struct nlattr **v, uint16_t max)
{
	const struct nlattr *a;

	memset(v, 0, (max + 1U) * sizeof(*v));
	if (mnl_nlmsg_get_payload_len(m) < len)
		return -EBADMSG;
	mnl_attr_for_each(a, m, len)
	{
		/* libmnl rounds the message's length up, beyond what was received. */
		if ((const char *)a + a->nla_len > (const char *)m + m->nlmsg_len)
			return -EBADMSG;
		if (mnl_attr_get_type(a) <= max)
			v[mnl_attr_get_type(a)] = a;
	}
	return 0;
}

void nl_nested(const struct nlattr *in, const struct nlattr **v, uint16_t max)
{
	const struct nlattr *a;

	memset(v, 0, (max + 1U) * sizeof(*v));
	if (!in || mnl_attr_validate(in, MNL_TYPE_NESTED) < 0)
		return;
	mnl_attr_for_each_nested(a, in)
	{
		if (mnl_attr_get_type(a) <= max)
			v[mnl_attr_get_type(a)] = a;
	}
}
