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

/* Whom the broken rules are told to. */
struct rules {
	struct err *e;
	const struct json_report *report; /* NULL: the first one ends it */
	bool no_namespaces; /* their list could not be read: nothing follows from it */
};

/* Where the reason begins in "PATH: REASON"; the path may hold keys in quotes. */
static size_t path_end(const char *s)
{
	const char *p = s, *quoted;

	while (*p && strncmp(p, ": ", 2) != 0) {
		quoted = strncmp(p, "[\"", 2) == 0 ? strstr(p, "\"]") : NULL;
		p = quoted ? quoted + 2 : p + 1;
	}
	return (size_t)(p - s);
}

/* "PATH: REASON". 0 when the other rules are to be looked at all the same. */
static int __attribute__((format(printf, 2, 3))) wrong(const struct rules *k, const char *fmt, ...)
{
	char text[1200];
	size_t n;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!k->report)
		return err_set(k->e, EINVAL, "%s", text);
	n = path_end(text);
	if (text[n]) {
		text[n] = '\0';
		n += 2;
	}
	k->report->fn(k->report->arg, text, text + n);
	return 0;
}

static bool own_kernel(const struct spec *s)
{
	const char *isolation = spec_annotation(s, "org.ctr.isolation");

	return s->own_kernel || s->vm || (isolation && str_eq(isolation, "vm"));
}

/* ---- namespaces ---- */

static int need(const struct spec *s, enum ns_kind kind, bool used, const char *path,
		const struct rules *k)
{
	if (!used || s->linux_.ns[kind].wanted || k->no_namespaces)
		return 0;
	return wrong(k, "%s: needs the namespace \"%s\" in linux.namespaces", path,
		     table_name(&names_namespaces, kind));
}

/* Without these namespaces the change would be one of the host. */
static int check_namespaces(const struct spec *s, const struct rules *k)
{
	const struct spec_linux *l = &s->linux_;
	/* Ids are mapped on the host, also those of a machine's files. */
	int r = need(s, NS_USER, l->uid_mappings.n, "linux.uidMappings", k)
			?: need(s, NS_USER, l->gid_mappings.n, "linux.gidMappings", k);

	if (r < 0 || own_kernel(s))
		return r;
	return need(s, NS_UTS, s->hostname, "hostname", k) ?:
	       need(s, NS_UTS, s->domainname, "domainname", k) ?:
	       need(s, NS_MOUNT, s->mounts.n, "mounts", k) ?:
	       need(s, NS_MOUNT, s->root && s->root->readonly, "root.readonly", k) ?:
	       need(s, NS_MOUNT, l->masked_paths.n, "linux.maskedPaths", k) ?:
	       need(s, NS_MOUNT, l->readonly_paths.n, "linux.readonlyPaths", k) ?:
	       need(s, NS_MOUNT, l->rootfs_propagation, "linux.rootfsPropagation", k) ?:
	       need(s, NS_TIME, l->monotonic.set || l->boottime.set, "linux.timeOffsets", k);
}

static int check_time(const struct spec *s, const struct rules *k)
{
	const struct spec_linux *l = &s->linux_;

	if ((l->monotonic.set || l->boottime.set) && l->ns[NS_TIME].path)
		return wrong(k, "linux.timeOffsets: the time namespace is joined by path, "
				"its offsets are fixed");
	return 0;
}

/* ---- id maps ---- */

static bool overlap(uint32_t a, uint32_t n, uint32_t b, uint32_t m)
{
	return a < (uint64_t)b + m && b < (uint64_t)a + n;
}

/* One range for itself and against those before it. */
static int check_range(const struct spec_idmaps *map, size_t i, const char *path,
		       const struct rules *k)
{
	const struct spec_idmap *m = &map->v[i];

	if ((uint64_t)m->container + m->size > UINT32_MAX ||
	    (uint64_t)m->host + m->size > UINT32_MAX)
		return wrong(k, "%s[%zu]: reaches beyond the last id", path, i);
	for (size_t j = 0; j < i; j++) {
		const struct spec_idmap *o = &map->v[j];

		if (overlap(m->container, m->size, o->container, o->size))
			return wrong(k, "%s[%zu]: container ids overlap with %s[%zu]", path, i,
				     path, j);
		if (overlap(m->host, m->size, o->host, o->size))
			return wrong(k, "%s[%zu]: host ids overlap with %s[%zu]", path, i, path, j);
	}
	return 0;
}

static int check_idmap(const struct spec_idmaps *map, const char *path, const struct rules *k)
{
	int r = 0;

	if (map->n > IDMAP_RANGES_MAX)
		return wrong(k, "%s: more than %d ranges", path, IDMAP_RANGES_MAX);
	for (size_t i = 0; i < map->n && r == 0; i++)
		r = check_range(map, i, path, k);
	return r;
}

static bool mapped(const struct spec_idmaps *map, uint32_t id)
{
	for (size_t i = 0; i < map->n; i++)
		if (id >= map->v[i].container && id - map->v[i].container < map->v[i].size)
			return true;
	return false;
}

/* A range without a size is one that could not be read: then there is no knowing. */
static bool may_be_mapped(const struct spec_idmaps *map, uint32_t id)
{
	for (size_t i = 0; i < map->n; i++)
		if (!map->v[i].size)
			return true;
	return mapped(map, id);
}

/* An id without a mapping cannot be taken inside: better told now than as EINVAL from setuid. */
static int check_mapped_user(const struct spec *s, const struct rules *k)
{
	const struct spec_linux *l = &s->linux_;
	const struct spec_user *u;
	int r = 0;

	if (!s->process || l->ns[NS_USER].path)
		return 0;
	u = &s->process->user;
	if (l->uid_mappings.n && !may_be_mapped(&l->uid_mappings, u->uid))
		r = wrong(k, "process.user.uid: %u has no entry in linux.uidMappings", u->uid);
	if (r == 0 && l->gid_mappings.n && !may_be_mapped(&l->gid_mappings, u->gid))
		r = wrong(k, "process.user.gid: %u has no entry in linux.gidMappings", u->gid);
	for (size_t i = 0; i < u->additional_gids.n && l->gid_mappings.n && r == 0; i++)
		if (!may_be_mapped(&l->gid_mappings, u->additional_gids.v[i]))
			r = wrong(k,
				  "process.user.additionalGids[%zu]: %u has no entry in "
				  "linux.gidMappings",
				  i, u->additional_gids.v[i]);
	return r;
}

static int check_user_namespace(const struct spec *s, const struct rules *k)
{
	const struct spec_linux *l = &s->linux_;
	int r = check_idmap(&l->uid_mappings, "linux.uidMappings", k)
			?: check_idmap(&l->gid_mappings, "linux.gidMappings", k);

	if (r < 0 || !l->ns[NS_USER].wanted)
		return r;
	if (!l->ns[NS_USER].path && !l->uid_mappings.n)
		r = wrong(k, "linux.uidMappings: required for a new user namespace");
	if (r == 0 && !l->ns[NS_USER].path && !l->gid_mappings.n)
		r = wrong(k, "linux.gidMappings: required for a new user namespace");
	return r ?: check_mapped_user(s, k);
}

/* ---- mounts ---- */

static int check_mount(const struct spec *s, size_t i, const struct rules *k)
{
	const struct spec_mount *m = &s->mounts.v[i];
	char uids[64], gids[64];
	int r;

	snprintf(uids, sizeof(uids), "mounts[%zu].uidMappings", i);
	snprintf(gids, sizeof(gids), "mounts[%zu].gidMappings", i);
	r = check_idmap(&m->uid_mappings, uids, k) ?: check_idmap(&m->gid_mappings, gids, k);
	for (size_t j = 0; j < m->options.n && r == 0; j++) {
		const struct mount_option *o = names_mount_option(m->options.v[j]);

		if (o && o->kind == MOPT_IDMAP && !m->uid_mappings.n &&
		    !s->linux_.ns[NS_USER].wanted)
			r = wrong(k,
				  "mounts[%zu].options[%zu]: %s without "
				  "mappings or a user namespace",
				  i, j, o->name);
	}
	return r;
}

static int check_mounts(const struct spec *s, const struct rules *k)
{
	int r = 0;

	for (size_t i = 0; i < s->mounts.n && r == 0; i++)
		r = check_mount(s, i, k);
	return r;
}

/* ---- devices ---- */

static int by_path(const void *a, const void *b)
{
	const struct spec_device *const *x = a, *const *y = b;
	int r = strcmp((*x)->path ?: "", (*y)->path ?: "");

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

static int check_devices(const struct spec *s, const struct rules *k)
{
	const struct spec_devices *l = &s->linux_.devices;
	AUTO_FREE const struct spec_device **sorted = NULL;
	int r = 0;

	if (l->n < 2)
		return 0;
	sorted = calloc(l->n, sizeof(*sorted));
	if (!sorted)
		return err_sys(k->e, ENOMEM, "linux.devices");
	for (size_t i = 0; i < l->n; i++)
		sorted[i] = &l->v[i];
	qsort(sorted, l->n, sizeof(*sorted), by_path);
	for (size_t i = 1; i < l->n && r == 0; i++)
		if (sorted[i - 1]->path && sorted[i]->path &&
		    str_eq(sorted[i - 1]->path, sorted[i]->path) &&
		    !same_device(sorted[i - 1], sorted[i]))
			r = wrong(k, "linux.devices[%td].path: two different devices at \"%.*s\"",
				  sorted[i] - l->v, SHOWN, sorted[i]->path);
	return r;
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
static int check_net_devices(const struct spec *s, const struct rules *k)
{
	const struct spec_net_devices *l = &s->linux_.net_devices;
	AUTO_FREE const struct spec_net_device **sorted = NULL;
	int r = 0;

	if (l->n < 2)
		return 0;
	sorted = calloc(l->n, sizeof(*sorted));
	if (!sorted)
		return err_sys(k->e, ENOMEM, "linux.netDevices");
	for (size_t i = 0; i < l->n; i++)
		sorted[i] = &l->v[i];
	qsort(sorted, l->n, sizeof(*sorted), by_name_inside);
	for (size_t i = 1; i < l->n && r == 0; i++) {
		const char *name = name_inside(sorted[i]);

		if (!strchr(name, '%') && str_eq(name, name_inside(sorted[i - 1])))
			r = wrong(k, "linux.netDevices: two devices would be named \"%s\"", name);
	}
	return r;
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

int validate_sysctl_owner(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(sysctl_owners); i++) {
		const char *row = sysctl_owners[i].name;
		size_t n = strcspn(row, "*");

		if (row[n] ? strncmp(path, row, n) == 0 : str_eq(path, row))
			return (int)sysctl_owners[i].value;
	}
	return -1;
}

static int check_sysctl(const struct spec *s, const char *key, const struct rules *k)
{
	struct json_path at = { 0 };
	char path[512];
	int owner;

	json_path_key(&at, "linux");
	json_path_key(&at, "sysctl");
	json_path_key(&at, key);
	if (validate_sysctl_path(key, path, sizeof(path)) < 0)
		return wrong(k, "%s: not the name of a sysctl", at.s);
	if (s->hostname && str_eq(path, "kernel/hostname"))
		return wrong(k, "%s: conflicts with the field hostname", at.s);
	if (s->domainname && str_eq(path, "kernel/domainname"))
		return wrong(k, "%s: conflicts with the field domainname", at.s);
	if (own_kernel(s))
		return 0;
	owner = validate_sysctl_owner(path);
	if (owner < 0)
		return wrong(k, "%s: belongs to no namespace, it would change the host", at.s);
	return need(s, (enum ns_kind)owner, true, at.s, k);
}

static int check_sysctls(const struct spec *s, const struct rules *k)
{
	const struct spec_map *m = &s->linux_.sysctl;
	int r = 0;

	for (size_t i = 0; i < m->n && r == 0; i++)
		r = check_sysctl(s, m->v[i].key, k);
	return r;
}

/* ---- seccomp ---- */

/* Its listener is sent over a socket, with write(2) among others: that one cannot wait for itself.
 */
static int check_notify(const struct spec_syscall *call, size_t i, const struct rules *k)
{
	for (size_t j = 0; j < call->names.n; j++)
		if (str_eq(call->names.v[j], "write"))
			return wrong(k,
				     "linux.seccomp.syscalls[%zu].names[%zu]: "
				     "SCMP_ACT_NOTIFY cannot be used for write",
				     i, j);
	return 0;
}

static int check_seccomp(const struct spec *s, const struct rules *k)
{
	const struct spec_seccomp *sc = s->linux_.seccomp;
	bool listener, notify = false;
	int r = 0;

	if (!sc)
		return 0;
	listener = sc->listener_path || spec_annotation(s, "run.oci.seccomp.receiver") ||
		   spec_annotation(s, "run.oci.seccomp.plugins");
	for (size_t i = 0; i < sc->syscalls.n && r == 0; i++) {
		if (sc->syscalls.v[i].action != ACT_NOTIFY)
			continue;
		r = check_notify(&sc->syscalls.v[i], i, k);
		if (r == 0 && !listener && !notify)
			r = wrong(k,
				  "linux.seccomp.listenerPath: required because "
				  "syscalls[%zu] has the action SCMP_ACT_NOTIFY",
				  i);
		notify = true;
	}
	/* A listener without anything to hear is no mistake: it is ignored (config-linux.md). */
	return r;
}

/* ---- process ---- */

static int check_rlimits(const char *prefix, const struct spec_rlimits *l, const struct rules *k)
{
	uint64_t seen = 0;
	int r = 0;

	for (size_t i = 0; i < l->n && r == 0; i++) {
		uint64_t bit = l->v[i].type < 0 ? 0 : UINT64_C(1) << l->v[i].type;

		if (seen & bit)
			r = wrong(k, "%srlimits[%zu].type: duplicate %s", prefix, i,
				  table_name(&names_rlimits, l->v[i].type));
		seen |= bit;
	}
	return r;
}

static int check_process(const char *prefix, const struct spec_process *p, const struct rules *k)
{
	int r = 0;

	if (!p->args.n)
		r = wrong(k, "%sargs: must name a program", prefix);
	else if (!*p->args.v[0])
		r = wrong(k, "%sargs[0]: must not be empty", prefix);
	return r ?: check_rlimits(prefix, &p->rlimits, k);
}

int validate_process(const struct spec_process *p, struct err *e)
{
	return check_process("", p, &(struct rules){ .e = e });
}

static int check_memory_policy(const struct spec *s, const struct rules *k)
{
	const struct spec_memory_policy *p = s->linux_.memory_policy;
	const char *mode = p ? table_name(&names_mempolicy_modes, p->mode) : NULL;

	if (!mode || p->nodes)
		return 0;
	if (str_eq(mode, "MPOL_BIND") || str_eq(mode, "MPOL_PREFERRED_MANY") ||
	    str_ends(mode, "INTERLEAVE"))
		return wrong(k, "linux.memoryPolicy.nodes: required for the mode %s", mode);
	return 0;
}

int validate_spec(const struct spec *s, struct err *e)
{
	return validate_spec_all(s, NULL, false, e);
}

int validate_spec_all(const struct spec *s, const struct json_report *report, bool no_namespaces,
		      struct err *e)
{
	const struct rules rules = { .e = e, .report = report, .no_namespaces = no_namespaces };
	const struct rules *k = &rules;
	int r = s->process ? check_process("process.", s->process, k) : 0;

	return r ?: check_namespaces(s, k) ?:
	       check_time(s, k) ?:
	       check_user_namespace(s, k) ?:
	       check_mounts(s, k) ?:
	       check_devices(s, k) ?:
	       check_net_devices(s, k) ?:
	       check_sysctls(s, k) ?:
	       check_seccomp(s, k) ?:
	       check_memory_policy(s, k);
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
