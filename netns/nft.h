/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nf_tables: a table as plain values, and its messages (linux/netfilter/nf_tables.h). The kernel's
 * own language is small enough to be written down without a library, and a library that is loaded
 * and compiles text takes longer than all the rest of a container's network.
 *
 * Registers: NFT_REG_1 .. NFT_REG_4 have 16 bytes each; what is compared together lies in one after
 * the other, each field filled up to 4 bytes.
 */
#ifndef CTR_NETNS_NFT_H
#define CTR_NETNS_NFT_H

#include "base/str.h"
#include "netns/nl.h"

#include <linux/netfilter/nf_tables.h>

#define NFT_DATA_MAX 32  /* a key or a value of ours at most */
#define NFT_CHUNK_MAX 40 /* elements in one request */

enum nft_op_kind {
	NFT_OP_META,    /* reg = meta key (NFT_META_*) */
	NFT_OP_CT,      /* reg = conntrack key (NFT_CT_*) */
	NFT_OP_PAYLOAD, /* reg = len bytes at offset of base key (NFT_PAYLOAD_*_HEADER) */
	NFT_OP_FIB,     /* reg = kind of the destination address (RTN_*) */
	NFT_OP_MASK,    /* reg &= data, len bytes */
	NFT_OP_CMP,     /* goes on when reg (key: NFT_CMP_*) data, len bytes */
	NFT_OP_LOOKUP,  /* goes on when reg is in (key 1: not in) the set name */
	NFT_OP_MAP,     /* reg = what the map name has for reg; goes on when there is something */
	NFT_OP_DNAT,    /* family key, address at reg, port at reg2 */
	NFT_OP_MASQ,    /* source address becomes that of the link it leaves by */
	NFT_OP_VERDICT, /* key: NF_ACCEPT, NF_DROP, NFT_JUMP to the chain name, NFT_RETURN */
	NFT_OP_KINDS,
};

struct nft_op {
	enum nft_op_kind kind;
	uint32_t key, offset, len;
	uint32_t reg, reg2;
	const char *name; /* static */
	uint8_t data[16];
};

#define NFT_OPS_MAX 12

struct nft_rule {
	const char *chain; /* static */
	struct nft_op op[NFT_OPS_MAX];
	size_t n;
};

struct nft_chain {
	const char *name;
	const char *type; /* "nat", "filter"; NULL: only jumped to */
	uint32_t hook;    /* NF_*_* */
	int priority;
};

struct nft_set {
	const char *name;
	uint32_t key_type, key_len;   /* the type is for nft(8), the length in bytes */
	uint32_t data_type, data_len; /* 0: a set, no map */
	bool host_order;              /* of the key, for nft(8) */
};

#define NFT_RULES_MAX 24
#define NFT_NAME_LEN 16 /* of a table: that of its bridge */

struct nft_table {
	uint8_t family; /* NFPROTO_* */
	char name[NFT_NAME_LEN];
	const struct nft_set *sets; /* static */
	size_t n_sets;
	const struct nft_chain *chains; /* static */
	size_t n_chains;
	struct nft_rule rules[NFT_RULES_MAX];
	size_t n_rules;
};

struct nft_element {
	const char *set;
	uint8_t key[NFT_DATA_MAX], data[NFT_DATA_MAX];
	uint32_t key_len, data_len;
};

/* ---- requests for a batch with .ruleset ---- */

/* The whole table; one of that name is replaced. */
void nft_put_table(struct nl_batch *b, const struct nft_table *t);

/* Removes it. -ENOENT from the kernel when there is none. */
void nft_put_no_table(struct nl_batch *b, uint8_t family, const char *name);

/*
 * Adds (or takes away) elements, in order of the sets that they are of. Adding what is there with
 * the same value is fine; with another value, -EEXIST.
 */
void nft_put_elements(struct nl_batch *b, bool add, uint8_t family, const char *table,
		      const struct nft_element *v, size_t n);

/* Empties a set. */
void nft_put_flush(struct nl_batch *b, uint8_t family, const char *table, const char *set);

/* ---- on the kernel ---- */

/*
 * What the base chain does with what reaches its end: NF_ACCEPT or NF_DROP; -ENOENT: there is no
 * such chain, or it has no hook.
 */
int nft_chain_policy(struct nl *n, uint8_t family, const char *table, const char *chain);

/* Reads one message into *arg, an int: the policy, when it has one; an nl_fn. -EBADMSG. */
int nft_read_policy(const struct nlmsghdr *m, void *arg);

/* Whether there is such a table: 1 or 0, or -errno. */
int nft_table_there(struct nl *n, uint8_t family, const char *table);

/* Whether there is such a chain, of whatever kind. */
bool nft_chain_there(struct nl *n, uint8_t family, const char *table, const char *chain);

/* All rules of a table, as the kernel tells them. 0 or -errno; no such table: none. */
int nft_rules_each(struct nl *n, uint8_t family, const char *table, nl_fn fn, void *arg);

/* All elements of a set: a negative return of fn ends it. 0 or -errno; -ENOENT: no such set. */
int nft_elements_each(struct nl *n, uint8_t family, const char *table, const char *set,
		      int (*fn)(const struct nft_element *el, void *arg), void *arg);

struct nft_element_reader {
	const char *set;
	int (*fn)(const struct nft_element *el, void *arg);
	void *arg;
};

/* Reads one message of them; arg is a struct nft_element_reader: an nl_fn. */
int nft_read_elements(const struct nlmsghdr *m, void *arg);

/* ---- for people and tests ---- */

/* One rule in words, registers named: "meta 6 > r1; r1 == 63747230...; jump publish". */
void nft_rule_text(struct str_buf *b, const struct nft_rule *r);

#endif
