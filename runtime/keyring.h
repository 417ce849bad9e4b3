/* SPDX-License-Identifier: Apache-2.0 */
/* The session keyring of a container: keyrings(7), session-keyring(7). */
#ifndef CTR_KEYRING_H
#define CTR_KEYRING_H

#include "base/err.h"

/*
 * Leaves the session keyring of whoever called ctr for the container's, `_ses.ID`: made by init,
 * found again by exec. Names and owners are those of the caller's user namespace, so it is called
 * as root in the container's. label: process.selinuxLabel, which a new ring gets too; NULL is fine.
 * 0, also where there are no keyrings.
 */
int keyring_join(const char *id, const char *label, struct err *e);

/*
 * Leaves the caller's session keyring for a new one without a name: for exec, before it enters the
 * container's namespaces. In there the container may have used up what its user may have of keys,
 * and then keyring_join fails with -EDQUOT.
 */
int keyring_leave(struct err *e);

#endif
