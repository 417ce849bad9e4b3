/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/spec_field.h"

static const struct field hook_rows[] = {
	{ "path", FIELD_STRING, .required = true, .check = field_absolute,
	  .offset = offsetof(struct spec_hook, path) },
	{ "args", FIELD_STRINGS, .offset = offsetof(struct spec_hook, args) },
	{ "env", FIELD_STRINGS, .check = field_assignment,
	  .offset = offsetof(struct spec_hook, env) },
	{ "timeout", FIELD_OPT_I64, .min = 1, .max = INT32_MAX,
	  .offset = offsetof(struct spec_hook, timeout) },
};
static const struct field_table hook_table = { FIELD_TABLE(struct spec_hook, hook_rows) };

#define HOOKS(name_, kind_)                                                             \
	{                                                                               \
		(name_), FIELD_LIST, .sub = &hook_table,                                \
				     .offset = offsetof(struct spec_hooks, kind[kind_]) \
	}

static const struct field hooks_rows[] = {
	HOOKS("prestart", HOOK_PRESTART),
	HOOKS("createRuntime", HOOK_CREATE_RUNTIME),
	HOOKS("createContainer", HOOK_CREATE_CONTAINER),
	HOOKS("startContainer", HOOK_START_CONTAINER),
	HOOKS("poststart", HOOK_POSTSTART),
	HOOKS("poststop", HOOK_POSTSTOP),
};
_Static_assert(ARRAY_SIZE(hooks_rows) == HOOK_KINDS, "a hook without a row");

const struct field_table spec_hooks_table = { FIELD_TABLE(struct spec_hooks, hooks_rows) };
