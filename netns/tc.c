/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The buckets are sized by time: 20 ms of the rate may go at once, which is several of the kernel's
 * timer ticks, and at most 100 ms wait. Bursts below 16 KiB would cut large packets into many.
 */
#include "netns/tc.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "netns/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <string.h>

#define BURST_MIN 16384U
#define WAIT_MIN 65536U
#define RATE_MIN 1000U /* bytes per second: one packet in one and a half seconds */
#define RATE_MAX (UINT64_C(1) << 47)
#define BUCKET_HANDLE (1U << 16)
#define INGRESS_HANDLE 0xffff0000U
#define FILTER_PRIORITY 1U

/* ---- text ---- */

static const struct unit {
	const char *name;
	uint64_t mul, div; /* to bytes per second */
} units[] = {
	{ "", 1, 8 },
	{ "bit", 1, 8 },
	{ "k", 1000, 8 },
	{ "kbit", 1000, 8 },
	{ "m", 1000000, 8 },
	{ "mbit", 1000000, 8 },
	{ "g", 1000000000, 8 },
	{ "gbit", 1000000000, 8 },
	{ "tbit", 1000000000000, 8 },
	{ "kibit", 1ULL << 10, 8 },
	{ "mibit", 1ULL << 20, 8 },
	{ "gibit", 1ULL << 30, 8 },
	{ "tibit", 1ULL << 40, 8 },
	{ "bps", 1, 1 },
	{ "kbps", 1000, 1 },
	{ "mbps", 1000000, 1 },
	{ "gbps", 1000000000, 1 },
};

static const struct unit *find_unit(const char *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (!strcasecmp(units[i].name, s))
			return &units[i];
	return NULL;
}

/* One side. Empty or 0: not limited. */
static int parse_side(const char *s, uint64_t *out)
{
	char digits[24];
	size_t n = strspn(s, "0123456789");
	const struct unit *u = find_unit(s + n);
	uint64_t v = 0;
	int r = 0;

	if (!u || n >= sizeof(digits) || (n == 0 && *s))
		return -EINVAL;
	memcpy(digits, s, n);
	digits[n] = '\0';
	if (n)
		r = str_to_u64(digits, UINT64_MAX, &v);
	if (r == 0 && __builtin_mul_overflow(v, u->mul, &v))
		r = -ERANGE;
	v /= u->div;
	if (r == 0 && strspn(digits, "0") != n && (v < RATE_MIN || v > RATE_MAX))
		r = -ERANGE;
	if (r == 0)
		*out = v;
	return r;
}

int tc_parse_rate(const char *s, struct tc_rate *out, struct err *e)
{
	const char *colon = strchr(s, ':');
	AUTO_FREE char *up = colon ? strndup(s, (size_t)(colon - s)) : strdup(s);
	struct tc_rate v;
	int r;

	if (!up)
		return err_sys(e, ENOMEM, "%s", s);
	r = parse_side(up, &v.up);
	if (r == 0)
		r = parse_side(colon ? colon + 1 : up, &v.down);
	if (r == -ERANGE)
		return err_set(e, ERANGE, "%s: a rate is between 8kbit and 1125tbit", s);
	if (r < 0 || !*s || str_eq(s, ":"))
		return err_set(e, EINVAL, "%s: not UP:DOWN, two rates like 10mbit:100mbit", s);
	*out = v;
	return 0;
}

/* ---- messages ---- */

static struct tcmsg *begin(union nl_request *q, uint16_t type, uint16_t flags, int index)
{
	struct tcmsg *m = nl_begin(q, type, flags, sizeof(*m));

	m->tcm_family = AF_UNSPEC;
	m->tcm_ifindex = index;
	return m;
}

void tc_put_bucket(union nl_request *q, int index, uint64_t rate)
{
	struct tcmsg *m = begin(q, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, index);
	uint64_t burst = rate / 50 > BURST_MIN ? rate / 50 : BURST_MIN;
	uint64_t limit = burst + (rate / 10 > WAIT_MIN ? rate / 10 : WAIT_MIN);
	struct tc_tbf_qopt opt = {
		.rate = { .linklayer = TC_LINKLAYER_ETHERNET,
			  .rate = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate },
		.limit = limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit,
	};
	struct nlattr *nest;

	m->tcm_handle = BUCKET_HANDLE;
	m->tcm_parent = TC_H_ROOT;
	mnl_attr_put_strz(&q->head, TCA_KIND, "tbf");
	nest = mnl_attr_nest_start(&q->head, TCA_OPTIONS);
	mnl_attr_put(&q->head, TCA_TBF_PARMS, sizeof(opt), &opt);
	/* in bytes: without it the kernel wants the burst in ticks of its clock */
	mnl_attr_put_u32(&q->head, TCA_TBF_BURST,
			 burst > UINT32_MAX ? UINT32_MAX : (uint32_t)burst);
	if (rate > UINT32_MAX)
		mnl_attr_put_u64(&q->head, TCA_TBF_RATE64, rate);
	mnl_attr_nest_end(&q->head, nest);
}

void tc_put_ingress(union nl_request *q, int index)
{
	struct tcmsg *m = begin(q, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, index);

	m->tcm_handle = INGRESS_HANDLE;
	m->tcm_parent = TC_H_INGRESS;
	mnl_attr_put_strz(&q->head, TCA_KIND, "ingress");
}

static void put_mirred(union nl_request *q, int to)
{
	const struct tc_mirred mirred = { .action = TC_ACT_STOLEN,
					  .eaction = TCA_EGRESS_REDIR,
					  .ifindex = (uint32_t)to };
	struct nlattr *acts = mnl_attr_nest_start(&q->head, TCA_U32_ACT);
	struct nlattr *first = mnl_attr_nest_start(&q->head, 1);
	struct nlattr *opts;

	mnl_attr_put_strz(&q->head, TCA_ACT_KIND, "mirred");
	opts = mnl_attr_nest_start(&q->head, TCA_ACT_OPTIONS);
	mnl_attr_put(&q->head, TCA_MIRRED_PARMS, sizeof(mirred), &mirred);
	mnl_attr_nest_end(&q->head, opts);
	mnl_attr_nest_end(&q->head, first);
	mnl_attr_nest_end(&q->head, acts);
}

/* The filter compares nothing of the packet: one word, of which no bit counts. */
void tc_put_redirect(union nl_request *q, int index, int to)
{
	union {
		struct tc_u32_sel sel;
		char room[sizeof(struct tc_u32_sel) + sizeof(struct tc_u32_key)];
	} all = { .room = "" };
	struct tcmsg *m = begin(q, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, index);
	struct nlattr *nest;

	all.sel.flags = TC_U32_TERMINAL;
	all.sel.nkeys = 1;
	m->tcm_parent = INGRESS_HANDLE;
	m->tcm_info = TC_H_MAKE(FILTER_PRIORITY << 16, htons(ETH_P_ALL));
	mnl_attr_put_strz(&q->head, TCA_KIND, "u32");
	nest = mnl_attr_nest_start(&q->head, TCA_OPTIONS);
	mnl_attr_put(&q->head, TCA_U32_SEL, sizeof(all), &all);
	put_mirred(q, to);
	mnl_attr_nest_end(&q->head, nest);
}

void tc_put_ifb(union nl_request *q, const char *name)
{
	struct ifinfomsg *i = nl_begin(q, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(*i));
	struct nlattr *nest;

	i->ifi_flags = i->ifi_change = IFF_UP;
	mnl_attr_put_strz(&q->head, IFLA_IFNAME, name);
	nest = mnl_attr_nest_start(&q->head, IFLA_LINKINFO);
	mnl_attr_put_strz(&q->head, IFLA_INFO_KIND, "ifb");
	mnl_attr_nest_end(&q->head, nest);
}

/* ---- on links ---- */

static int fail(int r, const char *what, struct err *e)
{
	if (r == -ENOENT || r == -EOPNOTSUPP)
		return err_set(e, -r, "limit the rate: %s: not in this kernel", what);
	return err_sys(e, -r, "limit the rate: %s", what);
}

static int bucket(struct nl *n, int index, uint64_t rate, struct err *e)
{
	union nl_request q;
	int r;

	tc_put_bucket(&q, index, rate);
	r = nl_talk(n, &q, NULL, NULL);
	return r < 0 ? fail(r, "token bucket (sch_tbf)", e) : 0;
}

static int limit_up(struct nl *n, int index, const char *ifb, uint64_t rate, struct err *e)
{
	union nl_request q;
	struct link l;
	int r;

	tc_put_ifb(&q, ifb);
	r = nl_talk(n, &q, NULL, NULL);
	if (r == -EEXIST)
		return err_set(e, EEXIST, "limit the rate: there is a link %s already", ifb);
	if (r == 0)
		r = link_get(n, ifb, 0, &l);
	if (r < 0)
		return fail(r, "device for what is received (ifb)", e);
	r = bucket(n, l.index, rate, e);
	if (r < 0)
		goto undo;
	tc_put_ingress(&q, index);
	r = nl_talk(n, &q, NULL, NULL);
	if (r < 0) {
		fail(r, "queue for what is received (sch_ingress)", e);
		goto undo;
	}
	tc_put_redirect(&q, index, l.index);
	r = nl_talk(n, &q, NULL, NULL);
	if (r == 0)
		return 0;
	fail(r, "redirection (cls_u32, act_mirred)", e);
	begin(&q, RTM_DELQDISC, 0, index)->tcm_parent = TC_H_INGRESS;
	nl_talk(n, &q, NULL, NULL);
undo:
	tc_remove(n, ifb);
	return r;
}

int tc_limit(struct nl *n, int index, const char *ifb, const struct tc_rate *rate, struct err *e)
{
	union nl_request q;
	int r = 0;

	if (rate->down)
		r = bucket(n, index, rate->down, e);
	if (r < 0 || !rate->up)
		return r;
	r = limit_up(n, index, ifb, rate->up, e);
	if (r < 0 && rate->down) {
		begin(&q, RTM_DELQDISC, 0, index)->tcm_parent = TC_H_ROOT;
		nl_talk(n, &q, NULL, NULL);
	}
	return r;
}

int tc_remove(struct nl *n, const char *ifb)
{
	union nl_request q;
	int r;

	nl_begin(&q, RTM_DELLINK, 0, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(&q.head, IFLA_IFNAME, ifb);
	r = nl_talk(n, &q, NULL, NULL);
	return r == -ENODEV ? 0 : r;
}
