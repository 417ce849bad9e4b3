/* SPDX-License-Identifier: Apache-2.0 */
/* The facts of build and machine for the features document. */
#include "ctr.h"

#include "base/cleanup.h"
#include "caps.h"
#include "oci/features.h"
#include "oci/names.h"
#include "seccomp.h"

#include <unistd.h>

int ctr_features(struct json_out *j, struct err *e)
{
	const char *caps[65] = {};
	struct features_facts f = {
		.version = ctr_version,
		.seccomp_version = seccomp_library_version(),
		.seccomp_archs = seccomp_archs(),
		.seccomp_flags = seccomp_flags(),
		.capabilities = caps,
		.apparmor = access("/sys/kernel/security/apparmor", F_OK) == 0,
		.selinux = access("/sys/fs/selinux/enforce", F_OK) == 0,
		.cgroup_v1 = true,
		.cgroup_v2 = true,
		.systemd = true,
		.idmap = true,
	};
	size_t n = 0;

	(void)e;
	for (int c = 0; c <= caps_last() && n < ARRAY_SIZE(caps) - 1; c++) {
		const char *name = table_name(&names_capabilities, c);

		if (name)
			caps[n++] = name;
	}
	features_out(j, &f);
	return 0;
}
