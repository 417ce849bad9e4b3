/* SPDX-License-Identifier: Apache-2.0 */
/* User namespace id maps. */
#ifndef CTR_NAMESPACES_IDMAP_H
#define CTR_NAMESPACES_IDMAP_H

#include "base/err.h"
#include "oci/spec.h"

#include <sys/types.h>

/* "0 100000 65536\n..." into a malloc'ed string. Pure. NULL without memory. */
char *idmap_text(const struct spec_idmaps *m);

/*
 * Writes the uid and gid maps (and setgroups "deny" where an unprivileged writer must) of a process
 * that has just made its user namespace. Written directly when the caller may; otherwise by
 * newuidmap/newgidmap (uidmap package), whose error output becomes the error.
 */
int idmap_write(pid_t pid, const struct spec_idmaps *uids, const struct spec_idmaps *gids,
		struct err *e);

/*
 * A user namespace that has these maps, as an fd, for idmapped mounts (mount_setattr). A helper
 * process is made and ended inside.
 */
int idmap_userns_fd(const struct spec_idmaps *uids, const struct spec_idmaps *gids, int *fd,
		    struct err *e);

/* The host id of a container id, or -1 when it is not mapped. Pure. */
int64_t idmap_to_host(const struct spec_idmaps *m, uint32_t id);

#endif
