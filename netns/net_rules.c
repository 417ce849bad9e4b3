/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inet table
 *
 *   raw       127.0.0.0/8 is not for containers: the bridge has route_localnet, for ports published
 *             on it
 *   nat-in    what is for an address of the host may be for a published port. Not what is for its
 *             loopback: that comes from a neighbour who made it up, before the kernel would say so
 *   nat-out   the same for what the host itself sends
 *   publish   first the ports of one address, then those of all
 *   nat-post  containers leave with an address of the host. Two kinds that come to a container need
 *             a source that it can answer: the host's loopback, and its own neighbours when they
 *             came by way of a published port (the answer would go straight to them, from an
 *             address that they have not asked)
 *   forward   nobody comes in who was not asked or sent by a published port; that alone keeps
 *             networks apart, and the host from being a router for who is behind an edge
 *   input     of an internal network: the host is outside too
 *
 * The bridge table: a container sends with its own addresses only, and nothing but IP and ARP. What
 * makes hosts believe a router is nobody's.
 */
/* Before those of linux/, which know how to stand beside it. */
#include <netinet/in.h>

#include "netns/net_rules.h"

#include "base/cleanup.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter_bridge.h>
#include <linux/netfilter_ipv4.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <sys/socket.h>

/* Types of nft(8), for what it shows. A concatenation has six bits for each. */
#define TYPE_IP4 7
#define TYPE_IP6 8
#define TYPE_ETHER 9
#define TYPE_PROTO 12
#define TYPE_PORT 13
#define TYPE_IFNAME 41
#define TYPE2(a, b) ((a) << 6 | (b))
#define TYPE3(a, b, c) ((a) << 12 | (b) << 6 | (c))

#define PRIORITY_RAW -300
#define PRIORITY_DNAT -100
#define PRIORITY_FILTER 0
#define PRIORITY_SNAT 100

/* What a port of all addresses has for its key: 4 bytes each. */
#define PORT_KEY 8

/* clang-format off */
static const struct nft_set inet_sets[] = {
	{ "edge4", TYPE_IFNAME, IFNAMSIZ, 0, 0, true },
	{ "edge6", TYPE_IFNAME, IFNAMSIZ, 0, 0, true },
	{ NET_SAME_SET, TYPE2(TYPE_IFNAME, TYPE_IFNAME), 2 * IFNAMSIZ, 0, 0, false },
	{ "at4", TYPE3(TYPE_IP4, TYPE_PROTO, TYPE_PORT), 12, TYPE2(TYPE_IP4, TYPE_PORT), 8, false },
	{ "any4", TYPE2(TYPE_PROTO, TYPE_PORT), PORT_KEY, TYPE2(TYPE_IP4, TYPE_PORT), 8, false },
	{ "at6", TYPE3(TYPE_IP6, TYPE_PROTO, TYPE_PORT), 24, TYPE2(TYPE_IP6, TYPE_PORT), 20, false },
	{ "any6", TYPE2(TYPE_PROTO, TYPE_PORT), PORT_KEY, TYPE2(TYPE_IP6, TYPE_PORT), 20, false },
};

static const struct nft_chain inet_chains[] = {
	{ "publish", NULL, 0, 0 },
	{ "raw", "filter", NF_INET_PRE_ROUTING, PRIORITY_RAW },
	{ "nat-in", "nat", NF_INET_PRE_ROUTING, PRIORITY_DNAT },
	{ "nat-out", "nat", NF_INET_LOCAL_OUT, PRIORITY_DNAT },
	{ "nat-post", "nat", NF_INET_POST_ROUTING, PRIORITY_SNAT },
	{ "forward", "filter", NF_INET_FORWARD, PRIORITY_FILTER },
	{ "input", "filter", NF_INET_LOCAL_IN, PRIORITY_FILTER }, /* last: of internal ones */
};

static const struct nft_set bridge_sets[] = {
	{ "links", TYPE_IFNAME, IFNAMSIZ, 0, 0, true },
	{ "mac", TYPE2(TYPE_IFNAME, TYPE_ETHER), IFNAMSIZ + 8, 0, 0, false },
	{ "ip4", TYPE2(TYPE_IFNAME, TYPE_IP4), IFNAMSIZ + 4, 0, 0, false },
	{ "ip6", TYPE2(TYPE_IFNAME, TYPE_IP6), IFNAMSIZ + 16, 0, 0, false },
};

static const struct nft_chain bridge_chains[] = {
	{ "guard", NULL, 0, 0 },
	{ "prerouting", "filter", NF_BR_PRE_ROUTING, PRIORITY_RAW },
};
/* clang-format on */

/* ---- writing rules ---- */

static struct nft_op *add(struct nft_rule *r, enum nft_op_kind kind)
{
	struct nft_op *o = &r->op[r->n++];

	*o = (struct nft_op){ .kind = kind, .reg = NFT_REG_1 };
	return o;
}

static struct nft_rule *rule(struct nft_table *t, const char *chain)
{
	struct nft_rule *r = &t->rules[t->n_rules++];

	*r = (struct nft_rule){ .chain = chain };
	return r;
}

static void load_meta(struct nft_rule *r, uint32_t key, uint32_t reg)
{
	struct nft_op *o = add(r, NFT_OP_META);

	o->key = key;
	o->reg = reg;
}

static void load(struct nft_rule *r, uint32_t base, uint32_t offset, uint32_t len, uint32_t reg)
{
	struct nft_op *o = add(r, NFT_OP_PAYLOAD);

	o->key = base;
	o->offset = offset;
	o->len = len;
	o->reg = reg;
}

static void compare(struct nft_rule *r, uint32_t how, const void *data, uint32_t len)
{
	struct nft_op *o = add(r, NFT_OP_CMP);

	o->key = how;
	o->len = len;
	memcpy(o->data, data, len);
}

static void compare_byte(struct nft_rule *r, uint32_t how, uint8_t v)
{
	compare(r, how, &v, 1);
}

static void verdict(struct nft_rule *r, int code, const char *chain)
{
	struct nft_op *o = add(r, NFT_OP_VERDICT);

	o->key = (uint32_t)code;
	o->name = chain;
}

static void lookup(struct nft_rule *r, const char *set, bool not_in)
{
	struct nft_op *o = add(r, NFT_OP_LOOKUP);

	o->name = set;
	o->key = not_in;
}

static void link_is(struct nft_rule *r, uint32_t which, uint32_t how, const char *name)
{
	char padded[IFNAMSIZ] = {};

	memcpy(padded, name, strnlen(name, IFNAMSIZ - 1));
	load_meta(r, which, NFT_REG_1);
	compare(r, how, padded, sizeof(padded));
}

static void family_is(struct nft_rule *r, uint8_t nfproto)
{
	load_meta(r, NFT_META_NFPROTO, NFT_REG_1);
	compare_byte(r, NFT_CMP_EQ, nfproto);
}

/* The addresses of a header: where they are, and how long. */
static const struct {
	uint8_t nfproto;
	uint32_t source, destination, len;
} headers[NET_FAMILIES] = {
	[NET_4] = { NFPROTO_IPV4, 12, 16, 4 },
	[NET_6] = { NFPROTO_IPV6, 8, 24, 16 },
};

/* The address at offset of the header is in the subnet. */
static void address_in(struct nft_rule *r, int family, uint32_t offset, const struct ip_net *net)
{
	uint32_t len = headers[family].len;
	struct ip first = ip_net_first(net);
	struct nft_op *o;

	family_is(r, headers[family].nfproto);
	load(r, NFT_PAYLOAD_NETWORK_HEADER, offset, len, NFT_REG_1);
	if (net->prefix < len * 8) {
		o = add(r, NFT_OP_MASK);
		o->len = len;
		for (uint32_t bit = 0; bit < net->prefix; bit++)
			o->data[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	}
	compare(r, NFT_CMP_EQ, first.b, len);
}

static void ct_has(struct nft_rule *r, uint32_t key, uint32_t bits, bool has)
{
	const uint32_t zero = 0;
	struct nft_op *o = add(r, NFT_OP_CT);

	o->key = key;
	o = add(r, NFT_OP_MASK);
	o->len = sizeof(bits);
	memcpy(o->data, &bits, sizeof(bits));
	compare(r, has ? NFT_CMP_NEQ : NFT_CMP_EQ, &zero, sizeof(zero));
}

/* linux/netfilter/nf_conntrack_common.h: bits of NFT_CT_STATE and NFT_CT_STATUS */
#define CT_KNOWN (1U << 1 | 1U << 2) /* established, related */
#define CT_DNAT (1U << 5)

/* ---- the inet table ---- */

static const struct ip_net loopback4 = { .ip = { .family = AF_INET, .b = { 127 } }, .prefix = 8 };

static void local_only(struct nft_table *t, const char *chain)
{
	static const uint32_t local = 2; /* RTN_LOCAL */
	struct nft_rule *r = rule(t, chain);

	add(r, NFT_OP_FIB);
	compare(r, NFT_CMP_EQ, &local, sizeof(local));
	verdict(r, NFT_JUMP, "publish");
}

/*
 * An answer to ::1 would come in by the bridge, and the kernel has a way to ::1 from lo only (it
 * does not have what route_localnet is for IPv4). Without us it is refused at once, and programs
 * that are told "localhost" go on to 127.0.0.1.
 */
static void not_loopback6(struct nft_table *t)
{
	static const struct ip_net loopback = { .ip = { .family = AF_INET6, .b = { [15] = 1 } },
						.prefix = 128 };
	struct nft_rule *r = rule(t, "nat-out");

	address_in(r, NET_6, headers[NET_6].destination, &loopback);
	verdict(r, NFT_RETURN, NULL);
}

/* Registers count in steps of 16 bytes, and as NFT_REG32_* in steps of 4. */
static void publish(struct nft_table *t, int family, const char *at, const char *any)
{
	uint32_t len = headers[family].len, words = len / 4;

	for (int i = 0; i < 2; i++) {
		struct nft_rule *r = rule(t, "publish");
		uint32_t reg = NFT_REG32_00;
		struct nft_op *o;

		family_is(r, headers[family].nfproto);
		if (i == 0) {
			load(r, NFT_PAYLOAD_NETWORK_HEADER, headers[family].destination, len,
			     NFT_REG32_00);
			reg += words;
		}
		load_meta(r, NFT_META_L4PROTO, reg);
		load(r, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, reg + 1);
		add(r, NFT_OP_MAP)->name = i == 0 ? at : any;
		o = add(r, NFT_OP_DNAT);
		o->key = headers[family].nfproto;
		o->reg2 = NFT_REG32_00 + words;
	}
}

static void masquerade(struct nft_table *t, const struct net_conf *c, int family)
{
	uint32_t source = headers[family].source;
	struct nft_rule *r = rule(t, "nat-post");

	link_is(r, NFT_META_OIFNAME, NFT_CMP_NEQ, c->bridge);
	address_in(r, family, source, &c->subnet[family]);
	add(r, NFT_OP_MASQ);
	if (family == NET_4) {
		r = rule(t, "nat-post");
		link_is(r, NFT_META_OIFNAME, NFT_CMP_EQ, c->bridge);
		address_in(r, family, source, &loopback4);
		add(r, NFT_OP_MASQ);
	}
	r = rule(t, "nat-post");
	link_is(r, NFT_META_OIFNAME, NFT_CMP_EQ, c->bridge);
	ct_has(r, NFT_CT_STATUS, CT_DNAT, true);
	address_in(r, family, source, &c->subnet[family]);
	add(r, NFT_OP_MASQ);
}

static void forward(struct nft_table *t, const struct net_conf *c)
{
	struct nft_rule *r = rule(t, "forward");

	ct_has(r, NFT_CT_STATE, CT_KNOWN, true);
	verdict(r, NF_ACCEPT, NULL);
	/* With br_netfilter, what the ports of a bridge send each other passes here. */
	r = rule(t, "forward");
	load_meta(r, NFT_META_IIFNAME, NFT_REG_1);
	load_meta(r, NFT_META_OIFNAME, NFT_REG_2);
	lookup(r, NET_SAME_SET, false);
	verdict(r, NF_ACCEPT, NULL);
	/* Wherever it would go: a link that comes later is no way for the neighbours of this. */
	for (int i = 0; i < NET_FAMILIES; i++) {
		r = rule(t, "forward");
		family_is(r, headers[i].nfproto);
		load_meta(r, NFT_META_IIFNAME, NFT_REG_1);
		lookup(r, net_edge_set(i), false);
		ct_has(r, NFT_CT_STATUS, CT_DNAT, false);
		verdict(r, NF_DROP, NULL);
	}
	if (c->internal) {
		r = rule(t, "forward");
		link_is(r, NFT_META_IIFNAME, NFT_CMP_EQ, c->bridge);
		link_is(r, NFT_META_OIFNAME, NFT_CMP_NEQ, c->bridge);
		verdict(r, NF_DROP, NULL);
	}
	r = rule(t, "forward");
	link_is(r, NFT_META_OIFNAME, NFT_CMP_EQ, c->bridge);
	link_is(r, NFT_META_IIFNAME, NFT_CMP_NEQ, c->bridge);
	ct_has(r, NFT_CT_STATUS, CT_DNAT, false);
	verdict(r, NF_DROP, NULL);
}

#define ICMP6_NS 135
#define ICMP6_NA 136
#define ICMP6_RA 134
#define ICMP6_REDIRECT 137
#define ICMP6_MLD2 143

static void icmp6_type(struct nft_rule *r, uint32_t how, uint8_t type)
{
	load_meta(r, NFT_META_L4PROTO, NFT_REG_1);
	compare_byte(r, NFT_CMP_EQ, IPPROTO_ICMPV6);
	load(r, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, NFT_REG_1);
	compare_byte(r, how, type);
}

static void input(struct nft_table *t, const struct net_conf *c)
{
	struct nft_rule *r = rule(t, "input");

	link_is(r, NFT_META_IIFNAME, NFT_CMP_EQ, c->bridge);
	ct_has(r, NFT_CT_STATE, CT_KNOWN, true);
	verdict(r, NF_ACCEPT, NULL);
	for (uint8_t type = ICMP6_NS; type <= ICMP6_NA; type++) {
		r = rule(t, "input");
		link_is(r, NFT_META_IIFNAME, NFT_CMP_EQ, c->bridge);
		icmp6_type(r, NFT_CMP_EQ, type);
		verdict(r, NF_ACCEPT, NULL);
	}
	r = rule(t, "input");
	link_is(r, NFT_META_IIFNAME, NFT_CMP_EQ, c->bridge);
	verdict(r, NF_DROP, NULL);
}

/*
 * A bridge gives frames for 01:80:c2:00:00:0X, of whatever protocol, to the host as the port's: no
 * rule for the bridge sees them. What is the bridge's never comes by a port. By kind too, as a
 * bridge may have any name.
 */
static void not_by_port(struct nft_table *t, const struct net_conf *c)
{
	struct nft_rule *r = rule(t, "raw");
	char port[IFNAMSIZ];
	int len = snprintf(port, sizeof(port), NET_VETH_PREFIX, NET_BRIDGE_MAX, c->bridge);

	load_meta(r, NFT_META_IIFNAME, NFT_REG_1);
	compare(r, NFT_CMP_EQ, port, (uint32_t)len);
	link_is(r, NFT_META_IIFKIND, NFT_CMP_EQ, "veth");
	verdict(r, NF_DROP, NULL);
}

static void inet_table(const struct net_conf *c, struct nft_table *t)
{
	struct nft_rule *r;

	not_by_port(t, c);
	r = rule(t, "raw");
	link_is(r, NFT_META_IIFNAME, NFT_CMP_EQ, c->bridge);
	address_in(r, NET_4, headers[NET_4].destination, &loopback4);
	verdict(r, NF_DROP, NULL);
	r = rule(t, "nat-in");
	address_in(r, NET_4, headers[NET_4].destination, &loopback4);
	verdict(r, NFT_RETURN, NULL);
	not_loopback6(t);
	local_only(t, "nat-in");
	local_only(t, "nat-out");
	publish(t, NET_4, "at4", "any4");
	publish(t, NET_6, "at6", "any6");
	for (int i = 0; i < NET_FAMILIES; i++)
		if (c->subnet[i].ip.family && !c->internal)
			masquerade(t, c, i);
	forward(t, c);
	if (c->internal)
		input(t, c);
}

/* ---- the bridge table ---- */

static void ether_type(struct nft_rule *r, uint16_t type)
{
	const uint8_t v[2] = { (uint8_t)(type >> 8), (uint8_t)type };

	load(r, NFT_PAYLOAD_LL_HEADER, 12, 2, NFT_REG_1);
	compare(r, NFT_CMP_EQ, v, sizeof(v));
}

/* The link it came by, together with what is at an offset: in the set or not. */
static void link_with(struct nft_rule *r, uint32_t base, uint32_t offset, uint32_t len,
		      const char *set, bool not_in)
{
	load_meta(r, NFT_META_IIFNAME, NFT_REG_1);
	load(r, base, offset, len, NFT_REG_2);
	lookup(r, set, not_in);
}

static void guard6(struct nft_table *t)
{
	static const uint8_t forbidden[] = { ICMP6_RA, ICMP6_REDIRECT };
	/* Who has no address yet: is it taken, and which groups do I hear. */
	static const uint8_t unspecified[] = { ICMP6_NS, ICMP6_MLD2 };
	static const uint8_t nobody[16];
	struct nft_rule *r;

	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++) {
		r = rule(t, "guard");
		ether_type(r, ETHERTYPE_IPV6);
		icmp6_type(r, NFT_CMP_EQ, forbidden[i]);
		verdict(r, NF_DROP, NULL);
	}
	r = rule(t, "guard");
	ether_type(r, ETHERTYPE_IPV6);
	icmp6_type(r, NFT_CMP_EQ, ICMP6_NA);
	link_with(r, NFT_PAYLOAD_TRANSPORT_HEADER, 8, 16, "ip6", true);
	verdict(r, NF_DROP, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(unspecified); i++) {
		r = rule(t, "guard");
		ether_type(r, ETHERTYPE_IPV6);
		load(r, NFT_PAYLOAD_NETWORK_HEADER, 8, 16, NFT_REG_1);
		compare(r, NFT_CMP_EQ, nobody, sizeof(nobody));
		icmp6_type(r, NFT_CMP_EQ, unspecified[i]);
		verdict(r, NF_ACCEPT, NULL);
	}
	r = rule(t, "guard");
	ether_type(r, ETHERTYPE_IPV6);
	link_with(r, NFT_PAYLOAD_NETWORK_HEADER, 8, 16, "ip6", false);
	verdict(r, NF_ACCEPT, NULL);
}

static void bridge_table(struct nft_table *t)
{
	struct nft_rule *r = rule(t, "prerouting");

	load_meta(r, NFT_META_IIFNAME, NFT_REG_1);
	lookup(r, "links", false);
	verdict(r, NFT_JUMP, "guard");
	r = rule(t, "guard");
	link_with(r, NFT_PAYLOAD_LL_HEADER, 6, LINK_ETHER, "mac", true);
	verdict(r, NF_DROP, NULL);
	r = rule(t, "guard");
	ether_type(r, ETHERTYPE_IP);
	link_with(r, NFT_PAYLOAD_NETWORK_HEADER, 12, 4, "ip4", false);
	verdict(r, NF_ACCEPT, NULL);
	r = rule(t, "guard");
	ether_type(r, ETHERTYPE_ARP);
	link_with(r, NFT_PAYLOAD_NETWORK_HEADER, 8, LINK_ETHER, "mac", false);
	link_with(r, NFT_PAYLOAD_NETWORK_HEADER, 14, 4, "ip4", false);
	verdict(r, NF_ACCEPT, NULL);
	guard6(t);
	r = rule(t, "guard");
	verdict(r, NF_DROP, NULL);
}

void net_tables(const struct net_conf *c, struct nft_table *inet, struct nft_table *bridge)
{
	*inet = (struct nft_table){
		.family = NFPROTO_INET,
		.sets = inet_sets,
		.n_sets = ARRAY_SIZE(inet_sets),
		.chains = inet_chains,
		.n_chains = ARRAY_SIZE(inet_chains) - !c->internal,
	};
	*bridge = (struct nft_table){
		.family = NFPROTO_BRIDGE,
		.sets = bridge_sets,
		.n_sets = ARRAY_SIZE(bridge_sets),
		.chains = bridge_chains,
		.n_chains = ARRAY_SIZE(bridge_chains),
	};
	snprintf(inet->name, sizeof(inet->name), "%s", c->bridge);
	snprintf(bridge->name, sizeof(bridge->name), "%s", c->bridge);
	inet_table(c, inet);
	bridge_table(bridge);
}
