/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/validate.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "oci/json.h"
#include "oci/names.h"

#include <errno.h>
#include <stdlib.h>

#define SHOWN 80
#define ID_MAX 1024
#define IDMAP_RANGES_MAX 340 /* what the kernel takes for one user namespace */

static bool own_kernel(const struct spec *s)
{
	const char *isolation = spec_annotation(s, "org.ctr.isolation");

	return s->vm || (isolation && str_eq(isolation, "vm"));
}

/* ---- namespaces ---- */

static int need(const struct spec *s, enum ns_kind kind, bool used, const char *path, struct err *e)
{
	if (!used || s->linux_.ns[kind].wanted)
		return 0;
	return err_set(e, EINVAL, "%s: needs the namespace \"%s\" in linux.namespaces", path,
		       table_name(&names_namespaces, kind));
}

/* Without these namespaces the change would be one of the host. */
static int check_namespaces(const struct spec *s, struct err *e)
{
	const struct spec_linux *l = &s->linux_;

	if (own_kernel(s))
		return 0;
	return need(s, NS_UTS, s->hostname, "hostname", e) ?:
	       need(s, NS_UTS, s->domainname, "domainname", e) ?:
	       need(s, NS_MOUNT, s->mounts.n, "mounts", e) ?:
	       need(s, NS_MOUNT, s->root && s->root->readonly, "root.readonly", e) ?:
	       need(s, NS_MOUNT, l->masked_paths.n, "linux.maskedPaths", e) ?:
	       need(s, NS_MOUNT, l->readonly_paths.n, "linux.readonlyPaths", e) ?:
	       need(s, NS_MOUNT, l->rootfs_propagation, "linux.rootfsPropagation", e) ?:
	       need(s, NS_USER, l->uid_mappings.n, "linux.uidMappings", e) ?:
	       need(s, NS_USER, l->gid_mappings.n, "linux.gidMappings", e) ?:
	       need(s, NS_TIME, l->monotonic.set || l->boottime.set, "linux.timeOffsets", e);
}

static int check_time(const struct spec *s, struct err *e)
{
	const struct spec_linux *l = &s->linux_;

	if ((l->monotonic.set || l->boottime.set) && l->ns[NS_TIME].path)
		return err_set(e, EINVAL,
			       "linux.timeOffsets: the time namespace is joined by path, "
			       "its offsets are fixed");
	return 0;
}

/* ---- id maps ---- */

static bool overlap(uint32_t a, uint32_t n, uint32_t b, uint32_t m)
{
	return a < (uint64_t)b + m && b < (uint64_t)a + n;
}

static int check_idmap(const struct spec_idmaps *map, const char *path, struct err *e)
{
	if (map->n > IDMAP_RANGES_MAX)
		return err_set(e, EINVAL, "%s: more than %d ranges", path, IDMAP_RANGES_MAX);
	for (size_t i = 0; i < map->n; i++) {
		const struct spec_idmap *m = &map->v[i];

		if ((uint64_t)m->container + m->size > UINT32_MAX ||
		    (uint64_t)m->host + m->size > UINT32_MAX)
			return err_set(e, EINVAL, "%s[%zu]: reaches beyond the last id", path, i);
		for (size_t k = 0; k < i; k++) {
			const struct spec_idmap *o = &map->v[k];

			if (overlap(m->container, m->size, o->container, o->size))
				return err_set(e, EINVAL,
					       "%s[%zu]: container ids overlap with %s[%zu]", path,
					       i, path, k);
			if (overlap(m->host, m->size, o->host, o->size))
				return err_set(e, EINVAL, "%s[%zu]: host ids overlap with %s[%zu]",
					       path, i, path, k);
		}
	}
	return 0;
}

static bool mapped(const struct spec_idmaps *map, uint32_t id)
{
	for (size_t i = 0; i < map->n; i++)
		if (id >= map->v[i].container && id - map->v[i].container < map->v[i].size)
			return true;
	return false;
}

/* An id without a mapping cannot be taken inside: better told now than as EINVAL from setuid. */
static int check_mapped_user(const struct spec *s, struct err *e)
{
	const struct spec_linux *l = &s->linux_;
	const struct spec_user *u;

	if (!s->process || l->ns[NS_USER].path)
		return 0;
	u = &s->process->user;
	if (!mapped(&l->uid_mappings, u->uid))
		return err_set(e, EINVAL, "process.user.uid: %u has no entry in linux.uidMappings",
			       u->uid);
	if (!mapped(&l->gid_mappings, u->gid))
		return err_set(e, EINVAL, "process.user.gid: %u has no entry in linux.gidMappings",
			       u->gid);
	for (size_t i = 0; i < u->additional_gids.n; i++)
		if (!mapped(&l->gid_mappings, u->additional_gids.v[i]))
			return err_set(e, EINVAL,
				       "process.user.additionalGids[%zu]: %u has no entry in "
				       "linux.gidMappings",
				       i, u->additional_gids.v[i]);
	return 0;
}

static int check_user_namespace(const struct spec *s, struct err *e)
{
	const struct spec_linux *l = &s->linux_;
	int r = check_idmap(&l->uid_mappings, "linux.uidMappings", e)
			?: check_idmap(&l->gid_mappings, "linux.gidMappings", e);

	if (r < 0 || !l->ns[NS_USER].wanted)
		return r;
	if (!l->ns[NS_USER].path && !l->uid_mappings.n)
		return err_set(e, EINVAL, "linux.uidMappings: required for a new user namespace");
	if (!l->ns[NS_USER].path && !l->gid_mappings.n)
		return err_set(e, EINVAL, "linux.gidMappings: required for a new user namespace");
	return check_mapped_user(s, e);
}

/* ---- mounts ---- */

static int check_mounts(const struct spec *s, struct err *e)
{
	for (size_t i = 0; i < s->mounts.n; i++) {
		const struct spec_mount *m = &s->mounts.v[i];
		char path[64];
		int r;

		snprintf(path, sizeof(path), "mounts[%zu].uidMappings", i);
		r = check_idmap(&m->uid_mappings, path, e);
		if (r < 0)
			return r;
		snprintf(path, sizeof(path), "mounts[%zu].gidMappings", i);
		r = check_idmap(&m->gid_mappings, path, e);
		if (r < 0)
			return r;
		for (size_t k = 0; k < m->options.n; k++) {
			const struct mount_option *o = names_mount_option(m->options.v[k]);

			if (o && o->kind == MOPT_IDMAP && !m->uid_mappings.n &&
			    !s->linux_.ns[NS_USER].wanted)
				return err_set(e, EINVAL,
					       "mounts[%zu].options[%zu]: %s without "
					       "mappings or a user namespace",
					       i, k, o->name);
		}
	}
	return 0;
}

/* ---- devices ---- */

static int by_path(const void *a, const void *b)
{
	const struct spec_device *const *x = a, *const *y = b;
	int r = strcmp((*x)->path, (*y)->path);

	return r ? r : (*x > *y) - (*x < *y);
}

static bool same_opt(struct opt_u64 a, struct opt_u64 b)
{
	return a.set == b.set && a.v == b.v;
}

static bool same_device(const struct spec_device *a, const struct spec_device *b)
{
	return a->type == b->type && a->major == b->major && a->minor == b->minor &&
	       same_opt(a->file_mode, b->file_mode) && same_opt(a->uid, b->uid) &&
	       same_opt(a->gid, b->gid);
}

static int check_devices(const struct spec *s, struct err *e)
{
	const struct spec_devices *l = &s->linux_.devices;
	AUTO_FREE const struct spec_device **sorted = NULL;

	if (l->n < 2)
		return 0;
	sorted = calloc(l->n, sizeof(*sorted));
	if (!sorted)
		return err_sys(e, ENOMEM, "linux.devices");
	for (size_t i = 0; i < l->n; i++)
		sorted[i] = &l->v[i];
	qsort(sorted, l->n, sizeof(*sorted), by_path);
	for (size_t i = 1; i < l->n; i++)
		if (str_eq(sorted[i - 1]->path, sorted[i]->path) &&
		    !same_device(sorted[i - 1], sorted[i]))
			return err_set(e, EINVAL,
				       "linux.devices[%td].path: two different devices at "
				       "\"%.*s\"",
				       sorted[i] - l->v, SHOWN, sorted[i]->path);
	return 0;
}

static const char *name_inside(const struct spec_net_device *d)
{
	return d->name ? d->name : d->host_name;
}

static int by_name_inside(const void *a, const void *b)
{
	const struct spec_net_device *const *x = a, *const *y = b;

	return strcmp(name_inside(*x), name_inside(*y));
}

/* A name with a % is a template, of which the kernel makes a free name. */
static int check_net_devices(const struct spec *s, struct err *e)
{
	const struct spec_net_devices *l = &s->linux_.net_devices;
	AUTO_FREE const struct spec_net_device **sorted = NULL;

	if (l->n < 2)
		return 0;
	sorted = calloc(l->n, sizeof(*sorted));
	if (!sorted)
		return err_sys(e, ENOMEM, "linux.netDevices");
	for (size_t i = 0; i < l->n; i++)
		sorted[i] = &l->v[i];
	qsort(sorted, l->n, sizeof(*sorted), by_name_inside);
	for (size_t i = 1; i < l->n; i++) {
		const char *name = name_inside(sorted[i]);

		if (!strchr(name, '%') && str_eq(name, name_inside(sorted[i - 1])))
			return err_set(e, EINVAL,
				       "linux.netDevices: two devices would be named \"%s\"", name);
	}
	return 0;
}

/* ---- sysctl ---- */

int validate_sysctl_path(const char *key, char *out, size_t size)
{
	/* The first separator decides: a key with dots has slashes where names contain dots. */
	bool slashes = key[strcspn(key, "./")] == '/';
	size_t part = 0, n = strlen(key);

	if (n >= size)
		return -ENAMETOOLONG;
	for (size_t i = 0; i <= n; i++) {
		char c = key[i];

		out[i] = slashes || (c != '.' && c != '/') ? c : c == '.' ? '/' : '.';
		if (c && ((unsigned char)c <= ' ' || c == 0x7f))
			return -EINVAL;
		if (out[i] && out[i] != '/')
			continue;
		if (i == part || (i == part + 1 && out[part] == '.') ||
		    (i == part + 2 && out[part] == '.' && out[part + 1] == '.'))
			return -EINVAL;
		part = i + 1;
	}
	return 0;
}

/* Which namespace has its own value of a sysctl. A row that ends with a * is a prefix. */
static const struct name_value sysctl_owners[] = {
	{ "kernel/msg*", NS_IPC },        { "kernel/shm*", NS_IPC },
	{ "kernel/sem", NS_IPC },         { "kernel/sem_next_id", NS_IPC },
	{ "kernel/auto_msgmni", NS_IPC }, { "fs/mqueue/*", NS_IPC },
	{ "net/*", NS_NETWORK },          { "user/*", NS_USER },
	{ "kernel/hostname", NS_UTS },    { "kernel/domainname", NS_UTS },
};

static int sysctl_owner(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(sysctl_owners); i++) {
		const char *row = sysctl_owners[i].name;
		size_t n = strcspn(row, "*");

		if (row[n] ? strncmp(path, row, n) == 0 : str_eq(path, row))
			return (int)sysctl_owners[i].value;
	}
	return -1;
}

static int check_sysctl(const struct spec *s, const char *key, struct err *e)
{
	struct json_path at = { 0 };
	char path[512];
	int owner;

	json_path_key(&at, "linux");
	json_path_key(&at, "sysctl");
	json_path_key(&at, key);
	if (validate_sysctl_path(key, path, sizeof(path)) < 0)
		return err_set(e, EINVAL, "%s: not the name of a sysctl", at.s);
	if (s->hostname && str_eq(path, "kernel/hostname"))
		return err_set(e, EINVAL, "%s: conflicts with the field hostname", at.s);
	if (s->domainname && str_eq(path, "kernel/domainname"))
		return err_set(e, EINVAL, "%s: conflicts with the field domainname", at.s);
	if (own_kernel(s))
		return 0;
	owner = sysctl_owner(path);
	if (owner < 0)
		return err_set(e, EINVAL, "%s: belongs to no namespace, it would change the host",
			       at.s);
	return need(s, (enum ns_kind)owner, true, at.s, e);
}

static int check_sysctls(const struct spec *s, struct err *e)
{
	const struct spec_map *m = &s->linux_.sysctl;
	int r = 0;

	for (size_t i = 0; i < m->n && r == 0; i++)
		r = check_sysctl(s, m->v[i].key, e);
	return r;
}

/* ---- seccomp ---- */

/* Its listener is sent over a socket, with write(2) among others: that one cannot wait for itself.
 */
static int check_notify(const struct spec_syscall *call, size_t i, struct err *e)
{
	for (size_t k = 0; k < call->names.n; k++)
		if (str_eq(call->names.v[k], "write"))
			return err_set(e, EINVAL,
				       "linux.seccomp.syscalls[%zu].names[%zu]: "
				       "SCMP_ACT_NOTIFY cannot be used for write",
				       i, k);
	return 0;
}

static int check_seccomp(const struct spec *s, struct err *e)
{
	const struct spec_seccomp *sc = s->linux_.seccomp;
	bool listener, notify = false;

	if (!sc)
		return 0;
	listener = sc->listener_path || spec_annotation(s, "run.oci.seccomp.receiver") ||
		   spec_annotation(s, "run.oci.seccomp.plugins");
	for (size_t i = 0; i < sc->syscalls.n; i++) {
		int r;

		if (sc->syscalls.v[i].action != ACT_NOTIFY)
			continue;
		notify = true;
		r = check_notify(&sc->syscalls.v[i], i, e);
		if (r < 0)
			return r;
		if (!listener)
			return err_set(e, EINVAL,
				       "linux.seccomp.listenerPath: required because "
				       "syscalls[%zu] has the action SCMP_ACT_NOTIFY",
				       i);
	}
	if (sc->listener_path && !notify)
		return err_set(e, EINVAL,
			       "linux.seccomp.listenerPath: no syscall has the action "
			       "SCMP_ACT_NOTIFY");
	return 0;
}

/* ---- process ---- */

static int check_rlimits(const char *prefix, const struct spec_rlimits *l, struct err *e)
{
	uint64_t seen = 0;

	for (size_t i = 0; i < l->n; i++) {
		uint64_t bit = UINT64_C(1) << l->v[i].type;

		if (seen & bit)
			return err_set(e, EINVAL, "%srlimits[%zu].type: duplicate %s", prefix, i,
				       table_name(&names_rlimits, l->v[i].type));
		seen |= bit;
	}
	return 0;
}

static int check_process(const char *prefix, const struct spec_process *p, struct err *e)
{
	if (!p->args.n)
		return err_set(e, EINVAL, "%sargs: must name a program", prefix);
	if (!*p->args.v[0])
		return err_set(e, EINVAL, "%sargs[0]: must not be empty", prefix);
	return check_rlimits(prefix, &p->rlimits, e);
}

int validate_process(const struct spec_process *p, struct err *e)
{
	return check_process("", p, e);
}

static int check_memory_policy(const struct spec *s, struct err *e)
{
	const struct spec_memory_policy *p = s->linux_.memory_policy;
	const char *mode = p ? table_name(&names_mempolicy_modes, p->mode) : NULL;

	if (!p || p->nodes)
		return 0;
	if (str_eq(mode, "MPOL_BIND") || str_eq(mode, "MPOL_PREFERRED_MANY") ||
	    str_ends(mode, "INTERLEAVE"))
		return err_set(e, EINVAL, "linux.memoryPolicy.nodes: required for the mode %s",
			       mode);
	return 0;
}

int validate_spec(const struct spec *s, struct err *e)
{
	int r = s->process ? check_process("process.", s->process, e) : 0;

	return r ?: check_namespaces(s, e) ?:
	       check_time(s, e) ?:
	       check_user_namespace(s, e) ?:
	       check_mounts(s, e) ?:
	       check_devices(s, e) ?:
	       check_net_devices(s, e) ?:
	       check_sysctls(s, e) ?:
	       check_seccomp(s, e) ?:
	       check_memory_policy(s, e);
}

int validate_id(const char *id, struct err *e)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.-";
	size_t n = strlen(id);

	if (n == 0)
		return err_set(e, EINVAL, "invalid container ID format: the ID is empty");
	if (n > ID_MAX)
		return err_set(e, EINVAL,
			       "invalid container ID format: \"%.*s...\": longer than %d bytes",
			       SHOWN, id, ID_MAX);
	if (*id == '.')
		return err_set(e, EINVAL,
			       "invalid container ID format: \"%.*s\": begins with a dot", SHOWN,
			       id);
	if (id[strspn(id, allowed)])
		return err_set(e, EINVAL,
			       "invalid container ID format: \"%.*s\": a character other than "
			       "letters, digits and _+.-",
			       SHOWN, id);
	return 0;
}
