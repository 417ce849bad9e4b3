/* SPDX-License-Identifier: Apache-2.0 */
#include "rootless.h"

#include "base/io.h"
#include "base/str.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool rootless_userns(void)
{
	uint64_t inside, outside, size;
	char buf[128];

	/* The first one maps all to itself, in one line. */
	return io_read_small(AT_FDCWD, "/proc/self/uid_map", buf, sizeof(buf)) > 0 &&
	       (sscanf(buf, "%" SCNu64 " %" SCNu64 " %" SCNu64, &inside, &outside, &size) != 3 ||
		inside != 0 || outside != 0 || size != UINT32_MAX);
}

const char *rootless_runtime_dir(void)
{
	const char *dir = getenv("XDG_RUNTIME_DIR"), *user = getenv("USER");

	if (!dir || dir[0] != '/')
		return NULL;
	/* root of a container has a login and a directory of its own, and is still root. */
	if (geteuid() == 0 && ((user && str_eq(user, "root")) || !rootless_userns()))
		return NULL;
	return dir;
}

bool rootless_is(const struct ctr_global *g)
{
	if (g->rootless != ROOTLESS_AUTO)
		return g->rootless == ROOTLESS_YES;
	if (geteuid() != 0)
		return true;
	if (g->driver == CG_DRIVER_SYSTEMD)
		return rootless_runtime_dir() != NULL;
	return rootless_userns();
}
