/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/port.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define PORT_MAX 65535

static int bad(const char *text, const char *why, struct err *e)
{
	return err_set(e, EINVAL, "--publish: %s: %s", why, text);
}

/* A port, or A-B: the first, and how many. */
static bool parse_range(const char *s, uint16_t *first, uint32_t *count)
{
	const char *dash = strchr(s, '-');
	char a[8] = "";
	uint64_t from, to;

	if (dash && (size_t)(dash - s) >= sizeof(a))
		return false;
	if (dash)
		snprintf(a, sizeof(a), "%.*s", (int)(dash - s), s);
	if (str_to_u64(dash ? a : s, PORT_MAX, &from) < 0 || from == 0)
		return false;
	to = from;
	if (dash && (str_to_u64(dash + 1, PORT_MAX, &to) < 0 || to < from))
		return false;
	*first = (uint16_t)from;
	*count = (uint32_t)(to - from) + 1;
	return true;
}

/* Cuts what stands behind the slash off. */
static bool parse_protocol(char *s, uint8_t *proto)
{
	char *slash = strchr(s, '/');

	*proto = IPPROTO_TCP;
	if (!slash)
		return true;
	*slash = '\0';
	if (str_eq(slash + 1, "udp"))
		*proto = IPPROTO_UDP;
	else if (!str_eq(slash + 1, "tcp"))
		return false;
	return true;
}

/* Cuts an address off the front: *rest is what stands behind its colon. */
static bool parse_address(char *s, struct ip *ip, char **rest)
{
	char *end;

	if (*s == '[') {
		end = strstr(s, "]:");
		if (!end)
			return false;
		*end = '\0';
		*rest = end + 2;
		return ip_parse(s + 1, ip) == 0 && ip->family == AF_INET6;
	}
	end = strchr(s, ':');
	if (!end || !strchr(end + 1, ':')) {
		*rest = s;
		return true;
	}
	*end = '\0';
	*rest = end + 1;
	return ip_parse(s, ip) == 0 && ip->family == AF_INET;
}

int port_parse(const char *text, struct ip_port *out, struct err *e)
{
	struct ip_port p = {};
	uint32_t host, container;
	char copy[PORT_TEXT + 1], *s, *colon;

	if (strlen(text) >= sizeof(copy))
		return bad(text, "not [IP:]HOST:CONTAINER[/tcp|udp]", e);
	strcpy(copy, text);
	if (!parse_protocol(copy, &p.proto))
		return bad(text, "neither tcp nor udp", e);
	if (!parse_address(copy, &p.ip, &s))
		return bad(text, "not an address of the host", e);
	colon = strchr(s, ':');
	if (!colon)
		return bad(text, "not [IP:]HOST:CONTAINER[/tcp|udp]", e);
	*colon = '\0';
	if (!parse_range(s, &p.host, &host) || !parse_range(colon + 1, &p.container, &container))
		return bad(text, "not a port (1 to 65535) or a range of ports", e);
	if (host != container)
		return bad(text, "the ranges differ in length", e);
	if (host > UINT16_MAX)
		return bad(text, "too many ports", e);
	p.count = (uint16_t)host;
	*out = p;
	return 0;
}

static void range_text(char *buf, size_t size, uint16_t first, uint16_t count)
{
	if (count == 1)
		snprintf(buf, size, "%u", first);
	else
		snprintf(buf, size, "%u-%u", first, first + count - 1U);
}

const char *port_text(const struct ip_port *p, char buf[PORT_TEXT])
{
	const char *proto = p->proto == IPPROTO_UDP ? "udp" : "tcp";
	char ip[IP_TEXT] = "", host[16], container[16];

	range_text(host, sizeof(host), p->host, p->count);
	range_text(container, sizeof(container), p->container, p->count);
	if (p->ip.family)
		ip_text(&p->ip, ip);
	snprintf(buf, PORT_TEXT, p->ip.family == AF_INET6 ? "[%s]%s%s:%s/%s" : "%s%s%s:%s/%s", ip,
		 *ip ? ":" : "", host, container, proto);
	return buf;
}

/* A port of all addresses is one of each. */
static bool same_address(const struct ip *a, const struct ip *b)
{
	if (!a->family || !b->family)
		return true;
	return a->family == b->family && (ip_is_any(a) || ip_is_any(b) || ip_cmp(a, b) == 0);
}

bool port_overlap(const struct ip_port *a, const struct ip_port *b, uint16_t *port)
{
	uint32_t from = a->host > b->host ? a->host : b->host;
	uint32_t end_a = (uint32_t)a->host + a->count, end_b = (uint32_t)b->host + b->count;

	if (a->proto != b->proto || from >= (end_a < end_b ? end_a : end_b))
		return false;
	if (!same_address(&a->ip, &b->ip))
		return false;
	*port = (uint16_t)from;
	return true;
}
