/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The containers of a network: one line each in the file "members" of the network's directory. It
 * is written before anything of a container is made, and loses the line after all is gone. Pure.
 */
#ifndef CTR_NET_MEMBERS_H
#define CTR_NET_MEMBERS_H

#include "base/err.h"
#include "base/str.h"
#include "netns/net_rules.h"

struct member {
	char *id;
	char *hostname; /* a name that may stand in /etc/hosts, or NULL */
	bool limited;   /* has a device for its bandwidth, see member_ifb */
	struct net_member net;
	struct ip_port *ports; /* what net.ports points to */
};

struct members {
	struct member *v;
	size_t n;
};

void members_format(const struct members *l, struct str_buf *out);
/* -EINVAL with *e for text that is not ours, -ENOMEM. */
int members_parse(const char *text, struct members *out, struct err *e);

/* NULL: not a member. */
struct member *members_find(const struct members *l, const char *id);

/* A free place at the end, or NULL without memory. */
struct member *members_add(struct members *l);
void members_remove(struct members *l, struct member *m);

/* Copies of its strings and ports. 0 or -ENOMEM. */
int member_fill(struct member *m, const char *id, const char *hostname,
		const struct net_member *net);

/* The name of the device for a limit of bandwidth. */
void member_ifb(const struct net_member *m, char name[IFNAMSIZ]);

/* Whether a name may stand in /etc/hosts. */
bool member_name_ok(const char *name);

void members_free(struct members *l);
#define AUTO_MEMBERS __attribute__((cleanup(members_free)))

#endif
