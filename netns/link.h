/* SPDX-License-Identifier: Apache-2.0 */
/* Network links. */
#ifndef CTR_NETNS_LINK_H
#define CTR_NETNS_LINK_H

#include "base/err.h"
#include "netns/nl.h"

#include <net/if.h>
#include <stdbool.h>

#define LINK_MAC_MAX 32 /* the kernel's MAX_ADDR_LEN */
#define LINK_ALIAS_MAX 256
#define LINK_ETHER 6

struct link {
	int index;
	bool up;
	char name[IFNAMSIZ];
	uint32_t mtu;
	unsigned char mac[LINK_MAC_MAX];
	size_t mac_len; /* 0: a link without one */
	int master;     /* index of the bridge that it is a port of, or 0 */
	char kind[16];  /* "bridge", "veth"; "": a device */
	char alias[LINK_ALIAS_MAX];
};

/* Sets the loopback interface of the caller's network namespace up. 0 or -errno with *e set. */
int link_loopback_up(struct err *e);

/* The rest works in the namespace of the socket and returns 0 or the kernel's -errno. */

/* By name, or where that is NULL by index. -ENODEV: there is none. */
int link_get(struct nl *n, const char *name, int index, struct link *out);

/*
 * To the network namespace netns_fd, where it is named name (which nobody there may have) and down.
 */
int link_move(struct nl *n, int index, int netns_fd, const char *name);

/* A name with a %d becomes the first that is free. */
int link_rename(struct nl *n, int index, const char *name);

int link_set_up(struct nl *n, int index);

/* MTU and, where it has one, the hardware address of like. */
int link_restore(struct nl *n, int index, const struct link *like);

/* Reads one message into *arg, a struct link: an nl_fn. -EBADMSG. */
int link_read(const struct nlmsghdr *m, void *arg);

/* Calls fn for every link; a negative return ends it and is the result. */
int links_each(struct nl *n, int (*fn)(const struct link *l, void *arg), void *arg);

/* Removes it, with its peer. Missing is fine. */
int link_delete(struct nl *n, const char *name);

/* Removes all of these, which takes hardly longer than one. Missing is fine. */
int link_delete_all(struct nl *n, const char *const *names, size_t count);

/* ---- requests, pure: for a batch ---- */

/* A new bridge, down. -EEXIST: the name is taken. */
void link_put_bridge(union nl_request *q, const char *name, const uint8_t mac[LINK_ETHER]);
/* Of a bridge: only what is set after it was made stays when its ports change. */
void link_put_mtu(union nl_request *q, const char *name, uint32_t mtu);

void link_put_alias(union nl_request *q, const char *name, const char *alias);

struct link_veth {
	const char *name;  /* at this end: up, a port of master */
	int master;        /* index */
	const char *inner; /* at the other end: in netns_fd, down */
	int netns_fd;
	const uint8_t *mac; /* of the other end, LINK_ETHER bytes */
	uint32_t mtu;       /* 0: the kernel's choice */
};

/* A new pair; neither end has been anywhere else before. */
void link_put_veth(union nl_request *q, const struct link_veth *v);

/* A port of a bridge may get back what it has sent. */
void link_put_hairpin(union nl_request *q, const char *name);

/* Up, by index or, where that is 0, by name; quiet: it gets no IPv6 address by itself. */
void link_put_up(union nl_request *q, int index, const char *name, bool quiet);

#endif
