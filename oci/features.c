/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/features.h"

#include "base/cleanup.h"
#include "oci/names.h"

#include <stdlib.h>
#include <string.h>

/* Annotations of a configuration that can weaken the isolation. A dot at the end: a prefix. */
static const char *const unsafe_annotations[] = {
	"org.criu.config", "org.ctr.", "org.systemd.property.", "run.oci.", NULL,
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void strings_out(struct json_out *j, const char *key, const char *const *v)
{
	json_out_key(j, key);
	json_out_array(j);
	for (; v && *v; v++)
		json_out_str(j, *v);
	json_out_end_array(j);
}

static void names_out(struct json_out *j, const char *key, const struct name_table *t)
{
	json_out_key(j, key);
	json_out_array(j);
	for (size_t i = 0; i < t->n; i++)
		json_out_str(j, t->rows[i].name);
	json_out_end_array(j);
}

static void mount_options_out(struct json_out *j)
{
	AUTO_FREE const char **v = calloc(names_mount_options_n + 1, sizeof(*v));

	if (!v) {
		j->buf.failed = true;
		return;
	}
	for (size_t i = 0; i < names_mount_options_n; i++)
		v[i] = names_mount_options[i].name;
	qsort(v, names_mount_options_n, sizeof(*v), by_text);
	strings_out(j, "mountOptions", v);
}

static void enabled_out(struct json_out *j, const char *key, bool enabled)
{
	json_out_key(j, key);
	json_out_object(j);
	json_out_kbool(j, "enabled", enabled);
	json_out_end_object(j);
}

static void cgroup_out(struct json_out *j, const struct features_facts *f)
{
	json_out_key(j, "cgroup");
	json_out_object(j);
	json_out_kbool(j, "v1", f->cgroup_v1);
	json_out_kbool(j, "v2", f->cgroup_v2);
	json_out_kbool(j, "systemd", f->systemd);
	json_out_kbool(j, "systemdUser", f->systemd);
	json_out_kbool(j, "rdma", f->rdma);
	json_out_end_object(j);
}

static void seccomp_out(struct json_out *j, const struct features_facts *f)
{
	json_out_key(j, "seccomp");
	json_out_object(j);
	json_out_kbool(j, "enabled", f->seccomp_version != NULL);
	if (f->seccomp_version) {
		names_out(j, "actions", &names_seccomp_actions);
		names_out(j, "operators", &names_seccomp_ops);
		strings_out(j, "archs", f->seccomp_archs);
		names_out(j, "knownFlags", &names_seccomp_flags);
		strings_out(j, "supportedFlags", f->seccomp_flags);
	}
	json_out_end_object(j);
}

static void intel_rdt_out(struct json_out *j, bool enabled)
{
	json_out_key(j, "intelRdt");
	json_out_object(j);
	json_out_kbool(j, "enabled", enabled);
	json_out_kbool(j, "schemata", enabled);
	json_out_kbool(j, "monitoring", enabled);
	json_out_end_object(j);
}

static void linux_out(struct json_out *j, const struct features_facts *f)
{
	json_out_key(j, "linux");
	json_out_object(j);
	names_out(j, "namespaces", &names_namespaces);
	strings_out(j, "capabilities", f->capabilities);
	cgroup_out(j, f);
	seccomp_out(j, f);
	enabled_out(j, "apparmor", f->apparmor);
	enabled_out(j, "selinux", f->selinux);
	intel_rdt_out(j, f->intel_rdt);
	if (f->memory_policy) {
		json_out_key(j, "memoryPolicy");
		json_out_object(j);
		names_out(j, "modes", &names_mempolicy_modes);
		names_out(j, "flags", &names_mempolicy_flags);
		json_out_end_object(j);
	}
	json_out_key(j, "mountExtensions");
	json_out_object(j);
	enabled_out(j, "idmap", f->idmap);
	json_out_end_object(j);
	enabled_out(j, "netDevices", f->net_devices);
	json_out_end_object(j);
}

void features_out(struct json_out *j, const struct features_facts *f)
{
	json_out_object(j);
	json_out_kstr(j, "ociVersionMin", OCI_VERSION_MIN);
	json_out_kstr(j, "ociVersionMax", OCI_VERSION_MAX);
	names_out(j, "hooks", &names_hooks);
	mount_options_out(j);
	linux_out(j, f);
	json_out_key(j, "annotations");
	json_out_object(j);
	if (f->seccomp_version)
		json_out_kstr(j, "io.github.seccomp.libseccomp.version", f->seccomp_version);
	json_out_kstr(j, "org.ctr.version", f->version);
	json_out_kstr(j, "org.ctr.vm.enabled", "true");
	json_out_kstr(j, "org.opencontainers.runc.checkpoint.enabled", "false");
	json_out_end_object(j);
	strings_out(j, "potentiallyUnsafeConfigAnnotations", unsafe_annotations);
	json_out_end_object(j);
}
