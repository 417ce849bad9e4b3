/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink with the kernel, in a network namespace of the test's own, and with messages that no
 * kernel sends.
 */
#include "base/cleanup.h"
#include "netns/addr.h"
#include "netns/device.h"
#include "netns/link.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static bool own_namespace;

static int setup(void **state)
{
	(void)state;
	own_namespace = unshare(CLONE_NEWNET) == 0;
	return 0;
}

static void open_or_skip(struct nl *n)
{
	struct err e;

	if (!own_namespace)
		skip();
	assert_int_equal(nl_open(n, -1, &e), 0);
}

static void links(void **state)
{
	AUTO_NL struct nl n = {};
	struct link l, same;

	(void)state;
	open_or_skip(&n);
	assert_int_equal(link_get(&n, "lo", 0, &l), 0);
	assert_string_equal(l.name, "lo");
	assert_false(l.up);
	assert_int_equal(link_get(&n, NULL, l.index, &same), 0);
	assert_int_equal(same.mtu, l.mtu);
	assert_int_equal(link_get(&n, "none", 0, &l), -ENODEV);
	assert_int_equal(link_set_up(&n, same.index), 0);
	assert_int_equal(link_get(&n, "lo", 0, &l), 0);
	assert_true(l.up);
	same.mtu = 4000;
	assert_int_equal(link_restore(&n, same.index, &same), 0);
	assert_int_equal(link_get(&n, "lo", 0, &l), 0);
	assert_int_equal(l.mtu, 4000);
	assert_int_equal(link_set_up(&n, 4711), -ENODEV);
}

static void addresses(void **state)
{
	const struct addr a = {
		.family = AF_INET,
		.prefix = 24,
		.len = 4,
		.has_local = 1,
		.has_address = 1,
		.local = { 192, 0, 2, 9 },
		.address = { 192, 0, 2, 9 },
		.label = "old:x",
		.flags = IFA_F_PERMANENT | IFA_F_NOPREFIXROUTE,
	};
	AUTO_NL struct nl n = {};
	AUTO(addrs_free) struct addrs got = {};

	(void)state;
	open_or_skip(&n);
	assert_int_equal(addr_add(&n, 1, &a, "old", "lo"), 0);
	assert_int_equal(addr_add(&n, 1, &a, "old", "lo"), 0); /* once more is fine */
	assert_int_equal(addrs_get(&n, 1, &got), 0);
	/* 127.0.0.1 has the scope of the host. */
	assert_int_equal(got.n, 1);
	assert_memory_equal(got.v[0].local, a.local, 4);
	assert_string_equal(got.v[0].label, "lo:x");
	assert_true(got.v[0].flags & IFA_F_NOPREFIXROUTE);
	assert_int_equal(addr_add(&n, 4711, &a, "old", "lo"), -ENODEV);
}

static void own_is_refused(void **state)
{
	struct spec_net_device d = { .host_name = (char *)"lo" };
	const struct spec_net_devices l = { .v = &d, .n = 1 };
	AUTO_CLOSE int ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct devices moved = {};
	struct err e = {};

	(void)state;
	assert_int_equal(devices_move(&l, ns, &moved, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "is the host's"));
	assert_int_equal(moved.n, 0);
}

static void short_message(void **state)
{
	const struct nlattr *a[IFLA_MTU + 1];
	union nl_request q;

	(void)state;
	nl_begin(&q, RTM_NEWLINK, 0, sizeof(struct ifinfomsg));
	assert_int_equal(nl_attrs(&q.head, sizeof(struct ifinfomsg), a, IFLA_MTU), 0);
	assert_null(a[IFLA_IFNAME]);
	q.head.nlmsg_len -= 4;
	assert_int_equal(nl_attrs(&q.head, sizeof(struct ifinfomsg), a, IFLA_MTU), -EBADMSG);
}

static void bad_attribute(void **state)
{
	const struct nlattr *a[IFLA_MTU + 1];
	union nl_request q;
	struct nlattr *last;

	(void)state;
	nl_begin(&q, RTM_NEWLINK, 0, sizeof(struct ifinfomsg));
	mnl_attr_put_u32(&q.head, IFLA_MTU, 1500);
	mnl_attr_put_u32(&q.head, 0x3fff, 1); /* a type that nobody knows */
	last = (struct nlattr *)(q.buf + q.head.nlmsg_len);
	mnl_attr_put_strz(&q.head, IFLA_IFNAME, "eth0");
	last->nla_len = 200; /* beyond the message */
	assert_int_equal(nl_attrs(&q.head, sizeof(struct ifinfomsg), a, IFLA_MTU), 0);
	assert_non_null(a[IFLA_MTU]);
	assert_null(a[IFLA_IFNAME]);
	/* a message that ends inside of its last attribute, but not where it is rounded up to */
	last->nla_len = 12;
	q.head.nlmsg_len -= 2;
	assert_int_equal(nl_attrs(&q.head, sizeof(struct ifinfomsg), a, IFLA_MTU), -EBADMSG);
	q.head.nlmsg_len += 2;
	last->nla_len = 1; /* shorter than its own head: no endless walk */
	assert_int_equal(nl_attrs(&q.head, sizeof(struct ifinfomsg), a, IFLA_MTU), 0);
	assert_null(a[IFLA_IFNAME]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links),          cmocka_unit_test(addresses),
		cmocka_unit_test(own_is_refused), cmocka_unit_test(short_message),
		cmocka_unit_test(bad_attribute),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
