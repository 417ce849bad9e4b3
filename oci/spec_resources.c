/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/spec_field.h"

#include <string.h>

#define DEVICE_NUMBER_MAX UINT32_MAX

/* ---- devices ---- */

static const char *access_letters(const char *s)
{
	return s[strspn(s, "rwm")] ? "must consist of the letters rwm" : NULL;
}

static int finish_device_rule(struct field_ctx *c, void *obj)
{
	struct spec_device_rule *r = obj;

	(void)c;
	if (!r->type)
		r->type = 'a';
	/* -1 is an older way to say "any". */
	if (r->major.v == -1)
		r->major = (struct opt_i64){ 0 };
	if (r->minor.v == -1)
		r->minor = (struct opt_i64){ 0 };
	return 0;
}

static const struct field device_rule_rows[] = {
	{ "allow", FIELD_BOOL, .required = true,
	  .offset = offsetof(struct spec_device_rule, allow) },
	{ "type", FIELD_CHAR, .chars = "abc", .offset = offsetof(struct spec_device_rule, type) },
	{ "major", FIELD_OPT_I64, .min = -1, .max = DEVICE_NUMBER_MAX,
	  .offset = offsetof(struct spec_device_rule, major) },
	{ "minor", FIELD_OPT_I64, .min = -1, .max = DEVICE_NUMBER_MAX,
	  .offset = offsetof(struct spec_device_rule, minor) },
	{ "access", FIELD_STRING, .check = access_letters,
	  .offset = offsetof(struct spec_device_rule, access) },
};
static const struct field_table device_rule_table = {
	FIELD_TABLE(struct spec_device_rule, device_rule_rows),
	.finish = finish_device_rule,
};

/* ---- memory, cpu, pids ---- */

#define MEMORY_AT(member) offsetof(struct spec_memory, member)

static const struct field memory_rows[] = {
	{ "limit", FIELD_OPT_I64, .min = -1, .offset = MEMORY_AT(limit) },
	{ "reservation", FIELD_OPT_I64, .min = -1, .offset = MEMORY_AT(reservation) },
	{ "swap", FIELD_OPT_I64, .min = -1, .offset = MEMORY_AT(swap) },
	{ "kernel", FIELD_OPT_I64, .min = -1, .offset = MEMORY_AT(kernel) },
	{ "kernelTCP", FIELD_OPT_I64, .min = -1, .offset = MEMORY_AT(kernel_tcp) },
	{ "swappiness", FIELD_OPT_U64, .max = 100, .offset = MEMORY_AT(swappiness) },
	{ "disableOOMKiller", FIELD_OPT_BOOL, .offset = MEMORY_AT(disable_oom_killer) },
	{ "useHierarchy", FIELD_OPT_BOOL, .offset = MEMORY_AT(use_hierarchy) },
	{ "checkBeforeUpdate", FIELD_OPT_BOOL, .offset = MEMORY_AT(check_before_update) },
};
static const struct field_table memory_table = { FIELD_TABLE(struct spec_memory, memory_rows) };

#define CPU_AT(member) offsetof(struct spec_cpu, member)

static const struct field cpu_rows[] = {
	{ "shares", FIELD_OPT_U64, .offset = CPU_AT(shares) },
	{ "quota", FIELD_OPT_I64, .min = -1, .offset = CPU_AT(quota) },
	{ "burst", FIELD_OPT_U64, .offset = CPU_AT(burst) },
	{ "period", FIELD_OPT_U64, .offset = CPU_AT(period) },
	{ "realtimeRuntime", FIELD_OPT_I64, .min = -1, .offset = CPU_AT(realtime_runtime) },
	{ "realtimePeriod", FIELD_OPT_U64, .offset = CPU_AT(realtime_period) },
	{ "idle", FIELD_OPT_I64, .max = 1, .offset = CPU_AT(idle) },
	{ "cpus", FIELD_STRING, .check = field_one_line, .offset = CPU_AT(cpus) },
	{ "mems", FIELD_STRING, .check = field_one_line, .offset = CPU_AT(mems) },
};
static const struct field_table cpu_table = { FIELD_TABLE(struct spec_cpu, cpu_rows) };

/* "pids" has one member; it lives in spec_resources itself. */
static const struct field pids_rows[] = {
	{ "limit", FIELD_OPT_I64, .required = true, .min = -1,
	  .offset = offsetof(struct spec_resources, pids_limit) },
};
static const struct field_table pids_table = { FIELD_TABLE(struct spec_resources, pids_rows) };

/* ---- block I/O ---- */

/* 0 is what some callers send for "not set". */
static int check_weight(struct field_ctx *c, const char *field, struct opt_u64 w)
{
	if (w.v && w.v < 10)
		return field_note(c, field, "out of range 10 to 1000: %llu",
				  (unsigned long long)w.v);
	return 0;
}

static int finish_weight_device(struct field_ctx *c, void *obj)
{
	const struct spec_weight_device *d = obj;

	if (!d->weight.set && !d->leaf_weight.set)
		return field_error(c, NULL, "weight or leafWeight is required");
	return check_weight(c, "weight", d->weight)
		       ?: check_weight(c, "leafWeight", d->leaf_weight);
}

static const struct field weight_device_rows[] = {
	{ "major", FIELD_I64, .required = true, .max = DEVICE_NUMBER_MAX,
	  .offset = offsetof(struct spec_weight_device, major) },
	{ "minor", FIELD_I64, .required = true, .max = DEVICE_NUMBER_MAX,
	  .offset = offsetof(struct spec_weight_device, minor) },
	{ "weight", FIELD_OPT_U64, .max = 1000,
	  .offset = offsetof(struct spec_weight_device, weight) },
	{ "leafWeight", FIELD_OPT_U64, .max = 1000,
	  .offset = offsetof(struct spec_weight_device, leaf_weight) },
};
static const struct field_table weight_device_table = {
	FIELD_TABLE(struct spec_weight_device, weight_device_rows),
	.finish = finish_weight_device,
};

static const struct field throttle_device_rows[] = {
	{ "major", FIELD_I64, .required = true, .max = DEVICE_NUMBER_MAX,
	  .offset = offsetof(struct spec_throttle_device, major) },
	{ "minor", FIELD_I64, .required = true, .max = DEVICE_NUMBER_MAX,
	  .offset = offsetof(struct spec_throttle_device, minor) },
	{ "rate", FIELD_U64, .required = true,
	  .offset = offsetof(struct spec_throttle_device, rate) },
};
static const struct field_table throttle_device_table = {
	FIELD_TABLE(struct spec_throttle_device, throttle_device_rows),
};

static int finish_block_io(struct field_ctx *c, void *obj)
{
	const struct spec_block_io *b = obj;

	return check_weight(c, "weight", b->weight)
		       ?: check_weight(c, "leafWeight", b->leaf_weight);
}

#define BLOCK_AT(member) offsetof(struct spec_block_io, member)

static const struct field block_io_rows[] = {
	{ "weight", FIELD_OPT_U64, .max = 1000, .offset = BLOCK_AT(weight) },
	{ "leafWeight", FIELD_OPT_U64, .max = 1000, .offset = BLOCK_AT(leaf_weight) },
	{ "weightDevice", FIELD_LIST, .sub = &weight_device_table,
	  .offset = BLOCK_AT(weight_device) },
	{ "throttleReadBpsDevice", FIELD_LIST, .sub = &throttle_device_table,
	  .offset = BLOCK_AT(throttle_read_bps) },
	{ "throttleWriteBpsDevice", FIELD_LIST, .sub = &throttle_device_table,
	  .offset = BLOCK_AT(throttle_write_bps) },
	{ "throttleReadIOPSDevice", FIELD_LIST, .sub = &throttle_device_table,
	  .offset = BLOCK_AT(throttle_read_iops) },
	{ "throttleWriteIOPSDevice", FIELD_LIST, .sub = &throttle_device_table,
	  .offset = BLOCK_AT(throttle_write_iops) },
};
static const struct field_table block_io_table = {
	FIELD_TABLE(struct spec_block_io, block_io_rows),
	.finish = finish_block_io,
};

/* ---- huge pages, network, rdma, unified ---- */

static const char *page_size(const char *s)
{
	size_t n = strspn(s, "0123456789");

	if (n && *s != '0' && s[n] && strchr("KMG", s[n]) && s[n + 1] == 'B' && !s[n + 2])
		return NULL;
	return "not a page size such as 64KB, 2MB or 1GB";
}

static const struct field hugepage_rows[] = {
	{ "pageSize", FIELD_STRING, .required = true, .check = page_size,
	  .offset = offsetof(struct spec_hugepage_limit, page_size) },
	{ "limit", FIELD_U64, .required = true,
	  .offset = offsetof(struct spec_hugepage_limit, limit) },
};
static const struct field_table hugepage_table = {
	FIELD_TABLE(struct spec_hugepage_limit, hugepage_rows),
};

static const struct field net_priority_rows[] = {
	{ "name", FIELD_STRING, .required = true, .check = field_one_line,
	  .offset = offsetof(struct spec_net_priority, name) },
	{ "priority", FIELD_U32, .required = true,
	  .offset = offsetof(struct spec_net_priority, priority) },
};
static const struct field_table net_priority_table = {
	FIELD_TABLE(struct spec_net_priority, net_priority_rows),
};

static const struct field network_rows[] = {
	{ "classID", FIELD_OPT_U64, .max = UINT32_MAX,
	  .offset = offsetof(struct spec_network, class_id) },
	{ "priorities", FIELD_LIST, .sub = &net_priority_table,
	  .offset = offsetof(struct spec_network, priorities) },
};
static const struct field_table network_table = { FIELD_TABLE(struct spec_network, network_rows) };

static int finish_rdma(struct field_ctx *c, void *obj)
{
	const struct spec_rdma *r = obj;

	if (!r->handles.set && !r->objects.set)
		return field_error(c, NULL, "hcaHandles or hcaObjects is required");
	return 0;
}

static const char *rdma_device(const char *s)
{
	return *s && !s[strcspn(s, " \n")] ? NULL : "not a device name";
}

static const struct field rdma_rows[] = {
	{ "hcaHandles", FIELD_OPT_U64, .max = UINT32_MAX,
	  .offset = offsetof(struct spec_rdma, handles) },
	{ "hcaObjects", FIELD_OPT_U64, .max = UINT32_MAX,
	  .offset = offsetof(struct spec_rdma, objects) },
};
static const struct field_table rdma_table = {
	FIELD_TABLE(struct spec_rdma, rdma_rows),
	.finish = finish_rdma,
};

/* The key becomes the name of a file in the container's cgroup and must not lead anywhere else. */
static const char *cgroup_file(const char *s)
{
	return *s != '.' && !strchr(s, '/') ? NULL : "not the name of a cgroup file";
}

/* ---- all ---- */

#define AT(member) offsetof(struct spec_resources, member)

static const struct field resources_rows[] = {
	{ "devices", FIELD_LIST, .sub = &device_rule_table, .offset = AT(devices) },
	{ "memory", FIELD_OBJECT_PTR, .sub = &memory_table, .offset = AT(memory) },
	{ "cpu", FIELD_OBJECT_PTR, .sub = &cpu_table, .offset = AT(cpu) },
	{ "pids", FIELD_OBJECT, .sub = &pids_table },
	{ "blockIO", FIELD_OBJECT_PTR, .sub = &block_io_table, .offset = AT(block_io) },
	{ "hugepageLimits", FIELD_LIST, .sub = &hugepage_table, .offset = AT(hugepage_limits) },
	{ "network", FIELD_OBJECT_PTR, .sub = &network_table, .offset = AT(network) },
	{ "rdma", FIELD_KEYED, .sub = &rdma_table, .check = rdma_device, .offset = AT(rdma) },
	{ "unified", FIELD_MAP, .check = cgroup_file, .offset = AT(unified) },
};
const struct field_table spec_resources_table = {
	FIELD_TABLE(struct spec_resources, resources_rows),
};
