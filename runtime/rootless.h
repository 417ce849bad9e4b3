/* SPDX-License-Identifier: Apache-2.0 */
/* Whether ctr has the rights of the machine's root: user_namespaces(7). */
#ifndef CTR_ROOTLESS_H
#define CTR_ROOTLESS_H

#include "runtime/ctr.h"

#include <stdbool.h>

/* Whether ctr itself is in a user namespace that somebody has made, as root in there or not. */
bool rootless_userns(void);

/*
 * What --rootless says, or else: whether cgroups that cannot be had are no error, and with the
 * systemd driver the user's own manager is the one. Rootless engines call ctr as root of a user
 * namespace; there with systemd by whose XDG_RUNTIME_DIR it is, as a container may have a systemd
 * of its own.
 */
bool rootless_is(const struct ctr_global *g);

/* $XDG_RUNTIME_DIR when the state is to be kept there, or NULL. Borrowed from the environment. */
const char *rootless_runtime_dir(void);

#endif
