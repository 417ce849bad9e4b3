/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/names.h"
#include "oci/spec_field.h"

#include "base/str.h"

#include <net/if.h>
#include <string.h>
#include <sys/stat.h>

/* ---- namespaces and time ---- */

struct namespace_entry {
	int type;
	char *path;
};

static const struct field namespace_rows[] = {
	{ "type", FIELD_NAME, .required = true, .names = &names_namespaces,
	  .offset = offsetof(struct namespace_entry, type) },
	{ "path", FIELD_STRING, .check = field_absolute,
	  .offset = offsetof(struct namespace_entry, path) },
};
static const struct field_table namespace_table = {
	FIELD_TABLE(struct namespace_entry, namespace_rows),
};

static int add_namespace(struct field_ctx *c, struct spec_namespace *ns,
			 const struct namespace_entry *entry)
{
	if (ns[entry->type].wanted)
		return field_error(c, "type", "duplicate namespace \"%s\"",
				   table_name(&names_namespaces, entry->type));
	ns[entry->type] = (struct spec_namespace){ .wanted = true, .path = entry->path };
	return 0;
}

static int read_namespaces(struct field_ctx *c, const struct json *v, void *dst)
{
	struct spec_namespace *ns = dst;
	int r = field_expect(c, v, JSON_ARRAY);

	if (r < 0)
		return r;
	for (size_t i = 0; i < v->n; i++) {
		struct namespace_entry entry = { .type = -1 };
		size_t depth = c->depth;

		field_enter_index(c, i);
		r = field_object(c, &namespace_table, v->items[i], &entry);
		if (r == 0 && entry.type >= 0)
			r = add_namespace(c, ns, &entry);
		r = field_go_on(c, depth, r);
		if (r < 0)
			return r;
		c->depth = depth;
	}
	return 0;
}

static int finish_time_offset(struct field_ctx *c, void *obj)
{
	(void)c;
	((struct spec_time_offset *)obj)->set = true;
	return 0;
}

static const struct field time_offset_rows[] = {
	{ "secs", FIELD_I64, .offset = offsetof(struct spec_time_offset, secs) },
	{ "nanosecs", FIELD_U32, .max = 999999999,
	  .offset = offsetof(struct spec_time_offset, nanosecs) },
};
static const struct field_table time_offset_table = {
	FIELD_TABLE(struct spec_time_offset, time_offset_rows),
	.finish = finish_time_offset,
};

/* ---- devices ---- */

/* A device as it is written: struct spec_device cannot tell an absent number from 0. */
struct device_entry {
	struct spec_device device;
	struct opt_i64 major, minor;
};

#define DEVICE_AT(member) offsetof(struct device_entry, member)

/*
 * A file mode is permission bits. Some writers leave the type bits of stat(2) in it, which is
 * harmless as long as they say the same as the type.
 */
static int device_mode(struct field_ctx *c, struct spec_device *d)
{
	uint64_t type = d->file_mode.v & S_IFMT;
	uint64_t want = d->type == 'b' ? S_IFBLK : d->type == 'p' ? S_IFIFO : S_IFCHR;

	if ((d->file_mode.v & ~(uint64_t)S_IFMT) > 0777 || (type && type != want))
		return field_error(c, "fileMode", "not permission bits (0 to 511): %llu",
				   (unsigned long long)d->file_mode.v);
	d->file_mode.v &= 0777;
	return 0;
}

static int finish_device(struct field_ctx *c, void *obj)
{
	struct device_entry *entry = obj;
	struct spec_device *d = &entry->device;

	int r = 0;

	if (d->type != 'p' && !entry->major.set)
		r = field_note(c, "major", "required field is missing");
	if (r == 0 && d->type != 'p' && !entry->minor.set)
		r = field_note(c, "minor", "required field is missing");
	if (r < 0)
		return r;
	d->major = entry->major.v;
	d->minor = entry->minor.v;
	if (d->type == 'u')
		d->type = 'c';
	return device_mode(c, d);
}

static const struct field device_rows[] = {
	{ "path", FIELD_STRING, .required = true, .check = field_absolute,
	  .offset = DEVICE_AT(device.path) },
	{ "type", FIELD_CHAR, .required = true, .chars = "bcup", .offset = DEVICE_AT(device.type) },
	{ "major", FIELD_OPT_I64, .max = UINT32_MAX, .offset = DEVICE_AT(major) },
	{ "minor", FIELD_OPT_I64, .max = UINT32_MAX, .offset = DEVICE_AT(minor) },
	{ "fileMode", FIELD_OPT_U64, .max = UINT32_MAX, .offset = DEVICE_AT(device.file_mode) },
	{ "uid", FIELD_OPT_U64, .max = UINT32_MAX - 1, .offset = DEVICE_AT(device.uid) },
	{ "gid", FIELD_OPT_U64, .max = UINT32_MAX - 1, .offset = DEVICE_AT(device.gid) },
};
static const struct field_table device_table = {
	FIELD_TABLE(struct device_entry, device_rows),
	.finish = finish_device,
};

static int read_devices(struct field_ctx *c, const struct json *v, void *dst)
{
	struct spec_devices *l = dst;
	int r = field_expect(c, v, JSON_ARRAY);

	if (r < 0)
		return r;
	l->v = arena_array(c->arena, v->n, sizeof(*l->v));
	if (!l->v)
		return field_no_memory(c);
	for (size_t i = 0; i < v->n; i++) {
		struct device_entry entry = { 0 };
		size_t depth = c->depth;

		field_enter_index(c, i);
		r = field_go_on(c, depth, field_object(c, &device_table, v->items[i], &entry));
		if (r < 0)
			return r;
		c->depth = depth;
		l->v[l->n++] = entry.device;
	}
	return 0;
}

/* ---- network devices ---- */

static const char *interface_name(const char *s)
{
	if (!*s || strlen(s) >= IFNAMSIZ || str_eq(s, ".") || str_eq(s, ".."))
		return "not an interface name";
	return s[strcspn(s, "/: \t\n\v\f\r")] ? "not an interface name" : NULL;
}

static const struct field net_device_rows[] = {
	{ "name", FIELD_STRING, .check = interface_name,
	  .offset = offsetof(struct spec_net_device, name) },
};
static const struct field_table net_device_table = {
	FIELD_TABLE(struct spec_net_device, net_device_rows),
};

/* ---- intelRdt ---- */

/* The name of a directory in the resctrl file system, or "/", the default group. */
static const char *clos_id(const char *s)
{
	if (str_eq(s, "/"))
		return NULL;

	bool dots = str_eq(s, ".") || str_eq(s, "..");

	return dots || s[strcspn(s, "/\n")] ? "not the name of a resctrl group" : NULL;
}

static const char *mem_bw_schema(const char *s)
{
	return str_after(s, "MB:") && !strchr(s, '\n') ? NULL : "not one line that begins with MB:";
}

static const struct field intel_rdt_rows[] = {
	{ "closID", FIELD_STRING, .check = clos_id,
	  .offset = offsetof(struct spec_intel_rdt, clos_id) },
	{ "schemata", FIELD_STRINGS, .check = field_one_line,
	  .offset = offsetof(struct spec_intel_rdt, schemata) },
	{ "l3CacheSchema", FIELD_STRING,
	  .offset = offsetof(struct spec_intel_rdt, l3_cache_schema) },
	{ "memBwSchema", FIELD_STRING, .check = mem_bw_schema,
	  .offset = offsetof(struct spec_intel_rdt, mem_bw_schema) },
	{ "enableMonitoring", FIELD_BOOL,
	  .offset = offsetof(struct spec_intel_rdt, enable_monitoring) },
};
static const struct field_table intel_rdt_table = { FIELD_TABLE(struct spec_intel_rdt,
								intel_rdt_rows) };

/* ---- memory policy, personality ---- */

static const struct field memory_policy_rows[] = {
	{ "mode", FIELD_NAME, .required = true, .names = &names_mempolicy_modes,
	  .offset = offsetof(struct spec_memory_policy, mode) },
	{ "nodes", FIELD_STRING, .check = field_cpu_list,
	  .offset = offsetof(struct spec_memory_policy, nodes) },
	{ "flags", FIELD_FLAGS, .names = &names_mempolicy_flags,
	  .offset = offsetof(struct spec_memory_policy, flags) },
};
static const struct field_table memory_policy_table = {
	FIELD_TABLE(struct spec_memory_policy, memory_policy_rows),
};

static const char *personality_flag(const char *s)
{
	(void)s;
	return "the specification has no personality flags yet";
}

static const struct field personality_rows[] = {
	{ "domain", FIELD_NAME64, .required = true, .names = &names_personalities,
	  .offset = offsetof(struct spec_personality, domain) },
	{ "flags", FIELD_STRINGS, .check = personality_flag,
	  .offset = offsetof(struct spec_personality, flags) },
};
static const struct field_table personality_table = {
	FIELD_TABLE(struct spec_personality, personality_rows),
};

/* ---- all ---- */

#define AT(member) offsetof(struct spec_linux, member)

/* "timeOffsets" has no struct of its own. */
static const struct field time_offsets_rows[] = {
	{ "monotonic", FIELD_OBJECT, .sub = &time_offset_table, .offset = AT(monotonic) },
	{ "boottime", FIELD_OBJECT, .sub = &time_offset_table, .offset = AT(boottime) },
};
static const struct field_table time_offsets_table = { FIELD_TABLE(struct spec_linux,
								   time_offsets_rows) };

static const struct field linux_rows[] = {
	{ "namespaces", FIELD_CUSTOM, .custom = read_namespaces, .offset = AT(ns),
	  .sub = &namespace_table, .each = true },
	{ "uidMappings", FIELD_LIST, .sub = &spec_idmap_table, .offset = AT(uid_mappings) },
	{ "gidMappings", FIELD_LIST, .sub = &spec_idmap_table, .offset = AT(gid_mappings) },
	{ "timeOffsets", FIELD_OBJECT, .sub = &time_offsets_table },
	{ "devices", FIELD_CUSTOM, .custom = read_devices, .offset = AT(devices),
	  .sub = &device_table, .each = true },
	{ "netDevices", FIELD_KEYED, .sub = &net_device_table, .check = interface_name,
	  .offset = AT(net_devices) },
	{ "cgroupsPath", FIELD_STRING, .check = field_one_line, .offset = AT(cgroups_path) },
	{ "resources", FIELD_OBJECT_PTR, .sub = &spec_resources_table, .offset = AT(resources) },
	{ "intelRdt", FIELD_OBJECT_PTR, .sub = &intel_rdt_table, .offset = AT(intel_rdt) },
	{ "memoryPolicy", FIELD_OBJECT_PTR, .sub = &memory_policy_table,
	  .offset = AT(memory_policy) },
	{ "sysctl", FIELD_MAP, .offset = AT(sysctl) },
	{ "seccomp", FIELD_OBJECT_PTR, .sub = &spec_seccomp_table, .offset = AT(seccomp) },
	{ "rootfsPropagation", FIELD_NAME64, .names = &names_propagation,
	  .offset = AT(rootfs_propagation) },
	{ "maskedPaths", FIELD_STRINGS, .check = field_absolute, .offset = AT(masked_paths) },
	{ "readonlyPaths", FIELD_STRINGS, .check = field_absolute, .offset = AT(readonly_paths) },
	{ "mountLabel", FIELD_STRING, .check = field_one_line, .offset = AT(mount_label) },
	{ "personality", FIELD_OBJECT_PTR, .sub = &personality_table, .offset = AT(personality) },
};
const struct field_table spec_linux_table = { FIELD_TABLE(struct spec_linux, linux_rows) };
