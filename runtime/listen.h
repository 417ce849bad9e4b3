/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets that a service manager gave to ctr (sd_listen_fds(3)): they are for the program, which
 * gets them as the manager would have given them. They come before those of --preserve-fds.
 */
#ifndef CTR_LISTEN_H
#define CTR_LISTEN_H

#include "base/err.h"
#include "base/str.h"

struct listen_fds {
	unsigned int n;    /* 3, 4, ... */
	const char *names; /* LISTEN_FDNAMES of our environment, or NULL */
};

/*
 * From LISTEN_FDS, when LISTEN_PID is our own pid; else none. What is no number, or says more than
 * were passed (open, and not close-on-exec as all is that ctr opens), is an error that names the
 * variable.
 */
int listen_fds_get(struct listen_fds *out, struct err *e);

/*
 * LISTEN_FDS, LISTEN_PID (the caller's pid, in its own pid namespace) and, with names,
 * LISTEN_FDNAMES into env, in the place of those that are there. Nothing without descriptors.
 */
int listen_fds_env(const struct listen_fds *l, struct str_list *env, struct err *e);

#endif
