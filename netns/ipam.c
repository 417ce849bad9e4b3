/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has what is a list; which is next is a walk from the last given over the sorted addresses
 * that may not be given. A free address is found after at most as many steps as there are such.
 */
#include "netns/ipam.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <errno.h>
#include <sys/socket.h>

/* ---- what a pool is ---- */

/* The two ends of a subnet are nobody's, unless it has nothing but ends. */
static bool has_ends(const struct ip_net *n)
{
	return ip_bits(&n->ip) - n->prefix >= 2;
}

/* The first and last that somebody may have. An IPv6 subnet has no broadcast address. */
static void usable(const struct ip_net *n, struct ip *first, struct ip *last)
{
	*first = ip_net_first(n);
	*last = ip_net_last(n);
	if (!has_ends(n))
		return;
	ip_next(first);
	if (n->ip.family == AF_INET)
		ip_prev(last);
}

int ipam_default_gateway(const struct ip_net *subnet, struct ip *out)
{
	struct ip last;

	if (ip_bits(&subnet->ip) == subnet->prefix)
		return -ENOSPC;
	usable(subnet, out, &last);
	return 0;
}

int ipam_check(const struct ipam_pool *p, const char *what, struct err *e)
{
	struct ip first, last, base = ip_net_first(&p->subnet);
	char text[IP_TEXT], net[IP_NET_TEXT];

	ip_net_text(&p->subnet, net);
	if (!ip_len(&p->subnet.ip))
		return err_set(e, EINVAL, "%s: no subnet", what);
	if (ip_cmp(&base, &p->subnet.ip) != 0)
		return err_set(e, EINVAL,
			       "%s: subnet %s: the address is not the subnet's first, %s", what,
			       net, ip_text(&base, text));
	if (ip_bits(&p->subnet.ip) - p->subnet.prefix < 1)
		return err_set(e, EINVAL, "%s: subnet %s has no room for a container", what, net);
	if (!p->gateway.family)
		return 0;
	usable(&p->subnet, &first, &last);
	if (!ip_net_has(&p->subnet, &p->gateway) || ip_cmp(&p->gateway, &first) < 0 ||
	    ip_cmp(&p->gateway, &last) > 0)
		return err_set(e, EINVAL, "%s: gateway %s is no address of the subnet %s", what,
			       ip_text(&p->gateway, text), net);
	return 0;
}

static const struct ip_net *reserved(const struct ipam_pool *p, const struct ip *ip)
{
	for (size_t i = 0; i < p->n_reserved; i++)
		if (ip_net_has(&p->reserved[i], ip))
			return &p->reserved[i];
	return NULL;
}

int ipam_may_have(const struct ipam_pool *p, const struct ip *ip, struct err *e)
{
	char text[IP_TEXT], net[IP_NET_TEXT];
	struct ip first, last;

	ip_text(ip, text);
	if (!ip_net_has(&p->subnet, ip))
		return err_set(e, EINVAL, "address %s: not in the subnet %s", text,
			       ip_net_text(&p->subnet, net));
	usable(&p->subnet, &first, &last);
	if (ip_cmp(ip, &first) < 0 || ip_cmp(ip, &last) > 0)
		return err_set(e, EINVAL, "address %s: no container can have the %s of the subnet",
			       text, ip_cmp(ip, &first) < 0 ? "first" : "last");
	if (ip_cmp(ip, &p->gateway) == 0)
		return err_set(e, EINVAL, "address %s: it is the network's gateway", text);
	if (reserved(p, ip))
		return err_set(e, EINVAL, "address %s: reserved by the network", text);
	return 0;
}

/* ---- which is next ---- */

static int by_ip(const void *a, const void *b)
{
	return ip_cmp(a, b);
}

/* The addresses of the pool that are given, sorted. */
static int given(const struct ipam_pool *p, const struct ipam_leases *l, struct ip **out, size_t *n)
{
	struct ip *v = calloc(l->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	*n = 0;
	for (size_t i = 0; i < l->n; i++)
		if (ip_net_has(&p->subnet, &l->v[i].ip))
			v[(*n)++] = l->v[i].ip;
	qsort(v, *n, sizeof(*v), by_ip);
	*out = v;
	return 0;
}

/* Moves *ip behind what may not be given; false when that is the end of all addresses. */
static bool skip(const struct ipam_pool *p, const struct ip *v, size_t n, size_t *at, struct ip *ip,
		 bool *moved)
{
	const struct ip_net *r = reserved(p, ip);

	*moved = true;
	if (r) {
		*ip = ip_net_last(r);
		return ip_next(ip);
	}
	while (*at < n && ip_cmp(&v[*at], ip) < 0)
		(*at)++;
	if ((*at < n && ip_cmp(&v[*at], ip) == 0) || ip_cmp(ip, &p->gateway) == 0)
		return ip_next(ip);
	*moved = false;
	return true;
}

/* The first free one in from..to. */
static bool find(const struct ipam_pool *p, const struct ip *v, size_t n, struct ip from,
		 const struct ip *to, struct ip *out)
{
	bool moved = true;
	size_t at = 0;

	while (moved) {
		if (ip_cmp(&from, to) > 0 || !skip(p, v, n, &at, &from, &moved))
			return false;
	}
	*out = from;
	return true;
}

int ipam_next(const struct ipam_pool *p, const struct ipam_leases *l, struct ip *out)
{
	const struct ip *mark = &l->last[p->subnet.ip.family == AF_INET6];
	struct ip first, last, after;
	AUTO_FREE struct ip *v = NULL;
	size_t n;
	int r = given(p, l, &v, &n);

	if (r < 0)
		return r;
	usable(&p->subnet, &first, &last);
	after = first;
	/* The network may have been made anew with another subnet. */
	if (ip_net_has(&p->subnet, mark) && ip_cmp(mark, &first) >= 0 && ip_cmp(mark, &last) < 0) {
		after = *mark;
		ip_next(&after);
	}
	if (find(p, v, n, after, &last, out) || find(p, v, n, first, &last, out))
		return 0;
	return -ENOSPC;
}

const char *ipam_holder(const struct ipam_leases *l, const struct ip *ip)
{
	for (size_t i = 0; i < l->n; i++)
		if (ip_cmp(&l->v[i].ip, ip) == 0)
			return l->v[i].id;
	return NULL;
}

/* ---- subnets ---- */

int ipam_pick_subnet(const struct ip_net *from, uint8_t prefix, const struct ip_net *used, size_t n,
		     struct ip_net *out)
{
	struct ip_net s = { .ip = ip_net_first(from), .prefix = prefix };
	size_t i;

	if (prefix < from->prefix || prefix > ip_bits(&from->ip))
		return -ENOSPC;
	for (;;) {
		for (i = 0; i < n && !ip_net_overlap(&s, &used[i]); i++)
			;
		if (i == n)
			break;
		/* behind the larger of the two */
		s.ip = ip_net_last(used[i].prefix < prefix ? &used[i] : &s);
		if (!ip_next(&s.ip) || !ip_net_has(from, &s.ip))
			return -ENOSPC;
	}
	*out = s;
	return 0;
}
