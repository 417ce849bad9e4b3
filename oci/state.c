/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/state.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "oci/spec_field.h"

#include <errno.h>
#include <stdlib.h>

const char *const status_names[STATUS_COUNT] = {
	[STATUS_CREATING] = "creating", [STATUS_CREATED] = "created", [STATUS_RUNNING] = "running",
	[STATUS_PAUSED] = "paused",     [STATUS_STOPPED] = "stopped",
};

static const char *known_mode(const char *s)
{
	return str_eq(s, "container") || str_eq(s, "microvm") ? NULL : "unknown mode";
}

static const char *known_driver(const char *s)
{
	return str_eq(s, "cgroupfs") || str_eq(s, "systemd") || str_eq(s, "disabled")
		       ? NULL
		       : "unknown cgroup driver";
}

#define AT(member) offsetof(struct state, member)

/* Written in this order too. */
static const struct field rows[] = {
	{ "ociVersion", FIELD_STRING, .required = true, .offset = AT(oci_version) },
	{ "id", FIELD_STRING, .required = true, .offset = AT(id) },
	{ "pid", FIELD_INT, .required = true, .max = INT32_MAX, .offset = AT(pid) },
	{ "pidStart", FIELD_U64, .required = true, .offset = AT(pid_start) },
	{ "bundle", FIELD_STRING, .required = true, .check = field_absolute, .offset = AT(bundle) },
	{ "rootfs", FIELD_STRING, .check = field_absolute, .offset = AT(rootfs) },
	{ "mode", FIELD_STRING, .required = true, .check = known_mode, .offset = AT(mode) },
	{ "created", FIELD_STRING, .required = true, .offset = AT(created) },
	{ "owner", FIELD_U32, .required = true, .offset = AT(owner) },
	{ "cgroupDriver", FIELD_STRING, .required = true, .check = known_driver,
	  .offset = AT(cgroup_driver) },
	{ "cgroupPath", FIELD_STRING, .offset = AT(cgroup_path) },
	{ "cgroupUnit", FIELD_STRING, .offset = AT(cgroup_unit) },
	{ "rootlessCgroup", FIELD_BOOL, .offset = AT(rootless_cgroup) },
	{ "cloneDir", FIELD_STRING, .offset = AT(clone_dir) },
	{ "cloneLoop", FIELD_STRING, .offset = AT(clone_loop) },
	{ "rdtClos", FIELD_STRING, .check = field_absolute, .offset = AT(rdt_clos) },
	{ "rdtMon", FIELD_STRING, .check = field_absolute, .offset = AT(rdt_mon) },
	{ "rdtClosMade", FIELD_BOOL, .offset = AT(rdt_clos_made) },
	{ "network", FIELD_STRING, .offset = AT(network) },
	{ "vmMemory", FIELD_U64, .offset = AT(vm_memory) },
	{ "noPivot", FIELD_BOOL, .offset = AT(no_pivot) },
	{ "noNewKeyring", FIELD_BOOL, .offset = AT(no_new_keyring) },
	{ "keep", FIELD_BOOL, .offset = AT(keep) },
	{ "annotations", FIELD_MAP, .offset = AT(annotations) },
};
static const struct field_table table = { FIELD_TABLE(struct state, rows) };

static void map_out(struct json_out *j, const struct spec_map *m)
{
	json_out_object(j);
	for (size_t i = 0; i < m->n; i++)
		json_out_kstr(j, m->v[i].key, m->v[i].value);
	json_out_end_object(j);
}

static void field_out(struct json_out *j, const struct field *f, const void *at)
{
	switch (f->kind) {
	case FIELD_STRING:
		if (*(char *const *)at)
			json_out_kstr(j, f->name, *(char *const *)at);
		break;
	case FIELD_INT:
		json_out_ki64(j, f->name, *(const int *)at);
		break;
	case FIELD_U32:
		json_out_ku64(j, f->name, *(const uint32_t *)at);
		break;
	case FIELD_U64:
		json_out_ku64(j, f->name, *(const uint64_t *)at);
		break;
	case FIELD_BOOL:
		json_out_kbool(j, f->name, *(const bool *)at);
		break;
	case FIELD_MAP:
		json_out_key(j, f->name);
		map_out(j, at);
		break;
	default: /* a new kind in the table needs a line here */
		j->buf.failed = true;
		break;
	}
}

int state_format(const struct state *s, char **text, size_t *len, struct err *e)
{
	AUTO(json_out_free) struct json_out j = { .indent = 2 };

	json_out_object(&j);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		field_out(&j, &rows[i], (const char *)s + rows[i].offset);
	json_out_end_object(&j);
	str_buf_add(&j.buf, "\n");
	if (j.buf.failed)
		return err_sys(e, ENOMEM, "state.json");
	*len = j.buf.len;
	*text = TAKE_PTR(j.buf.s);
	return 0;
}

void state_free(struct state *s)
{
	if (!s)
		return;
	arena_free(&s->arena);
	free(s);
}

int state_parse(const char *text, size_t len, struct state **out, struct err *e)
{
	AUTO_STATE struct state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_sys(e, ENOMEM, "state.json");
	r = field_document(&s->arena, "state.json", text, len, &table, s, e);
	if (r < 0)
		return r;
	*out = TAKE_PTR(s);
	return 0;
}

void state_out(struct json_out *j, const struct state *s, enum status status, const char *owner)
{
	json_out_object(j);
	json_out_kstr(j, "ociVersion", s->oci_version);
	json_out_kstr(j, "id", s->id);
	json_out_ki64(j, "pid", status == STATUS_STOPPED ? 0 : s->pid);
	json_out_kstr(j, "status", status_names[status]);
	json_out_kstr(j, "bundle", s->bundle);
	json_out_kstr(j, "rootfs", s->rootfs ? s->rootfs : "");
	json_out_kstr(j, "created", s->created);
	if (s->annotations.n) {
		json_out_key(j, "annotations");
		map_out(j, &s->annotations);
	}
	json_out_kstr(j, "owner", owner ? owner : "");
	json_out_end_object(j);
}

void state_out_hook(struct json_out *j, const struct state *s, enum status status)
{
	json_out_object(j);
	json_out_kstr(j, "ociVersion", s->oci_version);
	json_out_kstr(j, "id", s->id);
	json_out_kstr(j, "status", status_names[status]);
	if (s->pid > 0 && status != STATUS_STOPPED)
		json_out_ki64(j, "pid", s->pid);
	json_out_kstr(j, "bundle", s->bundle);
	if (s->annotations.n) {
		json_out_key(j, "annotations");
		map_out(j, &s->annotations);
	}
	json_out_end_object(j);
}
