/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/spec_update.h"

#include "base/cleanup.h"
#include "oci/json_edit.h"

#include <errno.h>

/* How one member is laid over another. A member without a rule is replaced. */
struct rule {
	const char *key;
	bool unless_empty;      /* 0 and "" mean "not given" */
	const struct rule *sub; /* an object: its members */
	const char *by[2];      /* a list: the members that say which entry it is */
	bool map;               /* an object with free keys: each is replaced */
};

static const struct rule memory_rules[] = {
	{ "limit", .unless_empty = true },     { "reservation", .unless_empty = true },
	{ "swap", .unless_empty = true },      { "kernel", .unless_empty = true },
	{ "kernelTCP", .unless_empty = true }, {},
};

static const struct rule cpu_rules[] = {
	{ "shares", .unless_empty = true },         { "quota", .unless_empty = true },
	{ "period", .unless_empty = true },         { "realtimeRuntime", .unless_empty = true },
	{ "realtimePeriod", .unless_empty = true }, { "cpus", .unless_empty = true },
	{ "mems", .unless_empty = true },           {},
};

static const struct rule pids_rules[] = { {} };

static const struct rule block_io_rules[] = {
	{ "weight", .unless_empty = true },
	{ "leafWeight", .unless_empty = true },
	{ "weightDevice", .by = { "major", "minor" } },
	{ "throttleReadBpsDevice", .by = { "major", "minor" } },
	{ "throttleWriteBpsDevice", .by = { "major", "minor" } },
	{ "throttleReadIOPSDevice", .by = { "major", "minor" } },
	{ "throttleWriteIOPSDevice", .by = { "major", "minor" } },
	{},
};

static const struct rule network_rules[] = {
	{ "classID", .unless_empty = true },
	{ "priorities", .by = { "name" } },
	{},
};

static const struct rule resources_rules[] = {
	{ "memory", .sub = memory_rules },
	{ "cpu", .sub = cpu_rules },
	{ "pids", .sub = pids_rules },
	{ "blockIO", .sub = block_io_rules },
	{ "hugepageLimits", .by = { "pageSize" } },
	{ "network", .sub = network_rules },
	{ "rdma", .map = true },
	{ "unified", .map = true },
	{},
};

static bool is_empty(const struct json *v)
{
	return (v->type == JSON_STRING && !*v->text) ||
	       (v->type == JSON_NUMBER && str_eq(v->text, "0"));
}

static bool same_entry(const struct json *a, const struct json *b, const char *const by[2])
{
	for (size_t i = 0; i < 2 && by[i]; i++) {
		const struct json *x = json_get(a, by[i]), *y = json_get(b, by[i]);

		if (!x || !y || x->type != y->type || !x->text || !str_eq(x->text, y->text))
			return false;
	}
	return true;
}

static int merge_entry(struct arena *a, struct json *to, const struct json *from)
{
	for (size_t i = 0; i < from->n; i++)
		if (from->items[i]->type != JSON_NULL &&
		    !json_edit_set(a, to, from->keys[i], from->items[i]))
			return -ENOMEM;
	return 0;
}

/* Entries of another type than object are taken over as they are: parsing the result refuses them.
 */
static int merge_list(struct arena *a, struct json *to, const struct json *from,
		      const struct rule *r)
{
	for (size_t i = 0; i < from->n; i++) {
		struct json *entry = from->items[i];
		size_t j = to->n;

		if (entry->type == JSON_OBJECT)
			for (j = 0; j < to->n; j++)
				if (to->items[j]->type == JSON_OBJECT &&
				    same_entry(to->items[j], entry, r->by))
					break;
		if (j < to->n ? merge_entry(a, to->items[j], entry) < 0
			      : !json_edit_push(a, to, entry))
			return -ENOMEM;
	}
	return 0;
}

/* The limits that a device of rdma has and that are not asked for stay. */
static int merge_map(struct arena *a, struct json *to, const struct json *from)
{
	for (size_t i = 0; i < from->n; i++) {
		struct json *v = from->items[i], *old = json_edit_get(to, from->keys[i]);
		int r = 0;

		if (old && old->type == JSON_OBJECT && v->type == JSON_OBJECT)
			r = merge_entry(a, old, v);
		else if (v->type != JSON_NULL && !json_edit_set(a, to, from->keys[i], v))
			r = -ENOMEM;
		if (r < 0)
			return r;
	}
	return 0;
}

static const struct rule *find_rule(const struct rule *rules, const char *key)
{
	static const struct rule replace = { .key = "" };

	for (; rules->key; rules++)
		if (str_eq(rules->key, key))
			return rules;
	return &replace;
}

/* One member of `from` into `to`. *deeper: both are objects that are to be merged by r->sub. */
static int merge_member(struct arena *a, struct json *to, const char *key, struct json *v,
			const struct rule *r, struct json **deeper)
{
	struct json *old = json_edit_get(to, key);
	bool same = old && old->type == v->type;

	*deeper = NULL;
	if (v->type == JSON_NULL || (r->unless_empty && is_empty(v)))
		return 0;
	if (v->type == JSON_OBJECT && r->sub) {
		if (!same)
			old = json_edit_set(a, to, key, json_edit_new(a, JSON_OBJECT));
		*deeper = old;
		return old ? 0 : -ENOMEM;
	}
	if (same && v->type == JSON_OBJECT && r->map)
		return merge_map(a, old, v);
	if (same && v->type == JSON_ARRAY && r->by[0])
		return merge_list(a, old, v, r);
	return json_edit_set(a, to, key, v) ? 0 : -ENOMEM;
}

static int merge_members(struct arena *a, struct json *to, const struct json *from,
			 const struct rule *rules)
{
	struct json *none;
	int r = 0;

	for (size_t i = 0; i < from->n && r == 0; i++)
		r = merge_member(a, to, from->keys[i], from->items[i],
				 find_rule(rules, from->keys[i]), &none);
	return r;
}

/* Two levels are all there are. */
static int merge_resources(struct arena *a, struct json *to, const struct json *from)
{
	for (size_t i = 0; i < from->n; i++) {
		const struct rule *rule = find_rule(resources_rules, from->keys[i]);
		struct json *deeper;
		int r = merge_member(a, to, from->keys[i], from->items[i], rule, &deeper);

		if (r == 0 && deeper)
			r = merge_members(a, deeper, from->items[i], rule->sub);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_number(const struct json *o, const char *key, const char *number)
{
	const struct json *v = o ? json_get(o, key) : NULL;

	return v && v->type == JSON_NUMBER && (!number || str_eq(v->text, number));
}

/* The limit on memory and swap together cannot be below the one on memory. */
static int lift_swap(struct arena *a, struct json *to, const struct json *change)
{
	const struct json *m = json_get(change, "memory");
	struct json *memory = json_edit_get(to, "memory");

	if (!m || m->type != JSON_OBJECT || !memory || !is_number(m, "limit", "-1") ||
	    (is_number(m, "swap", NULL) && !is_number(m, "swap", "0")) ||
	    !is_number(memory, "swap", NULL))
		return 0;
	return json_edit_set(a, memory, "swap", json_edit_number(a, -1)) ? 0 : -ENOMEM;
}

static int open_member(struct arena *a, struct json *o, const char *key, struct json **out,
		       struct err *e)
{
	struct json *v = json_edit_get(o, key);

	if (v && v->type != JSON_OBJECT)
		return err_set(e, EINVAL, "config.json: %s: not an object", key);
	if (!v)
		v = json_edit_set(a, o, key, json_edit_new(a, JSON_OBJECT));
	*out = v;
	return v ? 0 : err_sys(e, ENOMEM, "update the configuration");
}

static int parse(struct arena *a, const char *what, const char *text, size_t len, struct json **out,
		 struct err *e)
{
	int r = json_parse(a, what, text, len, out, e);

	if (r == 0 && (*out)->type != JSON_OBJECT)
		return err_set(e, EINVAL, "%s: not an object", what);
	return r;
}

static int write_out(const struct json *root, char **out, size_t *len, struct err *e)
{
	AUTO(json_out_free) struct json_out j = { .indent = 2 };
	int r = json_edit_emit(&j, root, e);

	if (r < 0)
		return err_wrap(e, "config.json");
	str_buf_add(&j.buf, "\n");
	if (j.buf.failed)
		return err_sys(e, ENOMEM, "update the configuration");
	*len = j.buf.len;
	*out = TAKE_PTR(j.buf.s);
	return 0;
}

int spec_update_merge(enum spec_update_base kind, const char *base, size_t base_len,
		      const char *change, size_t change_len, char **out, size_t *len, struct err *e)
{
	AUTO(arena_free) struct arena a = { 0 };
	struct json *root, *to, *from;
	bool config = kind == SPEC_UPDATE_CONFIG;
	int r = parse(&a, config ? "config.json" : "resources", base, base_len, &root, e);

	if (r == 0)
		r = parse(&a, "resources", change, change_len, &from, e);
	to = root;
	if (r == 0 && config)
		r = open_member(&a, root, "linux", &to, e);
	if (r == 0 && config)
		r = open_member(&a, to, "resources", &to, e);
	if (r < 0)
		return r;
	if (merge_resources(&a, to, from) < 0 || lift_swap(&a, to, from) < 0)
		return err_sys(e, ENOMEM, "update the configuration");
	return write_out(root, out, len, e);
}

int spec_update_leave_devices(const char *resources, size_t resources_len, char **out, size_t *len,
			      struct err *e)
{
	AUTO(arena_free) struct arena a = { 0 };
	struct json *root;
	bool others = false;
	int r = parse(&a, "resources", resources, resources_len, &root, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < root->n; i++)
		others |= root->items[i]->type != JSON_NULL && !str_eq(root->keys[i], "devices");
	if (!others || !json_get(root, "devices"))
		return 0;
	if (!json_edit_set(&a, root, "devices", json_edit_new(&a, JSON_NULL)))
		return err_sys(e, ENOMEM, "update the configuration");
	r = write_out(root, out, len, e);
	return r < 0 ? r : 1;
}
