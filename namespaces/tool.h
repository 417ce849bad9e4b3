/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one of the few programs of the host that ctr needs (newuidmap, newgidmap, mkfs.ext4). */
#ifndef CTR_NAMESPACES_TOOL_H
#define CTR_NAMESPACES_TOOL_H

#include "base/err.h"

/*
 * Runs argv[0], looked for in /usr/local/{sbin,bin}, /usr/{sbin,bin} and /{sbin,bin} only, with the
 * arguments argv and an empty environment, and waits at most timeout seconds. A status other than 0
 * is -EIO with the end of what it wrote; -ENOENT when there is no such program; -ETIMEDOUT after it
 * was killed.
 */
int tool_run(char *const argv[], int timeout, struct err *e);

#endif
