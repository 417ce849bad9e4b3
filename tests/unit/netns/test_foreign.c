/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of iptables as the kernel tells them. */
#include "netns/foreign.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static union nl_request q;
static struct nlattr *list;

static void begin(const char *chain)
{
	nl_begin(&q, NFT_MSG_NEWRULE, 0, sizeof(struct nfgenmsg));
	mnl_attr_put_strz(&q.head, NFTA_RULE_CHAIN, chain);
	list = mnl_attr_nest_start(&q.head, NFTA_RULE_EXPRESSIONS);
}

static struct nlattr *expression(const char *name, struct nlattr **data)
{
	struct nlattr *e = mnl_attr_nest_start(&q.head, NFTA_LIST_ELEM);

	mnl_attr_put_strz(&q.head, NFTA_EXPR_NAME, name);
	*data = mnl_attr_nest_start(&q.head, NFTA_EXPR_DATA);
	return e;
}

static void end(struct nlattr *e, struct nlattr *data)
{
	mnl_attr_nest_end(&q.head, data);
	mnl_attr_nest_end(&q.head, e);
}

static void link_is(uint32_t key, uint32_t how, const char *name, size_t len)
{
	struct nlattr *data, *e = expression("meta", &data), *value;

	mnl_attr_put_u32(&q.head, NFTA_META_KEY, htonl(key));
	end(e, data);
	e = expression("cmp", &data);
	mnl_attr_put_u32(&q.head, NFTA_CMP_OP, htonl(how));
	value = mnl_attr_nest_start(&q.head, NFTA_CMP_DATA);
	mnl_attr_put(&q.head, NFTA_DATA_VALUE, len, name);
	mnl_attr_nest_end(&q.head, value);
	end(e, data);
}

static void other(const char *name)
{
	struct nlattr *data, *e = expression(name, &data);

	end(e, data);
}

static void verdict(uint32_t code)
{
	struct nlattr *data, *e = expression("immediate", &data), *value, *v;

	value = mnl_attr_nest_start(&q.head, NFTA_IMMEDIATE_DATA);
	v = mnl_attr_nest_start(&q.head, NFTA_DATA_VERDICT);
	mnl_attr_put_u32(&q.head, NFTA_VERDICT_CODE, htonl(code));
	mnl_attr_nest_end(&q.head, v);
	mnl_attr_nest_end(&q.head, value);
	end(e, data);
}

static struct foreign_rule finish(void)
{
	struct foreign_rule r;

	mnl_attr_nest_end(&q.head, list);
	assert_int_equal(foreign_read_rule(&q.head, &r), 0);
	return r;
}

static void plain(void **state)
{
	struct foreign_rule r;

	(void)state;
	begin("DOCKER-USER");
	link_is(NFT_META_IIFNAME, NFT_CMP_EQ, "ctr0", 5);
	link_is(NFT_META_OIFNAME, NFT_CMP_EQ, "up0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	other("counter");
	verdict(NF_ACCEPT);
	r = finish();
	assert_string_equal(r.chain, "DOCKER-USER");
	assert_string_equal(r.in, "ctr0");
	assert_string_equal(r.out, "up0");
	assert_true(r.accept);
	begin("DOCKER-USER");
	link_is(NFT_META_OIFNAME, NFT_CMP_EQ, "ctr0", 5);
	verdict(NF_ACCEPT);
	r = finish();
	assert_true(r.accept && !r.in[0]);
	assert_string_equal(r.out, "ctr0");
}

/* What lets only a part of it pass, or none. */
static void not_all(void **state)
{
	(void)state;
	begin("c");
	assert_false(finish().accept);
	begin("c");
	link_is(NFT_META_OIFNAME, NFT_CMP_EQ, "ctr0", 5);
	assert_false(finish().accept);
	begin("c");
	link_is(NFT_META_OIFNAME, NFT_CMP_EQ, "ctr0", 5);
	verdict(NF_DROP);
	assert_false(finish().accept);
	begin("c");
	link_is(NFT_META_OIFNAME, NFT_CMP_NEQ, "ctr0", 5);
	verdict(NF_ACCEPT);
	assert_false(finish().accept);
	begin("c");
	link_is(NFT_META_OIFNAME, NFT_CMP_EQ, "ctr", 3);
	verdict(NF_ACCEPT);
	assert_false(finish().accept);
	begin("c");
	link_is(NFT_META_OIFNAME, NFT_CMP_EQ, "ctr0", 5);
	other("payload");
	verdict(NF_ACCEPT);
	assert_false(finish().accept);
}

/* Whatever the kernel may send one day: no byte is read that is not there. */
static void cut(void **state)
{
	struct foreign_rule r;

	(void)state;
	begin("DOCKER-USER");
	link_is(NFT_META_OIFNAME, NFT_CMP_EQ, "abcdefghijklmnopqrst", 20);
	verdict(NF_ACCEPT);
	assert_false(finish().accept);
	for (uint32_t len = q.head.nlmsg_len; len > sizeof(q.head); len--) {
		q.head.nlmsg_len = len;
		foreign_read_rule(&q.head, &r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(not_all),
		cmocka_unit_test(cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
