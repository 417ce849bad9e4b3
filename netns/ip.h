/* SPDX-License-Identifier: Apache-2.0 */
/* IP addresses and subnets as plain values: text, order, containment. Pure. */
#ifndef CTR_NETNS_IP_H
#define CTR_NETNS_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IP_TEXT 46     /* longest address as text, with its NUL */
#define IP_NET_TEXT 50 /* the same with /128 */

struct ip {
	uint8_t family; /* AF_INET, AF_INET6; 0: none */
	uint8_t b[16];  /* network order; the first 4 for AF_INET, the rest zero */
};

/* A subnet, or an address with the length of its subnet. */
struct ip_net {
	struct ip ip;
	uint8_t prefix;
};

/* A published port: host..host+count-1 become container..container+count-1. */
struct ip_port {
	/* Of the host; family 0: all of its addresses; 0.0.0.0 or "::": all of one family. */
	struct ip ip;
	uint8_t proto;  /* IPPROTO_TCP or IPPROTO_UDP */
	uint16_t count; /* at least 1 */
	uint16_t host, container;
};

/* The text as inet_pton takes it, nothing around it. 0 or -EINVAL; *out on success only. */
int ip_parse(const char *s, struct ip *out);

/* ADDRESS/LENGTH; host bits may be set. 0 or -EINVAL. */
int ip_net_parse(const char *s, struct ip_net *out);

/* Both return buf. */
const char *ip_text(const struct ip *ip, char buf[IP_TEXT]);
const char *ip_net_text(const struct ip_net *n, char buf[IP_NET_TEXT]);

/* 0.0.0.0 or :: */
bool ip_is_any(const struct ip *ip);

size_t ip_len(const struct ip *ip);                 /* 4 or 16 bytes; 0: none */
uint8_t ip_bits(const struct ip *ip);               /* 32 or 128; 0: none */
int ip_cmp(const struct ip *a, const struct ip *b); /* IPv4 before IPv6, then by number */

/* The next address, and the one before; false when there is none, *ip is then unchanged. */
bool ip_next(struct ip *ip);
bool ip_prev(struct ip *ip);

struct ip ip_net_first(const struct ip_net *n); /* all host bits 0 */
struct ip ip_net_last(const struct ip_net *n);  /* all host bits 1: IPv4's broadcast address */
bool ip_net_has(const struct ip_net *n, const struct ip *ip);
bool ip_net_overlap(const struct ip_net *a, const struct ip_net *b);

#endif
