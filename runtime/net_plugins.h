/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What plugins (CNI) leave to the runtime: names and name servers. Their containers find each other
 * by ID as those of ctr's own networks do.
 */
#ifndef CTR_NET_PLUGINS_H
#define CTR_NET_PLUGINS_H

#include "net_members.h"
#include "netns/cni.h"
#include "oci/spec.h"
#include "store.h"

/* A resolv.conf of what the plugins answered; false when they named no server. Pure. */
bool net_plugins_resolv(struct str_buf *b, const struct cni_result *r);

/* Writes it into dir, unless dns names servers. */
int net_plugins_servers(int dir, const struct cni_result *r, const struct spec_strings *dns,
			struct err *e);

/*
 * Rewrites the hosts files of all containers of the network (its name without "cni:"), as their
 * cni.json says. What cannot be done is logged: the network itself is there.
 */
void net_plugins_names(const struct store *s, const char *network);

#endif
