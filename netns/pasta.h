/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of a container whose owner is not root: pasta(1) of passt, which carries packets
 * between a TAP in the container and ordinary sockets of the user's outside. It goes into the
 * background by itself once the TAP is set up.
 *
 * It ends with the container's state directory: it watches the link "netns" there, through which it
 * has found the network namespace; and pasta_stop ends it at once, by what "pasta" says there.
 */
#ifndef CTR_NETNS_PASTA_H
#define CTR_NETNS_PASTA_H

#include "base/err.h"
#include "netns/ip.h"

#define PASTA_FILE "pasta" /* "PID START": START as in /proc/PID/stat */
#define PASTA_NETNS "netns"

struct pasta_request {
	int netns_fd, userns_fd; /* the container's, its maps written; borrowed */
	int dir;                 /* the container's state directory, borrowed */
	const char *dir_path;    /* the same, absolute */
	const char *ifname;      /* eth0 */
	const struct ip_port *ports;
	size_t n_ports;
	struct ip ip[2]; /* --ip, --ip6; family 0: the host's own, which is pasta's way */
	const char *mac; /* --mac, or NULL */
	uint32_t mtu;    /* 0: pasta's default */
	struct ip dns;   /* asked there, the host's resolver answers; family 0: none */
};

/* Whether there is a pasta to run. 0, or -ENOENT with *e, which says what package has it. */
int pasta_find(struct err *e);

/*
 * Starts it and waits (at most 10 s) until the network is there. On an error nothing is left
 * behind; *e has what pasta said: a taken port is -EADDRINUSE.
 */
int pasta_start(const struct pasta_request *q, struct err *e);

/* Ends it, and waits until it is gone (then its ports are free). Idempotent. */
void pasta_stop(int dir);

/* Whether it still runs: 0, or -ESRCH with *e. */
int pasta_check(int dir, struct err *e);

#endif
