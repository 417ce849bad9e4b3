/* SPDX-License-Identifier: Apache-2.0 */
/* The OCI features document (runtime-spec features.md), generated from the parser's tables. */
#ifndef CTR_OCI_FEATURES_H
#define CTR_OCI_FEATURES_H

#include "base/err.h"
#include "oci/json_out.h"

/*
 * What oci/ cannot know of the build and the machine. Arrays end with NULL. "Enabled" means, as the
 * specification says, that the runtime can do it, wherever a host can: callers look for that
 * themselves.
 */
struct features_facts {
	const char *version;              /* of ctr */
	const char *seccomp_version;      /* libseccomp's, "2.5.4" */
	const char *const *seccomp_archs; /* that the library knows; names of names_seccomp_archs */
	const char *const *seccomp_flags; /* that this kernel supports */
	const char *const *capabilities;  /* that this kernel has */
	bool apparmor, selinux;
	bool cgroup_v1, cgroup_v2, systemd, rdma;
	bool idmap;
	bool intel_rdt, net_devices, memory_policy;
};

void features_out(struct json_out *j, const struct features_facts *f);

#define OCI_VERSION_MIN "1.0.0"
#define OCI_VERSION_MAX "1.3.0"

#endif
