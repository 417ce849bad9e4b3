/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default configuration. Rootless differs in what the kernel allows somebody without
 * privileges: a user namespace that maps the caller alone, the host's network, /sys bound from the
 * host (a new sysfs needs its own network namespace), no ids in mount data that have no mapping, no
 * cgroup limits.
 */
#include "oci/spec.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "oci/features.h"
#include "oci/spec_default.h"

#include <errno.h>
#include <string.h>

#define OPTIONS_MAX 8

struct default_mount {
	const char *destination, *type, *source;
	const char *options[OPTIONS_MAX];
	bool rootful_only, rootless_only;
};

static const struct default_mount mounts[] = {
	{ "/proc", "proc", "proc", .options = { NULL } },
	{ "/dev", "tmpfs", "tmpfs",
	  .options = { "nosuid", "strictatime", "mode=755", "size=65536k" } },
	{ "/dev/pts", "devpts", "devpts",
	  .options = { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5" } },
	{ "/dev/shm", "tmpfs", "shm",
	  .options = { "nosuid", "noexec", "nodev", "mode=1777", "size=65536k" } },
	{ "/dev/mqueue", "mqueue", "mqueue", .options = { "nosuid", "noexec", "nodev" } },
	{ "/sys", "sysfs", "sysfs", .options = { "nosuid", "noexec", "nodev", "ro" },
	  .rootful_only = true },
	{ "/sys/fs/cgroup", "cgroup", "cgroup",
	  .options = { "nosuid", "noexec", "nodev", "relatime", "ro" }, .rootful_only = true },
	{ "/sys", "none", "/sys", .options = { "rbind", "nosuid", "noexec", "nodev", "ro" },
	  .rootless_only = true },
};

static const char *const args[] = { "sh", NULL };
static const char *const env[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"TERM=xterm",
	NULL,
};
static const char *const capabilities[] = { "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE",
					    NULL };
static const char *const capability_sets[] = { "bounding", "effective", "permitted" };
static const char *const namespaces[] = { "pid", "network", "ipc", "uts", "mount", "cgroup" };
static const char *const masked_paths[] = {
	"/proc/acpi",
	"/proc/asound",
	"/proc/kcore",
	"/proc/keys",
	"/proc/latency_stats",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/proc/sched_debug",
	"/sys/firmware",
	"/proc/scsi",
	NULL,
};
static const char *const readonly_paths[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL,
};

static void strings(struct json_out *j, const char *key, const char *const *v)
{
	json_out_key(j, key);
	json_out_array(j);
	for (; *v; v++)
		json_out_str(j, *v);
	json_out_end_array(j);
}

static void process(struct json_out *j)
{
	json_out_key(j, "process");
	json_out_object(j);
	json_out_kbool(j, "terminal", true);
	json_out_key(j, "user");
	json_out_object(j);
	json_out_ki64(j, "uid", 0);
	json_out_ki64(j, "gid", 0);
	json_out_end_object(j);
	strings(j, "args", args);
	strings(j, "env", env);
	json_out_kstr(j, "cwd", "/");
	json_out_key(j, "capabilities");
	json_out_object(j);
	for (size_t i = 0; i < ARRAY_SIZE(capability_sets); i++)
		strings(j, capability_sets[i], capabilities);
	json_out_end_object(j);
	json_out_key(j, "rlimits");
	json_out_array(j);
	json_out_object(j);
	json_out_kstr(j, "type", "RLIMIT_NOFILE");
	json_out_ki64(j, "hard", 1024);
	json_out_ki64(j, "soft", 1024);
	json_out_end_object(j);
	json_out_end_array(j);
	json_out_kbool(j, "noNewPrivileges", true);
	json_out_end_object(j);
}

static void mount(struct json_out *j, const struct default_mount *m, bool rootless)
{
	json_out_object(j);
	json_out_kstr(j, "destination", m->destination);
	json_out_kstr(j, "type", m->type);
	json_out_kstr(j, "source", m->source);
	if (m->options[0]) {
		json_out_key(j, "options");
		json_out_array(j);
		for (size_t i = 0; i < OPTIONS_MAX && m->options[i]; i++)
			if (!rootless || !str_after(m->options[i], "gid="))
				json_out_str(j, m->options[i]);
		json_out_end_array(j);
	}
	json_out_end_object(j);
}

static void all_mounts(struct json_out *j, bool rootless)
{
	json_out_key(j, "mounts");
	json_out_array(j);
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++)
		if (rootless ? !mounts[i].rootful_only : !mounts[i].rootless_only)
			mount(j, &mounts[i], rootless);
	json_out_end_array(j);
}

static void mapping(struct json_out *j, const char *key, uint32_t host)
{
	json_out_key(j, key);
	json_out_array(j);
	json_out_object(j);
	json_out_ki64(j, "containerID", 0);
	json_out_ki64(j, "hostID", host);
	json_out_ki64(j, "size", 1);
	json_out_end_object(j);
	json_out_end_array(j);
}

void spec_default_resources(struct json_out *j)
{
	json_out_key(j, "resources");
	json_out_object(j);
	json_out_key(j, "devices");
	json_out_array(j);
	json_out_object(j);
	json_out_kbool(j, "allow", false);
	json_out_kstr(j, "access", "rwm");
	json_out_end_object(j);
	json_out_end_array(j);
	json_out_end_object(j);
}

void spec_default_namespace(struct json_out *j, const char *type)
{
	json_out_object(j);
	json_out_kstr(j, "type", type);
	json_out_end_object(j);
}

static void linux_object(struct json_out *j, bool rootless, uid_t uid, gid_t gid)
{
	json_out_key(j, "linux");
	json_out_object(j);
	if (rootless) {
		mapping(j, "uidMappings", uid);
		mapping(j, "gidMappings", gid);
	} else {
		spec_default_resources(j);
	}
	json_out_key(j, "namespaces");
	json_out_array(j);
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
		if (!rootless || !str_eq(namespaces[i], "network"))
			spec_default_namespace(j, namespaces[i]);
	if (rootless)
		spec_default_namespace(j, "user");
	json_out_end_array(j);
	strings(j, "maskedPaths", masked_paths);
	strings(j, "readonlyPaths", readonly_paths);
	json_out_end_object(j);
}

int spec_default_text(bool rootless, uid_t uid, gid_t gid, char **out, struct err *e)
{
	AUTO(json_out_free) struct json_out j = { .indent = 4 };

	json_out_object(&j);
	json_out_kstr(&j, "ociVersion", OCI_VERSION_MAX);
	process(&j);
	json_out_key(&j, "root");
	json_out_object(&j);
	json_out_kstr(&j, "path", "rootfs");
	json_out_kbool(&j, "readonly", true);
	json_out_end_object(&j);
	json_out_kstr(&j, "hostname", "ctr");
	all_mounts(&j, rootless);
	linux_object(&j, rootless, uid, gid);
	json_out_end_object(&j);
	str_buf_add(&j.buf, "\n");
	if (j.buf.failed)
		return err_sys(e, ENOMEM, "default configuration");
	*out = TAKE_PTR(j.buf.s);
	return 0;
}
