/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks in the state directory, ROOT/.networks/:
 *
 *     .lock            held by whoever changes anything of a network
 *     .opened          links of the host that forward because of us (netns/forward.h)
 *     .restored        those that are kept have been brought back (net_keep.c)
 *     NAME/network.json
 *     NAME/members     its containers (net_members.h)
 *     NAME/NAME.leases their addresses (netns/ipam.h)
 *     NAME/foreign     what was asked of other firewalls for it (netns/foreign.h)
 */
#ifndef CTR_NET_STORE_H
#define CTR_NET_STORE_H

#include "net_members.h"
#include "netns/forward.h"
#include "netns/net.h"
#include "oci/network.h"
#include "store.h"

struct net_store {
	const struct store *root; /* borrowed */
	int dir;                  /* ROOT/.networks; -1: there is none */
	int lock;
	int host; /* the lock NETWORK_HOST_LOCK */
};

#define NET_STORE_INIT                             \
	{                                          \
		.dir = -1, .lock = -1, .host = -1, \
	}

/*
 * State roots do not know each other, but take names of links, subnets and ports from one host: one
 * at a time.
 */
#define NETWORK_HOST_LOCK "/run/ctr-networks.lock"

/*
 * Opens and locks it, and the host (30 s at most each); make: it is made when missing, else dir may
 * be -1.
 */
int net_store_open(const struct store *root, bool make, struct net_store *s, struct err *e);
void net_store_close(struct net_store *s);
#define AUTO_NET_STORE __attribute__((cleanup(net_store_close)))

/* A network that has been loaded: its directory, what it is, who is in it. */
struct network {
	int dir;
	struct net_conf conf;
	bool automatic;
	bool only_ipv6; /* while it is made: no IPv4 subnet is to be picked */
	struct members members;
};

#define NETWORK_INIT      \
	{                 \
		.dir = -1 \
	}

/* -ENOENT with *e: there is none of that name. */
int network_load(const struct net_store *s, const char *name, struct network *out, struct err *e);

/* Makes the directory with what n->conf says; n->dir becomes its own. -EEXIST with *e. */
int network_make(const struct net_store *s, struct network *n, struct err *e);

/* What n->conf says, to that file below dir, and from there. For net_keep.c. */
int network_write(const struct network *n, int dir, const char *file, struct err *e);
int network_read(struct network *n, int dir, const char *file, const char *name, struct err *e);

/* Writes the members. */
int network_save_members(const struct network *n, struct err *e);

/* The file "foreign": *text is malloc'ed, "" when there is none. */
int network_read_foreign(const struct network *n, char **text, struct err *e);
int network_write_foreign(const struct network *n, const char *text, struct err *e);

/* Removes the directory. Missing is fine. */
int network_erase(const struct net_store *s, const char *name, struct err *e);

void network_close(struct network *n);
#define AUTO_NETWORK_REF __attribute__((cleanup(network_close)))

/* All names, sorted. */
int network_names(const struct net_store *s, struct str_list *out, struct err *e);

/* The bridges of all, whether they are up or not, appended to out. */
int network_bridges(const struct net_store *s, struct str_list *out, struct err *e);

/* The rules for a name of a network. */
int network_check_name(const char *name, struct err *e);

/* The mark of its bridge. */
void network_alias(const struct net_store *s, const struct net_conf *c, char alias[LINK_ALIAS_MAX]);

/* conf as text, for files and for people. Strings live in f->arena. -ENOMEM. */
int network_to_file(const struct network *n, struct network_file *f);

/*
 * net_keep.c: what was made by `network create` stays when the state does not. The default state
 * root is on a tmpfs; its networks are also in NETWORK_KEPT, one file each, and read from there by
 * whoever opens the store first after a reboot. Of other state roots nothing is kept: who chooses
 * one chooses how long it lives.
 */
#define NETWORK_KEPT "/var/lib/ctr/networks"

/* Whether something is kept for this root. */
bool network_keep_any(const struct store *root);

/* Keeps the network, or forgets it (missing is fine). */
int network_keep(const struct net_store *s, const struct network *n, struct err *e);
int network_keep_not(const struct net_store *s, const char *name, struct err *e);

/* Once after a reboot, with the lock held: brings all back, down. What is broken is logged. */
void network_keep_restore(const struct net_store *s);

int net_store_read_opened(const struct net_store *s, struct forward_links *out, struct err *e);
/* No links: the file is removed. */
int net_store_write_opened(const struct net_store *s, const struct forward_links *l, struct err *e);

#endif
