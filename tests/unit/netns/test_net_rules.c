/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of a network, and what a container is in its sets: pure. */
#include "base/cleanup.h"
#include "netns/net_rules.h"

#include <linux/netfilter.h>
#include <string.h>
#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct nft_table inet, bridge;

static struct net_conf conf(const char *subnet, const char *subnet6, bool internal)
{
	struct net_conf c = { .name = "web", .bridge = "ctr0", .internal = internal };

	if (subnet)
		assert_int_equal(ip_net_parse(subnet, &c.subnet[NET_4]), 0);
	if (subnet6)
		assert_int_equal(ip_net_parse(subnet6, &c.subnet[NET_6]), 0);
	return c;
}

/* All rules of a chain, one a line; the name of the bridge as BR. The caller frees. */
static char *rules(const struct nft_table *t, const char *chain)
{
	static const char name[] = "63747230000000000000000000000000";
	struct str_buf b = {}, out = {};

	for (size_t i = 0; i < t->n_rules; i++) {
		if (!str_eq(t->rules[i].chain, chain))
			continue;
		nft_rule_text(&b, &t->rules[i]);
		str_buf_add(&b, "\n");
	}
	for (const char *s = b.s ? b.s : ""; *s;) {
		const char *at = strstr(s, name);

		str_buf_addn(&out, s, at ? (size_t)(at - s) : strlen(s));
		str_buf_add(&out, at ? "BR" : "");
		s = at ? at + sizeof(name) - 1 : s + strlen(s);
	}
	str_buf_free(&b);
	return out.s ? out.s : strdup("");
}

static void expect(const struct nft_table *t, const char *chain, const char *text)
{
	AUTO_FREE char *is = rules(t, chain);

	assert_string_equal(is, text);
}

static void ordinary(void **state)
{
	struct net_conf c = conf("10.1.0.0/16", NULL, false);

	(void)state;
	net_tables(&c, &inet, &bridge);
	assert_string_equal(inet.name, "ctr0");
	assert_string_equal(bridge.name, "ctr0");
	assert_int_equal(inet.family, NFPROTO_INET);
	assert_int_equal(bridge.family, NFPROTO_BRIDGE);
	expect(&inet, "raw",
	       "meta 6 > r1; r1 == 637472305f; "
	       "meta 26 > r1; r1 == 76657468000000000000000000000000; drop\n"
	       "meta 6 > r1; r1 == BR; meta 15 > r1; r1 == 02; payload 1 16+4 > r1; "
	       "r1 & ff000000; r1 == 7f000000; drop\n");
	expect(&inet, "nat-in",
	       "meta 15 > r1; r1 == 02; payload 1 16+4 > r1; r1 & ff000000; r1 == 7f000000; return\n"
	       "fib > r1; r1 == 02000000; jump publish\n");
	expect(&inet, "nat-out",
	       "meta 15 > r1; r1 == 0a; payload 1 24+16 > r1; "
	       "r1 == 00000000000000000000000000000001; return\n"
	       "fib > r1; r1 == 02000000; jump publish\n");
	expect(&inet, "nat-post",
	       "meta 7 > r1; r1 != BR; meta 15 > r1; r1 == 02; payload 1 12+4 > r1; "
	       "r1 & ffff0000; r1 == 0a010000; masquerade\n"
	       "meta 7 > r1; r1 == BR; meta 15 > r1; r1 == 02; payload 1 12+4 > r1; "
	       "r1 & ff000000; r1 == 7f000000; masquerade\n"
	       "meta 7 > r1; r1 == BR; ct 2 > r1; r1 & 20000000; r1 != 00000000; "
	       "meta 15 > r1; r1 == 02; payload 1 12+4 > r1; r1 & ffff0000; r1 == 0a010000; "
	       "masquerade\n");
	expect(&inet, "forward",
	       "ct 0 > r1; r1 & 06000000; r1 != 00000000; accept\n"
	       "meta 6 > r1; meta 7 > r2; r1 in same; accept\n"
	       "meta 15 > r1; r1 == 02; meta 6 > r1; r1 in edge4; ct 2 > r1; r1 & 20000000; "
	       "r1 == 00000000; drop\n"
	       "meta 15 > r1; r1 == 0a; meta 6 > r1; r1 in edge6; ct 2 > r1; r1 & 20000000; "
	       "r1 == 00000000; drop\n"
	       "meta 7 > r1; r1 == BR; meta 6 > r1; r1 != BR; ct 2 > r1; r1 & 20000000; "
	       "r1 == 00000000; drop\n");
	expect(&inet, "input", "");
}

static void publishing(void **state)
{
	struct net_conf c = conf("10.1.0.0/16", "fd00::/64", false);

	(void)state;
	net_tables(&c, &inet, &bridge);
	expect(&inet, "publish",
	       "meta 15 > r1; r1 == 02; payload 1 16+4 > r8; meta 16 > r9; payload 2 2+2 > r10; "
	       "map at4 r1; dnat 2 r1 r9\n"
	       "meta 15 > r1; r1 == 02; meta 16 > r8; payload 2 2+2 > r9; map any4 r1; "
	       "dnat 2 r1 r9\n"
	       "meta 15 > r1; r1 == 0a; payload 1 24+16 > r8; meta 16 > r12; payload 2 2+2 > r13; "
	       "map at6 r1; dnat 10 r1 r12\n"
	       "meta 15 > r1; r1 == 0a; meta 16 > r8; payload 2 2+2 > r9; map any6 r1; "
	       "dnat 10 r1 r12\n");
}

static void internal(void **state)
{
	struct net_conf c = conf("10.1.0.0/16", NULL, true);

	(void)state;
	net_tables(&c, &inet, &bridge);
	expect(&inet, "nat-post", "");
	expect(&inet, "forward",
	       "ct 0 > r1; r1 & 06000000; r1 != 00000000; accept\n"
	       "meta 6 > r1; meta 7 > r2; r1 in same; accept\n"
	       "meta 15 > r1; r1 == 02; meta 6 > r1; r1 in edge4; ct 2 > r1; r1 & 20000000; "
	       "r1 == 00000000; drop\n"
	       "meta 15 > r1; r1 == 0a; meta 6 > r1; r1 in edge6; ct 2 > r1; r1 & 20000000; "
	       "r1 == 00000000; drop\n"
	       "meta 6 > r1; r1 == BR; meta 7 > r1; r1 != BR; drop\n"
	       "meta 7 > r1; r1 == BR; meta 6 > r1; r1 != BR; ct 2 > r1; r1 & 20000000; "
	       "r1 == 00000000; drop\n");
	expect(&inet, "input",
	       "meta 6 > r1; r1 == BR; ct 0 > r1; r1 & 06000000; r1 != 00000000; accept\n"
	       "meta 6 > r1; r1 == BR; meta 16 > r1; r1 == 3a; payload 2 0+1 > r1; r1 == 87; "
	       "accept\n"
	       "meta 6 > r1; r1 == BR; meta 16 > r1; r1 == 3a; payload 2 0+1 > r1; r1 == 88; "
	       "accept\n"
	       "meta 6 > r1; r1 == BR; drop\n");
}

/* Every rule of the guard that lets something pass has looked at the link and an address. */
static void guard(void **state)
{
	struct net_conf c = conf("10.1.0.0/16", "fd00::/64", false);
	AUTO_FREE char *text = NULL;
	char *save = NULL, *line, *last = NULL;

	(void)state;
	net_tables(&c, &inet, &bridge);
	expect(&bridge, "prerouting", "meta 6 > r1; r1 in links; jump guard\n");
	text = rules(&bridge, "guard");
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (last == NULL)
			assert_string_equal(line,
					    "meta 6 > r1; payload 0 6+6 > r2; r1 not in mac; drop");
		if (str_ends(line, "accept"))
			assert_true(strstr(line, "in ip4") || strstr(line, "in ip6") ||
				    strstr(line, "r1 == 00000000000000000000000000000000"));
		last = line;
	}
	assert_string_equal(last, "drop");
}

static void expect_bytes(const uint8_t *is, uint32_t len, const char *hex)
{
	char text[2 * NFT_DATA_MAX + 1] = "";

	for (uint32_t i = 0; i < len; i++)
		snprintf(text + (size_t)i * 2, 3, "%02x", is[i]);
	assert_string_equal(text, hex);
}

static void member(struct net_member *m, const struct ip_port *ports, size_t n)
{
	*m = (struct net_member){ .veth = "ctr0_2", .ports = ports, .n_ports = n };
	assert_int_equal(ip_parse("10.1.0.2", &m->ip[NET_4]), 0);
	assert_int_equal(ip_parse("fd00::2", &m->ip[NET_6]), 0);
	net_mac(m->ip, m->mac);
}

static void guard_elements(void **state)
{
	AUTO(net_elements_free) struct net_elements l = {};
	struct net_member m;

	(void)state;
	member(&m, NULL, 0);
	assert_int_equal(net_guard_elements(&m, &l), 0);
	assert_int_equal(l.n, 5);
	expect_bytes(l.v[0].key, l.v[0].key_len, "637472305f3200000000000000000000");
	expect_bytes(l.v[1].key, l.v[1].key_len,
		     "637472305f32000000000000000000000a630a0100020000");
	expect_bytes(l.v[2].key, l.v[2].key_len, "637472305f32000000000000000000000a010002");
	expect_bytes(l.v[3].key, l.v[3].key_len,
		     "637472305f3200000000000000000000fe80000000000000"
		     "08630afffe010002");
	expect_bytes(l.v[4].key, l.v[4].key_len,
		     "637472305f3200000000000000000000fd000000000000000000000000000002");
}

static void port_elements(void **state)
{
	AUTO(net_elements_free) struct net_elements l = {};
	struct ip_port ports[] = {
		{ .proto = IPPROTO_TCP, .count = 2, .host = 8080, .container = 80 },
		{ .proto = IPPROTO_UDP, .count = 1, .host = 53, .container = 5353 },
	};
	struct net_member m;

	(void)state;
	assert_int_equal(ip_parse("192.0.2.1", &ports[1].ip), 0);
	member(&m, ports, 2);
	assert_int_equal(net_port_elements(&m, &l), 0);
	assert_int_equal(l.n, 5);
	assert_string_equal(l.v[0].set, "at4");
	expect_bytes(l.v[0].key, l.v[0].key_len, "c00002011100000000350000");
	expect_bytes(l.v[0].data, l.v[0].data_len, "0a01000214e90000");
	assert_string_equal(l.v[1].set, "any4");
	expect_bytes(l.v[1].key, l.v[1].key_len, "060000001f900000");
	expect_bytes(l.v[1].data, l.v[1].data_len, "0a01000200500000");
	expect_bytes(l.v[2].key, l.v[2].key_len, "060000001f910000");
	expect_bytes(l.v[2].data, l.v[2].data_len, "0a01000200510000");
	assert_string_equal(l.v[3].set, "any6");
	expect_bytes(l.v[3].data, l.v[3].data_len, "fd00000000000000000000000000000200500000");
}

/* All addresses of one family are in the sets of that family alone. */
static void port_families(void **state)
{
	AUTO(net_elements_free) struct net_elements l = {};
	struct ip_port ports[] = {
		{ .proto = IPPROTO_TCP, .count = 1, .host = 80, .container = 80 },
		{ .proto = IPPROTO_TCP, .count = 1, .host = 81, .container = 80 },
	};
	struct net_member m;

	(void)state;
	ports[0].ip.family = AF_INET;
	ports[1].ip.family = AF_INET6;
	member(&m, ports, 2);
	assert_int_equal(net_port_elements(&m, &l), 0);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.v[0].set, "any4");
	expect_bytes(l.v[0].key, l.v[0].key_len, "0600000000500000");
	assert_string_equal(l.v[1].set, "any6");
	expect_bytes(l.v[1].key, l.v[1].key_len, "0600000000510000");
}

static void names(void **state)
{
	struct net_conf c = conf("10.1.0.0/16", "fd00::/64", false);
	struct ip ip[NET_FAMILIES] = {};
	char name[IFNAMSIZ];

	(void)state;
	assert_int_equal(ip_parse("10.1.255.254", &ip[NET_4]), 0);
	net_veth_name(&c, ip, name);
	assert_string_equal(name, "ctr0_fffe");
	ip[NET_4] = (struct ip){};
	assert_int_equal(ip_parse("fd00::1:2", &ip[NET_6]), 0);
	net_veth_name(&c, ip, name);
	assert_string_equal(name, "ctr0_10002");
	/* the longest of both still fits */
	strcpy(c.bridge, "bridge");
	c.subnet[NET_6].prefix = 8;
	memset(ip[NET_6].b, 0xff, 16);
	net_veth_name(&c, ip, name);
	assert_string_equal(name, "bridge_ffffffff");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary),       cmocka_unit_test(publishing),
		cmocka_unit_test(internal),       cmocka_unit_test(guard),
		cmocka_unit_test(guard_elements), cmocka_unit_test(port_elements),
		cmocka_unit_test(port_families),  cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
