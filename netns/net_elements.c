/* SPDX-License-Identifier: Apache-2.0 */
/* What a container is in the sets of its network's tables. */
#include "netns/net_rules.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

static void key_add(struct nft_element *e, const void *data, uint32_t len)
{
	memcpy(e->key + e->key_len, data, len);
	e->key_len += (len + 3) & ~3U;
}

static void data_add(struct nft_element *e, const void *data, uint32_t len)
{
	memcpy(e->data + e->data_len, data, len);
	e->data_len += (len + 3) & ~3U;
}

static struct nft_element named(const char *set, const char *link)
{
	struct nft_element e = { .set = set };
	char padded[IFNAMSIZ] = {};

	memcpy(padded, link, strnlen(link, IFNAMSIZ - 1));
	key_add(&e, padded, sizeof(padded));
	return e;
}

const char *net_edge_set(int family)
{
	return family == NET_4 ? "edge4" : "edge6";
}

struct nft_element net_edge_element(int family, const char *link)
{
	return named(net_edge_set(family), link);
}

struct nft_element net_same_element(const char *link)
{
	struct nft_element e = named(NET_SAME_SET, link);

	key_add(&e, e.key, IFNAMSIZ);
	return e;
}

int net_guard_elements(const struct net_member *m, struct net_elements *out)
{
	struct nft_element *v = calloc(5, sizeof(*v));
	size_t n = 0;

	if (!v)
		return -ENOMEM;
	v[n++] = named("links", m->veth);
	v[n] = named("mac", m->veth);
	key_add(&v[n++], m->mac, sizeof(m->mac));
	if (m->ip[NET_4].family) {
		v[n] = named("ip4", m->veth);
		key_add(&v[n++], m->ip[NET_4].b, 4);
	}
	if (m->ip[NET_6].family) {
		struct ip local = net_link_local(m->mac);

		v[n] = named("ip6", m->veth);
		key_add(&v[n++], local.b, 16);
		v[n] = named("ip6", m->veth);
		key_add(&v[n++], m->ip[NET_6].b, 16);
	}
	*out = (struct net_elements){ .v = v, .n = n };
	return 0;
}

static void put_be16(uint8_t out[2], uint32_t v)
{
	out[0] = (uint8_t)(v >> 8);
	out[1] = (uint8_t)v;
}

static struct nft_element port_element(const char *set, const struct ip *at, const struct ip *to,
				       const struct ip_port *p, uint32_t i)
{
	struct nft_element e = { .set = set };
	uint8_t port[2];

	if (at)
		key_add(&e, at->b, (uint32_t)ip_len(at));
	key_add(&e, &p->proto, 1);
	put_be16(port, p->host + i);
	key_add(&e, port, 2);
	data_add(&e, to->b, (uint32_t)ip_len(to));
	put_be16(port, p->container + i);
	data_add(&e, port, 2);
	return e;
}

/* The ports of one set: of that family, of one address or of all. */
static void ports_of(const struct net_member *m, int family, bool at, struct net_elements *l)
{
	static const char *const sets[NET_FAMILIES][2] = {
		[NET_4] = { "any4", "at4" },
		[NET_6] = { "any6", "at6" },
	};
	const struct ip *to = &m->ip[family];

	for (size_t i = 0; i < m->n_ports && to->family; i++) {
		const struct ip_port *p = &m->ports[i];

		if ((p->ip.family && p->ip.family != to->family) ||
		    at != (p->ip.family && !ip_is_any(&p->ip)))
			continue;
		for (uint32_t k = 0; k < p->count; k++)
			l->v[l->n++] = port_element(sets[family][at], at ? &p->ip : NULL, to, p, k);
	}
}

int net_port_elements(const struct net_member *m, struct net_elements *out)
{
	struct net_elements l = {};
	size_t n = 0;

	for (size_t i = 0; i < m->n_ports; i++)
		n += m->ports[i].count;
	l.v = calloc(n ? n * 2 : 1, sizeof(*l.v));
	if (!l.v)
		return -ENOMEM;
	for (int family = 0; family < NET_FAMILIES; family++) {
		ports_of(m, family, true, &l);
		ports_of(m, family, false, &l);
	}
	*out = l;
	return 0;
}

void net_elements_free(struct net_elements *l)
{
	free(l->v);
	*l = (struct net_elements){};
}

/* RFC 4291, appendix A */
struct ip net_link_local(const uint8_t mac[LINK_ETHER])
{
	struct ip ip = { .family = AF_INET6, .b = { 0xfe, 0x80, [11] = 0xff, [12] = 0xfe } };

	memcpy(ip.b + 8, mac, 3);
	memcpy(ip.b + 13, mac + 3, 3);
	ip.b[8] ^= 0x02;
	return ip;
}

void net_mac(const struct ip ip[NET_FAMILIES], uint8_t mac[LINK_ETHER])
{
	const struct ip *of = ip[NET_4].family ? &ip[NET_4] : &ip[NET_6];

	/* A locally administered address; the rest is unique where the address is. */
	mac[0] = 0x0a;
	mac[1] = 0x63;
	memcpy(mac + 2, of->b + ip_len(of) - 4, 4);
}

void net_veth_name(const struct net_conf *c, const struct ip ip[NET_FAMILIES], char name[IFNAMSIZ])
{
	int family = ip[NET_4].family ? NET_4 : NET_6;
	struct ip first = ip_net_first(&c->subnet[family]);
	size_t len = ip_len(&first);
	uint32_t number = 0;

	/* The last four bytes tell them apart in every subnet that is not larger than that. */
	for (size_t i = len - 4; i < len; i++)
		number = number << 8 | (uint8_t)(ip[family].b[i] ^ first.b[i]);
	snprintf(name, IFNAMSIZ, NET_VETH_PREFIX "%x", NET_BRIDGE_MAX, c->bridge, number);
}
