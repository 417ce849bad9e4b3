/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/names.h"
#include "oci/spec_field.h"

#include "base/str.h"

#define AT(member) offsetof(struct spec_process, member)

static const struct field console_size_rows[] = {
	{ "height", FIELD_U64, .required = true,
	  .offset = offsetof(struct spec_console_size, height) },
	{ "width", FIELD_U64, .required = true,
	  .offset = offsetof(struct spec_console_size, width) },
};
static const struct field_table console_size_table = {
	FIELD_TABLE(struct spec_console_size, console_size_rows),
};

/* The largest number means "as it is" to the kernel. */
#define ID_MAX (UINT32_MAX - 1)

static const struct field user_rows[] = {
	{ "uid", FIELD_U32, .offset = offsetof(struct spec_user, uid), .max = ID_MAX },
	{ "gid", FIELD_U32, .offset = offsetof(struct spec_user, gid), .max = ID_MAX },
	{ "umask", FIELD_OPT_U64, .offset = offsetof(struct spec_user, umask), .max = 0777 },
	{ "additionalGids", FIELD_U32S, .offset = offsetof(struct spec_user, additional_gids),
	  .max = ID_MAX },
	{ "username", FIELD_STRING, .offset = offsetof(struct spec_user, username) },
};
static const struct field_table user_table = { FIELD_TABLE(struct spec_user, user_rows) };

static const struct field capability_rows[] = {
	{ "bounding", FIELD_MASK, .names = &names_capabilities,
	  .offset = offsetof(struct spec_capabilities, bounding) },
	{ "effective", FIELD_MASK, .names = &names_capabilities,
	  .offset = offsetof(struct spec_capabilities, effective) },
	{ "inheritable", FIELD_MASK, .names = &names_capabilities,
	  .offset = offsetof(struct spec_capabilities, inheritable) },
	{ "permitted", FIELD_MASK, .names = &names_capabilities,
	  .offset = offsetof(struct spec_capabilities, permitted) },
	{ "ambient", FIELD_MASK, .names = &names_capabilities,
	  .offset = offsetof(struct spec_capabilities, ambient) },
};
static const struct field_table capability_table = {
	FIELD_TABLE(struct spec_capabilities, capability_rows),
};

static int finish_rlimit(struct field_ctx *c, void *obj)
{
	const struct spec_rlimit *l = obj;

	if (l->soft > l->hard)
		return field_error(c, "soft", "the soft limit %llu is above the hard limit %llu",
				   (unsigned long long)l->soft, (unsigned long long)l->hard);
	return 0;
}

static const struct field rlimit_rows[] = {
	{ "type", FIELD_NAME, .required = true, .names = &names_rlimits,
	  .offset = offsetof(struct spec_rlimit, type) },
	{ "soft", FIELD_U64, .required = true, .offset = offsetof(struct spec_rlimit, soft) },
	{ "hard", FIELD_U64, .required = true, .offset = offsetof(struct spec_rlimit, hard) },
};
static const struct field_table rlimit_table = {
	FIELD_TABLE(struct spec_rlimit, rlimit_rows),
	.finish = finish_rlimit,
};

static int meaningless(struct field_ctx *c, bool given, const char *field, const char *policy)
{
	return given ? field_note(c, field, "has no meaning for the policy %s", policy) : 0;
}

/* sched(7): each policy takes the parameters that mean something to it and no others. */
static int finish_scheduler(struct field_ctx *c, void *obj)
{
	const struct spec_scheduler *s = obj;
	const char *policy = table_name(&names_sched_policies, s->policy);
	bool deadline = str_eq(policy, "SCHED_DEADLINE");
	bool real_time = str_eq(policy, "SCHED_FIFO") || str_eq(policy, "SCHED_RR");

	return meaningless(c, s->priority.v && !real_time, "priority", policy) ?:
	       meaningless(c, s->nice.v && (real_time || deadline), "nice", policy) ?:
	       meaningless(c, s->runtime.v && !deadline, "runtime", policy) ?:
	       meaningless(c, s->deadline.v && !deadline, "deadline", policy) ?:
	       meaningless(c, s->period.v && !deadline, "period", policy);
}

static const struct field scheduler_rows[] = {
	{ "policy", FIELD_NAME, .required = true, .names = &names_sched_policies,
	  .offset = offsetof(struct spec_scheduler, policy) },
	{ "nice", FIELD_OPT_I64, .min = -20, .max = 19,
	  .offset = offsetof(struct spec_scheduler, nice) },
	{ "priority", FIELD_OPT_I64, .min = INT32_MIN, .max = INT32_MAX,
	  .offset = offsetof(struct spec_scheduler, priority) },
	{ "flags", FIELD_FLAGS, .names = &names_sched_flags,
	  .offset = offsetof(struct spec_scheduler, flags) },
	{ "runtime", FIELD_OPT_U64, .offset = offsetof(struct spec_scheduler, runtime) },
	{ "deadline", FIELD_OPT_U64, .offset = offsetof(struct spec_scheduler, deadline) },
	{ "period", FIELD_OPT_U64, .offset = offsetof(struct spec_scheduler, period) },
};
static const struct field_table scheduler_table = {
	FIELD_TABLE(struct spec_scheduler, scheduler_rows),
	.finish = finish_scheduler,
};

static const struct field io_priority_rows[] = {
	{ "class", FIELD_NAME, .required = true, .names = &names_ioprio_classes,
	  .offset = offsetof(struct spec_io_priority, class) },
	{ "priority", FIELD_INT, .max = 7, .offset = offsetof(struct spec_io_priority, priority) },
};
static const struct field_table io_priority_table = {
	FIELD_TABLE(struct spec_io_priority, io_priority_rows),
};

static const struct field cpu_affinity_rows[] = {
	{ "initial", FIELD_STRING, .check = field_cpu_list,
	  .offset = offsetof(struct spec_cpu_affinity, initial) },
	{ "final", FIELD_STRING, .check = field_cpu_list,
	  .offset = offsetof(struct spec_cpu_affinity, final) },
};
static const struct field_table cpu_affinity_table = {
	FIELD_TABLE(struct spec_cpu_affinity, cpu_affinity_rows),
};

static int check_cells(struct field_ctx *c, const char *field, uint64_t n)
{
	if (n <= UINT16_MAX)
		return 0;
	return field_note(c, field, "out of range 0 to 65535: %llu", (unsigned long long)n);
}

static int finish_process(struct field_ctx *c, void *obj)
{
	struct spec_process *p = obj;
	int r;

	if (!p->terminal)
		p->console_size = NULL; /* the specification: ignored then */
	if (!p->console_size)
		return 0;
	field_enter_key(c, "consoleSize");
	r = check_cells(c, "height", p->console_size->height)
		    ?: check_cells(c, "width", p->console_size->width);
	if (r < 0)
		return r;
	field_leave(c);
	return 0;
}

static const struct field process_rows[] = {
	{ "terminal", FIELD_BOOL, .offset = AT(terminal) },
	{ "consoleSize", FIELD_OBJECT_PTR, .sub = &console_size_table, .offset = AT(console_size) },
	{ "user", FIELD_OBJECT, .sub = &user_table, .offset = AT(user) },
	{ "args", FIELD_STRINGS, .offset = AT(args) },
	{ "commandLine", FIELD_STRING, .offset = AT(command_line) },
	{ "env", FIELD_STRINGS, .check = field_assignment, .offset = AT(env) },
	{ "cwd", FIELD_STRING, .required = true, .check = field_absolute, .offset = AT(cwd) },
	{ "capabilities", FIELD_OBJECT_PTR, .sub = &capability_table, .offset = AT(capabilities) },
	{ "rlimits", FIELD_LIST, .sub = &rlimit_table, .offset = AT(rlimits) },
	{ "noNewPrivileges", FIELD_BOOL, .offset = AT(no_new_privileges) },
	{ "apparmorProfile", FIELD_STRING, .check = field_one_line,
	  .offset = AT(apparmor_profile) },
	{ "selinuxLabel", FIELD_STRING, .check = field_one_line, .offset = AT(selinux_label) },
	{ "oomScoreAdj", FIELD_OPT_I64, .min = -1000, .max = 1000, .offset = AT(oom_score_adj) },
	{ "scheduler", FIELD_OBJECT_PTR, .sub = &scheduler_table, .offset = AT(scheduler) },
	{ "ioPriority", FIELD_OBJECT_PTR, .sub = &io_priority_table, .offset = AT(io_priority) },
	{ "execCPUAffinity", FIELD_OBJECT_PTR, .sub = &cpu_affinity_table,
	  .offset = AT(exec_cpu_affinity) },
};
const struct field_table spec_process_table = {
	FIELD_TABLE(struct spec_process, process_rows),
	.finish = finish_process,
};
