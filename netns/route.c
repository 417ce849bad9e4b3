/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/route.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

int route_read(const struct nlmsghdr *m, void *arg)
{
	const struct rtmsg *t = mnl_nlmsg_get_payload(m);
	const struct nlattr *a[RTA_TABLE + 1];
	const struct route_reader *w = arg;
	struct route r = {};
	size_t len;

	_Static_assert(RTA_TABLE > RTA_DST && RTA_TABLE > RTA_OIF,
		       "the largest attribute that is read");
	if (nl_attrs(m, sizeof(*t), a, RTA_TABLE) < 0 || m->nlmsg_type != RTM_NEWROUTE)
		return -EBADMSG;
	if ((t->rtm_family != AF_INET && t->rtm_family != AF_INET6) || t->rtm_type != RTN_UNICAST ||
	    t->rtm_table != RT_TABLE_MAIN || t->rtm_flags & RTM_F_CLONED)
		return 0;
	r.to.ip.family = t->rtm_family;
	r.to.prefix = t->rtm_dst_len;
	len = ip_len(&r.to.ip);
	if (r.to.prefix > len * 8)
		return -EBADMSG;
	if (a[RTA_DST]) {
		if (mnl_attr_get_payload_len(a[RTA_DST]) != len)
			return -EBADMSG;
		memcpy(r.to.ip.b, mnl_attr_get_payload(a[RTA_DST]), len);
	} else if (r.to.prefix) {
		return -EBADMSG;
	}
	if (a[RTA_OIF] && mnl_attr_validate(a[RTA_OIF], MNL_TYPE_U32) == 0)
		r.link = (int)mnl_attr_get_u32(a[RTA_OIF]);
	return w->fn(&r, w->arg);
}

int routes_each(struct nl *n, uint8_t family, int (*fn)(const struct route *r, void *arg),
		void *arg)
{
	struct route_reader w = { .fn = fn, .arg = arg };
	union nl_request q;
	struct rtmsg *t = nl_begin(&q, RTM_GETROUTE, NLM_F_DUMP, sizeof(*t));
	int r;

	t->rtm_family = family;
	r = nl_talk(n, &q, route_read, &w);
	return r == -EAFNOSUPPORT || r == -EOPNOTSUPP ? 0 : r;
}

void route_put_default(union nl_request *q, int index, const struct ip *gateway)
{
	struct rtmsg *t = nl_begin(q, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*t));

	t->rtm_family = gateway->family;
	t->rtm_table = RT_TABLE_MAIN;
	t->rtm_protocol = RTPROT_STATIC;
	t->rtm_scope = RT_SCOPE_UNIVERSE;
	t->rtm_type = RTN_UNICAST;
	mnl_attr_put(&q->head, RTA_GATEWAY, ip_len(gateway), gateway->b);
	mnl_attr_put_u32(&q->head, RTA_OIF, (uint32_t)index);
}
