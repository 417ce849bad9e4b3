/* SPDX-License-Identifier: Apache-2.0 */
/* The facts of build and machine for the features document. */
#include "ctr.h"

#include "base/cleanup.h"
#include "caps.h"
#include "oci/features.h"
#include "oci/names.h"
#include "seccomp.h"
#include "workload.h"

/* Said to be there when create takes it: the two cannot come apart. */
static bool takes(const struct spec_linux *l)
{
	struct spec_process process = {};
	struct spec_root root = {};
	const struct spec s = { .process = &process, .root = &root, .linux_ = *l };
	struct err e;

	return wl_container.check(&s, &e) == 0;
}

int ctr_features(struct json_out *j, struct err *e)
{
	struct spec_net_device device = { .host_name = "x" };
	struct spec_intel_rdt rdt = { .clos_id = "x" };
	struct spec_memory_policy policy = {};
	const char *caps[65] = {};
	struct features_facts f = {
		.version = ctr_version,
		.seccomp_version = seccomp_library_version(),
		.seccomp_archs = seccomp_archs(),
		.seccomp_flags = seccomp_flags(),
		.capabilities = caps,
		.apparmor = true,
		.selinux = takes(&(struct spec_linux){ .mount_label = "x" }),
		.cgroup_v1 = true,
		.cgroup_v2 = true,
		.systemd = true,
		.rdma = true,
		.idmap = true,
		.intel_rdt = takes(&(struct spec_linux){ .intel_rdt = &rdt }),
		.net_devices = takes(&(struct spec_linux){ .net_devices = { &device, 1 } }),
		.memory_policy = takes(&(struct spec_linux){ .memory_policy = &policy }),
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
