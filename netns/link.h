/* SPDX-License-Identifier: Apache-2.0 */
/* Network links. */
#ifndef CTR_NETNS_LINK_H
#define CTR_NETNS_LINK_H

#include "base/err.h"
#include "netns/nl.h"

#include <net/if.h>
#include <stdbool.h>

#define LINK_MAC_MAX 32 /* the kernel's MAX_ADDR_LEN */

struct link {
	int index;
	bool up;
	char name[IFNAMSIZ];
	uint32_t mtu;
	unsigned char mac[LINK_MAC_MAX];
	size_t mac_len; /* 0: a link without one */
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

#endif
