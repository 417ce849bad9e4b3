/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this kernel and this caller can do for the fields of a configuration. Where a module has a
 * pure half that knows (mount plan, cgroup plan, seccomp compiler), it is asked; the rest is a
 * table of questions, one a field. Nothing is made or changed.
 */
#include "ctr_check.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "caps.h"
#include "cgroups/cg_check.h"
#include "namespaces/mount_plan.h"
#include "namespaces/sysctl.h"
#include "oci/names.h"
#include "rdt.h"
#include "seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define POLICY_ISO 4
#define LANDLOCK_NEEDED 3
#define MOUNTINFO_MAX ((size_t)16 << 20)
#define REASON 256

/* ---- asking the modules ---- */

/* "mounts[0].x" of a plan with one mount is mounts[i] of the configuration. */
static void renumber(struct err *e, size_t i)
{
	const char *rest = str_after(e->msg, "mounts[0]");
	struct err copy = *e;

	if (rest)
		err_set(e, copy.code, "mounts[%zu]%s", i, copy.msg + (rest - e->msg));
}

/* One at a time, because a plan ends with its first refusal. */
static void ask_mounts(struct ctr_check *k, const struct spec *s, const char *bundle)
{
	for (size_t i = 0; i < s->mounts.n; i++) {
		AUTO(arena_free) struct arena a = {};
		struct spec one = *s;
		struct mount_plan plan = {};
		const struct mount_plan_in in = {
			.spec = &one,
			.bundle = bundle,
			.cgroup_ns = s->linux_.ns[NS_CGROUP].wanted,
			.userns = s->linux_.ns[NS_USER].wanted,
		};
		struct err e = {};
		char path[32];
		int r;

		snprintf(path, sizeof(path), "mounts[%zu]", i);
		one.mounts = (struct spec_mounts){ .v = &s->mounts.v[i], .n = 1 };
		if (!check_clean(k, path))
			continue;
		r = mount_plan_build(&a, &in, &plan, &e);
		renumber(&e, i);
		if (r < 0)
			check_refusal(k, r, &e);
	}
}

static void ask_part(struct ctr_check *k, const struct cg_host *h, const struct spec_resources *r)
{
	struct err e = {};
	int ret = cg_check(h, r, &e);

	if (ret < 0)
		check_refusal(k, ret, &e);
}

static void ask_cgroups(struct ctr_check *k, const struct spec *s)
{
	const struct spec_resources *r = s->linux_.resources;
	AUTO_FREE struct cg_host *h = calloc(1, sizeof(*h));
	struct err e = {};

	if (!r || !h || !check_clean(k, "linux.resources") || cg_host_probe(h, &e) < 0)
		return;
	ask_part(k, h, &(struct spec_resources){ .memory = r->memory });
	ask_part(k, h, &(struct spec_resources){ .cpu = r->cpu });
	ask_part(k, h, &(struct spec_resources){ .pids_limit = r->pids_limit });
	ask_part(k, h, &(struct spec_resources){ .block_io = r->block_io });
	ask_part(k, h, &(struct spec_resources){ .hugepage_limits = r->hugepage_limits });
	ask_part(k, h, &(struct spec_resources){ .network = r->network });
	ask_part(k, h, &(struct spec_resources){ .rdma = r->rdma });
	ask_part(k, h, &(struct spec_resources){ .unified = r->unified });
}

static void ask_seccomp(struct ctr_check *k, const struct spec *s)
{
	AUTO(seccomp_free) struct seccomp_prog prog = {};
	struct err e = {};
	int r;

	if (!s->linux_.seccomp || !check_clean(k, "linux.seccomp"))
		return;
	r = seccomp_compile(s->linux_.seccomp, -1, &prog, &e);
	if (r < 0)
		check_refusal(k, r, &e);
}

/* ---- questions: false, and the reason, when the host cannot ---- */

static bool __attribute__((format(printf, 2, 3))) no(char *reason, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, REASON, fmt, ap);
	va_end(ap);
	return false;
}

static bool holds(int cap)
{
	AUTO_FREE char *status = NULL;
	const char *line;

	if (io_read_file(AT_FDCWD, "/proc/self/status", 1 << 16, &status, NULL) < 0)
		return false;
	line = strstr(status, "\nCapEff:");
	return line && strtoull(line + strlen("\nCapEff:"), NULL, 16) >> cap & 1;
}

static bool has_apparmor(const struct spec *s, char *reason)
{
	(void)s;
	return access("/sys/module/apparmor/parameters/enabled", F_OK) == 0 ||
	       no(reason, "this kernel runs without AppArmor");
}

static bool has_selinux(const struct spec *s, char *reason)
{
	(void)s;
	return access("/sys/fs/selinux/enforce", F_OK) == 0 ||
	       no(reason, "this kernel runs without SELinux");
}

static bool grants(const struct opt_u64 *set, char *reason)
{
	for (int cap = 0; set->set && cap < 64; cap++)
		if (set->v >> cap & 1 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 1)
			return no(reason,
				  "%s cannot be granted here, create warns and goes on without",
				  table_name(&names_capabilities, cap));
	return true;
}

#define CAPABILITY_SET(set)                                                                       \
	static bool grants_##set(const struct spec *s, char *reason)                              \
	{                                                                                         \
		const struct spec_capabilities *c = s->process ? s->process->capabilities : NULL; \
		return !c || grants(&c->set, reason);                                             \
	}
CAPABILITY_SET(bounding)
CAPABILITY_SET(effective)
CAPABILITY_SET(inheritable)
CAPABILITY_SET(permitted)
CAPABILITY_SET(ambient)

static bool raises_limits(const struct spec *s, char *reason)
{
	const struct spec_rlimits *l = s->process ? &s->process->rlimits : NULL;

	for (size_t i = 0; l && i < l->n; i++) {
		struct rlimit now;

		if (l->v[i].type < 0 || getrlimit((unsigned int)l->v[i].type, &now) < 0)
			continue;
		if (l->v[i].hard > now.rlim_max && !holds(CAP_SYS_RESOURCE))
			return no(reason,
				  "%s may not be raised above %llu without CAP_SYS_RESOURCE",
				  table_name(&names_rlimits, l->v[i].type),
				  (unsigned long long)now.rlim_max);
	}
	return true;
}

static bool schedules(const struct spec *s, char *reason)
{
	const struct spec_scheduler *c = s->process ? s->process->scheduler : NULL;
	bool real_time;

	if (!c)
		return true;
	if (c->policy == POLICY_ISO)
		return no(reason, "no Linux has SCHED_ISO");
	real_time = c->policy != SCHED_OTHER && c->policy != SCHED_BATCH && c->policy != SCHED_IDLE;
	if (real_time && !holds(CAP_SYS_NICE))
		return no(reason, "%s needs CAP_SYS_NICE",
			  table_name(&names_sched_policies, c->policy));
	return true;
}

static bool has_namespaces(const struct spec *s, char *reason)
{
	/* As the kernel names them, in the order of enum ns_kind. */
	static const char *const files[NS_KINDS] = {
		[NS_MOUNT] = "mnt", [NS_PID] = "pid",   [NS_NETWORK] = "net",   [NS_UTS] = "uts",
		[NS_IPC] = "ipc",   [NS_USER] = "user", [NS_CGROUP] = "cgroup", [NS_TIME] = "time",
	};

	for (int kind = 0; kind < NS_KINDS; kind++) {
		char path[32];

		snprintf(path, sizeof(path), "/proc/self/ns/%s", files[kind]);
		if (s->linux_.ns[kind].wanted && access(path, F_OK) < 0)
			return no(reason, "this kernel has no %s namespaces",
				  table_name(&names_namespaces, kind));
	}
	return true;
}

static bool has_time_offsets(const struct spec *s, char *reason)
{
	(void)s;
	return access("/proc/self/timens_offsets", F_OK) == 0 ||
	       no(reason, "this kernel has no time namespaces");
}

static bool has_id_maps(const struct spec *s, char *reason)
{
	(void)s;
	return access("/proc/self/uid_map", F_OK) == 0 ||
	       no(reason, "this kernel has no user namespaces");
}

static bool has_mount_setattr(const struct spec *s, char *reason)
{
	(void)s;
	/* Without a mount to change: EBADF or EINVAL where the call exists. */
	return syscall(SYS_mount_setattr, -1, "", 0, NULL, 0) == 0 || errno != ENOSYS ||
	       no(reason, "this kernel has no mount_setattr(2), Linux 5.12 brought it");
}

static bool has_resctrl(const struct spec *s, char *reason)
{
	AUTO_FREE char *text = NULL, *mount = NULL;

	(void)s;
	if (io_read_file(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL) == 0)
		mount = rdt_mount_point(text);
	return mount || no(reason, "resctrl is not mounted on this host");
}

/* The version that landlock_apply needs: before it nobody could be kept from cutting files. */
static bool has_landlock(const struct spec *s, char *reason)
{
	long version;

	if (!spec_annotation(s, "org.ctr.landlock"))
		return true;
	version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return version >= LANDLOCK_NEEDED ||
	       no(reason, "org.ctr.landlock: this kernel has no Landlock, or one before Linux 6.2");
}

static bool has_mempolicy(const struct spec *s, char *reason)
{
	(void)s;
	return syscall(SYS_get_mempolicy, NULL, NULL, 0, NULL, 0) == 0 || errno != ENOSYS ||
	       no(reason, "this kernel has no NUMA memory policies");
}

static bool has_seccomp(const struct spec *s, char *reason)
{
	(void)s;
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0 || errno != EINVAL ||
	       no(reason, "this kernel has no seccomp");
}

static bool has_devices(const struct spec *s, char *reason)
{
	const struct spec_net_devices *l = &s->linux_.net_devices;

	for (size_t i = 0; i < l->n; i++)
		if (!if_nametoindex(l->v[i].host_name))
			return no(reason, "%s: no such network interface here", l->v[i].host_name);
	return true;
}

static bool has_sysctls(const struct spec *s, char *reason)
{
	AUTO_CLOSE int dir = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < s->linux_.sysctl.n; i++) {
		const char *key = s->linux_.sysctl.v[i].key;
		AUTO_FREE char *path = sysctl_path(key);

		/* Interfaces of the container are not here. */
		if (!path || str_after(path, "net/") || faccessat(dir, path, F_OK, 0) == 0)
			continue;
		return no(reason, "%s: this kernel has no such sysctl", key);
	}
	return true;
}

static const struct question {
	const char *field;
	bool (*can)(const struct spec *s, char *reason);
} questions[] = {
	{ "annotations", has_landlock },
	{ "process.apparmorProfile", has_apparmor },
	{ "process.selinuxLabel", has_selinux },
	{ "process.capabilities.bounding", grants_bounding },
	{ "process.capabilities.effective", grants_effective },
	{ "process.capabilities.inheritable", grants_inheritable },
	{ "process.capabilities.permitted", grants_permitted },
	{ "process.capabilities.ambient", grants_ambient },
	{ "process.rlimits[].hard", raises_limits },
	{ "process.scheduler.policy", schedules },
	{ "mounts[].uidMappings", has_mount_setattr },
	{ "mounts[].gidMappings", has_mount_setattr },
	{ "linux.namespaces[].type", has_namespaces },
	{ "linux.uidMappings", has_id_maps },
	{ "linux.gidMappings", has_id_maps },
	{ "linux.timeOffsets", has_time_offsets },
	{ "linux.netDevices", has_devices },
	{ "linux.intelRdt", has_resctrl },
	{ "linux.memoryPolicy", has_mempolicy },
	{ "linux.sysctl", has_sysctls },
	{ "linux.seccomp", has_seccomp },
	{ "linux.mountLabel", has_selinux },
};

int check_host(struct ctr_check *k, struct spec *s, const char *bundle, struct err *e)
{
	char reason[REASON];

	for (size_t i = 0; i < ARRAY_SIZE(questions); i++)
		if (spec_check_has_field(&k->doc, questions[i].field) &&
		    !questions[i].can(s, reason))
			spec_check_add(&k->host, questions[i].field, reason);
	ask_mounts(k, s, bundle);
	ask_cgroups(k, s);
	ask_seccomp(k, s);
	return k->host.failed ? err_sys(e, ENOMEM, "check") : 0;
}
