/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/link.h"

#include "base/cleanup.h"

#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>

/* One flag of one link: an ioctl costs two system calls less than a netlink request. */
int link_loopback_up(struct err *e)
{
	struct ifreq req = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(e, errno, "set link up: lo: socket");
	if (ioctl(fd, SIOCSIFFLAGS, &req) < 0)
		return err_sys(e, errno, "set link up: lo");
	return 0;
}

/* Text with its NUL, or nothing when it is too long for out. */
static void take_text(const struct nlattr *a, char *out, size_t size)
{
	if (a && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0 &&
	    mnl_attr_get_payload_len(a) <= size)
		strcpy(out, mnl_attr_get_str(a));
}

static void take_kind(const struct nlattr *info, struct link *l)
{
	const struct nlattr *a;

	if (!info || mnl_attr_validate(info, MNL_TYPE_NESTED) < 0)
		return;
	mnl_attr_for_each_nested(a, info)
	{
		if (mnl_attr_get_type(a) == IFLA_INFO_KIND)
			take_text(a, l->kind, sizeof(l->kind));
	}
}

int link_read(const struct nlmsghdr *m, void *arg)
{
	struct link *l = arg;
	const struct nlattr *a[IFLA_IFALIAS + 1];
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(m);

	_Static_assert(IFLA_IFALIAS > IFLA_LINKINFO && IFLA_IFALIAS > IFLA_MTU &&
			       IFLA_IFALIAS > IFLA_MASTER,
		       "the largest attribute that is read");
	if (nl_attrs(m, sizeof(*i), a, IFLA_IFALIAS) < 0 || m->nlmsg_type != RTM_NEWLINK)
		return -EBADMSG;
	if (!a[IFLA_IFNAME] || mnl_attr_validate(a[IFLA_IFNAME], MNL_TYPE_NUL_STRING) < 0 ||
	    mnl_attr_get_payload_len(a[IFLA_IFNAME]) > sizeof(l->name))
		return -EBADMSG;
	*l = (struct link){ .index = i->ifi_index, .up = i->ifi_flags & IFF_UP };
	strcpy(l->name, mnl_attr_get_str(a[IFLA_IFNAME]));
	if (a[IFLA_MTU] && mnl_attr_validate(a[IFLA_MTU], MNL_TYPE_U32) == 0)
		l->mtu = mnl_attr_get_u32(a[IFLA_MTU]);
	if (a[IFLA_MASTER] && mnl_attr_validate(a[IFLA_MASTER], MNL_TYPE_U32) == 0)
		l->master = (int)mnl_attr_get_u32(a[IFLA_MASTER]);
	if (a[IFLA_ADDRESS] && mnl_attr_get_payload_len(a[IFLA_ADDRESS]) <= sizeof(l->mac)) {
		l->mac_len = mnl_attr_get_payload_len(a[IFLA_ADDRESS]);
		memcpy(l->mac, mnl_attr_get_payload(a[IFLA_ADDRESS]), l->mac_len);
	}
	take_text(a[IFLA_IFALIAS], l->alias, sizeof(l->alias));
	take_kind(a[IFLA_LINKINFO], l);
	return 0;
}

struct walk {
	int (*fn)(const struct link *l, void *arg);
	void *arg;
};

static int walk_link(const struct nlmsghdr *m, void *arg)
{
	const struct walk *w = arg;
	struct link l;
	int r = link_read(m, &l);

	return r < 0 ? r : w->fn(&l, w->arg);
}

int links_each(struct nl *n, int (*fn)(const struct link *l, void *arg), void *arg)
{
	struct walk w = { .fn = fn, .arg = arg };
	union nl_request q;

	nl_begin(&q, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
	return nl_talk(n, &q, walk_link, &w);
}

int link_get(struct nl *n, const char *name, int index, struct link *out)
{
	union nl_request q;
	struct ifinfomsg *i = nl_begin(&q, RTM_GETLINK, 0, sizeof(*i));
	struct link found = {};
	int r;

	i->ifi_index = name ? 0 : index;
	if (name)
		mnl_attr_put_strz(&q.head, IFLA_IFNAME, name);
	r = nl_talk(n, &q, link_read, &found);
	if (r == 0 && !found.index)
		r = -ENODEV;
	if (r == 0)
		*out = found;
	return r;
}

/* A request that changes the link. */
static struct ifinfomsg *change(union nl_request *q, int index)
{
	struct ifinfomsg *i = nl_begin(q, RTM_SETLINK, 0, sizeof(*i));

	i->ifi_index = index;
	return i;
}

int link_move(struct nl *n, int index, int netns_fd, const char *name)
{
	union nl_request q;

	change(&q, index);
	mnl_attr_put_u32(&q.head, IFLA_NET_NS_FD, (uint32_t)netns_fd);
	mnl_attr_put_strz(&q.head, IFLA_IFNAME, name);
	return nl_talk(n, &q, NULL, NULL);
}

int link_rename(struct nl *n, int index, const char *name)
{
	union nl_request q;

	change(&q, index);
	mnl_attr_put_strz(&q.head, IFLA_IFNAME, name);
	return nl_talk(n, &q, NULL, NULL);
}

int link_set_up(struct nl *n, int index)
{
	union nl_request q;
	struct ifinfomsg *i = change(&q, index);

	i->ifi_flags = i->ifi_change = IFF_UP;
	return nl_talk(n, &q, NULL, NULL);
}

int link_restore(struct nl *n, int index, const struct link *like)
{
	struct link now;
	union nl_request q;
	int r = link_get(n, NULL, index, &now);

	if (r < 0)
		return r;
	change(&q, index);
	if (now.mtu == like->mtu && now.mac_len == like->mac_len &&
	    !memcmp(now.mac, like->mac, now.mac_len))
		return 0;
	if (now.mtu != like->mtu)
		mnl_attr_put_u32(&q.head, IFLA_MTU, like->mtu);
	if (like->mac_len)
		mnl_attr_put(&q.head, IFLA_ADDRESS, like->mac_len, like->mac);
	return nl_talk(n, &q, NULL, NULL);
}

int link_delete(struct nl *n, const char *name)
{
	union nl_request q;
	int r;

	nl_begin(&q, RTM_DELLINK, 0, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(&q.head, IFLA_IFNAME, name);
	r = nl_talk(n, &q, NULL, NULL);
	return r == -ENODEV ? 0 : r;
}

static void put_group(union nl_request *q, const char *name, uint32_t group)
{
	change(q, 0);
	mnl_attr_put_strz(&q->head, IFLA_IFNAME, name);
	mnl_attr_put_u32(&q->head, IFLA_GROUP, group);
}

/*
 * What takes time is that the kernel waits until nobody looks at a link any more: once for all of a
 * group, and these get one for their last moment.
 */
int link_delete_all(struct nl *n, const char *const *names, size_t count)
{
	AUTO_NL_BATCH struct nl_batch b = {};
	union nl_request q;
	uint32_t group;
	int r = 0;

	if (count == 1)
		return link_delete(n, names[0]);
	if (getrandom(&group, sizeof(group), 0) != sizeof(group))
		return -errno;
	group |= 1U << 31;
	for (size_t i = 0; i < count; i++) {
		put_group(&q, names[i], group);
		nl_batch_add(&b, &q);
	}
	r = nl_batch_talk(n, &b, NULL);
	if (r < 0 && r != -ENODEV)
		return r;
	nl_begin(&q, RTM_DELLINK, 0, sizeof(struct ifinfomsg));
	mnl_attr_put_u32(&q.head, IFLA_GROUP, group);
	r = nl_talk(n, &q, NULL, NULL);
	return r == -ENODEV ? 0 : r;
}

/* ---- requests ---- */

static struct ifinfomsg *begin_new(union nl_request *q, const char *name)
{
	struct ifinfomsg *i = nl_begin(q, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(*i));

	mnl_attr_put_strz(&q->head, IFLA_IFNAME, name);
	return i;
}

void link_put_bridge(union nl_request *q, const char *name, const uint8_t mac[LINK_ETHER])
{
	const struct br_boolopt_multi opts = { .optval = 1U << BR_BOOLOPT_NO_LL_LEARN,
					       .optmask = 1U << BR_BOOLOPT_NO_LL_LEARN };
	struct nlattr *info, *data;

	begin_new(q, name);
	/* Given, or it would be that of the port with the lowest, and change with them. */
	mnl_attr_put(&q->head, IFLA_ADDRESS, LINK_ETHER, mac);
	info = mnl_attr_nest_start(&q->head, IFLA_LINKINFO);
	mnl_attr_put_strz(&q->head, IFLA_INFO_KIND, "bridge");
	data = mnl_attr_nest_start(&q->head, IFLA_INFO_DATA);
	/* No spanning tree: a port forwards from its first packet. */
	mnl_attr_put_u32(&q->head, IFLA_BR_STP_STATE, 0);
	/*
	 * Frames for bridges themselves pass no rule before their source is learnt: by one of them
	 * a port could claim the address of another. A kernel before 5.0 takes no notice.
	 */
	mnl_attr_put(&q->head, IFLA_BR_MULTI_BOOLOPT, sizeof(opts), &opts);
	mnl_attr_nest_end(&q->head, data);
	mnl_attr_nest_end(&q->head, info);
}

void link_put_mtu(union nl_request *q, const char *name, uint32_t mtu)
{
	change(q, 0);
	mnl_attr_put_strz(&q->head, IFLA_IFNAME, name);
	mnl_attr_put_u32(&q->head, IFLA_MTU, mtu);
}

void link_put_alias(union nl_request *q, const char *name, const char *alias)
{
	change(q, 0);
	mnl_attr_put_strz(&q->head, IFLA_IFNAME, name);
	mnl_attr_put_strz(&q->head, IFLA_IFALIAS, alias);
}

void link_put_veth(union nl_request *q, const struct link_veth *v)
{
	struct nlattr *info, *data, *peer;

	begin_new(q, v->name);
	mnl_attr_put_u32(&q->head, IFLA_MASTER, (uint32_t)v->master);
	if (v->mtu)
		mnl_attr_put_u32(&q->head, IFLA_MTU, v->mtu);
	info = mnl_attr_nest_start(&q->head, IFLA_LINKINFO);
	mnl_attr_put_strz(&q->head, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(&q->head, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(&q->head, VETH_INFO_PEER);
	memset(mnl_nlmsg_get_payload_tail(&q->head), 0, sizeof(struct ifinfomsg));
	q->head.nlmsg_len += MNL_ALIGN(sizeof(struct ifinfomsg));
	mnl_attr_put_strz(&q->head, IFLA_IFNAME, v->inner);
	mnl_attr_put_u32(&q->head, IFLA_NET_NS_FD, (uint32_t)v->netns_fd);
	mnl_attr_put(&q->head, IFLA_ADDRESS, LINK_ETHER, v->mac);
	if (v->mtu)
		mnl_attr_put_u32(&q->head, IFLA_MTU, v->mtu);
	mnl_attr_nest_end(&q->head, peer);
	mnl_attr_nest_end(&q->head, data);
	mnl_attr_nest_end(&q->head, info);
}

void link_put_hairpin(union nl_request *q, const char *name)
{
	struct nlattr *info, *data;

	/* Not SETLINK: that does not pass on what is for the bridge. */
	nl_begin(q, RTM_NEWLINK, 0, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(&q->head, IFLA_IFNAME, name);
	info = mnl_attr_nest_start(&q->head, IFLA_LINKINFO);
	mnl_attr_put_strz(&q->head, IFLA_INFO_SLAVE_KIND, "bridge");
	data = mnl_attr_nest_start(&q->head, IFLA_INFO_SLAVE_DATA);
	mnl_attr_put_u8(&q->head, IFLA_BRPORT_MODE, 1);
	mnl_attr_nest_end(&q->head, data);
	mnl_attr_nest_end(&q->head, info);
}

void link_put_up(union nl_request *q, int index, const char *name, bool quiet)
{
	struct ifinfomsg *i = change(q, index);
	struct nlattr *spec, *inet6;

	i->ifi_flags = i->ifi_change = IFF_UP;
	if (!index)
		mnl_attr_put_strz(&q->head, IFLA_IFNAME, name);
	if (!quiet)
		return;
	spec = mnl_attr_nest_start(&q->head, IFLA_AF_SPEC);
	inet6 = mnl_attr_nest_start(&q->head, AF_INET6);
	mnl_attr_put_u8(&q->head, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(&q->head, inet6);
	mnl_attr_nest_end(&q->head, spec);
}
