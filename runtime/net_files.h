/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a container that say who it is and where names are asked: hosts, hostname and
 * resolv.conf in its state directory, which are bind-mounted over those of its root. hosts names
 * the other containers of the network and is rewritten in place when they come and go.
 */
#ifndef CTR_NET_FILES_H
#define CTR_NET_FILES_H

#include "net_members.h"
#include "oci/spec.h"
#include "store.h"

#define NET_HOSTS "hosts"
#define NET_HOSTNAME "hostname"
#define NET_RESOLV "resolv.conf"

/* ---- text, pure ---- */

/* The hosts file of member self (NULL: nobody's) in the network; members may be NULL. */
void net_hosts_text(struct str_buf *b, const struct members *l, const struct member *self,
		    const char *hostname);

/*
 * A container's resolv.conf, of the host's: name servers on the host's loopback are of no use in
 * there and left out. dns replaces all servers. *servers is the number of those that are left.
 */
void net_resolv_text(struct str_buf *b, const char *host, const struct spec_strings *dns,
		     size_t *servers);

/* ---- files ---- */

/* All three for a container of its own network; dir is its state directory. */
int net_files_write(int dir, const char *id, const struct members *l, const char *hostname,
		    const struct spec_strings *dns, struct err *e);

/* Replaces the text of one of them, which is made when missing. 0 or -errno. */
int net_files_put(int dir, const char *name, const struct str_buf *b);

/* resolv.conf as the host has it, for who shares the host's network. */
int net_files_host(int dir, struct err *e);

/*
 * Rewrites the hosts files of all members below the state root, as far as they have one. What
 * cannot be written is logged: it is somebody else's container.
 */
void net_files_refresh(const struct store *root, const struct members *l);

#endif
