/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of iptables, as nf_tables has them: whether one of ours is there is asked of the kernel. */
#include "netns/foreign.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

static const char *text_of(const struct nlattr *a)
{
	return a && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0 ? mnl_attr_get_str(a) : "";
}

static uint32_t number_of(const struct nlattr *a, uint32_t missing)
{
	return a && mnl_attr_validate(a, MNL_TYPE_U32) == 0 ? ntohl(mnl_attr_get_u32(a)) : missing;
}

/* The whole name of a link; "up+" of iptables has no NUL, and is none. */
static bool take_name(const struct nlattr *data, char name[IFNAMSIZ])
{
	const struct nlattr *a[NFTA_CMP_DATA + 1], *v[NFTA_DATA_VALUE + 1];
	size_t len;

	nl_nested(data, a, NFTA_CMP_DATA);
	nl_nested(a[NFTA_CMP_DATA], v, NFTA_DATA_VALUE);
	if (number_of(a[NFTA_CMP_OP], NFT_CMP_NEQ) != NFT_CMP_EQ || !v[NFTA_DATA_VALUE] || name[0])
		return false;
	len = mnl_attr_get_payload_len(v[NFTA_DATA_VALUE]);
	if (len > IFNAMSIZ || !memchr(mnl_attr_get_payload(v[NFTA_DATA_VALUE]), 0, len))
		return false;
	memcpy(name, mnl_attr_get_payload(v[NFTA_DATA_VALUE]), len);
	return true;
}

static bool accepts(const struct nlattr *data)
{
	const struct nlattr *a[NFTA_IMMEDIATE_DATA + 1], *v[NFTA_DATA_VERDICT + 1],
		*c[NFTA_VERDICT_CODE + 1];

	nl_nested(data, a, NFTA_IMMEDIATE_DATA);
	nl_nested(a[NFTA_IMMEDIATE_DATA], v, NFTA_DATA_VERDICT);
	nl_nested(v[NFTA_DATA_VERDICT], c, NFTA_VERDICT_CODE);
	return number_of(c[NFTA_VERDICT_CODE], NF_DROP) == NF_ACCEPT;
}

/* False: it does something that is more than a foreign_rule. */
static bool take_expression(const struct nlattr *list, uint32_t *key, struct foreign_rule *r)
{
	const struct nlattr *e[NFTA_EXPR_DATA + 1], *m[NFTA_META_KEY + 1];
	const char *what;

	nl_nested(list, e, NFTA_EXPR_DATA);
	what = text_of(e[NFTA_EXPR_NAME]);
	if (str_eq(what, "counter"))
		return true;
	if (str_eq(what, "immediate")) {
		r->accept = accepts(e[NFTA_EXPR_DATA]);
		return r->accept;
	}
	if (str_eq(what, "meta")) {
		nl_nested(e[NFTA_EXPR_DATA], m, NFTA_META_KEY);
		*key = number_of(m[NFTA_META_KEY], NFT_META_LEN);
		return *key == NFT_META_IIFNAME || *key == NFT_META_OIFNAME;
	}
	return str_eq(what, "cmp") &&
	       take_name(e[NFTA_EXPR_DATA], *key == NFT_META_IIFNAME ? r->in : r->out);
}

int foreign_read_rule(const struct nlmsghdr *m, void *arg)
{
	const struct nlattr *a[NFTA_RULE_EXPRESSIONS + 1], *list;
	struct foreign_rule *r = arg;
	uint32_t key = NFT_META_LEN;
	bool plain = true;

	*r = (struct foreign_rule){};
	if (nl_attrs(m, sizeof(struct nfgenmsg), a, NFTA_RULE_EXPRESSIONS) < 0)
		return -EBADMSG;
	snprintf(r->chain, sizeof(r->chain), "%s", text_of(a[NFTA_RULE_CHAIN]));
	if (!a[NFTA_RULE_EXPRESSIONS] ||
	    mnl_attr_validate(a[NFTA_RULE_EXPRESSIONS], MNL_TYPE_NESTED) < 0)
		return 0;
	mnl_attr_for_each_nested(list, a[NFTA_RULE_EXPRESSIONS])
	{
		plain = plain && take_expression(list, &key, r);
	}
	r->accept = r->accept && plain;
	return 0;
}
