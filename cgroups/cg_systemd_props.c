/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd writes a unit's cgroup files again whenever it realizes the unit anew, so every limit
 * that it knows a property for is told to it: what it believes and what ctr writes to cgroupfs
 * afterwards must agree. Versions are those where systemd got a property; an older one does not
 * know the file either and leaves it alone.
 */
#include "cgroups/cg_systemd_props.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "cgroups/cg_device.h"
#include "cgroups/cg_plan.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define INF UINT64_MAX
#define MAX_CPU 8191

void cg_props_free(struct cg_props *p)
{
	arena_free(&p->arena);
	*p = (struct cg_props){ 0 };
}

const struct cg_value *cg_props_get(const struct cg_props *p, const char *name)
{
	for (size_t i = p->n; i > 0; i--)
		if (str_eq(p->v[i - 1].name, name))
			return &p->v[i - 1].value;
	return NULL;
}

/* ---- adding ---- */

static struct cg_prop *add(struct cg_props *p, const char *name, const char *types, size_t leaves)
{
	struct cg_prop *prop;

	if (p->n == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 32;
		struct cg_prop *v = arena_array(&p->arena, cap, sizeof(*v));

		if (!v)
			return NULL;
		if (p->n)
			memcpy(v, p->v, p->n * sizeof(*v));
		p->v = v;
		p->cap = cap;
	}
	prop = &p->v[p->n];
	*prop = (struct cg_prop){ .name = name };
	snprintf(prop->value.types, sizeof(prop->value.types), "%s", types);
	prop->value.n = leaves;
	prop->value.v = arena_array(&p->arena, leaves ? leaves : 1, sizeof(*prop->value.v));
	if (!prop->value.v)
		return NULL;
	p->n++;
	return prop;
}

static int no_memory(struct err *e)
{
	return err_sys(e, ENOMEM, "plan the properties of a systemd unit");
}

static int put_u64(struct cg_props *p, const char *name, const char *type, uint64_t v,
		   struct err *e)
{
	struct cg_prop *prop = add(p, name, type, 1);

	if (!prop)
		return no_memory(e);
	prop->value.v[0].u = v;
	return 0;
}

static int put_t(struct cg_props *p, const char *name, uint64_t v, struct err *e)
{
	return put_u64(p, name, "t", v, e);
}

static int put_string(struct cg_props *p, const char *name, bool array, const char *s,
		      struct err *e)
{
	struct cg_prop *prop = add(p, name, "s", 1);
	const char *copy = arena_strdup(&p->arena, s);

	if (!prop || !copy)
		return no_memory(e);
	prop->value.array = array;
	prop->value.v[0].s = copy;
	return 0;
}

/* ---- the unit itself ---- */

int cg_props_unit(struct cg_props *p, const struct cg_unit_names *names, int version,
		  const char *id, pid_t pid, struct err *e)
{
	static const char *const accounting[] = {
		"CPUAccounting",     "MemoryAccounting", "IOAccounting",
		"BlockIOAccounting", "TasksAccounting",
	};
	char text[256];
	int r;

	snprintf(text, sizeof(text), "ctr container %.200s", id);
	r = put_string(p, "Description", false, text, e);
	/* A slice has its parent in its name; the other is only wanted to be there. */
	if (r == 0)
		r = names->is_slice ? put_string(p, "Wants", true, names->slice, e)
				    : put_string(p, "Slice", false, names->slice, e);
	if (r == 0 && !names->is_slice)
		r = put_u64(p, "Delegate", "b", 1, e);
	for (size_t i = 0; i < ARRAY_SIZE(accounting) && r == 0; i++)
		r = put_u64(p, accounting[i], "b", 1, e);
	/* The container ends by `ctr delete`, not before the machine's shutdown reaches its
	 * services. */
	if (r == 0)
		r = put_u64(p, "DefaultDependencies", "b", 0, e);
	if (r == 0 && !names->is_slice) {
		r = put_u64(p, "PIDs", "u", (uint64_t)pid, e);
		if (r == 0)
			p->v[p->n - 1].value.array = true;
	}
	/* A unit that has failed (out of memory, its first process killed) is not kept for somebody
	 * to read. */
	if (r == 0 && version >= CG_VERSION_COLLECT)
		r = put_string(p, "CollectMode", false, "inactive-or-failed", e);
	/* Without a value of its own a scope gets DefaultTasksMax=, a limit that nobody asked for.
	 */
	return r < 0 ? r : put_t(p, "TasksMax", INF, e);
}

/* ---- memory, cpu, tasks, io ---- */

static bool has(const struct cg_props_in *in, int version)
{
	if (in->needs && *in->needs < version)
		*in->needs = version;
	return in->version >= version;
}

static uint64_t bytes(int64_t v)
{
	return v < 0 ? INF : (uint64_t)v;
}

static int memory(struct cg_props *p, const struct cg_props_in *in, struct err *e)
{
	const struct spec_memory *m = in->r->memory;
	bool limit = m && m->limit.set && m->limit.v, swap = m && m->swap.set && m->swap.v;
	int r = 0;

	if (limit)
		r = put_t(p, in->v2 ? "MemoryMax" : "MemoryLimit", bytes(m->limit.v), e);
	if (!m || !in->v2 || r < 0)
		return r;
	if (m->reservation.set && m->reservation.v)
		r = put_t(p, "MemoryLow", bytes(m->reservation.v), e);
	/* Memory and swap together in the specification, swap alone here. */
	if (r == 0 && swap && m->swap.v > 0 && limit && m->limit.v > 0 && m->swap.v >= m->limit.v)
		r = put_t(p, "MemorySwapMax", (uint64_t)(m->swap.v - m->limit.v), e);
	else if (r == 0 && ((swap && m->swap.v < 0) || (!swap && limit && m->limit.v < 0)))
		r = put_t(p, "MemorySwapMax", INF, e);
	return r;
}

static int put_period(struct cg_props *p, const struct cg_props_in *in, uint64_t period,
		      struct err *e)
{
	return has(in, 242) ? put_t(p, "CPUQuotaPeriodUSec", period, e) : 0;
}

/* systemd counts in hundredths of a CPU: rounded up, the exact value is written to cgroupfs
 * afterwards. */
static int put_quota(struct cg_props *p, uint64_t quota, uint64_t period, struct err *e)
{
	unsigned __int128 per_sec;

	if (quota == INF)
		return put_t(p, "CPUQuotaPerSecUSec", INF, e);
	per_sec = (unsigned __int128)quota * 1000000 / period;
	per_sec = (per_sec + 9999) / 10000 * 10000;
	return put_t(p, "CPUQuotaPerSecUSec",
		     per_sec >= INF ? INF
		     : per_sec      ? (uint64_t)per_sec
				    : 10000,
		     e);
}

/* "0-3,8" as a set of bits, lowest byte first. For an empty one systemd means all, and so does the
 * kernel. */
static int put_set(struct cg_props *p, const char *name, const char *field, const char *list,
		   struct err *e)
{
	unsigned char bits[MAX_CPU / 8 + 1] = { 0 };
	struct cg_prop *prop;
	size_t n = 0;

	for (const char *s = list; *s;) {
		unsigned int from, to;
		int used = 0;

		if (!isdigit((unsigned char)*s) || sscanf(s, "%5u%n", &from, &used) != 1)
			return err_set(e, EINVAL,
				       "linux.resources.%s: \"%s\" is not a list of numbers", field,
				       list);
		s += used;
		to = from;
		if (*s == '-' && isdigit((unsigned char)s[1]) &&
		    sscanf(s, "-%5u%n", &to, &used) == 1)
			s += used;
		if ((*s && *s != ',' && *s != '\n') || from > to)
			return err_set(e, EINVAL,
				       "linux.resources.%s: \"%s\" is not a list of numbers", field,
				       list);
		if (to > MAX_CPU)
			return err_set(e, ERANGE, "linux.resources.%s: %u is above %d", field, to,
				       MAX_CPU);
		for (unsigned int i = from; i <= to; i++)
			bits[i / 8] |= (unsigned char)(1U << i % 8);
		n = n > to / 8 + 1 ? n : to / 8 + 1;
		s += *s != '\0';
	}
	prop = add(p, name, "y", n);
	if (!prop)
		return no_memory(e);
	prop->value.array = true;
	for (size_t i = 0; i < n; i++)
		prop->value.v[i].u = bits[i];
	return 0;
}

static int cpuset(struct cg_props *p, const struct cg_props_in *in, const char *cpus,
		  const char *mems, struct err *e)
{
	int r = 0;

	if (!in->v2 || (!(cpus && *cpus) && !(mems && *mems)) || !has(in, 244))
		return 0;
	if (cpus && *cpus)
		r = put_set(p, "AllowedCPUs", "cpu.cpus", cpus, e);
	if (r == 0 && mems && *mems)
		r = put_set(p, "AllowedMemoryNodes", "cpu.mems", mems, e);
	return r;
}

static int cpu(struct cg_props *p, const struct cg_props_in *in, struct err *e)
{
	const struct spec_cpu *c = in->r->cpu;
	bool idle;
	int r = 0;

	if (!c)
		return 0;
	idle = c->idle.set && c->idle.v == 1;
	if (idle && in->v2 && has(in, 252))
		r = put_t(p, "CPUWeight", 0, e);
	else if (!idle && c->shares.set && c->shares.v)
		r = in->v2 ? put_t(p, "CPUWeight", cg_plan_weight(c->shares.v), e)
			   : put_t(p, "CPUShares",
				   c->shares.v < 2        ? 2
				   : c->shares.v > 262144 ? 262144
							  : c->shares.v,
				   e);
	if (r == 0 && c->period.set && c->period.v)
		r = put_period(p, in, c->period.v, e);
	if (r == 0 && c->quota.set && c->quota.v)
		r = put_quota(p, bytes(c->quota.v),
			      c->period.set && c->period.v ? c->period.v : 100000, e);
	return r < 0 ? r : cpuset(p, in, c->cpus, c->mems, e);
}

static int tasks_and_io(struct cg_props *p, const struct cg_props_in *in, struct err *e)
{
	const struct spec_block_io *io = in->r->block_io;
	int r = 0;

	if (in->r->pids_limit.set)
		r = put_t(p, "TasksMax", in->r->pids_limit.v ? bytes(in->r->pids_limit.v) : 1, e);
	if (r == 0 && io && io->weight.set && io->weight.v)
		r = in->v2 ? put_t(p, "IOWeight", cg_plan_io_weight(io->weight.v), e)
			   : put_t(p, "BlockIOWeight", io->weight.v, e);
	return r;
}

/* ---- unified ---- */

static int uni_number(struct cg_props *p, const char *prop, const char *value, struct err *e)
{
	int64_t v;

	if (str_eq(value, "max"))
		return put_t(p, prop, INF, e);
	/* What is no number the kernel refuses when it is written. */
	return str_to_size(value, &v) < 0 || v < 0 ? 0 : put_t(p, prop, (uint64_t)v, e);
}

static int uni_cpu_max(struct cg_props *p, const struct cg_props_in *in, const char *value,
		       struct err *e)
{
	char quota[24] = "", period[24] = "100000";
	uint64_t q = INF, t;
	int n = sscanf(value, "%23s %23s", quota, period), r = 0;

	if (n < 1 || str_to_u64(period, UINT32_MAX, &t) < 0 || t == 0 ||
	    (!str_eq(quota, "max") && str_to_u64(quota, INF - 1, &q) < 0))
		return 0;
	if (n == 2)
		r = put_period(p, in, t, e);
	return r < 0 ? r : put_quota(p, q, t, e);
}

static int uni_special(struct cg_props *p, const struct cg_props_in *in, const char *key,
		       const char *value, struct err *e)
{
	if (str_eq(key, "cpu.max"))
		return uni_cpu_max(p, in, value, e);
	if (str_eq(key, "cpuset.cpus"))
		return cpuset(p, in, value, NULL, e);
	if (str_eq(key, "cpuset.mems"))
		return cpuset(p, in, NULL, value, e);
	if (str_eq(key, "cpu.idle") && str_eq(value, "1") && has(in, 252))
		return put_t(p, "CPUWeight", 0, e);
	/* For scopes since 253, and never for a unit that runs. */
	if (str_eq(key, "memory.oom.group") && in->create && has(in, 253))
		return put_string(p, "OOMPolicy", false, str_eq(value, "1") ? "kill" : "continue",
				  e);
	if (str_eq(key, "io.weight")) {
		const char *v = str_after(value, "default ");

		return uni_number(p, "IOWeight", v ? v : value, e);
	}
	return 0;
}

static int unified(struct cg_props *p, const struct cg_props_in *in, struct err *e)
{
	static const struct {
		const char *key, *prop;
		int version;
	} numbers[] = {
		{ "memory.max", "MemoryMax", 0 },
		{ "memory.high", "MemoryHigh", 0 },
		{ "memory.low", "MemoryLow", 0 },
		{ "memory.min", "MemoryMin", 240 },
		{ "memory.swap.max", "MemorySwapMax", 232 },
		{ "memory.zswap.max", "MemoryZSwapMax", 253 },
		{ "cpu.weight", "CPUWeight", 0 },
		{ "pids.max", "TasksMax", 0 },
	};
	int r = 0;

	for (size_t i = 0; in->v2 && i < in->r->unified.n && r == 0; i++) {
		const struct spec_pair *u = &in->r->unified.v[i];

		for (size_t j = 0; j < ARRAY_SIZE(numbers) && r == 0; j++)
			if (str_eq(u->key, numbers[j].key) && has(in, numbers[j].version))
				r = uni_number(p, numbers[j].prop, u->value, e);
		if (r == 0)
			r = uni_special(p, in, u->key, u->value, e);
	}
	return r;
}

/* 1, 0, or -1 when nothing is said about it. */
static int idle_of(const struct spec_resources *r)
{
	int idle = r->cpu && r->cpu->idle.set ? r->cpu->idle.v == 1 : -1;

	for (size_t i = 0; i < r->unified.n; i++)
		if (str_eq(r->unified.v[i].key, "cpu.idle"))
			idle = str_eq(r->unified.v[i].value, "1");
	return idle;
}

/* For systemd idle is a weight: a unit that is no longer idle needs another, or none. */
static int end_idle(struct cg_props *p, const struct cg_props_in *in, struct err *e)
{
	bool ends =
		!in->create && in->v2 && idle_of(in->r) == 0 && (!in->old || idle_of(in->old) == 1);

	return ends && !cg_props_get(p, "CPUWeight") ? put_t(p, "CPUWeight", INF, e) : 0;
}

int cg_props_resources(struct cg_props *p, const struct cg_props_in *in, struct err *e)
{
	int r = 0;

	if (!in->r)
		return 0;
	r = memory(p, in, e);
	if (r == 0)
		r = cpu(p, in, e);
	if (r == 0)
		r = tasks_and_io(p, in, e);
	if (r == 0)
		r = unified(p, in, e);
	return r < 0 ? r : end_idle(p, in, e);
}

static int put_unset(struct cg_props *p, const struct cg_prop *told, struct err *e)
{
	bool guarantee = str_eq(told->name, "MemoryLow") || str_eq(told->name, "MemoryMin");
	struct cg_prop *prop;

	/* A limit, a weight or a quota has none as the highest value, a set as the empty one. */
	if (!told->value.array)
		return put_t(p, told->name, guarantee ? 0 : INF, e);
	prop = add(p, told->name, told->value.types, 0);
	if (!prop)
		return no_memory(e);
	prop->value.array = true;
	return 0;
}

int cg_props_unset(struct cg_props *p, const struct cg_props *told, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < told->n && r == 0; i++)
		if (!str_after(told->v[i].name, "Device") && !cg_props_get(p, told->v[i].name))
			r = put_unset(p, &told->v[i], e);
	return r;
}

/* ---- devices ---- */

/* "char-pts", from the line "136 pts" of the section "Character devices:". */
static const char *group_name(struct arena *a, const char *text, const struct cg_dev *d)
{
	const char *s = strstr(text, d->type == 'c' ? "Character devices:" : "Block devices:");

	for (s = s ? strchr(s, '\n') : NULL; s && s[1] && s[1] != '\n'; s = strchr(s + 1, '\n')) {
		char name[64];
		int64_t major;

		if (sscanf(s + 1, "%" SCNd64 " %63s", &major, name) == 2 && major == d->major)
			return arena_printf(a, "%s-%s", d->type == 'c' ? "char" : "block", name);
	}
	return NULL;
}

static const char *device_name(struct arena *a, const char *text, const struct cg_dev *d)
{
	const char *kind = d->type == 'c' ? "char" : "block";

	if (d->major == CG_DEV_ANY)
		return arena_printf(a, "%s-*", kind);
	if (d->minor == CG_DEV_ANY)
		return text ? group_name(a, text, d) : NULL;
	return arena_printf(a, "/dev/%s/%" PRId64 ":%" PRId64, kind, d->major, d->minor);
}

/* An empty list, with room for so many entries. */
static struct cg_prop *add_device_allow(struct cg_props *p, size_t room)
{
	struct cg_prop *prop = add(p, "DeviceAllow", "ss", 2 * room);

	if (prop) {
		prop->value.array = prop->value.tuple = true;
		prop->value.n = 0;
	}
	return prop;
}

static int allow_listed(struct cg_props *p, const struct cg_devs *list, const char *proc_devices,
			struct err *e)
{
	struct cg_prop *prop = add_device_allow(p, list->n);

	for (size_t i = 0; prop && i < list->n; i++) {
		const char *name = device_name(&p->arena, proc_devices, &list->v[i]);
		char text[64];

		/* A driver that is not there now has no name: cgroupfs alone has this one. */
		if (!name)
			continue;
		cg_device_format(&list->v[i], text, sizeof(text));
		prop->value.v[prop->value.n++].s = name;
		prop->value.v[prop->value.n++].s = arena_strdup(&p->arena, strrchr(text, ' ') + 1);
	}
	return prop ? 0 : no_memory(e);
}

/*
 * "Everything but": systemd has no words for that, and no restriction is what it does by itself.
 * Of a unit that runs the list grows by what it is told, and only an empty one takes the old away.
 */
static int device_policy(struct cg_props *p, const struct cg_devs *list, bool create, struct err *e)
{
	int r;

	if (create && list->allow_default)
		return 0;
	r = put_string(p, "DevicePolicy", false, list->allow_default ? "auto" : "strict", e);
	return r == 0 && !create && !add_device_allow(p, 0) ? no_memory(e) : r;
}

int cg_props_devices(struct cg_props *p, const struct cg_props_in *in, struct err *e)
{
	struct cg_devs rules = { 0 }, list = { 0 };
	int r = cg_device_rules(in->r ? &in->r->devices : NULL, &rules, e);

	if (r == 0)
		r = cg_device_exceptions(&rules, &list, e);
	cg_device_free(&rules);
	if (r == 0)
		r = device_policy(p, &list, in->create, e);
	if (r == 0 && !list.allow_default)
		r = allow_listed(p, &list, in->proc_devices, e);
	cg_device_free(&list);
	return r;
}

/* ---- annotations ---- */

/* NAMESec holds seconds; the property on the bus is NAMEUSec, in microseconds. */
static int seconds(struct cg_props *p, const char *key, struct cg_prop *prop, struct err *e)
{
	char type = prop->value.types[0];
	union cg_leaf *v = prop->value.v;
	size_t len = strlen(prop->name);
	uint64_t usec = 0;
	bool ok = !prop->value.array && !prop->value.tuple && strchr("ynqiuxtd", type);

	if (len < 4 || !str_ends(prop->name, "Sec") || !islower((unsigned char)prop->name[len - 4]))
		return 0;
	if (ok && type == 'd') {
		ok = v->d >= 0 && v->d < 1e13;
		usec = ok ? (uint64_t)(v->d * 1000000) : 0;
	} else if (ok) {
		ok = !(strchr("nix", type) && v->i < 0) &&
		     !__builtin_mul_overflow(v->u, 1000000, &usec);
	}
	if (!ok)
		return err_set(e, EINVAL, "annotations[\"%s\"]: not a number of seconds", key);
	prop->name = arena_printf(&p->arena, "%.*sUSec", (int)len - 3, prop->name);
	if (!prop->name)
		return no_memory(e);
	prop->value.types[0] = 't';
	v->u = usec;
	return 0;
}

static int annotation(struct cg_props *p, const char *key, const char *name, const char *text,
		      struct err *e)
{
	struct cg_prop *prop;
	const char *why = NULL;
	size_t at = 0;
	int r;

	if (strlen(name) < 3 ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") !=
		    strlen(name))
		return err_set(e, EINVAL, "annotations[\"%s\"]: not the name of a unit's property",
			       key);
	prop = add(p, name, "", 0);
	if (!prop)
		return no_memory(e);
	prop->name = arena_strdup(&p->arena, name);
	r = prop->name ? cg_value_parse(&p->arena, text, &prop->value, &why, &at) : -ENOMEM;
	if (r == -EINVAL)
		return err_set(
			e, EINVAL,
			"annotations[\"%s\"]: \"%.200s\" at %zu: %s (the value is in GVariant's text form)",
			key, text, at, why);
	return r < 0 ? no_memory(e) : seconds(p, key, prop, e);
}

int cg_props_annotations(struct cg_props *p, const struct spec_map *annotations, struct err *e)
{
	int r = 0;

	for (size_t i = 0; annotations && i < annotations->n && r == 0; i++) {
		const struct spec_pair *a = &annotations->v[i];
		const char *name = str_after(a->key, "org.systemd.property.");

		if (name)
			r = annotation(p, a->key, name, a->value, e);
	}
	return r;
}
