/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/conntrack.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>

static void read_sent(const struct nlattr *tuple, struct flow *f)
{
	const struct nlattr *t[CTA_TUPLE_PROTO + 1], *p[CTA_PROTO_DST_PORT + 1];

	nl_nested(tuple, t, CTA_TUPLE_PROTO);
	nl_nested(t[CTA_TUPLE_PROTO], p, CTA_PROTO_DST_PORT);
	if (p[CTA_PROTO_NUM] && mnl_attr_validate(p[CTA_PROTO_NUM], MNL_TYPE_U8) == 0)
		f->proto = mnl_attr_get_u8(p[CTA_PROTO_NUM]);
	if (p[CTA_PROTO_DST_PORT] && mnl_attr_validate(p[CTA_PROTO_DST_PORT], MNL_TYPE_U16) == 0)
		f->port = ntohs(mnl_attr_get_u16(p[CTA_PROTO_DST_PORT]));
}

static void read_answers(const struct nlattr *tuple, struct flow *f)
{
	const struct nlattr *t[CTA_TUPLE_IP + 1], *ip[CTA_IP_V6_SRC + 1], *a;

	nl_nested(tuple, t, CTA_TUPLE_IP);
	nl_nested(t[CTA_TUPLE_IP], ip, CTA_IP_V6_SRC);
	f->answers.family = f->family;
	a = f->family == AF_INET ? ip[CTA_IP_V4_SRC] : ip[CTA_IP_V6_SRC];
	if (a && mnl_attr_get_payload_len(a) == ip_len(&f->answers))
		memcpy(f->answers.b, mnl_attr_get_payload(a), ip_len(&f->answers));
}

int flow_read(const struct nlmsghdr *m, void *arg)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(m);
	const struct nlattr *a[CTA_STATUS + 1];
	struct flow *f = arg;

	*f = (struct flow){};
	if (nl_attrs(m, sizeof(*g), a, CTA_STATUS) < 0)
		return -EBADMSG;
	if ((g->nfgen_family != AF_INET && g->nfgen_family != AF_INET6) || !a[CTA_TUPLE_ORIG] ||
	    mnl_attr_get_payload_len(a[CTA_TUPLE_ORIG]) > sizeof(f->tuple))
		return 0;
	f->family = g->nfgen_family;
	read_sent(a[CTA_TUPLE_ORIG], f);
	read_answers(a[CTA_TUPLE_REPLY], f);
	if (a[CTA_STATUS] && mnl_attr_validate(a[CTA_STATUS], MNL_TYPE_U32) == 0)
		f->status = ntohl(mnl_attr_get_u32(a[CTA_STATUS]));
	f->tuple_len = mnl_attr_get_payload_len(a[CTA_TUPLE_ORIG]);
	memcpy(f->tuple, mnl_attr_get_payload(a[CTA_TUPLE_ORIG]), f->tuple_len);
	return 0;
}

bool flow_concerns(const struct flow *f, const struct net_member *m)
{
	const struct ip *own = &m->ip[f->family == AF_INET ? NET_4 : NET_6];

	if (f->proto != IPPROTO_UDP)
		return false;
	/* One that some translation has to do with is another's, unless it leads here. */
	if (f->status & IPS_NAT_MASK && (!own->family || ip_cmp(&f->answers, own) != 0))
		return false;
	for (size_t i = 0; i < m->n_ports; i++) {
		const struct ip_port *p = &m->ports[i];

		if (p->proto == IPPROTO_UDP && f->port >= p->host && f->port - p->host < p->count)
			return true;
	}
	return false;
}

struct collector {
	const struct net_member *m;
	struct nl_batch batch;
};

static void put_forget(struct nl_batch *b, const struct flow *f)
{
	union nl_request q;
	struct nfgenmsg *g =
		nl_begin(&q, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, 0, sizeof(*g));

	g->nfgen_family = f->family;
	g->version = NFNETLINK_V0;
	mnl_attr_put(&q.head, NLA_F_NESTED | CTA_TUPLE_ORIG, f->tuple_len, f->tuple);
	nl_batch_add(b, &q);
}

static int collect(const struct nlmsghdr *m, void *arg)
{
	struct collector *c = arg;
	struct flow f;
	int r = flow_read(m, &f);

	if (r == 0 && f.tuple_len && flow_concerns(&f, c->m))
		put_forget(&c->batch, &f);
	return r;
}

int flows_forget(struct nl *n, const struct net_member *m)
{
	struct collector c = { .m = m };
	union nl_request q;
	struct nfgenmsg *g;
	bool udp = false;
	int r;

	for (size_t i = 0; i < m->n_ports; i++)
		udp = udp || m->ports[i].proto == IPPROTO_UDP;
	if (!udp)
		return 0;
	g = nl_begin(&q, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, NLM_F_DUMP, sizeof(*g));
	g->version = NFNETLINK_V0;
	r = nl_talk(n, &q, collect, &c);
	if (r == 0)
		r = nl_batch_talk(n, &c.batch, NULL);
	nl_batch_free(&c.batch);
	/* A flow that ended meanwhile; a kernel without the interface remembers what it likes. */
	return r == -ENOENT || r == -EINVAL || r == -EOPNOTSUPP ? 0 : r;
}
