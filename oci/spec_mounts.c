/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/names.h"
#include "oci/spec_field.h"

#include "base/str.h"

static const struct field idmap_rows[] = {
	{ "containerID", FIELD_U32, .required = true,
	  .offset = offsetof(struct spec_idmap, container) },
	{ "hostID", FIELD_U32, .required = true, .offset = offsetof(struct spec_idmap, host) },
	{ "size", FIELD_U32, .required = true, .min = 1,
	  .offset = offsetof(struct spec_idmap, size) },
};
const struct field_table spec_idmap_table = { FIELD_TABLE(struct spec_idmap, idmap_rows) };

static int finish_mount(struct field_ctx *c, void *obj)
{
	const struct spec_mount *m = obj;
	bool bind = false;

	for (size_t i = 0; i < m->options.n; i++) {
		const struct mount_option *o = names_mount_option(m->options.v[i]);

		bind |= o && o->kind == MOPT_BIND;
	}
	if (bind && !m->source)
		return field_error(c, "source", "required for a bind mount");
	if (m->uid_mappings.n && !m->gid_mappings.n)
		return field_error(c, "gidMappings", "required because uidMappings are given");
	if (m->gid_mappings.n && !m->uid_mappings.n)
		return field_error(c, "uidMappings", "required because gidMappings are given");
	return 0;
}

static const struct field mount_rows[] = {
	{ "destination", FIELD_STRING, .required = true,
	  .offset = offsetof(struct spec_mount, destination) },
	{ "type", FIELD_STRING, .offset = offsetof(struct spec_mount, type) },
	{ "source", FIELD_STRING, .offset = offsetof(struct spec_mount, source) },
	{ "options", FIELD_STRINGS, .check = field_not_empty,
	  .offset = offsetof(struct spec_mount, options) },
	{ "uidMappings", FIELD_LIST, .sub = &spec_idmap_table,
	  .offset = offsetof(struct spec_mount, uid_mappings) },
	{ "gidMappings", FIELD_LIST, .sub = &spec_idmap_table,
	  .offset = offsetof(struct spec_mount, gid_mappings) },
};
const struct field_table spec_mount_table = {
	FIELD_TABLE(struct spec_mount, mount_rows),
	.finish = finish_mount,
};
