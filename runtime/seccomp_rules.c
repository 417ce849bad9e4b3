/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/seccomp_rules.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "oci/names.h"

#include <errno.h>
#include <sys/syscall.h>
#include <linux/seccomp.h>
#include <unistd.h>

#define ERRNO_MAX 4095
#define ARGS_MAX 6

static const struct {
	const char *name;
	uint32_t token;
} archs[] = {
	{ "SCMP_ARCH_X86", SCMP_ARCH_X86 },
	{ "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64 },
	{ "SCMP_ARCH_X32", SCMP_ARCH_X32 },
	{ "SCMP_ARCH_ARM", SCMP_ARCH_ARM },
	{ "SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64 },
	{ "SCMP_ARCH_MIPS", SCMP_ARCH_MIPS },
	{ "SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64 },
	{ "SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32 },
	{ "SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL },
	{ "SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64 },
	{ "SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32 },
	{ "SCMP_ARCH_PPC", SCMP_ARCH_PPC },
	{ "SCMP_ARCH_PPC64", SCMP_ARCH_PPC64 },
	{ "SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE },
	{ "SCMP_ARCH_S390", SCMP_ARCH_S390 },
	{ "SCMP_ARCH_S390X", SCMP_ARCH_S390X },
	{ "SCMP_ARCH_PARISC", SCMP_ARCH_PARISC },
	{ "SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64 },
	{ "SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64 },
#ifdef SCMP_ARCH_LOONGARCH64
	{ "SCMP_ARCH_LOONGARCH64", SCMP_ARCH_LOONGARCH64 },
#endif
#ifdef SCMP_ARCH_M68K
	{ "SCMP_ARCH_M68K", SCMP_ARCH_M68K },
#endif
#ifdef SCMP_ARCH_SH
	{ "SCMP_ARCH_SH", SCMP_ARCH_SH },
#endif
#ifdef SCMP_ARCH_SHEB
	{ "SCMP_ARCH_SHEB", SCMP_ARCH_SHEB },
#endif
};

uint32_t seccomp_rules_arch(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(archs); i++)
		if (str_eq(archs[i].name, name))
			return archs[i].token;
	return 0;
}

/* libseccomp's and the kernel's value of each action. */
static const struct {
	uint32_t scmp, kernel;
} actions[] = {
	[ACT_KILL_THREAD] = { SCMP_ACT_KILL_THREAD, SECCOMP_RET_KILL_THREAD },
	[ACT_KILL_PROCESS] = { SCMP_ACT_KILL_PROCESS, SECCOMP_RET_KILL_PROCESS },
	[ACT_TRAP] = { SCMP_ACT_TRAP, SECCOMP_RET_TRAP },
	[ACT_ERRNO] = { SCMP_ACT_ERRNO(0), SECCOMP_RET_ERRNO },
	[ACT_TRACE] = { SCMP_ACT_TRACE(0), SECCOMP_RET_TRACE },
	[ACT_ALLOW] = { SCMP_ACT_ALLOW, SECCOMP_RET_ALLOW },
	[ACT_LOG] = { SCMP_ACT_LOG, SECCOMP_RET_LOG },
	[ACT_NOTIFY] = { SCMP_ACT_NOTIFY, SECCOMP_RET_USER_NOTIF },
};

static const int ops[] = {
	[OP_NE] = SCMP_CMP_NE,
	[OP_LT] = SCMP_CMP_LT,
	[OP_LE] = SCMP_CMP_LE,
	[OP_EQ] = SCMP_CMP_EQ,
	[OP_GE] = SCMP_CMP_GE,
	[OP_GT] = SCMP_CMP_GT,
	[OP_MASKED_EQ] = SCMP_CMP_MASKED_EQ,
};

/* where: the JSON path of the object; the fields are where + action and where + ret. */
static int action_value(uint32_t action, const struct opt_u64 *ret, const char *where,
			const char *act_field, const char *ret_field, uint32_t *out, struct err *e)
{
	uint64_t data = ret->set ? ret->v : EPERM;
	uint64_t max = action == ACT_ERRNO ? ERRNO_MAX : UINT16_MAX;

	if (action >= ARRAY_SIZE(actions))
		return err_set(e, EINVAL, "%s.%s: unknown action %u", where, act_field, action);
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &actions[action].kernel) < 0)
		return err_set(e, EOPNOTSUPP, "%s.%s: %s: not supported by this kernel", where,
			       act_field, table_name(&names_seccomp_actions, action));
	*out = actions[action].scmp;
	if (action != ACT_ERRNO && action != ACT_TRACE)
		return ret->set ? err_set(e, EINVAL, "%s.%s: the action %s takes no error number",
					  where, ret_field,
					  table_name(&names_seccomp_actions, action))
				: 0;
	if (data > max)
		return err_set(e, ERANGE, "%s.%s: out of range 0 to %llu: %llu", where, ret_field,
			       (unsigned long long)max, (unsigned long long)data);
	*out |= (uint32_t)data;
	return 0;
}

int seccomp_rules_default(const struct spec_seccomp *s, uint32_t *action, struct err *e)
{
	if (s->default_action == ACT_NOTIFY)
		return err_set(e, EINVAL,
			       "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be "
			       "the default action");
	return action_value(s->default_action, &s->default_errno_ret, "linux.seccomp",
			    "defaultAction", "defaultErrnoRet", action, e);
}

/* One rule list to be added for each name of an entry of linux.seccomp.syscalls. */
struct rule {
	const char *where;
	uint32_t action;
	struct scmp_arg_cmp cmp[ARGS_MAX];
	size_t n_cmp;
	const struct spec_syscall_args *args;
	bool any; /* conditions on the same argument: each is a rule of its own, as with runc */
};

static int one_condition(const struct spec_syscall_arg *a, const char *where, size_t i,
			 struct scmp_arg_cmp *out, struct err *e)
{
	if (a->index >= ARGS_MAX)
		return err_set(e, ERANGE, "%s.args[%zu].index: out of range 0 to %d: %u", where, i,
			       ARGS_MAX - 1, a->index);
	if (a->op >= ARRAY_SIZE(ops))
		return err_set(e, EINVAL, "%s.args[%zu].op: unknown operator %u", where, i, a->op);
	*out = (struct scmp_arg_cmp){
		.arg = a->index,
		.op = (enum scmp_compare)ops[a->op],
		.datum_a = a->value,
		.datum_b = a->value_two,
	};
	return 0;
}

static int make_conditions(struct rule *rule, const struct spec_syscall_args *args, struct err *e)
{
	unsigned int seen = 0;

	rule->args = args;
	for (size_t i = 0; i < args->n; i++) {
		struct scmp_arg_cmp cmp;
		int r = one_condition(&args->v[i], rule->where, i, &cmp, e);

		if (r < 0)
			return r;
		if (seen >> cmp.arg & 1)
			rule->any = true;
		seen |= 1U << cmp.arg;
		if (!rule->any)
			rule->cmp[rule->n_cmp++] = cmp;
	}
	return 0;
}

static int add_name(scmp_filter_ctx ctx, const struct rule *rule, const char *name, struct err *e)
{
	int nr = seccomp_syscall_resolve_name(name), r = 0;

	if (nr == __NR_SCMP_ERROR) {
		log_debug("%s: system call %s: unknown, passed over", rule->where, name);
		return 0;
	}
	if (rule->action == SCMP_ACT_NOTIFY && str_eq(name, "write"))
		return err_set(e, EINVAL, "%s.names: SCMP_ACT_NOTIFY cannot be used for write",
			       rule->where);
	if (!rule->any)
		r = seccomp_rule_add_array(ctx, rule->action, nr, (unsigned int)rule->n_cmp,
					   rule->cmp);
	for (size_t i = 0; rule->any && i < rule->args->n && r == 0; i++) {
		struct scmp_arg_cmp cmp;

		r = one_condition(&rule->args->v[i], rule->where, i, &cmp, e);
		if (r == 0)
			r = seccomp_rule_add_array(ctx, rule->action, nr, 1, &cmp);
	}
	return r < 0 ? err_sys(e, -r, "%s.names: %s: add the rule", rule->where, name) : 0;
}

int seccomp_rules_add(scmp_filter_ctx ctx, const struct spec_seccomp *s, uint32_t default_action,
		      struct err *e)
{
	for (size_t i = 0; i < s->syscalls.n; i++) {
		const struct spec_syscall *call = &s->syscalls.v[i];
		struct rule rule = {};
		char where[64];
		int r;

		snprintf(where, sizeof(where), "linux.seccomp.syscalls[%zu]", i);
		rule.where = where;
		r = action_value(call->action, &call->errno_ret, where, "action", "errnoRet",
				 &rule.action, e);
		if (r == 0)
			r = make_conditions(&rule, &call->args, e);
		if (r < 0)
			return r;
		if (rule.action == default_action)
			continue; /* changes nothing, and libseccomp refuses it */
		for (size_t k = 0; k < call->names.n; k++) {
			r = add_name(ctx, &rule, call->names.v[k], e);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int seccomp_rules_known(const struct spec_seccomp *s, struct err *e)
{
	for (size_t i = 0; i < s->syscalls.n; i++)
		for (size_t k = 0; k < s->syscalls.v[i].names.n; k++)
			if (seccomp_syscall_resolve_name(s->syscalls.v[i].names.v[k]) ==
			    __NR_SCMP_ERROR)
				return err_set(
					e, EINVAL,
					"linux.seccomp.syscalls[%zu].names[%zu]: %s: unknown system call",
					i, k, s->syscalls.v[i].names.v[k]);
	return 0;
}
