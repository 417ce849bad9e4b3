/* SPDX-License-Identifier: Apache-2.0 */
/* Batches, and answers that no kernel should send: cut short, interrupted, of others. */
#include "base/cleanup.h"
#include "netns/addr.h"
#include "netns/link.h"
#include "netns/net.h"
#include "netns/nft.h"
#include "netns/route.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define SEQ 5
#define PORT 77

static bool own_namespace;

static int setup(void **state)
{
	(void)state;
	own_namespace = unshare(CLONE_NEWNET) == 0;
	return 0;
}

static struct nlmsghdr *message(char *buf, uint16_t type, uint16_t flags, size_t len)
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(memset(buf, 0, 512));

	m->nlmsg_type = type;
	m->nlmsg_flags = flags;
	m->nlmsg_seq = SEQ;
	m->nlmsg_pid = PORT;
	if (len)
		mnl_nlmsg_put_extra_header(m, len);
	return m;
}

static int count(const struct nlmsghdr *m, void *arg)
{
	(void)m;
	(*(int *)arg)++;
	return 0;
}

static int look(const struct nlmsghdr *m, size_t len, bool *torn, int *seen)
{
	return nl_read(m, len, SEQ, PORT, torn, count, seen);
}

static void answers(void **state)
{
	char buf[512] __attribute__((aligned(8)));
	struct nlmsghdr *m = message(buf, RTM_NEWLINK, NLM_F_MULTI, 16);
	bool torn = false;
	int seen = 0;

	(void)state;
	assert_int_equal(look(m, m->nlmsg_len, &torn, &seen), 1);
	assert_int_equal(seen, 1);
	/* cut short in the header, in the body: not looked at */
	assert_int_equal(look(m, 7, &torn, &seen), 1);
	assert_int_equal(look(m, m->nlmsg_len - 1, &torn, &seen), 1);
	assert_int_equal(seen, 1);
	m->nlmsg_len = 0xfffffff0;
	assert_int_equal(look(m, 32, &torn, &seen), 1);
	m->nlmsg_len = 8;
	assert_int_equal(look(m, 32, &torn, &seen), 1);
	assert_int_equal(seen, 1);
	m = message(buf, RTM_NEWLINK, NLM_F_MULTI | NLM_F_DUMP_INTR, 16);
	assert_int_equal(look(m, m->nlmsg_len, &torn, &seen), 1);
	assert_true(torn);
	/* another's, or an old one's */
	m->nlmsg_seq = SEQ - 1;
	seen = 0;
	assert_int_equal(look(m, m->nlmsg_len, &torn, &seen), 1);
	m->nlmsg_seq = SEQ;
	m->nlmsg_pid = PORT + 1;
	assert_int_equal(look(m, m->nlmsg_len, &torn, &seen), 1);
	assert_int_equal(seen, 0);
}

static void verdicts(void **state)
{
	char buf[512] __attribute__((aligned(8)));
	struct nlmsghdr *m = message(buf, NLMSG_ERROR, 0, sizeof(struct nlmsgerr));
	struct nlmsgerr *v = mnl_nlmsg_get_payload(m);
	bool torn = false;
	int seen = 0;

	(void)state;
	assert_int_equal(look(m, m->nlmsg_len, &torn, &seen), 0);
	v->error = -EEXIST;
	assert_int_equal(look(m, m->nlmsg_len, &torn, &seen), -EEXIST);
	v->error = 1;
	assert_int_equal(look(m, m->nlmsg_len, &torn, &seen), -EBADMSG);
	m = message(buf, NLMSG_ERROR, 0, 0);
	assert_int_equal(look(m, m->nlmsg_len, &torn, &seen), -EBADMSG);
	m = message(buf, NLMSG_DONE, NLM_F_MULTI, 0);
	assert_int_equal(look(m, m->nlmsg_len, &torn, &seen), 0);
}

static int no_addr(int index, const struct ip_net *a, void *arg)
{
	(void)index;
	(void)a;
	(*(int *)arg)++;
	return 0;
}

static int no_route(const struct route *r, void *arg)
{
	(void)r;
	(*(int *)arg)++;
	return 0;
}

/* What a reader must not take: too short, of another kind, lengths that do not fit. */
static void readers(void **state)
{
	char buf[512] __attribute__((aligned(8)));
	int seen = 0;
	struct addr_reader addrs = { .fn = no_addr, .arg = &seen };
	struct route_reader routes = { .fn = no_route, .arg = &seen };
	struct nlmsghdr *m = message(buf, RTM_NEWADDR, 0, 4);
	struct ifaddrmsg *ifa;
	struct rtmsg *rt;
	struct link l;
	int policy;

	(void)state;
	assert_int_equal(addr_read(m, &addrs), -EBADMSG);
	assert_int_equal(route_read(m, &routes), -EBADMSG);
	assert_int_equal(link_read(m, &l), -EBADMSG);
	assert_int_equal(nft_read_policy(message(buf, 0, 0, 0), &policy), -EBADMSG);
	m = message(buf, RTM_NEWADDR, 0, sizeof(*ifa));
	ifa = mnl_nlmsg_get_payload(m);
	ifa->ifa_family = AF_INET;
	ifa->ifa_prefixlen = 33;
	mnl_attr_put_u32(m, IFA_LOCAL, 0x0100007f);
	assert_int_equal(addr_read(m, &addrs), -EBADMSG);
	ifa->ifa_prefixlen = 8;
	assert_int_equal(addr_read(m, &addrs), 0);
	assert_int_equal(seen, 1);
	m = message(buf, RTM_NEWADDR, 0, sizeof(*ifa));
	ifa->ifa_family = AF_INET6;
	mnl_attr_put_u32(m, IFA_ADDRESS, 1); /* 4 bytes of 16 */
	assert_int_equal(addr_read(m, &addrs), -EBADMSG);
	m = message(buf, RTM_NEWROUTE, 0, sizeof(*rt));
	rt = mnl_nlmsg_get_payload(m);
	*rt = (struct rtmsg){ .rtm_family = AF_INET,
			      .rtm_dst_len = 24,
			      .rtm_type = RTN_UNICAST,
			      .rtm_table = RT_TABLE_MAIN };
	assert_int_equal(route_read(m, &routes), -EBADMSG); /* a length, and no address */
	mnl_attr_put_u16(m, RTA_DST, 1);
	assert_int_equal(route_read(m, &routes), -EBADMSG);
	assert_int_equal(seen, 1);
}

static void open_or_skip(struct net_socks *s)
{
	struct err e;

	if (!own_namespace)
		skip();
	assert_int_equal(net_open(s, &e), 0);
}

static void which_failed(void **state)
{
	AUTO_NL_BATCH struct nl_batch b = {};
	AUTO_NET struct net_socks s = {};
	static const uint8_t mac[LINK_ETHER] = { 2, 0, 0, 0, 0, 1 };
	union nl_request q;
	uint32_t which = 9;
	struct link l;

	(void)state;
	open_or_skip(&s);
	link_put_bridge(&q, "b0", mac);
	nl_batch_add(&b, &q);
	link_put_alias(&q, "nosuch", "x");
	nl_batch_add(&b, &q);
	link_put_alias(&q, "b0", "an alias");
	nl_batch_add(&b, &q);
	assert_int_equal(nl_batch_talk(&s.route, &b, &which), -ENODEV);
	assert_int_equal(which, 1);
	/* the others were done; the batch is empty, and an empty one is no work */
	assert_int_equal(nl_batch_talk(&s.route, &b, &which), 0);
	assert_int_equal(link_get(&s.route, "b0", 0, &l), 0);
	assert_string_equal(l.kind, "bridge");
	assert_string_equal(l.alias, "an alias");
	/* up is what a finished one is */
	assert_false(l.up);
	assert_memory_equal(l.mac, mac, sizeof(mac));
	assert_int_equal(link_delete(&s.route, "b0"), 0);
	assert_int_equal(link_delete(&s.route, "b0"), 0);
}

static struct net_conf conf(void)
{
	struct net_conf c = { .name = "web", .bridge = "ctr0" };

	ip_net_parse("10.1.0.0/16", &c.subnet[NET_4]);
	ip_parse("10.1.0.1", &c.gateway[NET_4]);
	return c;
}

static void rules_or_nothing(void **state)
{
	AUTO_NL_BATCH struct nl_batch b = { .ruleset = true };
	AUTO_NET struct net_socks s = {};
	AUTO_FREE struct nft_table *t = calloc(2, sizeof(*t));
	struct nft_element bad = { .set = "nosuch", .key_len = 4 };
	struct net_conf c = conf();
	uint32_t which;

	(void)state;
	open_or_skip(&s);
	net_tables(&c, &t[0], &t[1]);
	nft_put_table(&b, &t[0]);
	nft_put_elements(&b, true, NFPROTO_INET, "ctr0", &bad, 1);
	assert_int_equal(nl_batch_talk(&s.filter, &b, &which), -ENOENT);
	assert_false(nft_chain_there(&s.filter, NFPROTO_INET, "ctr0", "forward"));
	nft_put_table(&b, &t[0]);
	assert_int_equal(nl_batch_talk(&s.filter, &b, NULL), 0);
	assert_int_equal(nft_chain_policy(&s.filter, NFPROTO_INET, "ctr0", "forward"), NF_ACCEPT);
	assert_int_equal(nft_chain_policy(&s.filter, NFPROTO_INET, "ctr0", "publish"), -ENOENT);
	assert_true(nft_chain_there(&s.filter, NFPROTO_INET, "ctr0", "publish"));
	nft_put_no_table(&b, NFPROTO_INET, "ctr0");
	assert_int_equal(nl_batch_talk(&s.filter, &b, NULL), 0);
	nft_put_no_table(&b, NFPROTO_INET, "ctr0");
	assert_int_equal(nl_batch_talk(&s.filter, &b, NULL), -ENOENT);
}

static void a_network(void **state)
{
	AUTO_NET struct net_socks s = {};
	AUTO_CLOSE int own = -1, other = -1;
	struct net_conf c = conf();
	struct net_member m = { .veth = "ctr0_2" }, second;
	struct forward_links none = {};
	struct link l;
	struct err e = {};
	int index = 0;

	(void)state;
	open_or_skip(&s);
	own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	other = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(own, CLONE_NEWNET), 0);
	ip_parse("10.1.0.2", &m.ip[NET_4]);
	net_mac(m.ip, m.mac);
	assert_int_equal(net_is_up(&s, &c, "ctr:web of x", &e), 0);
	/* before it is up, its tables are not there */
	assert_int_equal(net_attach(&s, &c, &m, other, &index, &e), -ENOENT);
	assert_int_equal(net_up(&s, &c, "ctr:web of x", &m, 1, &none, &e), 0);
	assert_int_equal(net_up(&s, &c, "ctr:web of x", &m, 1, &none, &e), 0);
	assert_int_equal(net_is_up(&s, &c, "ctr:web of x", &e), 1);
	assert_int_equal(net_is_up(&s, &c, "ctr:web of y", &e), -EEXIST);
	assert_non_null(strstr(e.msg, "belongs to network web of x"));
	assert_int_equal(net_attach(&s, &c, &m, other, &index, &e), 0);
	assert_int_equal(link_get(&s.route, "ctr0_2", 0, &l), 0);
	assert_int_equal(l.index, index);
	assert_true(l.up && l.master);
	/* a link that is left of somebody with this address makes way; an eth0 that is there not */
	assert_int_equal(net_attach(&s, &c, &m, other, &index, &e), 0);
	second = m;
	strcpy(second.veth, "ctr0_3");
	assert_int_equal(net_attach(&s, &c, &second, other, &index, &e), -EEXIST);
	assert_non_null(strstr(e.msg, "there is an eth0"));
	assert_int_equal(net_detach(&s, &c, &second, &e), 0);
	assert_int_equal(net_detach(&s, &c, &m, &e), 0);
	assert_int_equal(net_detach(&s, &c, &m, &e), 0);
	assert_int_equal(net_down(&s, &c, NULL, 0, &e), 0);
	assert_int_equal(net_down(&s, &c, NULL, 0, &e), 0);
	assert_int_equal(link_get(&s.route, "ctr0", 0, &l), -ENODEV);
}

/* What a network of another state directory publishes is found; ours are not looked at. */
static void ports_of_others(void **state)
{
	const struct ip_port published[] = {
		{ .proto = IPPROTO_TCP, .count = 600, .host = 1000, .container = 2000 },
		{ .ip = { AF_INET, { 10, 9, 9, 9 } },
		  .proto = IPPROTO_UDP,
		  .count = 1,
		  .host = 53,
		  .container = 53 },
	};
	static const struct {
		struct ip_port p;
		bool taken;
	} v[] = {
		{ { .proto = IPPROTO_TCP, .count = 1, .host = 1599 }, true },
		{ { .proto = IPPROTO_TCP, .count = 10, .host = 991 }, true },
		{ { .proto = IPPROTO_TCP, .count = 1, .host = 1600 }, false },
		{ { .proto = IPPROTO_UDP, .count = 1, .host = 1000 }, false },
		{ { .proto = IPPROTO_UDP, .count = 1, .host = 53 }, true },
		{ { .ip = { AF_INET, { 10, 9, 9, 9 } },
		    .proto = IPPROTO_UDP,
		    .count = 1,
		    .host = 53 },
		  true },
		{ { .ip = { AF_INET, { 10, 9, 9, 8 } },
		    .proto = IPPROTO_UDP,
		    .count = 1,
		    .host = 53 },
		  false },
	};
	AUTO_NET struct net_socks s = {};
	AUTO(str_list_free) struct str_list own = {};
	struct net_member m = { .veth = "ctr0_2", .ports = published, .n_ports = 2 };
	const struct str_list none_own = {};
	struct forward_links none = {};
	struct net_conf c = conf();
	struct err e = {};

	(void)state;
	open_or_skip(&s);
	ip_parse("10.1.0.2", &m.ip[NET_4]);
	assert_int_equal(net_up(&s, &c, "ctr:web of x", &m, 1, &none, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		int r = net_port_taken(&s, &none_own, &v[i].p, 1, &e);

		assert_int_equal(r, v[i].taken ? -EADDRINUSE : 0);
		if (v[i].taken)
			assert_non_null(strstr(e.msg, "taken by 10.1.0.2 in network web of x"));
	}
	assert_int_equal(str_list_add(&own, "ctr0"), 0);
	assert_int_equal(net_port_taken(&s, &own, &v[0].p, 1, &e), 0);
	assert_int_equal(net_down(&s, &c, NULL, 0, &e), 0);
	assert_int_equal(net_port_taken(&s, &none_own, &v[0].p, 1, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),          cmocka_unit_test(verdicts),
		cmocka_unit_test(readers),          cmocka_unit_test(which_failed),
		cmocka_unit_test(rules_or_nothing), cmocka_unit_test(a_network),
		cmocka_unit_test(ports_of_others),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
