/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration as the guest of a micro-VM shall see it: what belongs to the host is taken out
 * (it is done there, or was refused), paths lead to the share. What is left is honoured by the same
 * code as in a container.
 */
#ifndef CTR_OCI_SPEC_GUEST_H
#define CTR_OCI_SPEC_GUEST_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Not of the specification: the bundle's path on the host, for the state that hooks are given. */
#define SPEC_GUEST_BUNDLE "org.ctr.bundle"

struct spec_guest_in {
	const char *text; /* config.json as created */
	size_t len;
	const char *rootfs; /* of the container, as the guest sees it */
	const char *bundle; /* the host's path, or NULL */
	/*
	 * For mounts[i]: the path of what is mounted, as the guest sees it; NULL: the mount is the
	 * guest's own (tmpfs, proc, ...) and stays as it is.
	 */
	const char *const *sources;
	size_t n_sources;
};

/*
 * The text, malloc'ed. Pure. Taken out: cgroupsPath, namespaces' paths, the user namespace and its
 * maps (the file server translates), LSM labels, hooks but startContainer, intelRdt, memoryPolicy,
 * netDevices, CPU lists and what counts in the host's devices, vm, annotations that ask for
 * something of the host. A mount namespace is added when there is none, and one for timeOffsets.
 */
int spec_guest(const struct spec_guest_in *in, char **out, size_t *len, struct err *e);

/* The same for an object linux.resources alone, as `update` has it. */
int spec_guest_resources(const char *text, size_t n, char **out, size_t *len, struct err *e);

/* Whether a file of linux.resources.unified is the host's; all others are the guest's. */
bool spec_guest_unified_of_host(const char *key);

#endif
