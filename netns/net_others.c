/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks of other state directories. Nobody knows where those are; what the kernel has of them is
 * the same for all: a bridge with our mark, and the tables of its name.
 */
#include "netns/net.h"

#include "base/cleanup.h"
#include "netns/port.h"

#include <errno.h>
#include <linux/netfilter.h>

static bool is_ours(const struct link *l)
{
	return str_eq(l->kind, "bridge") && str_after(l->alias, NET_ALIAS);
}

struct others {
	const char *but;
	bool found;
};

static int look_at(const struct link *l, void *arg)
{
	struct others *o = arg;

	o->found = o->found || (is_ours(l) && !str_eq(l->name, o->but));
	return 0;
}

int net_others(struct net_socks *s, const char *but, bool *found, struct err *e)
{
	struct others o = { .but = but };
	int r = links_each(&s->route, look_at, &o);

	*found = o.found;
	return r < 0 ? err_sys(e, -r, "network: list the links of the host") : 0;
}

/* ---- edges ---- */

void net_put_edges(struct nl_batch *b, const char *bridge, const struct forward_links *edges)
{
	for (size_t i = 0; i < edges->n; i++) {
		struct nft_element el = net_edge_element(edges->v[i].family, edges->v[i].name);

		nft_put_elements(b, true, NFPROTO_INET, bridge, &el, 1);
		el = net_same_element(edges->v[i].name);
		nft_put_elements(b, true, NFPROTO_INET, bridge, &el, 1);
	}
}

struct edges {
	struct net_socks *s;
	const struct forward_links *l;
};

static int set_edges(const struct link *l, void *arg)
{
	AUTO_NL_BATCH struct nl_batch b = { .ruleset = true };
	const struct edges *q = arg;
	int r;

	if (!is_ours(l))
		return 0;
	for (int i = 0; i < NET_FAMILIES; i++)
		nft_put_flush(&b, NFPROTO_INET, l->name, net_edge_set(i));
	nft_put_flush(&b, NFPROTO_INET, l->name, NET_SAME_SET);
	net_put_edges(&b, l->name, q->l);
	r = nl_batch_talk(&q->s->filter, &b, NULL);
	/* Its tables were flushed, or are being made. */
	return r == -ENOENT ? 0 : r;
}

int net_set_edges(struct net_socks *s, const struct forward_links *edges, struct err *e)
{
	int r = links_each(&s->route, set_edges, &(struct edges){ .s = s, .l = edges });

	return r < 0 ? err_sys(e, -r, "network: keep the host from being a router") : 0;
}

struct gathering {
	struct net_socks *s;
	struct forward_links *l;
	int family; /* of the set that is read */
};

static int gather(const struct nft_element *el, void *arg)
{
	const struct gathering *q = arg;
	char name[IFNAMSIZ] = {};

	if (el->key_len != IFNAMSIZ)
		return -EBADMSG;
	memcpy(name, el->key, IFNAMSIZ - 1);
	return forward_add(q->l, q->family, name);
}

static int get_edges(const struct link *l, void *arg)
{
	struct gathering *q = arg;
	int r = 0;

	for (q->family = 0; q->family < NET_FAMILIES && r == 0 && is_ours(l); q->family++) {
		r = nft_elements_each(&q->s->filter, NFPROTO_INET, l->name, net_edge_set(q->family),
				      gather, q);
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

int net_get_edges(struct net_socks *s, struct forward_links *l, struct err *e)
{
	int r = links_each(&s->route, get_edges, &(struct gathering){ .s = s, .l = l });

	return r < 0 ? err_sys(e, -r, "network: which links of the host forward") : 0;
}

/* ---- published ports ---- */

struct search {
	struct net_socks *s;
	const struct str_list *but;
	const struct ip_port *ports;
	size_t n;
	const struct link *bridge; /* that is looked at */
	uint8_t family;            /* of the set that is looked at */
	bool at;                   /* whether it is of one address each */
	struct err *e;
};

/* The fields of an element are as net_elements.c writes them: four bytes each, or an address. */
static bool read_element(const struct search *q, const struct nft_element *el, struct ip_port *p,
			 struct ip *to)
{
	uint32_t len = q->family == AF_INET ? 4 : 16, at = q->at ? len : 0;

	if (el->key_len != at + 8 || el->data_len < len)
		return false;
	*p = (struct ip_port){ .count = 1, .proto = el->key[at] };
	p->host = (uint16_t)(el->key[at + 4] << 8 | el->key[at + 5]);
	p->ip.family = q->family;
	if (q->at)
		memcpy(p->ip.b, el->key, len);
	*to = (struct ip){ .family = q->family };
	memcpy(to->b, el->data, len);
	return true;
}

static int compare(const struct nft_element *el, void *arg)
{
	const struct search *q = arg;
	struct ip_port other;
	char text[IP_TEXT];
	uint16_t port;
	struct ip to;

	if (!read_element(q, el, &other, &to))
		return 0;
	for (size_t i = 0; i < q->n; i++)
		if (port_overlap(&other, &q->ports[i], &port))
			return err_set(q->e, EADDRINUSE,
				       "--publish: port %u of the host is taken by %s in network "
				       "%s",
				       port, ip_text(&to, text),
				       str_after(q->bridge->alias, NET_ALIAS));
	return 0;
}

static int look_into(const struct link *l, void *arg)
{
	static const struct {
		const char *set;
		uint8_t family;
		bool at;
	} sets[] = {
		{ "any4", AF_INET, false },
		{ "at4", AF_INET, true },
		{ "any6", AF_INET6, false },
		{ "at6", AF_INET6, true },
	};
	struct search *q = arg;
	int r = 0;

	if (!is_ours(l))
		return 0;
	for (size_t i = 0; i < q->but->n; i++)
		if (str_eq(q->but->v[i], l->name))
			return 0;
	q->bridge = l;
	for (size_t i = 0; i < ARRAY_SIZE(sets) && r == 0; i++) {
		q->family = sets[i].family;
		q->at = sets[i].at;
		r = nft_elements_each(&q->s->filter, NFPROTO_INET, l->name, sets[i].set, compare,
				      q);
		/* Its tables were flushed, or are being made. */
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

int net_port_taken(struct net_socks *s, const struct str_list *but, const struct ip_port *ports,
		   size_t n, struct err *e)
{
	struct search q = { .s = s, .but = but, .ports = ports, .n = n, .e = e };
	int r = n ? links_each(&s->route, look_into, &q) : 0;

	return r < 0 && r != -EADDRINUSE ? err_sys(e, -r, "--publish: other networks' ports") : r;
}
