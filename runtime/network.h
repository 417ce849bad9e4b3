/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's network, from what was asked for to what is undone. In two halves, because the
 * first is needed before the child looks at its files and the second needs the child's namespace:
 *
 *   network_take     address, name, files; written down before anything is made
 *   network_connect  link, routes, rules; or plugins, or pasta
 *
 * and network_release, which undoes both, also after a ctr that was killed in the middle.
 */
#ifndef CTR_NETWORK_H
#define CTR_NETWORK_H

#include "ctr.h"
#include "net_opts.h"
#include "net_store.h"
#include "oci/spec_edit.h"

/* What state.json keeps: the name of a network of ours, or one of these. */
#define NETWORK_STATE_CNI "cni:"
#define NETWORK_STATE_PASTA "pasta:"

struct network_use {
	struct network_plan plan;
	struct net_conf conf;     /* NETWORK_OURS, after network_take */
	struct net_member member; /* its ports are the plan's */
	char *state;              /* what state.json keeps, malloc'ed; NULL: nothing to release */
	char *ns_path;            /* malloc'ed */
	char *files;              /* the container's state directory, malloc'ed; NULL: no files */
};

/* What the configuration must say for the network chosen. Lives as long as u and the caller's. */
int network_edit(struct network_use *u, const struct ctr_global *g, const struct store *s,
		 const struct create_opts *o, struct spec_edit_net *out, struct err *e);

/*
 * dir is the state directory of id, below s. hostname may be NULL. On an error nothing is left;
 * after success network_release is due.
 */
int network_take(struct network_use *u, const struct store *s, int dir, const char *id,
		 const char *hostname, struct err *e);

/*
 * The child's namespaces, borrowed; userns_fd -1: it is in the caller's. On an error
 * network_release is still due.
 */
int network_connect(struct network_use *u, const struct store *s, int dir, const char *id,
		    int netns_fd, int userns_fd, struct err *e);

/*
 * Undoes it. network is what state.json kept; NULL: it was never written, whatever is found of id
 * is released. Idempotent.
 */
int network_release(const struct store *s, int dir, const char *id, const char *network,
		    struct err *e);

void network_use_free(struct network_use *u);

/*
 * net_ports.c: whether all ports (n, may be 0) of the host are free for container id: 0, or
 * -EADDRINUSE with the container, network or process that has one.
 */
int network_check_ports(const struct net_store *ns, struct net_socks *s, const char *id,
			const struct ip_port *ports, size_t n, struct err *e);

/* ---- net_ours.c: networks of ctr, under the lock of the store ---- */

/* A subnet for a network that was given none, or a look at one that was. */
int ours_pick_subnets(const struct net_store *ns, struct net_socks *s, struct network *n,
		      unsigned int first, struct err *e);

/* A name for its bridge that no link and no network of the state root has. */
int ours_free_bridge(const struct net_store *ns, struct net_socks *s, struct network *n,
		     struct err *e);

/* Brings it up if it is not, and what the host forwards to what it needs. */
int ours_up(const struct net_store *ns, struct net_socks *s, struct network *n, bool force,
	    struct err *e);

/* Takes it down with all its members, and erases it; forwarding ends with the last network. */
int ours_down(const struct net_store *ns, struct net_socks *s, const struct network *n,
	      struct err *e);

/*
 * net_forward.c: what the host is to forward for the network, in *links: noted, and guarded by the
 * rules of all networks, but not switched on yet. fresh: its own rules are to be made.
 */
int ours_forward(const struct net_store *ns, struct net_socks *s, const struct network *n,
		 bool fresh, struct forward_links *links, struct err *e);

/* Ends it, when last is the last network of the state root, or was (NULL: none is left). */
int ours_forward_end(const struct net_store *ns, struct net_socks *s, const struct network *last,
		     struct err *e);

/* When no network is left: what ends with the last one, if who removed that was killed. */
int ours_ended(const struct net_store *ns, struct err *e);

/* The default network: loaded, or made. */
int ours_default(const struct net_store *ns, struct net_socks *s, struct network *out,
		 struct err *e);

/* Loads one by name; the default one is made when it is not there. */
int ours_open(const struct net_store *ns, struct net_socks *s, const char *name,
	      struct network *out, struct err *e);

/* Takes away the members whose containers are gone. */
int ours_clean(const struct net_store *ns, struct net_socks *s, struct network *n, struct err *e);

/* Takes one member away, with its address; from the books only, when the bridge is another's. */
int ours_remove(const struct net_store *ns, struct net_socks *s, struct network *n,
		struct member *m, struct err *e);

/* Whether the container has a directory (ipam_alive_fn over a struct store). */
bool ours_alive(void *store, const char *id);

/* True when this host does IPv6. */
bool ours_ipv6(void);

#endif
