/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other people's firewalls. A packet passes only when all rules of the host let it, and two that
 * are often there do not let ours: Docker sets the policy of iptables' FORWARD to DROP, and
 * firewalld turns down what comes from a link in none of its zones. Both have a place for such as
 * us: the chain DOCKER-USER, and the zone "trusted". What is put there is undone with the network;
 * nothing else of theirs is touched.
 */
#ifndef CTR_NETNS_FOREIGN_H
#define CTR_NETNS_FOREIGN_H

#include "base/err.h"
#include "base/str.h"
#include "netns/net.h"

/*
 * What the network needs of them and does not have yet, one thing a line, appended to out: to be
 * kept before foreign_add does it. have is what was kept before ("": nothing); a line of it comes
 * again when it was not done, or undone by somebody. *blocked: nothing can be done about a policy
 * that turns us down.
 *
 *     4 -i ctr0 -o eth0 -j ACCEPT     a rule of DOCKER-USER, IPv4 (6: IPv6)
 *     firewalld ctr0                  a link of the zone trusted, now and for good
 */
int foreign_find(struct net_socks *s, const struct net_conf *c, const char *have,
		 struct str_buf *out, bool *blocked, struct err *e);

/* What is to be kept: the lines of have, and those of more that are not among them. */
void foreign_note(const char *have, const char *more, struct str_buf *out);

/* Does what the lines say, or undoes it. Undoing what is not there is fine. */
int foreign_add(const char *lines, struct err *e);
void foreign_remove(const char *lines);

/* foreign_rules.c: a rule, as far as it is one of the above. */
struct foreign_rule {
	char chain[32];
	char in[IFNAMSIZ], out[IFNAMSIZ]; /* links; "": whatever */
	bool accept; /* what comes by the one and goes by the other, and all of it */
};

/* Reads one message into *arg, a struct foreign_rule: an nl_fn. -EBADMSG. */
int foreign_read_rule(const struct nlmsghdr *m, void *arg);

#endif
