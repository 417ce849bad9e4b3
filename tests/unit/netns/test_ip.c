/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and subnets: text, neighbours, containment. */
#include "netns/ip.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct ip ip(const char *s)
{
	struct ip v = {};

	assert_int_equal(ip_parse(s, &v), 0);
	return v;
}

static struct ip_net net(const char *s)
{
	struct ip_net v = {};

	assert_int_equal(ip_net_parse(s, &v), 0);
	return v;
}

static void texts(void **state)
{
	static const char *const good[] = { "0.0.0.0", "10.88.0.1", "255.255.255.255",
					    "::",      "fd00::1",   "::ffff:192.0.2.1" };
	static const char *const bad[] = { "",          "1.2.3",        "1.2.3.4.5",
					   "1.2.3.256", "1.2.3.4 ",     " 1.2.3.4",
					   "fd00:::1",  "fd00::1%eth0", "1.2.3.4/8" };
	char buf[IP_TEXT];
	struct ip v;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		v = ip(good[i]);
		assert_string_equal(ip_text(&v, buf), good[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(ip_parse(bad[i], &v), -EINVAL);
	v = (struct ip){};
	assert_string_equal(ip_text(&v, buf), "");
}

static void net_texts(void **state)
{
	static const char *const good[] = { "0.0.0.0/0", "10.88.0.1/32", "fd00::/8", "::/128" };
	static const char *const bad[] = { "10.0.0.0",    "10.0.0.0/",   "10.0.0.0/33",
					   "10.0.0.0/-1", "10.0.0.0/8 ", "fd00::/129",
					   "/8",          "10.0.0.0/8/8" };
	char buf[IP_NET_TEXT];
	struct ip_net v;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		v = net(good[i]);
		assert_string_equal(ip_net_text(&v, buf), good[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(ip_net_parse(bad[i], &v), -EINVAL);
	assert_int_equal(ip_net_parse("1111:1111:1111:1111:1111:1111:1111:1111:1111:1111/8", &v),
			 -EINVAL);
}

static void neighbours(void **state)
{
	struct ip v = ip("10.0.0.255"), w = ip("10.0.1.0");

	(void)state;
	assert_true(ip_next(&v));
	assert_int_equal(ip_cmp(&v, &w), 0);
	assert_true(ip_prev(&v));
	w = ip("10.0.0.255");
	assert_int_equal(ip_cmp(&v, &w), 0);
	v = w = ip("255.255.255.255");
	assert_false(ip_next(&v));
	assert_int_equal(ip_cmp(&v, &w), 0);
	v = w = ip("::");
	assert_false(ip_prev(&v));
	assert_int_equal(ip_cmp(&v, &w), 0);
	v = ip("fd00::ffff:ffff");
	assert_true(ip_next(&v));
	w = ip("fd00::1:0:0");
	assert_int_equal(ip_cmp(&v, &w), 0);
	v = (struct ip){};
	assert_false(ip_next(&v));
	v = ip("255.0.0.0");
	assert_true(ip_cmp(&v, &w) < 0);
}

/* Every prefix: the ends are what bit by bit they have to be. */
static void ends(void **state)
{
	struct ip base = ip("2001:db8:85a3:8d3:1319:8a2e:370:7348");

	(void)state;
	for (unsigned int p = 0; p <= 128; p++) {
		const struct ip_net n = { .ip = base, .prefix = (uint8_t)p };
		struct ip a = ip_net_first(&n), b = ip_net_last(&n);

		for (unsigned int i = 0; i < 128; i++) {
			unsigned int shift = 7 - i % 8, bit = base.b[i / 8] >> shift & 1;

			assert_int_equal(a.b[i / 8] >> shift & 1, i < p ? bit : 0);
			assert_int_equal(b.b[i / 8] >> shift & 1, i < p ? bit : 1);
		}
		assert_true(ip_net_has(&n, &a) && ip_net_has(&n, &b) && ip_net_has(&n, &base));
		if (ip_prev(&a))
			assert_false(ip_net_has(&n, &a));
		if (ip_next(&b))
			assert_false(ip_net_has(&n, &b));
	}
}

/* Two subnets overlap when they have an address in common: counted out, all pairs in a /28. */
static void overlaps(void **state)
{
	(void)state;
	for (unsigned int p = 28; p <= 32; p++)
		for (unsigned int x = 0; x < 16; x++)
			for (unsigned int q = 28; q <= 32; q++)
				for (unsigned int y = 0; y < 16; y++) {
					struct ip_net a = { .ip = { AF_INET,
								    { 10, 0, 0, (uint8_t)x } },
							    .prefix = (uint8_t)p };
					struct ip_net b = { .ip = { AF_INET,
								    { 10, 0, 0, (uint8_t)y } },
							    .prefix = (uint8_t)q };
					bool common = false;

					for (unsigned int i = 0; i < 16; i++)
						common |= i >> (32 - p) == x >> (32 - p) &&
							  i >> (32 - q) == y >> (32 - q);
					assert_int_equal(ip_net_overlap(&a, &b), common);
				}
}

static void families(void **state)
{
	struct ip_net four = net("0.0.0.0/0"), six = net("::/0");
	struct ip a = ip("10.0.0.1"), none = {};

	(void)state;
	assert_false(ip_net_overlap(&four, &six));
	assert_false(ip_net_has(&six, &a));
	assert_true(ip_net_has(&four, &a));
	assert_false(ip_net_has(&four, &none));
	assert_false(ip_net_has(&(struct ip_net){}, &none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts), cmocka_unit_test(net_texts), cmocka_unit_test(neighbours),
		cmocka_unit_test(ends),  cmocka_unit_test(overlaps),  cmocka_unit_test(families),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
