/* SPDX-License-Identifier: Apache-2.0 */
/* Programs are loaded in children and judged by what real system calls then do. */
#include "runtime/seccomp.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/names.h"
#include "runtime/seccomp_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[] = "/tmp/ctr-test-seccomp-XXXXXX";
static int cache = -1;

#define NAMES(...) { .v = (char *[]){ __VA_ARGS__, NULL }, \
		     .n = sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *) }
#define ARGS(...) { .v = (struct spec_syscall_arg[]){ __VA_ARGS__ }, \
		    .n = sizeof((struct spec_syscall_arg[]){ __VA_ARGS__ }) / sizeof(struct spec_syscall_arg) }
#define RULES(...) { .v = (struct spec_syscall[]){ __VA_ARGS__ }, \
		     .n = sizeof((struct spec_syscall[]){ __VA_ARGS__ }) / sizeof(struct spec_syscall) }

static void cleanup_prog(struct seccomp_prog *p)
{
	seccomp_free(p);
}
#define AUTO_PROG __attribute__((cleanup(cleanup_prog)))

/* Loads s in a child and runs fn there; the wait status. fn gives the exit status. */
static int under(const struct spec_seccomp *s, int (*fn)(void))
{
	AUTO_PROG struct seccomp_prog p = {};
	struct err e = {};
	int status, listener;
	pid_t pid;

	if (seccomp_compile(s, -1, &p, &e) < 0)
		fail_msg("%s", e.msg);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		prctl(PR_SET_DUMPABLE, 0);
		if (seccomp_install(&p, &listener) < 0)
			syscall(SYS_exit_group, 99);
		syscall(SYS_exit_group, fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int exit_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

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
				  { .names = NAMES("getpid"), .action = ACT_ERRNO,
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
		.syscalls = RULES({ .names = NAMES("getppid"), .action = ACT_TRACE,
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
		.flags = flags,
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
		.syscalls = RULES({ .names = NAMES("sched_yield"), .action = ACT_ERRNO,
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
	struct spec_syscall rule = { .names = NAMES("sched_yield"), .action = ACT_ERRNO, .args = args };
	struct spec_seccomp s = { .default_action = ACT_ALLOW, .syscalls = { &rule, 1 } };

	tried_two[0] = a;
	tried_two[1] = b;
	return exit_of(under(&s, do_two)) == 1;
}

static void several_conditions(void **state)
{
	struct spec_syscall_args both = ARGS({ 0, 1, 0, OP_EQ }, { 1, 2, 0, OP_EQ });
	struct spec_syscall_args same = ARGS({ 0, 1, 0, OP_EQ }, { 1, 9, 0, OP_EQ }, { 0, 3, 0, OP_EQ });

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
		.syscalls = RULES({ .names = NAMES("sched_yield", "sched_yield"), .action = ACT_ERRNO,
				    .args = ARGS({ 0, 5, 0, OP_EQ }) },
				  { .names = NAMES("sched_yield"), .action = ACT_ERRNO,
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
		s.flags = (uint64_t)v;
		assert_int_equal(exit_of(under(&s, do_getppid)), EPERM);
	}
	s.flags = 1ULL << 40;
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
	assert_string_equal(e.msg, "linux.seccomp.syscalls[1].errnoRet: out of range 0 to 4095: 4096");
	rules[1].action = ACT_KILL_PROCESS;
	assert_int_equal(compile_error(&s, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "syscalls[1].errnoRet: the action SCMP_ACT_KILL_PROCESS takes"));
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
		.syscalls = RULES({ .names = NAMES("exit_group", "close_range"), .action = ACT_ALLOW }),
	};

	(void)state;
	assert_int_equal(exit_of(under(&s, do_future)), ENOSYS);
	assert_int_equal(exit_of(under(&s, do_getppid)), EPERM);
	/* An errno of the profile's own does not change that, other actions are meant as they are. */
	s.default_errno_ret = (struct opt_u64){ true, EACCES };
	assert_int_equal(exit_of(under(&s, do_future)), ENOSYS);
	assert_int_equal(exit_of(under(&s, do_getppid)), EACCES);
	s.default_errno_ret.set = false;
	s.default_action = ACT_KILL_PROCESS;
	assert_int_equal(exit_of(under(&s, do_future)), -SIGSYS);
}

/* ---- many rules, and the cache ---- */

static const char many_names[] =
	"accept accept4 access adjtimex alarm bind brk capget capset chdir chmod chown clock_getres "
	"clock_gettime clock_nanosleep clone clone3 close close_range connect copy_file_range creat dup dup2 "
	"dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd eventfd2 execve execveat "
	"exit exit_group faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchown fchownat "
	"fcntl fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstatfs fsync "
	"ftruncate futex getcwd getdents getdents64 getegid geteuid getgid getgroups getitimer getpeername "
	"getpgid getpgrp getpid getpriority getrandom getresgid getresuid getrlimit getrusage getsid "
	"getsockname getsockopt gettid gettimeofday getuid getxattr inotify_add_watch inotify_init1 ioctl "
	"ioprio_get ioprio_set kill lchown lgetxattr link linkat listen listxattr llistxattr lremovexattr "
	"lseek lsetxattr lstat madvise membarrier memfd_create mincore mkdir mkdirat mknod mknodat mlock "
	"mlock2 mlockall mmap mprotect mq_open mremap msgctl msgget msgrcv msgsnd msync munlock munlockall "
	"munmap nanosleep newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 poll "
	"ppoll prctl pread64 preadv preadv2 prlimit64 pselect6 pwrite64 pwritev pwritev2 read readahead "
	"readlink readlinkat readv recvfrom recvmmsg recvmsg removexattr rename renameat renameat2 "
	"restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn "
	"rt_sigsuspend rt_sigtimedwait sched_getaffinity sched_getattr sched_getparam sched_yield seccomp "
	"select semctl semget semop semtimedop sendfile sendmmsg sendmsg sendto set_robust_list "
	"set_tid_address setfsgid setfsuid setgid setgroups setitimer setpgid setpriority setregid "
	"setresgid setresuid setreuid setrlimit setsid setsockopt setuid setxattr shmat shmctl shmdt shmget "
	"shutdown sigaltstack signalfd signalfd4 socket socketpair splice stat statfs statx symlink "
	"symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete "
	"timerfd_create timerfd_gettime timerfd_settime times tkill truncate umask uname unlink unlinkat "
	"utime utimensat utimes vfork vmsplice wait4 waitid write writev landlock_create_ruleset "
	"futex_waitv process_mrelease cachestat";

struct many {
	struct spec_seccomp s;
	struct spec_syscall rules[7];
	struct str_list names;
};

/* An allow-list of the size and kind that container engines use. */
static void many_init(struct many *m)
{
	AUTO_FREE char *text = strdup(many_names);
	static char *personality_name[] = { "personality", NULL }, *getppid_name[] = { "getppid", NULL };
	static char *archs[] = { "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", NULL };
	static struct spec_syscall_arg persona[] = {
		{ 0, 0, 0, OP_EQ }, { 0, 8, 0, OP_EQ }, { 0, 0x20000, 0, OP_EQ },
		{ 0, 0x20008, 0, OP_EQ }, { 0, 0xffffffff, 0, OP_EQ },
	};

	*m = (struct many){ .s.default_action = ACT_ERRNO };
	for (char *save, *t = strtok_r(text, " ", &save); t; t = strtok_r(NULL, " ", &save))
		assert_int_equal(str_list_add(&m->names, t), 0);
	m->rules[0] = (struct spec_syscall){
		.names = { m->names.v, m->names.n }, .action = ACT_ALLOW,
	};
	for (int i = 0; i < 5; i++)
		m->rules[1 + i] = (struct spec_syscall){
			.names = { personality_name, 1 },
			.action = ACT_ALLOW,
			.args = { &persona[i], 1 },
		};
	m->rules[6] = (struct spec_syscall){
		.names = { getppid_name, 1 }, .action = ACT_ERRNO, .errno_ret = { true, ENOLINK },
	};
	m->s.syscalls = (struct spec_syscalls){ m->rules, 7 };
	m->s.architectures = (struct spec_strings){ archs, 3 };
}

static int do_many(void)
{
	struct utsname u;

	if (uname(&u) < 0 || getpid() <= 0)
		return 1;
	if (syscall(SYS_personality, 0xffffffff) < 0)
		return 2;
	if (syscall(SYS_personality, 7) >= 0 || errno != EPERM)
		return 3;
	if (syscall(SYS_getppid) >= 0 || errno != ENOLINK)
		return 4;
	if (syscall(SYS_reboot, 0, 0, 0) >= 0 || errno != EPERM)
		return 5;
	return 0;
}

static void many_rules(void **state)
{
	struct many m;

	(void)state;
	many_init(&m);
	assert_int_equal(exit_of(under(&m.s, do_many)), 0);
	str_list_free(&m.names);
}

static int count_entries(char name[256])
{
	AUTO_CLOSEDIR DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;

	while ((e = readdir(d)))
		if (e->d_name[0] != '.') {
			snprintf(name, 256, "%s", e->d_name);
			n++;
		}
	return n;
}

static void empty_cache(void)
{
	AUTO_CLOSEDIR DIR *d = opendir(dir);
	struct dirent *e;

	while ((e = readdir(d)))
		unlinkat(cache, e->d_name, 0);
}

static bool same(const struct seccomp_prog *a, const struct seccomp_prog *b)
{
	return a->n == b->n && a->flags == b->flags && a->notify == b->notify &&
	       memcmp(a->insns, b->insns, a->n * sizeof(*a->insns)) == 0;
}

static bool hit(const struct spec_seccomp *s, struct seccomp_prog *p)
{
	AUTO(str_buf_free) struct str_buf key = {};

	assert_int_equal(seccomp_cache_key(s, &key), 0);
	return seccomp_cache_get(cache, &key, p) == 0;
}

static void cache_hit_equals_miss(void **state)
{
	AUTO_PROG struct seccomp_prog none = {}, miss = {}, second = {}, raw = {};
	struct err e = {};
	char name[256];
	struct stat st;
	struct many m;

	(void)state;
	empty_cache();
	many_init(&m);
	assert_false(hit(&m.s, &raw));
	assert_int_equal(seccomp_compile(&m.s, -1, &none, &e), 0);
	assert_int_equal(count_entries(name), 0);
	assert_int_equal(seccomp_compile(&m.s, cache, &miss, &e), 0);
	assert_int_equal(count_entries(name), 1);
	assert_int_equal(fstatat(cache, name, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(hit(&m.s, &raw));
	assert_int_equal(seccomp_compile(&m.s, cache, &second, &e), 0);
	assert_true(same(&none, &miss));
	assert_true(same(&miss, &second));
	assert_int_equal(count_entries(name), 1);
	str_list_free(&m.names);
}

/* Any difference of two profiles is a difference of their keys. */
static void cache_keys_differ(void **state)
{
	struct spec_syscall_arg arg = { 0, 1, 2, OP_EQ };
	struct spec_syscall rule = {
		.names = NAMES("getppid", "getpid"), .action = ACT_ERRNO, .args = { &arg, 1 },
	};
	struct spec_seccomp s = { .default_action = ACT_ALLOW, .syscalls = { &rule, 1 } };
	struct str_buf keys[12] = {};
	size_t n = 0;

	(void)state;
#define KEY() assert_int_equal(seccomp_cache_key(&s, &keys[n++]), 0)
	KEY();
	arg.value = 2;
	KEY();
	arg.value_two = 3;
	KEY();
	arg.op = OP_NE;
	KEY();
	arg.index = 1;
	KEY();
	rule.errno_ret = (struct opt_u64){ true, 0 };
	KEY();
	rule.action = ACT_TRACE;
	KEY();
	rule.names = (struct spec_strings)NAMES("getppidgetpid");
	KEY();
	s.flags = SECCOMP_FILTER_FLAG_LOG;
	KEY();
	s.architectures = (struct spec_strings)NAMES("SCMP_ARCH_X86");
	KEY();
	s.default_action = ACT_LOG;
	KEY();
	s.default_errno_ret.set = true;
	KEY();
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			assert_false(keys[i].len == keys[k].len &&
				     memcmp(keys[i].s, keys[k].s, keys[i].len) == 0);
	for (size_t i = 0; i < n; i++)
		str_buf_free(&keys[i]);
}

static void flip(const char *name, off_t at)
{
	AUTO_CLOSE int fd = openat(cache, name, O_RDWR | O_CLOEXEC);
	char c;

	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
}

static void cache_poisoned(void **state)
{
	struct spec_seccomp s = {
		.default_action = ACT_ALLOW,
		.syscalls = RULES({ .names = NAMES("getppid"), .action = ACT_ERRNO }),
	};
	AUTO_PROG struct seccomp_prog want = {}, got = {};
	struct err e = {};
	char name[256];
	struct stat st;

	(void)state;
	empty_cache();
	assert_int_equal(seccomp_compile(&s, cache, &want, &e), 0);
	assert_int_equal(count_entries(name), 1);
	assert_int_equal(fstatat(cache, name, &st, 0), 0);
	/* every single byte of it: head, key, program */
	for (off_t at = 0; at < st.st_size; at++) {
		flip(name, at);
		assert_false(hit(&s, &got));
		flip(name, at);
	}
	assert_true(hit(&s, &got));
	seccomp_free(&got);
	/* cut off at every length */
	for (off_t len = st.st_size - 1; len >= 0; len -= 7) {
		AUTO_CLOSE int fd = openat(cache, name, O_RDWR | O_CLOEXEC);

		assert_int_equal(ftruncate(fd, len), 0);
		assert_false(hit(&s, &got));
	}
	/* a damaged one is replaced */
	assert_int_equal(seccomp_compile(&s, cache, &got, &e), 0);
	assert_true(same(&want, &got));
	seccomp_free(&got);
	assert_true(hit(&s, &got));
	seccomp_free(&got);
	/* written by others, or not a file of this directory */
	assert_int_equal(fchmodat(cache, name, 0620, 0), 0);
	assert_false(hit(&s, &got));
	assert_int_equal(fchmodat(cache, name, 0600, 0), 0);
	assert_true(hit(&s, &got));
	seccomp_free(&got);
	assert_int_equal(renameat(cache, name, cache, "elsewhere"), 0);
	assert_int_equal(symlinkat("elsewhere", cache, name), 0);
	assert_false(hit(&s, &got));
	assert_int_equal(unlinkat(cache, name, 0), 0);
	assert_int_equal(mkfifoat(cache, name, 0600), 0);
	assert_false(hit(&s, &got));
	/* the fifo is replaced as well */
	assert_int_equal(seccomp_compile(&s, cache, &got, &e), 0);
	seccomp_free(&got);
	assert_true(hit(&s, &got));
}

static void cache_is_bounded(void **state)
{
	struct spec_syscall_arg arg = { 0, 0, 0, OP_EQ };
	struct spec_syscall rule = {
		.names = NAMES("getppid"), .action = ACT_ERRNO, .args = { &arg, 1 },
	};
	struct spec_seccomp s = { .default_action = ACT_ALLOW, .syscalls = { &rule, 1 } };
	struct err e = {};
	char name[256];

	(void)state;
	empty_cache();
	for (arg.value = 0; arg.value < SECCOMP_CACHE_MAX + 20; arg.value++) {
		AUTO_PROG struct seccomp_prog p = {};

		assert_int_equal(seccomp_compile(&s, cache, &p, &e), 0);
	}
	assert_int_equal(count_entries(name), SECCOMP_CACHE_MAX);
	/* the newest is there */
	arg.value--;

	AUTO_PROG struct seccomp_prog p = {};

	assert_true(hit(&s, &p));
}

/* A cache that cannot be written changes nothing. */
static void cache_unusable(void **state)
{
	struct spec_seccomp s = {
		.default_action = ACT_ALLOW,
		.syscalls = RULES({ .names = NAMES("getppid"), .action = ACT_ERRNO }),
	};
	AUTO_CLOSE int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	AUTO_PROG struct seccomp_prog p = {};
	struct err e = {};

	(void)state;
	assert_int_equal(seccomp_compile(&s, null, &p, &e), 0);
	assert_true(p.n > 0);
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	cache = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return cache < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	empty_cache();
	close(cache);
	return rmdir(dir);
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
		cmocka_unit_test(errors_name_the_place),
		cmocka_unit_test(newer_calls_are_enosys),
		cmocka_unit_test(many_rules),
		cmocka_unit_test(cache_hit_equals_miss),
		cmocka_unit_test(cache_keys_differ),
		cmocka_unit_test(cache_poisoned),
		cmocka_unit_test(cache_is_bounded),
		cmocka_unit_test(cache_unusable),
	};

	return cmocka_run_group_tests_name("seccomp", tests, setup, teardown);
}
