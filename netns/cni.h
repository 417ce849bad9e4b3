/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks made by plugins: the Container Network Interface, versions 0.3.0 to 1.0.0
 * (https://www.cni.dev/docs/spec/). A configuration of /etc/cni/net.d, the plugins it names run one
 * after the other, each with what the one before has answered.
 *
 * What is needed to undo an ADD is kept in cni.json in the container's state directory, from before
 * the first plugin runs until the last DEL is done.
 *
 * The network namespace is kept there as well until then: plugins undo what they did for its
 * addresses only when they find them in there.
 *
 * CNI_PATH (a list of directories, with colons) says where the plugins are; without it
 * /usr/lib/cni and /opt/cni/bin. NETCONFPATH says where configurations are; without it
 * /etc/cni/net.d.
 */
#ifndef CTR_NETNS_CNI_H
#define CTR_NETNS_CNI_H

#include "base/arena.h"
#include "base/err.h"
#include "netns/ip.h"

#define CNI_FILE "cni.json"
#define CNI_NETNS "netns" /* beside it: the network namespace, mounted */

struct cni_request {
	const char *network; /* NAME: the "name" of a configuration */
	const char *id;      /* of the container */
	int netns_fd;        /* borrowed */
	const char *ifname;  /* eth0 */
	int dir;             /* the container's state directory, borrowed */
	const struct ip_port *ports;
	size_t n_ports;
	struct ip ip[2]; /* --ip, --ip6; family 0: what the plugins choose */
	const char *mac; /* --mac, or NULL */
};

struct cni_address {
	struct ip_net ip;
	struct ip gateway; /* family 0: none */
};

/* What the last plugin answered, as far as ctr wants to know. Lives in the arena. */
struct cni_result {
	struct cni_address *ips; /* of the container's interface */
	size_t n_ips;
	const char *mac; /* or NULL */
	const char **nameservers, **search, **options;
	size_t n_nameservers, n_search, n_options;
	const char *domain; /* or NULL */
};

/*
 * Finds the configuration and that all of its plugins exist, without running any: for before the
 * container is made. Refuses ports, addresses and a MAC that no plugin of it takes. -ENOENT names
 * the directory, and the networks that are there.
 */
int cni_find(const struct cni_request *q, struct err *e);

/*
 * ADD of all plugins. On an error everything is undone (DEL) and cni.json is gone. Each plugin has
 * 60 s. *e says which plugin failed and what it said.
 */
int cni_add(const struct cni_request *q, struct arena *a, struct cni_result *out, struct err *e);

/*
 * What cni.json in dir says: the network's name and the result, both in the arena. -ENOENT: there
 * is none, or its ADD is not done.
 */
int cni_known(int dir, struct arena *a, const char **network, struct cni_result *out,
	      struct err *e);

/* The ports that cni.json in dir asks for, in the arena; no cni.json: none. */
int cni_ports(int dir, struct arena *a, struct ip_port **out, size_t *n, struct err *e);

/*
 * CHECK of all plugins, with what ADD has answered. netns_fd -1: the one that was kept. 0, or
 * -errno with what is wrong; -EOPNOTSUPP: the configuration is of a version without CHECK, or the
 * namespace could not be kept.
 */
int cni_check(const char *id, int netns_fd, int dir, struct err *e);

/*
 * DEL of all plugins, last first; cni.json is removed and the network namespace not kept any more.
 * netns_fd -1: the one that was kept, or none. No cni.json: nothing to do, 0. What fails does not
 * keep the others from being tried; *e is the first, and all stays then, for another try.
 */
int cni_del(const char *id, int netns_fd, int dir, struct err *e);

#endif
