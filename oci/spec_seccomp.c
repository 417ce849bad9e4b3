/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/names.h"
#include "oci/spec_field.h"

#include <sys/un.h>

/* The kernel has 16 bits for the data of an action and knows no error number above this. */
#define ERRNO_MAX 4095

static int check_errno(struct field_ctx *c, const char *field, uint32_t action, struct opt_u64 ret)
{
	if (!ret.set)
		return 0;
	if (action != ACT_ERRNO && action != ACT_TRACE)
		return field_error(c, field, "the action %s takes no error number",
				   table_name(&names_seccomp_actions, action));
	if (action == ACT_ERRNO && ret.v > ERRNO_MAX)
		return field_error(c, field, "out of range 0 to %d: %llu", ERRNO_MAX,
				   (unsigned long long)ret.v);
	return 0;
}

static const struct field arg_rows[] = {
	{ "index", FIELD_U32, .required = true, .max = 5,
	  .offset = offsetof(struct spec_syscall_arg, index) },
	{ "value", FIELD_U64, .required = true,
	  .offset = offsetof(struct spec_syscall_arg, value) },
	{ "valueTwo", FIELD_U64, .offset = offsetof(struct spec_syscall_arg, value_two) },
	{ "op", FIELD_NAME, .required = true, .names = &names_seccomp_ops,
	  .offset = offsetof(struct spec_syscall_arg, op) },
};
static const struct field_table arg_table = { FIELD_TABLE(struct spec_syscall_arg, arg_rows) };

static int finish_syscall(struct field_ctx *c, void *obj)
{
	const struct spec_syscall *s = obj;

	return check_errno(c, "errnoRet", s->action, s->errno_ret);
}

static const struct field syscall_rows[] = {
	{ "names", FIELD_STRINGS, .required = true, .min_items = 1, .check = field_not_empty,
	  .offset = offsetof(struct spec_syscall, names) },
	{ "action", FIELD_NAME, .required = true, .names = &names_seccomp_actions,
	  .offset = offsetof(struct spec_syscall, action) },
	{ "errnoRet", FIELD_OPT_U64, .max = UINT16_MAX,
	  .offset = offsetof(struct spec_syscall, errno_ret) },
	{ "args", FIELD_LIST, .sub = &arg_table, .offset = offsetof(struct spec_syscall, args) },
};
static const struct field_table syscall_table = {
	FIELD_TABLE(struct spec_syscall, syscall_rows),
	.finish = finish_syscall,
};

static const char *socket_path(const char *s)
{
	if (*s != '/')
		return "not an absolute path";
	return strlen(s) < sizeof(((struct sockaddr_un *)NULL)->sun_path)
		       ? NULL
		       : "longer than the name of a socket can be";
}

static int finish_seccomp(struct field_ctx *c, void *obj)
{
	const struct spec_seccomp *s = obj;
	int r = 0;

	if (s->default_action == ACT_NOTIFY)
		r = field_note(c, "defaultAction", "SCMP_ACT_NOTIFY cannot be the default action");
	if (r == 0 && s->listener_metadata && !s->listener_path)
		r = field_note(c, "listenerMetadata", "listenerPath is missing");
	return r ?: check_errno(c, "defaultErrnoRet", s->default_action, s->default_errno_ret);
}

static const struct field seccomp_rows[] = {
	{ "defaultAction", FIELD_NAME, .required = true, .names = &names_seccomp_actions,
	  .offset = offsetof(struct spec_seccomp, default_action) },
	{ "defaultErrnoRet", FIELD_OPT_U64, .max = UINT16_MAX,
	  .offset = offsetof(struct spec_seccomp, default_errno_ret) },
	{ "architectures", FIELD_STRINGS, .names = &names_seccomp_archs,
	  .offset = offsetof(struct spec_seccomp, architectures) },
	{ "flags", FIELD_OPT_FLAGS, .names = &names_seccomp_flags,
	  .offset = offsetof(struct spec_seccomp, flags) },
	{ "listenerPath", FIELD_STRING, .check = socket_path,
	  .offset = offsetof(struct spec_seccomp, listener_path) },
	{ "listenerMetadata", FIELD_STRING,
	  .offset = offsetof(struct spec_seccomp, listener_metadata) },
	{ "syscalls", FIELD_LIST, .sub = &syscall_table,
	  .offset = offsetof(struct spec_seccomp, syscalls) },
};
const struct field_table spec_seccomp_table = {
	FIELD_TABLE(struct spec_seccomp, seccomp_rows),
	.finish = finish_seccomp,
};
