/* SPDX-License-Identifier: Apache-2.0 */
/* Programs are loaded in children and judged by what real system calls then do. */
#include "tests/unit/runtime/seccomp_util.h"

#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>

static int do_getppid(void)
{
	return syscall(SYS_getppid) < 0 ? errno : 0;
}

/* ---- actions ---- */

static void action_errno(void **state)
{
	struct spec_seccomp s = { .default_action = ACT_ALLOW };
	struct spec_syscall rule = { .names = NAMES("getppid"), .action = ACT_ERRNO };

	(void)state;
	s.syscalls = (struct spec_syscalls){ &rule, 1 };
	assert_int_equal(exit_of(under(&s, do_getppid)), EPERM);
	rule.errno_ret = (struct opt_u64){ true, ENOTTY };
	assert_int_equal(exit_of(under(&s, do_getppid)), ENOTTY);
	rule.errno_ret.v = 0;
	assert_int_equal(exit_of(under(&s, do_getppid)), 0);
}

static void action_kills(void **state)
{
	struct spec_seccomp s = { .default_action = ACT_ALLOW };
	struct spec_syscall rule = { .names = NAMES("getppid"), .action = ACT_KILL_PROCESS };

	(void)state;
	s.syscalls = (struct spec_syscalls){ &rule, 1 };
	assert_int_equal(exit_of(under(&s, do_getppid)), -SIGSYS);
	rule.action = ACT_KILL_THREAD;
	assert_int_equal(exit_of(under(&s, do_getppid)), -SIGSYS);
}

static void on_sigsys(int sig)
{
	syscall(SYS_exit_group, sig == SIGSYS ? 55 : 56);
}

static int trapped(void)
{
	struct sigaction sa = { .sa_handler = on_sigsys };

	sigaction(SIGSYS, &sa, NULL);
	return do_getppid();
}

static void action_trap(void **state)
{
	struct spec_seccomp s = {
		.default_action = ACT_ALLOW,
		.syscalls = RULES({ .names = NAMES("getppid"), .action = ACT_TRAP }),
	};

	(void)state;
	assert_int_equal(exit_of(under(&s, trapped)), 55);
}

static void action_log(void **state)
{
	struct spec_seccomp s = {
		.default_action = ACT_ALLOW,
		.syscalls = RULES({ .names = NAMES("getppid"), .action = ACT_LOG }),
	};

	(void)state;
	assert_int_equal(exit_of(under(&s, do_getppid)), 0);
}

static void action_default(void **state)
{
	struct spec_seccomp s = {
		.default_action = ACT_ERRNO,
		.default_errno_ret = { true, EXDEV },
		.syscalls = RULES({ .names = NAMES("exit_group", "rt_sigreturn", "close_range"),
				    .action = ACT_ALLOW },
				  /* the default again: changes nothing */
				  { .names = NAMES("getpid"),
				    .action = ACT_ERRNO,
				    .errno_ret = { true, EXDEV } }),
	};

	(void)state;
	assert_int_equal(exit_of(under(&s, do_getppid)), EXDEV);
	s.default_errno_ret.set = false;
	assert_int_equal(exit_of(under(&s, do_getppid)), EPERM);
	s.default_action = ACT_KILL_PROCESS;
	assert_int_equal(exit_of(under(&s, do_getppid)), -SIGSYS);
}

/* Without a tracer the call fails with ENOSYS; with one, the tracer gets the number. */
static void action_trace(void **state)
{
	struct spec_seccomp s = {
		.default_action = ACT_ALLOW,
		.syscalls = RULES({ .names = NAMES("getppid"),
				    .action = ACT_TRACE,
				    .errno_ret = { true, 1234 } }),
	};
	AUTO_PROG struct seccomp_prog p = {};
	unsigned long data = 0;
	struct err e = {};
	int status, listener;
	pid_t pid;

	(void)state;
	assert_int_equal(exit_of(under(&s, do_getppid)), ENOSYS);
	assert_int_equal(seccomp_compile(&s, -1, &p, &e), 0);
	pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		raise(SIGSTOP);
		if (seccomp_install(&p, &listener) < 0)
			_exit(99);
		_exit(do_getppid());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESECCOMP), 0);
	assert_int_equal(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status >> 8, SIGTRAP | PTRACE_EVENT_SECCOMP << 8);
	assert_int_equal(ptrace(PTRACE_GETEVENTMSG, pid, NULL, &data), 0);
	assert_int_equal(data, 1234);
	assert_int_equal(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(exit_of(status), 0);
}

/* The process itself answers the call of its child: the listener is a descriptor like any other. */
static int notified(const struct seccomp_prog *p)
{
	struct seccomp_notif req = {};
	struct seccomp_notif_resp resp = {};
	struct pollfd pfd;
	int listener, status;
	pid_t pid;

	if (seccomp_install(p, &listener) < 0 || listener < 0)
		return 90;
	pid = fork();
	if (pid == 0)
		_exit(do_getppid());
	pfd = (struct pollfd){ .fd = listener, .events = POLLIN };
	if (poll(&pfd, 1, 10000) != 1 || ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &req) < 0)
		return 91;
	resp.id = req.id;
	resp.error = -ENOTEMPTY;
	if (req.data.nr != SYS_getppid || ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp) < 0)
		return 92;
	return waitpid(pid, &status, 0) == pid ? exit_of(status) : 93;
}

static void notify_with(uint64_t flags)
{
	struct spec_seccomp s = {
		.default_action = ACT_ALLOW,
		.flags = { true, flags },
		.syscalls = RULES({ .names = NAMES("getppid"), .action = ACT_NOTIFY }),
	};
	AUTO_PROG struct seccomp_prog p = {};
	struct err e = {};
	int status;
	pid_t pid;

	assert_int_equal(seccomp_compile(&s, -1, &p, &e), 0);
	assert_true(p.notify);
	assert_true(p.flags & SECCOMP_FILTER_FLAG_NEW_LISTENER);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		_exit(notified(&p));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(exit_of(status), ENOTEMPTY);
}

static void action_notify(void **state)
{
	(void)state;
	notify_with(0);
	notify_with(SECCOMP_FILTER_FLAG_TSYNC);
	notify_with(1UL << 5); /* WAIT_KILLABLE_RECV */
}

/* ---- operators ---- */

static uint64_t tried;

/* sched_yield takes no argument, so the kernel ignores the one that the filter sees. */
static int do_arg(void)
{
	return syscall(SYS_sched_yield, tried) < 0 ? 1 : 0;
}

static bool hits(uint32_t op, uint64_t value, uint64_t two, uint64_t arg)
{
	struct spec_seccomp s = {
		.default_action = ACT_ALLOW,
		.syscalls = RULES({ .names = NAMES("sched_yield"),
				    .action = ACT_ERRNO,
				    .args = ARGS({ 0, value, two, op }) }),
	};

	tried = arg;
	return exit_of(under(&s, do_arg)) == 1;
}

static void operators(void **state)
{
	const uint64_t big = 0x1234567800000005ULL;

	(void)state;
	assert_true(hits(OP_EQ, 5, 0, 5));
	assert_false(hits(OP_EQ, 5, 0, big)); /* the upper half counts */
	assert_true(hits(OP_EQ, big, 0, big));
	assert_true(hits(OP_NE, 5, 0, 6));
	assert_false(hits(OP_NE, 5, 0, 5));
	assert_true(hits(OP_LT, 5, 0, 4));
	assert_false(hits(OP_LT, 5, 0, 5));
	assert_true(hits(OP_LE, 5, 0, 5));
	assert_false(hits(OP_LE, 5, 0, 6));
	assert_true(hits(OP_GE, big, 0, big));
	assert_false(hits(OP_GE, big, 0, 5));
	assert_true(hits(OP_GT, 5, 0, big));
	assert_false(hits(OP_GT, 5, 0, 5));
	assert_true(hits(OP_MASKED_EQ, 0xf0, 0x30, 0x3f));
	assert_false(hits(OP_MASKED_EQ, 0xf0, 0x30, 0x4f));
}

static uint64_t tried_two[2];

static int do_two(void)
{
	return syscall(SYS_sched_yield, tried_two[0], tried_two[1]) < 0 ? 1 : 0;
}

static bool two_hit(struct spec_syscall_args args, uint64_t a, uint64_t b)
{
	struct spec_syscall rule = { .names = NAMES("sched_yield"),
				     .action = ACT_ERRNO,
				     .args = args };
	struct spec_seccomp s = { .default_action = ACT_ALLOW, .syscalls = { &rule, 1 } };

	tried_two[0] = a;
	tried_two[1] = b;
	return exit_of(under(&s, do_two)) == 1;
}

static void several_conditions(void **state)
{
	struct spec_syscall_args both = ARGS({ 0, 1, 0, OP_EQ }, { 1, 2, 0, OP_EQ });
	struct spec_syscall_args same =
		ARGS({ 0, 1, 0, OP_EQ }, { 1, 9, 0, OP_EQ }, { 0, 3, 0, OP_EQ });

	(void)state;
	assert_true(two_hit(both, 1, 2));
	assert_false(two_hit(both, 1, 3));
	assert_false(two_hit(both, 2, 2));
	/* on the same argument: any of all */
	assert_true(two_hit(same, 1, 0));
	assert_true(two_hit(same, 3, 0));
	assert_true(two_hit(same, 0, 9));
	assert_false(two_hit(same, 2, 0));
}

/* The same rule twice, and a wider one behind a narrower one. */
static void repeated_rules(void **state)
{
	struct spec_seccomp s = {
		.default_action = ACT_ALLOW,
		.syscalls = RULES({ .names = NAMES("sched_yield", "sched_yield"),
				    .action = ACT_ERRNO,
				    .args = ARGS({ 0, 5, 0, OP_EQ }) },
				  { .names = NAMES("sched_yield"),
				    .action = ACT_ERRNO,
				    .args = ARGS({ 0, 5, 0, OP_EQ }) },
				  { .names = NAMES("sched_yield", "getppid", "getppid"),
				    .action = ACT_ERRNO }),
	};

	(void)state;
	tried = 6;
	assert_int_equal(exit_of(under(&s, do_arg)), 1);
	assert_int_equal(exit_of(under(&s, do_getppid)), EPERM);
}

/* ---- names, architectures, flags, errors ---- */

static int compile_error(const struct spec_seccomp *s, struct err *e)
{
	struct seccomp_prog p = {};
	int r;

	*e = (struct err){};
	r = seccomp_compile(s, -1, &p, e);
	seccomp_free(&p);
	return r;
}

static void unknown_names_are_passed_over(void **state)
{
	struct spec_seccomp s = {
		.default_action = ACT_ALLOW,
		.syscalls = RULES({ .names = NAMES("no_such_call", "getppid", "arm_fadvise64_64"),
				    .action = ACT_ERRNO }),
	};

	(void)state;
	assert_int_equal(exit_of(under(&s, do_getppid)), EPERM);
}

static void architectures(void **state)
{
	struct spec_seccomp s = { .default_action = ACT_ALLOW };
	size_t little = 0, other_order = 0, unknown = 0;
	struct err e;

	(void)state;
	for (size_t i = 0; i < names_seccomp_archs.n; i++) {
		char *name = (char *)names_seccomp_archs.rows[i].name;
		int r;

		s.architectures = (struct spec_strings){ (char *[]){ name, name, NULL }, 2 };
		r = compile_error(&s, &e);
		if (r == 0) {
			little++;
			continue;
		}
		assert_non_null(strstr(e.msg, "linux.seccomp.architectures[0]: "));
		assert_non_null(strstr(e.msg, name));
		other_order += strstr(e.msg, "byte order") != NULL;
		unknown += strstr(e.msg, "not known to libseccomp") != NULL;
	}
	assert_int_equal(little + other_order + unknown, names_seccomp_archs.n);
	assert_true(little >= 5);
	s.architectures = (struct spec_strings)NAMES("SCMP_ARCH_NONSENSE");
	assert_int_equal(compile_error(&s, &e), -EOPNOTSUPP);
	assert_non_null(seccomp_archs()[0]);
}

/* Without a word about them one is set, where this kernel has it; an empty list is a word. */
static void flags_default(void **state)
{
	struct spec_seccomp s = {
		.default_action = ACT_ALLOW,
		.syscalls = RULES({ .names = NAMES("getppid"), .action = ACT_ERRNO }),
	};
	unsigned int want = 0;
	struct err e;

	(void)state;
	for (const char *const *f = seccomp_flags(); *f; f++)
		if (strcmp(*f, "SECCOMP_FILTER_FLAG_SPEC_ALLOW") == 0)
			want = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	for (int i = 0; i < 2; i++) {
		AUTO_PROG struct seccomp_prog p = {};

		assert_int_equal(seccomp_compile(&s, -1, &p, &e), 0);
		assert_int_equal(p.flags, want);
		assert_int_equal(exit_of(under(&s, do_getppid)), EPERM);
		s.flags.set = true;
		want = 0;
	}
}

static void flags(void **state)
{
	struct spec_seccomp s = {
		.default_action = ACT_ALLOW,
		.syscalls = RULES({ .names = NAMES("getppid"), .action = ACT_ERRNO }),
	};
	struct err e;

	(void)state;
	for (const char *const *f = seccomp_flags(); *f; f++) {
		int64_t v;

		assert_true(table_value(&names_seccomp_flags, *f, &v));
		s.flags = (struct opt_u64){ true, (uint64_t)v };
		assert_int_equal(exit_of(under(&s, do_getppid)), EPERM);
	}
	s.flags.v = 1ULL << 40;
	assert_int_equal(compile_error(&s, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "linux.seccomp.flags: unknown flag"));
}

static void errors_name_the_place(void **state)
{
	struct spec_seccomp s = { .default_action = ACT_ALLOW };
	struct spec_syscall rules[2] = {
		{ .names = NAMES("getpid"), .action = ACT_ERRNO },
		{ .names = NAMES("getppid"), .action = ACT_ERRNO, .errno_ret = { true, 4096 } },
	};
	struct spec_syscall_arg arg = { .index = 6, .op = OP_EQ };
	struct err e;

	(void)state;
	s.syscalls = (struct spec_syscalls){ rules, 2 };
	assert_int_equal(compile_error(&s, &e), -ERANGE);
	assert_string_equal(e.msg,
			    "linux.seccomp.syscalls[1].errnoRet: out of range 0 to 4095: 4096");
	rules[1].action = ACT_KILL_PROCESS;
	assert_int_equal(compile_error(&s, &e), -EINVAL);
	assert_non_null(
		strstr(e.msg, "syscalls[1].errnoRet: the action SCMP_ACT_KILL_PROCESS takes"));
	rules[1].errno_ret.set = false;
	rules[1].action = 77;
	assert_int_equal(compile_error(&s, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "syscalls[1].action: unknown"));
	rules[1].action = ACT_ERRNO;
	rules[1].args = (struct spec_syscall_args){ &arg, 1 };
	assert_int_equal(compile_error(&s, &e), -ERANGE);
	assert_non_null(strstr(e.msg, "syscalls[1].args[0].index"));
	arg = (struct spec_syscall_arg){ .op = 44 };
	assert_int_equal(compile_error(&s, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "syscalls[1].args[0].op"));
	s.syscalls.n = 0;
	s.default_action = ACT_NOTIFY;
	assert_int_equal(compile_error(&s, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "linux.seccomp.defaultAction"));
	s.default_action = ACT_ALLOW;
	s.syscalls.n = 1;
	rules[0] = (struct spec_syscall){ .names = NAMES("write"), .action = ACT_NOTIFY };
	assert_int_equal(compile_error(&s, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "linux.seccomp.syscalls[0].names: SCMP_ACT_NOTIFY"));
}

/* ---- newer system calls ---- */

static int do_future(void)
{
	return syscall(1023) < 0 ? errno : 0;
}

static void newer_calls_are_enosys(void **state)
{
	struct spec_seccomp s = {
		.default_action = ACT_ERRNO,
		.architectures = NAMES("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
		.syscalls =
			RULES({ .names = NAMES("exit_group", "close_range"), .action = ACT_ALLOW }),
	};

	(void)state;
	assert_int_equal(exit_of(under(&s, do_future)), ENOSYS);
	assert_int_equal(exit_of(under(&s, do_getppid)), EPERM);
	/*
	 * An errno of the profile's own does not change that, nor another action that forbids.
	 */
	s.default_errno_ret = (struct opt_u64){ true, EACCES };
	assert_int_equal(exit_of(under(&s, do_future)), ENOSYS);
	assert_int_equal(exit_of(under(&s, do_getppid)), EACCES);
	s.default_errno_ret.set = false;
	s.default_action = ACT_KILL_PROCESS;
	assert_int_equal(exit_of(under(&s, do_future)), ENOSYS);
	assert_int_equal(exit_of(under(&s, do_getppid)), -SIGSYS);
	s.default_action = ACT_TRAP;
	assert_int_equal(exit_of(under(&s, do_future)), ENOSYS);
	/* a tracer is asked, and there is none */
	s.default_action = ACT_TRACE;
	assert_int_equal(exit_of(under(&s, do_getppid)), ENOSYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(action_errno),
		cmocka_unit_test(action_kills),
		cmocka_unit_test(action_trap),
		cmocka_unit_test(action_log),
		cmocka_unit_test(action_default),
		cmocka_unit_test(action_trace),
		cmocka_unit_test(action_notify),
		cmocka_unit_test(operators),
		cmocka_unit_test(several_conditions),
		cmocka_unit_test(repeated_rules),
		cmocka_unit_test(unknown_names_are_passed_over),
		cmocka_unit_test(architectures),
		cmocka_unit_test(flags),
		cmocka_unit_test(flags_default),
		cmocka_unit_test(errors_name_the_place),
		cmocka_unit_test(newer_calls_are_enosys),
	};

	return cmocka_run_group_tests_name("seccomp", tests, NULL, NULL);
}
