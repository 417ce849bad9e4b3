/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a network of ours is, and the rules for it. Pure: values in, tables of nf_tables out.
 *
 * Each network has two tables, both with the name of its bridge and nothing shared with anybody:
 * one of family inet (published ports, masquerade, isolation) and one of family bridge (what a
 * container may send). Their rules are fixed; containers are elements of their sets.
 */
#ifndef CTR_NETNS_NET_RULES_H
#define CTR_NETNS_NET_RULES_H

#include "netns/ip.h"
#include "netns/link.h"
#include "netns/nft.h"

#define NET_NAME_MAX 63
/* Of a bridge: "_" and the number of an address come behind it for the links of containers. */
#define NET_BRIDGE_MAX 6
#define NET_VETH_PREFIX "%.*s_" /* NET_BRIDGE_MAX, bridge */

/* RFC 8200: with less, a link has no IPv6 at all. */
#define NET_MTU_6 1280

/* What the alias of a bridge of ours begins with. */
#define NET_ALIAS "ctr:"
/* The network that is there without being made. */
#define NET_DEFAULT "bridge"

enum { NET_4, NET_6, NET_FAMILIES };

struct net_conf {
	char name[NET_NAME_MAX + 1];
	char bridge[IFNAMSIZ];
	struct ip_net subnet[NET_FAMILIES]; /* ip.family 0: this network has none */
	struct ip gateway[NET_FAMILIES];
	uint32_t mtu; /* 0: the kernel's choice */
	bool internal;
};

/* A container's place in it. */
struct net_member {
	char veth[IFNAMSIZ]; /* the host's end */
	uint8_t mac[LINK_ETHER];
	struct ip ip[NET_FAMILIES]; /* family 0: none */
	const struct ip_port *ports;
	size_t n_ports;
};

/* The fixed part. Its edges: see net_edge_element. */
void net_tables(const struct net_conf *c, struct nft_table *inet, struct nft_table *bridge);

struct net_elements {
	struct nft_element *v; /* malloc'ed */
	size_t n;
};

/* Those of the bridge table, and of the inet table: 0 or -ENOMEM. The caller frees both. */
int net_guard_elements(const struct net_member *m, struct net_elements *out);
int net_port_elements(const struct net_member *m, struct net_elements *out);

/*
 * A link of the host that would not forward, were it not for us: what comes by it goes nowhere but
 * to published ports, and where it was asked for.
 */
struct nft_element net_edge_element(int family, const char *link);
/* The set of them. */
const char *net_edge_set(int family);
/* And of what an edge that is a bridge carries itself, which is not routed. */
#define NET_SAME_SET "same"
struct nft_element net_same_element(const char *link);

void net_elements_free(struct net_elements *l);

/* The link-local address that the kernel makes of a hardware address. */
struct ip net_link_local(const uint8_t mac[LINK_ETHER]);

/* A hardware address for who has these addresses: the same for the same. */
void net_mac(const struct ip ip[NET_FAMILIES], uint8_t mac[LINK_ETHER]);

/* The name of the host's end: unique in the network. */
void net_veth_name(const struct net_conf *c, const struct ip ip[NET_FAMILIES], char name[IFNAMSIZ]);

#endif
