/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a VMM lives: a tree on a tmpfs of its own that holds what it serves to its guest and, when
 * it is QEMU, the programs that it consists of. Made by the container's init on the host, in its
 * new mount namespace:
 *
 *   /share/rootfs      the container's root
 *   /share/volumes/N   what mounts[N] binds: directories and single files
 *   /usr, /lib* ...    read-only, for QEMU only, with /proc, /dev/null, /dev/urandom
 *   /run               for sockets
 */
#ifndef CTR_VM_JAIL_H
#define CTR_VM_JAIL_H

#include "base/err.h"
#include "namespaces/mount_plan.h"

#include <stdbool.h>

#define VM_JAIL_SHARE "/share"
#define VM_JAIL_ROOTFS "/rootfs"    /* below the share */
#define VM_JAIL_VOLUMES "/volumes/" /* below the share, then the index in mounts */

struct vm_jail_opts {
	/* host path; unused when root_mount is given; NULL: the root is no directory of ours */
	const char *rootfs;
	int root_mount; /* a detached mount (an OS clone), or -1; borrowed */
	bool read_only; /* root.readonly: no word of the guest's, but the host's */
	const struct mount_plan *plan;
	const char *cwd;  /* process.cwd */
	const char *qemu; /* its path on the host, or NULL: our own VMM */
	bool kvm;         /* QEMU opens /dev/kvm by itself */
	/* Asks the parent for a clone of a host path that the caller may not walk to. */
	int (*open_source)(void *arg, const char *source, unsigned int flags, struct err *e);
	void *arg;
};

/*
 * What of the host the QEMU at this absolute path consists of, besides the system's directories:
 * "/opt/qemu" of "/opt/qemu/bin/qemu-system-x86_64", with its libraries and data; the directory of
 * one that is in no bin; the whole store of Nix or Guix; only the program where that were the root
 * or a home. The caller's; NULL without memory.
 */
char *vm_jail_qemu_part(const char *path);

/* Makes the tree and makes it the root of the calling process; the host's is gone. */
int vm_jail_enter(const struct vm_jail_opts *o, struct err *e);

/*
 * The last step, in the user namespace: no way to more rights, and of the capabilities only those
 * that a file server needs for files of the container's ids.
 */
int vm_jail_drop(struct err *e);

/*
 * Forbids this process, and what it starts from now on, the system calls that no machine needs
 * (vm_filter.c). After vm_jail_drop. A kernel without filters is no error.
 */
int vm_jail_filter(struct err *e);

#endif
