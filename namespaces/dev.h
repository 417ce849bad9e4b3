/* SPDX-License-Identifier: Apache-2.0 */
/* /dev of the container: default nodes and links, linux.devices, the console. */
#ifndef CTR_NAMESPACES_DEV_H
#define CTR_NAMESPACES_DEV_H

#include "base/err.h"
#include "namespaces/mount_exec.h"
#include "oci/spec.h"

/*
 * null zero full random urandom tty, fd stdin stdout stderr core links, ptmx -> pts/ptmx, and
 * linux.devices; mknod where allowed, a bind of the host's node (verified by type and rdev) inside
 * a user namespace. Paths under root_fd only. What exists already on the mount of root_fd
 * itself or on one of those in made (may be NULL) is verified (type, rdev, mode, owner), not
 * trusted: what is wrong there is replaced. What exists on any other mount is somebody's and stays,
 * and so does what is mounted over such a name; a warning tells when that is not the device.
 */
int dev_setup(int root_fd, const struct spec *spec, bool userns, const struct mount_made *made,
	      struct err *e);

/*
 * Binds the pty's slave side (an fd from TIOCGPTPEER) over /dev/console of the container. foreign:
 * /dev is not the container's own (bound from the host), so nothing in it is made or replaced, and
 * where it has no console to mount over (or a link or directory of that name) nothing is done.
 */
int dev_console(int root_fd, int slave_fd, bool foreign, struct err *e);

/* Opens a pty pair from the container's own devpts (dev/pts/ptmx, verified): master and slave. */
int dev_open_pty(int root_fd, int *master, int *slave, struct err *e);

#endif
