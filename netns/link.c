/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/link.h"

#include "base/cleanup.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/ioctl.h>
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

static int read_link(const struct nlmsghdr *m, void *arg)
{
	const struct nlattr *a[IFLA_MTU + 1];
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(m);
	struct link *l = arg;

	_Static_assert(IFLA_MTU > IFLA_IFNAME && IFLA_MTU > IFLA_ADDRESS,
		       "the largest attribute that is read");
	if (nl_attrs(m, sizeof(*i), a, IFLA_MTU) < 0 || m->nlmsg_type != RTM_NEWLINK)
		return -EBADMSG;
	if (!a[IFLA_IFNAME] || mnl_attr_validate(a[IFLA_IFNAME], MNL_TYPE_NUL_STRING) < 0 ||
	    mnl_attr_get_payload_len(a[IFLA_IFNAME]) > sizeof(l->name))
		return -EBADMSG;
	*l = (struct link){ .index = i->ifi_index, .up = i->ifi_flags & IFF_UP };
	strcpy(l->name, mnl_attr_get_str(a[IFLA_IFNAME]));
	if (a[IFLA_MTU] && mnl_attr_validate(a[IFLA_MTU], MNL_TYPE_U32) == 0)
		l->mtu = mnl_attr_get_u32(a[IFLA_MTU]);
	if (a[IFLA_ADDRESS] && mnl_attr_get_payload_len(a[IFLA_ADDRESS]) <= sizeof(l->mac)) {
		l->mac_len = mnl_attr_get_payload_len(a[IFLA_ADDRESS]);
		memcpy(l->mac, mnl_attr_get_payload(a[IFLA_ADDRESS]), l->mac_len);
	}
	return 0;
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
	r = nl_talk(n, &q, read_link, &found);
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
