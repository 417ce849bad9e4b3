/* SPDX-License-Identifier: Apache-2.0 */
/* Rates as text, the messages of traffic control, and the kernel's view of them in a namespace. */
#include "base/cleanup.h"
#include "netns/link.h"
#include "netns/tc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <sched.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* ---- text ---- */

static void rates(void **state)
{
	static const struct {
		const char *text;
		uint64_t up, down;
	} good[] = {
		{ "8000:16000", 1000, 2000 },
		{ "10mbit:100mbit", 1250000, 12500000 },
		{ "1gbit", 125000000, 125000000 },
		{ "1M:", 125000, 0 },
		{ ":8Kbit", 0, 1000 },
		{ "0:1mbps", 0, 1000000 },
		{ "1000bps:1kbps", 1000, 1000 },
		{ "1mibit:1gibit", 131072, 134217728 },
		{ "1tbit:1tibit", 125000000000, 137438953472 },
		{ "0", 0, 0 },
		{ "00:0mbit", 0, 0 },
	};
	static const struct {
		const char *text;
		int code;
	} bad[] = {
		{ "", -EINVAL },
		{ ":", -EINVAL },
		{ "x", -EINVAL },
		{ "1m:2m:3m", -EINVAL },
		{ "1mb", -EINVAL },
		{ "1.5mbit", -EINVAL },
		{ "-1:1", -EINVAL },
		{ "mbit", -EINVAL },
		{ ":1k0", -EINVAL },
		{ "1 mbit", -EINVAL },
		{ "1mbit:x", -EINVAL },
		{ "7999", -ERANGE },
		{ "1:1mbit", -ERANGE },
		{ "1mbit:1", -ERANGE },
		{ "99999tbit", -ERANGE },
		{ "18446744073709551616", -ERANGE },
		{ "18446744073709551615tbit", -ERANGE },
	};
	struct tc_rate v;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(tc_parse_rate(good[i].text, &v, &e), 0);
		assert_int_equal(v.up, good[i].up);
		assert_int_equal(v.down, good[i].down);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(tc_parse_rate(bad[i].text, &v, &e), bad[i].code);
		assert_ptr_equal(strstr(e.msg, bad[i].text), e.msg);
	}
}

/* ---- messages ---- */

static const struct nlattr *attr(const struct nlattr *const *v, uint16_t type, size_t len)
{
	assert_non_null(v[type]);
	assert_int_equal(mnl_attr_get_payload_len(v[type]), len);
	return v[type];
}

/* The attributes inside nest by type; v has 16 of them. */
static void inside(const struct nlattr *nest, const struct nlattr *v[16])
{
	const struct nlattr *a;

	memset(v, 0, 16 * sizeof(*v));
	mnl_attr_for_each_nested(a, nest)
	{
		assert_true(mnl_attr_get_type(a) < 16);
		v[mnl_attr_get_type(a)] = a;
	}
}

static const struct tcmsg *read_message(const union nl_request *q, uint16_t type, const char *kind,
					const struct nlattr *v[16])
{
	const struct nlattr *a[16];

	assert_int_equal(q->head.nlmsg_type, type);
	assert_true(q->head.nlmsg_flags & NLM_F_ACK);
	assert_int_equal(nl_attrs(&q->head, sizeof(struct tcmsg), a, 15), 0);
	assert_string_equal(mnl_attr_get_str(a[TCA_KIND]), kind);
	memset(v, 0, 16 * sizeof(*v));
	if (a[TCA_OPTIONS])
		inside(a[TCA_OPTIONS], v);
	return mnl_nlmsg_get_payload(&q->head);
}

static void buckets(void **state)
{
	static const uint64_t v[] = { 1000, 125000, 12500000, UINT32_MAX, 5000000000, 1ULL << 46 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		const struct nlattr *a[16];
		const struct tc_tbf_qopt *opt;
		const struct tcmsg *m;
		union nl_request q;
		uint32_t burst;

		tc_put_bucket(&q, 7, v[i]);
		m = read_message(&q, RTM_NEWQDISC, "tbf", a);
		assert_int_equal(m->tcm_ifindex, 7);
		assert_int_equal(m->tcm_parent, TC_H_ROOT);
		opt = mnl_attr_get_payload(attr(a, TCA_TBF_PARMS, sizeof(*opt)));
		burst = mnl_attr_get_u32(attr(a, TCA_TBF_BURST, 4));
		assert_true(burst >= 16384 && (burst >= v[i] / 50 || burst == UINT32_MAX));
		assert_true(opt->limit > burst || opt->limit == UINT32_MAX);
		if (v[i] <= UINT32_MAX) {
			assert_int_equal(opt->rate.rate, v[i]);
			assert_null(a[TCA_TBF_RATE64]);
		} else {
			assert_int_equal(opt->rate.rate, UINT32_MAX);
			assert_int_equal(mnl_attr_get_u64(attr(a, TCA_TBF_RATE64, 8)), v[i]);
		}
	}
}

static void redirect(void **state)
{
	const struct nlattr *a[16], *act[16], *one[16], *opts[16];
	const struct tc_mirred *mirred;
	const struct tc_u32_sel *sel;
	const struct tcmsg *m;
	union nl_request q;

	(void)state;
	tc_put_redirect(&q, 7, 9);
	m = read_message(&q, RTM_NEWTFILTER, "u32", a);
	assert_int_equal(m->tcm_parent, 0xffff0000);
	assert_int_equal(TC_H_MIN(m->tcm_info), htons(ETH_P_ALL));
	sel = mnl_attr_get_payload(attr(a, TCA_U32_SEL, sizeof(*sel) + sizeof(struct tc_u32_key)));
	assert_int_equal(sel->nkeys, 1);
	assert_int_equal(sel->keys[0].mask, 0);
	assert_non_null(a[TCA_U32_ACT]);
	inside(a[TCA_U32_ACT], act);
	inside(act[1], one);
	assert_string_equal(mnl_attr_get_str(one[TCA_ACT_KIND]), "mirred");
	inside(one[TCA_ACT_OPTIONS], opts);
	mirred = mnl_attr_get_payload(attr(opts, TCA_MIRRED_PARMS, sizeof(*mirred)));
	assert_int_equal(mirred->ifindex, 9);
	assert_int_equal(mirred->eaction, TCA_EGRESS_REDIR);
	assert_int_equal(mirred->action, TC_ACT_STOLEN);
	tc_put_ingress(&q, 7);
	m = read_message(&q, RTM_NEWQDISC, "ingress", a);
	assert_int_equal(m->tcm_parent, TC_H_INGRESS);
}

/* ---- the kernel ---- */

struct seen {
	int index;
	char kinds[64];
	uint64_t rate;
};

static int see(const struct nlmsghdr *h, void *arg)
{
	const struct tcmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a[16], *v[16];
	struct seen *s = arg;
	const char *kind;

	if (nl_attrs(h, sizeof(*m), a, 15) < 0 || m->tcm_ifindex != s->index)
		return 0;
	kind = mnl_attr_get_str(a[TCA_KIND]);
	if (strcmp(kind, "tbf") && strcmp(kind, "ingress") && strcmp(kind, "u32"))
		return 0;
	if (h->nlmsg_type == RTM_NEWTFILTER && !strstr(s->kinds, "u32"))
		strcat(s->kinds, "u32 ");
	if (h->nlmsg_type == RTM_NEWQDISC)
		strcat(strcat(s->kinds, kind), " ");
	if (!strcmp(kind, "tbf")) {
		inside(a[TCA_OPTIONS], v);
		s->rate = ((const struct tc_tbf_qopt *)mnl_attr_get_payload(v[TCA_TBF_PARMS]))
				  ->rate.rate;
	}
	return 0;
}

static struct seen look(struct nl *n, int index)
{
	struct seen s = { .index = index };
	union nl_request q;
	struct tcmsg *m;

	nl_begin(&q, RTM_GETQDISC, NLM_F_DUMP, sizeof(struct tcmsg));
	assert_int_equal(nl_talk(n, &q, see, &s), 0);
	m = nl_begin(&q, RTM_GETTFILTER, NLM_F_DUMP, sizeof(*m));
	m->tcm_ifindex = index;
	m->tcm_parent = 0xffff0000;
	/* no ingress queue, no filters: the kernel says so with an error or with nothing */
	nl_talk(n, &q, see, &s);
	return s;
}

static int make(struct nl *n, const char *name)
{
	union nl_request q;
	struct link l;
	int r;

	tc_put_ifb(&q, name);
	r = nl_talk(n, &q, NULL, NULL);
	if (r == -EOPNOTSUPP) {
		print_message("no ifb in this kernel\n");
		skip();
	}
	assert_int_equal(r, 0);
	assert_int_equal(link_get(n, name, 0, &l), 0);
	assert_true(l.up);
	return l.index;
}

static void in_kernel(void **state)
{
	const struct tc_rate rate = { .up = 125000, .down = 250000 };
	AUTO_NL struct nl n = {};
	struct seen s;
	struct link l;
	struct err e;
	int index;

	(void)state;
	if (unshare(CLONE_NEWNET) < 0) {
		print_message("no network namespace\n");
		skip();
	}
	assert_int_equal(nl_open(&n, -1, &e), 0);
	index = make(&n, "v0");
	assert_int_equal(tc_limit(&n, index, "v0up", &rate, &e), 0);
	s = look(&n, index);
	assert_string_equal(s.kinds, "tbf ingress u32 ");
	assert_int_equal(s.rate, 250000);
	assert_int_equal(link_get(&n, "v0up", 0, &l), 0);
	s = look(&n, l.index);
	assert_string_equal(s.kinds, "tbf ");
	assert_int_equal(s.rate, 125000);
	assert_int_equal(tc_remove(&n, "v0up"), 0);
	assert_int_equal(tc_remove(&n, "v0up"), 0);
	assert_int_equal(link_get(&n, "v0up", 0, &l), -ENODEV);
}

/* A link that cannot be had leaves the first direction as it was, too. */
static void undone(void **state)
{
	const struct tc_rate rate = { .up = 125000, .down = 250000 }, down = { .down = 1000 };
	AUTO_NL struct nl n = {};
	struct err e;
	struct seen s;
	int index;

	(void)state;
	if (unshare(CLONE_NEWNET) < 0) {
		print_message("no network namespace\n");
		skip();
	}
	assert_int_equal(nl_open(&n, -1, &e), 0);
	index = make(&n, "v0");
	make(&n, "v0up");
	assert_int_equal(tc_limit(&n, index, "v0up", &rate, &e), -EEXIST);
	assert_non_null(strstr(e.msg, "there is a link v0up already"));
	s = look(&n, index);
	assert_string_equal(s.kinds, "");
	assert_int_equal(tc_limit(&n, index, "unused", &down, &e), 0);
	s = look(&n, index);
	assert_string_equal(s.kinds, "tbf ");
	assert_int_equal(tc_limit(&n, 4711, "unused", &rate, &e), -ENODEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates),     cmocka_unit_test(buckets), cmocka_unit_test(redirect),
		cmocka_unit_test(in_kernel), cmocka_unit_test(undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
