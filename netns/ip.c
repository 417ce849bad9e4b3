/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/ip.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

int ip_parse(const char *s, struct ip *out)
{
	struct ip ip = { .family = strchr(s, ':') ? AF_INET6 : AF_INET };

	if (inet_pton(ip.family, s, ip.b) != 1)
		return -EINVAL;
	*out = ip;
	return 0;
}

int ip_net_parse(const char *s, struct ip_net *out)
{
	const char *slash = strchr(s, '/');
	char text[IP_TEXT];
	struct ip_net n;
	uint64_t prefix;

	if (!slash || (size_t)(slash - s) >= sizeof(text))
		return -EINVAL;
	memcpy(text, s, (size_t)(slash - s));
	text[slash - s] = '\0';
	if (ip_parse(text, &n.ip) < 0 || str_to_u64(slash + 1, ip_bits(&n.ip), &prefix) < 0)
		return -EINVAL;
	n.prefix = (uint8_t)prefix;
	*out = n;
	return 0;
}

const char *ip_text(const struct ip *ip, char buf[IP_TEXT])
{
	if (!inet_ntop(ip->family, ip->b, buf, IP_TEXT))
		buf[0] = '\0';
	return buf;
}

const char *ip_net_text(const struct ip_net *n, char buf[IP_NET_TEXT])
{
	char text[IP_TEXT];

	snprintf(buf, IP_NET_TEXT, "%s/%u", ip_text(&n->ip, text), n->prefix);
	return buf;
}

bool ip_is_any(const struct ip *ip)
{
	static const uint8_t zero[16];

	return ip->family && !memcmp(ip->b, zero, sizeof(zero));
}

size_t ip_len(const struct ip *ip)
{
	return ip->family == AF_INET ? 4 : ip->family == AF_INET6 ? 16 : 0;
}

uint8_t ip_bits(const struct ip *ip)
{
	return (uint8_t)(8 * ip_len(ip));
}

int ip_cmp(const struct ip *a, const struct ip *b)
{
	size_t x = ip_len(a), y = ip_len(b);

	return x != y ? (x < y ? -1 : 1) : memcmp(a->b, b->b, x);
}

bool ip_next(struct ip *ip)
{
	struct ip v = *ip;

	for (size_t i = ip_len(ip); i-- > 0;) {
		if (++v.b[i] != 0) {
			*ip = v;
			return true;
		}
	}
	return false;
}

bool ip_prev(struct ip *ip)
{
	struct ip v = *ip;

	for (size_t i = ip_len(ip); i-- > 0;) {
		if (v.b[i]-- != 0) {
			*ip = v;
			return true;
		}
	}
	return false;
}

/* The bits of byte i that belong to the host part. */
static uint8_t host_bits(uint8_t prefix, size_t i)
{
	if (prefix >= 8 * (i + 1))
		return 0;
	return prefix <= 8 * i ? 0xff : (uint8_t)(0xff >> (prefix - 8 * i));
}

struct ip ip_net_first(const struct ip_net *n)
{
	struct ip ip = n->ip;

	for (size_t i = 0; i < ip_len(&ip); i++)
		ip.b[i] = (uint8_t)(ip.b[i] & ~host_bits(n->prefix, i));
	return ip;
}

struct ip ip_net_last(const struct ip_net *n)
{
	struct ip ip = n->ip;

	for (size_t i = 0; i < ip_len(&ip); i++)
		ip.b[i] |= host_bits(n->prefix, i);
	return ip;
}

bool ip_net_has(const struct ip_net *n, const struct ip *ip)
{
	const struct ip_net other = { .ip = *ip, .prefix = n->prefix };
	struct ip a = ip_net_first(n), b = ip_net_first(&other);

	return n->ip.family == ip->family && ip_len(ip) && ip_cmp(&a, &b) == 0;
}

bool ip_net_overlap(const struct ip_net *a, const struct ip_net *b)
{
	return ip_net_has(a->prefix < b->prefix ? a : b, a->prefix < b->prefix ? &b->ip : &a->ip);
}
