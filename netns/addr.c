/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/addr.h"

#include "base/str.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Flags that were given; the others tell what the kernel found out. */
#define FLAGS_KEPT                                                                      \
	(IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | \
	 IFA_F_MCAUTOJOIN)

struct walk {
	int index;
	struct addrs found;
};

/* True when the attribute is an address of that length, which is copied. */
static bool take(const struct nlattr *a, size_t len, uint8_t *out)
{
	if (!a || mnl_attr_get_payload_len(a) != len)
		return false;
	memcpy(out, mnl_attr_get_payload(a), len);
	return true;
}

static uint32_t number(const struct nlattr *a, uint32_t otherwise)
{
	return a && mnl_attr_validate(a, MNL_TYPE_U32) == 0 ? mnl_attr_get_u32(a) : otherwise;
}

static int read_addr(const struct nlmsghdr *m, void *arg)
{
	const struct ifaddrmsg *i = mnl_nlmsg_get_payload(m);
	const struct nlattr *a[IFA_RT_PRIORITY + 1];
	struct walk *w = arg;
	struct addr x, *v;

	if (nl_attrs(m, sizeof(*i), a, IFA_RT_PRIORITY) < 0 || m->nlmsg_type != RTM_NEWADDR)
		return -EBADMSG;
	if ((int)i->ifa_index != w->index ||
	    (i->ifa_family != AF_INET && i->ifa_family != AF_INET6))
		return 0;
	x = (struct addr){
		.family = i->ifa_family,
		.prefix = i->ifa_prefixlen,
		.scope = i->ifa_scope,
		.flags = number(a[IFA_FLAGS], i->ifa_flags),
		.len = i->ifa_family == AF_INET ? 4 : 16,
		.priority = number(a[IFA_RT_PRIORITY], 0),
	};
	if (!(x.flags & IFA_F_PERMANENT) || x.scope != RT_SCOPE_UNIVERSE)
		return 0;
	x.has_local = take(a[IFA_LOCAL], x.len, x.local);
	x.has_address = take(a[IFA_ADDRESS], x.len, x.address);
	x.has_broadcast = take(a[IFA_BROADCAST], x.len, x.broadcast);
	if (!x.has_local && !x.has_address)
		return -EBADMSG;
	if (a[IFA_LABEL] && mnl_attr_validate(a[IFA_LABEL], MNL_TYPE_NUL_STRING) == 0)
		snprintf(x.label, sizeof(x.label), "%s", mnl_attr_get_str(a[IFA_LABEL]));
	v = reallocarray(w->found.v, w->found.n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	w->found.v = v;
	v[w->found.n++] = x;
	return 0;
}

int addrs_get(struct nl *n, int index, struct addrs *out)
{
	struct walk w = { .index = index };
	union nl_request q;
	int r;

	nl_begin(&q, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg));
	r = nl_talk(n, &q, read_addr, &w);
	if (r < 0)
		addrs_free(&w.found);
	else
		*out = w.found;
	return r;
}

void addrs_free(struct addrs *a)
{
	free(a->v);
	*a = (struct addrs){};
}

static void put_label(union nl_request *q, const struct addr *a, const char *old_name,
		      const char *new_name)
{
	const char *rest = str_after(a->label, old_name);
	char label[2 * IFNAMSIZ];

	/* The name alone is what the kernel takes without a label. */
	if (!a->label[0] || (rest && !*rest))
		return;
	if (rest && *rest == ':')
		snprintf(label, sizeof(label), "%s%s", new_name, rest);
	else
		snprintf(label, sizeof(label), "%s", a->label);
	if (strlen(label) < IFNAMSIZ)
		mnl_attr_put_strz(&q->head, IFA_LABEL, label);
}

int addr_add(struct nl *n, int index, const struct addr *a, const char *old_name,
	     const char *new_name)
{
	union nl_request q;
	struct ifaddrmsg *i = nl_begin(&q, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(*i));
	int r;

	i->ifa_family = a->family;
	i->ifa_prefixlen = a->prefix;
	i->ifa_scope = a->scope;
	i->ifa_index = (unsigned int)index;
	if (a->has_local)
		mnl_attr_put(&q.head, IFA_LOCAL, a->len, a->local);
	if (a->has_address)
		mnl_attr_put(&q.head, IFA_ADDRESS, a->len, a->address);
	if (a->has_broadcast)
		mnl_attr_put(&q.head, IFA_BROADCAST, a->len, a->broadcast);
	mnl_attr_put_u32(&q.head, IFA_FLAGS, a->flags & FLAGS_KEPT);
	if (a->priority)
		mnl_attr_put_u32(&q.head, IFA_RT_PRIORITY, a->priority);
	put_label(&q, a, old_name, new_name);
	r = nl_talk(n, &q, NULL, NULL);
	return r == -EEXIST ? 0 : r;
}

int addr_read(const struct nlmsghdr *m, void *arg)
{
	const struct ifaddrmsg *i = mnl_nlmsg_get_payload(m);
	const struct nlattr *a[IFA_LOCAL + 1];
	const struct addr_reader *w = arg;
	struct ip_net net = {};

	_Static_assert(IFA_LOCAL > IFA_ADDRESS, "the largest attribute that is read");
	if (nl_attrs(m, sizeof(*i), a, IFA_LOCAL) < 0 || m->nlmsg_type != RTM_NEWADDR)
		return -EBADMSG;
	if ((i->ifa_family != AF_INET && i->ifa_family != AF_INET6) ||
	    i->ifa_scope != RT_SCOPE_UNIVERSE)
		return 0;
	net.ip.family = i->ifa_family;
	net.prefix = i->ifa_prefixlen;
	if (net.prefix > ip_bits(&net.ip))
		return -EBADMSG;
	if (!take(a[IFA_LOCAL], ip_len(&net.ip), net.ip.b) &&
	    !take(a[IFA_ADDRESS], ip_len(&net.ip), net.ip.b))
		return -EBADMSG;
	return w->fn((int)i->ifa_index, &net, w->arg);
}

int addrs_each(struct nl *n, int (*fn)(int index, const struct ip_net *a, void *arg), void *arg)
{
	struct addr_reader w = { .fn = fn, .arg = arg };
	union nl_request q;

	nl_begin(&q, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg));
	return nl_talk(n, &q, addr_read, &w);
}

void addr_put(union nl_request *q, int index, const struct ip_net *a)
{
	struct ifaddrmsg *i = nl_begin(q, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*i));
	struct ip last = ip_net_last(a);

	i->ifa_family = a->ip.family;
	i->ifa_prefixlen = a->prefix;
	i->ifa_scope = RT_SCOPE_UNIVERSE;
	i->ifa_index = (unsigned int)index;
	mnl_attr_put(&q->head, IFA_LOCAL, ip_len(&a->ip), a->ip.b);
	mnl_attr_put(&q->head, IFA_ADDRESS, ip_len(&a->ip), a->ip.b);
	if (a->ip.family == AF_INET && a->prefix < 31)
		mnl_attr_put(&q->head, IFA_BROADCAST, ip_len(&a->ip), last.b);
	/* Who gives the addresses knows that there is no other. */
	if (a->ip.family == AF_INET6)
		mnl_attr_put_u32(&q->head, IFA_FLAGS, IFA_F_NODAD);
}
