/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/nft.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

static void begin(union nl_request *q, uint16_t type, uint16_t flags, uint8_t family)
{
	struct nfgenmsg *g =
		nl_begin(q, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, sizeof(*g));

	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
}

static void put_u32(union nl_request *q, uint16_t type, uint32_t v)
{
	mnl_attr_put_u32(&q->head, type, htonl(v));
}

static struct nlattr *nest(union nl_request *q, uint16_t type)
{
	return mnl_attr_nest_start(&q->head, type);
}

static void end(union nl_request *q, struct nlattr *a)
{
	mnl_attr_nest_end(&q->head, a);
}

/* A value, as the attribute type has it. */
static void put_data(union nl_request *q, uint16_t type, const void *data, size_t len)
{
	struct nlattr *a = nest(q, type);

	mnl_attr_put(&q->head, NFTA_DATA_VALUE, len, data);
	end(q, a);
}

/* ---- expressions ---- */

static void put_meta(union nl_request *q, const struct nft_op *o)
{
	put_u32(q, NFTA_META_KEY, o->key);
	put_u32(q, NFTA_META_DREG, o->reg);
}

static void put_ct(union nl_request *q, const struct nft_op *o)
{
	put_u32(q, NFTA_CT_KEY, o->key);
	put_u32(q, NFTA_CT_DREG, o->reg);
}

static void put_payload(union nl_request *q, const struct nft_op *o)
{
	put_u32(q, NFTA_PAYLOAD_DREG, o->reg);
	put_u32(q, NFTA_PAYLOAD_BASE, o->key);
	put_u32(q, NFTA_PAYLOAD_OFFSET, o->offset);
	put_u32(q, NFTA_PAYLOAD_LEN, o->len);
}

static void put_fib(union nl_request *q, const struct nft_op *o)
{
	put_u32(q, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
	put_u32(q, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	put_u32(q, NFTA_FIB_DREG, o->reg);
}

static void put_mask(union nl_request *q, const struct nft_op *o)
{
	static const uint8_t zero[16];

	put_u32(q, NFTA_BITWISE_SREG, o->reg);
	put_u32(q, NFTA_BITWISE_DREG, o->reg);
	put_u32(q, NFTA_BITWISE_LEN, o->len);
	put_data(q, NFTA_BITWISE_MASK, o->data, o->len);
	put_data(q, NFTA_BITWISE_XOR, zero, o->len);
}

static void put_cmp(union nl_request *q, const struct nft_op *o)
{
	put_u32(q, NFTA_CMP_SREG, o->reg);
	put_u32(q, NFTA_CMP_OP, o->key);
	put_data(q, NFTA_CMP_DATA, o->data, o->len);
}

static void put_lookup(union nl_request *q, const struct nft_op *o)
{
	put_u32(q, NFTA_LOOKUP_SREG, o->reg);
	mnl_attr_put_strz(&q->head, NFTA_LOOKUP_SET, o->name);
	if (o->kind == NFT_OP_MAP)
		put_u32(q, NFTA_LOOKUP_DREG, o->reg);
	else if (o->key)
		put_u32(q, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
}

static void put_dnat(union nl_request *q, const struct nft_op *o)
{
	put_u32(q, NFTA_NAT_TYPE, NFT_NAT_DNAT);
	put_u32(q, NFTA_NAT_FAMILY, o->key);
	put_u32(q, NFTA_NAT_REG_ADDR_MIN, o->reg);
	put_u32(q, NFTA_NAT_REG_PROTO_MIN, o->reg2);
}

static void put_nothing(union nl_request *q, const struct nft_op *o)
{
	(void)q;
	(void)o;
}

static void put_verdict(union nl_request *q, const struct nft_op *o)
{
	struct nlattr *data, *verdict;

	put_u32(q, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = nest(q, NFTA_IMMEDIATE_DATA);
	verdict = nest(q, NFTA_DATA_VERDICT);
	put_u32(q, NFTA_VERDICT_CODE, o->key);
	if (o->name)
		mnl_attr_put_strz(&q->head, NFTA_VERDICT_CHAIN, o->name);
	end(q, verdict);
	end(q, data);
}

static const struct {
	const char *name;
	void (*put)(union nl_request *q, const struct nft_op *o);
} kinds[] = {
	[NFT_OP_META] = { "meta", put_meta },
	[NFT_OP_CT] = { "ct", put_ct },
	[NFT_OP_PAYLOAD] = { "payload", put_payload },
	[NFT_OP_FIB] = { "fib", put_fib },
	[NFT_OP_MASK] = { "bitwise", put_mask },
	[NFT_OP_CMP] = { "cmp", put_cmp },
	[NFT_OP_LOOKUP] = { "lookup", put_lookup },
	[NFT_OP_MAP] = { "lookup", put_lookup },
	[NFT_OP_DNAT] = { "nat", put_dnat },
	[NFT_OP_MASQ] = { "masq", put_nothing },
	[NFT_OP_VERDICT] = { "immediate", put_verdict },
};
_Static_assert(ARRAY_SIZE(kinds) == NFT_OP_KINDS, "one row for each kind");

static void put_rule(struct nl_batch *b, const struct nft_table *t, const struct nft_rule *r)
{
	struct nlattr *list, *elem, *data;
	union nl_request q;

	begin(&q, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, t->family);
	mnl_attr_put_strz(&q.head, NFTA_RULE_TABLE, t->name);
	mnl_attr_put_strz(&q.head, NFTA_RULE_CHAIN, r->chain);
	list = nest(&q, NFTA_RULE_EXPRESSIONS);
	for (size_t i = 0; i < r->n; i++) {
		elem = nest(&q, NFTA_LIST_ELEM);
		mnl_attr_put_strz(&q.head, NFTA_EXPR_NAME, kinds[r->op[i].kind].name);
		data = nest(&q, NFTA_EXPR_DATA);
		kinds[r->op[i].kind].put(&q, &r->op[i]);
		end(&q, data);
		end(&q, elem);
	}
	end(&q, list);
	nl_batch_add(b, &q);
}

/* ---- tables, chains, sets ---- */

static void put_table(struct nl_batch *b, uint16_t type, uint16_t flags, uint8_t family,
		      const char *name)
{
	union nl_request q;

	begin(&q, type, flags, family);
	mnl_attr_put_strz(&q.head, NFTA_TABLE_NAME, name);
	nl_batch_add(b, &q);
}

static void put_chain(struct nl_batch *b, const struct nft_table *t, const struct nft_chain *c)
{
	struct nlattr *hook;
	union nl_request q;

	begin(&q, NFT_MSG_NEWCHAIN, NLM_F_CREATE, t->family);
	mnl_attr_put_strz(&q.head, NFTA_CHAIN_TABLE, t->name);
	mnl_attr_put_strz(&q.head, NFTA_CHAIN_NAME, c->name);
	if (c->type) {
		mnl_attr_put_strz(&q.head, NFTA_CHAIN_TYPE, c->type);
		put_u32(&q, NFTA_CHAIN_POLICY, NF_ACCEPT);
		hook = nest(&q, NFTA_CHAIN_HOOK);
		put_u32(&q, NFTA_HOOK_HOOKNUM, c->hook);
		put_u32(&q, NFTA_HOOK_PRIORITY, (uint32_t)c->priority);
		end(&q, hook);
	}
	nl_batch_add(b, &q);
}

static void put_set(struct nl_batch *b, const struct nft_table *t, const struct nft_set *s,
		    uint32_t id)
{
	/* Kind 0, the order of bytes of a key: 4 bytes, that of the host. */
	static const uint8_t order[] = { 0, 4, 1, 0, 0, 0 };
	union nl_request q;

	begin(&q, NFT_MSG_NEWSET, NLM_F_CREATE, t->family);
	mnl_attr_put_strz(&q.head, NFTA_SET_TABLE, t->name);
	mnl_attr_put_strz(&q.head, NFTA_SET_NAME, s->name);
	put_u32(&q, NFTA_SET_FLAGS, s->data_len ? NFT_SET_MAP : 0);
	put_u32(&q, NFTA_SET_KEY_TYPE, s->key_type);
	put_u32(&q, NFTA_SET_KEY_LEN, s->key_len);
	if (s->data_len) {
		put_u32(&q, NFTA_SET_DATA_TYPE, s->data_type);
		put_u32(&q, NFTA_SET_DATA_LEN, s->data_len);
	}
	put_u32(&q, NFTA_SET_ID, id);
	/* For nft(8), which would read a name as a number. */
	if (s->host_order)
		mnl_attr_put(&q.head, NFTA_SET_USERDATA, sizeof(order), order);
	nl_batch_add(b, &q);
}

void nft_put_table(struct nl_batch *b, const struct nft_table *t)
{
	/* To remove one that may not be there: made first, for the time of this batch. */
	put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, t->family, t->name);
	put_table(b, NFT_MSG_DELTABLE, 0, t->family, t->name);
	put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, t->family, t->name);
	for (size_t i = 0; i < t->n_sets; i++)
		put_set(b, t, &t->sets[i], (uint32_t)i + 1);
	for (size_t i = 0; i < t->n_chains; i++)
		put_chain(b, t, &t->chains[i]);
	for (size_t i = 0; i < t->n_rules; i++)
		put_rule(b, t, &t->rules[i]);
}

void nft_put_no_table(struct nl_batch *b, uint8_t family, const char *name)
{
	put_table(b, NFT_MSG_DELTABLE, 0, family, name);
}

static void put_element(union nl_request *q, const struct nft_element *v, bool add)
{
	struct nlattr *elem = nest(q, NFTA_LIST_ELEM);

	put_data(q, NFTA_SET_ELEM_KEY, v->key, v->key_len);
	if (v->data_len && add)
		put_data(q, NFTA_SET_ELEM_DATA, v->data, v->data_len);
	end(q, elem);
}

void nft_put_elements(struct nl_batch *b, bool add, uint8_t family, const char *table,
		      const struct nft_element *v, size_t n)
{
	for (size_t i = 0; i < n;) {
		const char *set = v[i].set;
		struct nlattr *list;
		union nl_request q;

		begin(&q, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, add ? NLM_F_CREATE : 0,
		      family);
		mnl_attr_put_strz(&q.head, NFTA_SET_ELEM_LIST_TABLE, table);
		mnl_attr_put_strz(&q.head, NFTA_SET_ELEM_LIST_SET, set);
		list = nest(&q, NFTA_SET_ELEM_LIST_ELEMENTS);
		for (size_t k = 0; i < n && k < NFT_CHUNK_MAX && str_eq(v[i].set, set); k++)
			put_element(&q, &v[i++], add);
		end(&q, list);
		nl_batch_add(b, &q);
	}
}

/* A removal of elements that names none is one of all. */
void nft_put_flush(struct nl_batch *b, uint8_t family, const char *table, const char *set)
{
	union nl_request q;

	begin(&q, NFT_MSG_DELSETELEM, 0, family);
	mnl_attr_put_strz(&q.head, NFTA_SET_ELEM_LIST_TABLE, table);
	mnl_attr_put_strz(&q.head, NFTA_SET_ELEM_LIST_SET, set);
	nl_batch_add(b, &q);
}

/* ---- on the kernel ---- */

int nft_read_policy(const struct nlmsghdr *m, void *arg)
{
	const struct nlattr *a[NFTA_CHAIN_POLICY + 1];
	int *policy = arg;

	if (nl_attrs(m, sizeof(struct nfgenmsg), a, NFTA_CHAIN_POLICY) < 0)
		return -EBADMSG;
	if (!a[NFTA_CHAIN_POLICY] || mnl_attr_validate(a[NFTA_CHAIN_POLICY], MNL_TYPE_U32) < 0)
		return 0;
	*policy = ntohl(mnl_attr_get_u32(a[NFTA_CHAIN_POLICY])) ? NF_ACCEPT : NF_DROP;
	return 0;
}

static int get_chain(struct nl *n, uint8_t family, const char *table, const char *chain,
		     int *policy)
{
	union nl_request q;

	begin(&q, NFT_MSG_GETCHAIN, 0, family);
	mnl_attr_put_strz(&q.head, NFTA_CHAIN_TABLE, table);
	mnl_attr_put_strz(&q.head, NFTA_CHAIN_NAME, chain);
	return nl_talk(n, &q, nft_read_policy, policy);
}

int nft_chain_policy(struct nl *n, uint8_t family, const char *table, const char *chain)
{
	int policy = -ENOENT, r = get_chain(n, family, table, chain, &policy);

	return r < 0 ? r : policy;
}

bool nft_chain_there(struct nl *n, uint8_t family, const char *table, const char *chain)
{
	int policy;

	return get_chain(n, family, table, chain, &policy) == 0;
}

int nft_table_there(struct nl *n, uint8_t family, const char *table)
{
	union nl_request q;
	int r;

	begin(&q, NFT_MSG_GETTABLE, 0, family);
	mnl_attr_put_strz(&q.head, NFTA_TABLE_NAME, table);
	r = nl_talk(n, &q, NULL, NULL);
	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

int nft_rules_each(struct nl *n, uint8_t family, const char *table, nl_fn fn, void *arg)
{
	union nl_request q;

	begin(&q, NFT_MSG_GETRULE, NLM_F_DUMP, family);
	mnl_attr_put_strz(&q.head, NFTA_RULE_TABLE, table);
	return nl_talk(n, &q, fn, arg);
}

static uint32_t read_data(const struct nlattr *in, uint8_t out[NFT_DATA_MAX])
{
	const struct nlattr *a[NFTA_DATA_VALUE + 1];
	uint32_t len;

	nl_nested(in, a, NFTA_DATA_VALUE);
	len = a[NFTA_DATA_VALUE] ? mnl_attr_get_payload_len(a[NFTA_DATA_VALUE]) : 0;
	if (len == 0 || len > NFT_DATA_MAX)
		return 0;
	memcpy(out, mnl_attr_get_payload(a[NFTA_DATA_VALUE]), len);
	return len;
}

int nft_read_elements(const struct nlmsghdr *m, void *arg)
{
	const struct nlattr *l[NFTA_SET_ELEM_LIST_ELEMENTS + 1], *a[NFTA_SET_ELEM_DATA + 1], *v;
	const struct nft_element_reader *reader = arg;
	int r = 0;

	if (nl_attrs(m, sizeof(struct nfgenmsg), l, NFTA_SET_ELEM_LIST_ELEMENTS) < 0)
		return -EBADMSG;
	if (!l[NFTA_SET_ELEM_LIST_ELEMENTS] ||
	    mnl_attr_validate(l[NFTA_SET_ELEM_LIST_ELEMENTS], MNL_TYPE_NESTED) < 0)
		return 0;
	mnl_attr_for_each_nested(v, l[NFTA_SET_ELEM_LIST_ELEMENTS])
	{
		struct nft_element el = { .set = reader->set };

		nl_nested(v, a, NFTA_SET_ELEM_DATA);
		el.key_len = read_data(a[NFTA_SET_ELEM_KEY], el.key);
		el.data_len = read_data(a[NFTA_SET_ELEM_DATA], el.data);
		if (el.key_len && r == 0)
			r = reader->fn(&el, reader->arg);
	}
	return r;
}

int nft_elements_each(struct nl *n, uint8_t family, const char *table, const char *set,
		      int (*fn)(const struct nft_element *el, void *arg), void *arg)
{
	struct nft_element_reader reader = { .set = set, .fn = fn, .arg = arg };
	union nl_request q;

	begin(&q, NFT_MSG_GETSETELEM, NLM_F_DUMP, family);
	mnl_attr_put_strz(&q.head, NFTA_SET_ELEM_LIST_TABLE, table);
	mnl_attr_put_strz(&q.head, NFTA_SET_ELEM_LIST_SET, set);
	return nl_talk(n, &q, nft_read_elements, &reader);
}

/* ---- in words ---- */

static void put_hex(struct str_buf *b, const uint8_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		str_buf_addf(b, "%02x", v[i]);
}

static void verdict_text(struct str_buf *b, const struct nft_op *o)
{
	switch ((int)o->key) {
	case NF_ACCEPT:
		str_buf_add(b, "accept");
		break;
	case NF_DROP:
		str_buf_add(b, "drop");
		break;
	case NFT_RETURN:
		str_buf_add(b, "return");
		break;
	default:
		str_buf_addf(b, "jump %s", o->name);
		break;
	}
}

static void op_text(struct str_buf *b, const struct nft_op *o)
{
	static const char *const compare[] = { "==", "!=", "<", "<=", ">", ">=" };

	switch (o->kind) {
	case NFT_OP_PAYLOAD:
		str_buf_addf(b, "payload %u %u+%u > r%u", o->key, o->offset, o->len, o->reg);
		break;
	case NFT_OP_FIB:
		str_buf_addf(b, "fib > r%u", o->reg);
		break;
	case NFT_OP_MASK:
		str_buf_addf(b, "r%u & ", o->reg);
		put_hex(b, o->data, o->len);
		break;
	case NFT_OP_CMP:
		str_buf_addf(b, "r%u %s ", o->reg, compare[o->key]);
		put_hex(b, o->data, o->len);
		break;
	case NFT_OP_LOOKUP:
		str_buf_addf(b, "r%u %sin %s", o->reg, o->key ? "not " : "", o->name);
		break;
	case NFT_OP_MAP:
		str_buf_addf(b, "map %s r%u", o->name, o->reg);
		break;
	case NFT_OP_DNAT:
		str_buf_addf(b, "dnat %u r%u r%u", o->key, o->reg, o->reg2);
		break;
	case NFT_OP_VERDICT:
		verdict_text(b, o);
		break;
	case NFT_OP_MASQ:
		str_buf_add(b, "masquerade");
		break;
	default:
		str_buf_addf(b, "%s %u > r%u", kinds[o->kind].name, o->key, o->reg);
		break;
	}
}

void nft_rule_text(struct str_buf *b, const struct nft_rule *r)
{
	for (size_t i = 0; i < r->n; i++) {
		str_buf_add(b, i ? "; " : "");
		op_text(b, &r->op[i]);
	}
}
