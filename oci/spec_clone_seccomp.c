/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that a clone may use: those that programs of a server need. What is not listed
 * fails with EPERM. Left out are the calls that change what is shared by the whole machine (mounts,
 * modules, clock, swap, quota, reboot), reach into the kernel's rarely used corners (bpf,
 * userfaultfd, perf, keyrings, NUMA moves of other processes) or get around file permissions
 * (open_by_handle_at).
 *
 * Calls that libraries try first and can do without fail with ENOSYS, so that they fall back.
 */
#include "oci/spec_default.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

/* clang-format off */
static const char *const files[] = {
	"access", "chdir", "chmod", "chown", "chown32", "close", "close_range", "copy_file_range",
	"creat", "dup", "dup2", "dup3", "faccessat", "faccessat2", "fadvise64", "fadvise64_64",
	"fallocate", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32",
	"fchownat", "fcntl", "fcntl64", "fdatasync", "fgetxattr", "flistxattr", "flock",
	"fremovexattr", "fsetxattr", "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64",
	"fsync", "ftruncate", "ftruncate64", "futimesat", "getcwd", "getdents", "getdents64",
	"getxattr", "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch",
	"ioctl", "lchown", "lchown32", "lgetxattr", "link", "linkat", "listxattr", "llistxattr",
	"_llseek", "lremovexattr", "lseek", "lsetxattr", "lstat", "lstat64", "mkdir", "mkdirat",
	"mknod", "mknodat", "name_to_handle_at", "newfstatat", "oldfstat", "oldlstat", "oldstat",
	"open", "openat", "openat2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev",
	"pwritev2", "read", "readahead", "readdir", "readlink", "readlinkat", "readv",
	"removexattr", "rename", "renameat", "renameat2", "rmdir", "sendfile", "sendfile64",
	"setxattr", "splice", "stat", "stat64", "statfs", "statfs64", "statx", "symlink",
	"symlinkat", "sync", "sync_file_range", "sync_file_range2", "arm_sync_file_range", "arm_fadvise64_64", "syncfs", "tee", "truncate",
	"truncate64", "umask", "unlink", "unlinkat", "utime", "utimensat", "utimensat_time64",
	"utimes", "vmsplice", "write", "writev", "cachestat", "chroot", "getxattrat",
	"setxattrat", "listxattrat", "removexattrat", "statmount", "listmount",
};

static const char *const processes[] = {
	"execve", "execveat", "exit", "exit_group", "fork", "vfork", "wait4", "waitid", "waitpid",
	"kill", "tkill", "tgkill", "pidfd_open", "pidfd_send_signal", "pidfd_getfd",
	"process_mrelease", "getpid", "getppid", "gettid", "getpgid", "getpgrp", "getsid",
	"setpgid", "setsid", "prctl", "arch_prctl", "getpriority", "setpriority", "nice",
	/* of 32-bit ARM, set_tls at the start of every program */
	"set_tls", "cacheflush", "breakpoint",
	"ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "prlimit64", "getrlimit",
	"setrlimit", "ugetrlimit", "getrusage", "times", "sched_get_priority_max",
	"sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam",
	"sched_getscheduler", "sched_rr_get_interval", "sched_rr_get_interval_time64",
	"sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler",
	"sched_yield", "ioprio_get", "ioprio_set", "set_tid_address", "set_thread_area",
	"get_thread_area", "set_robust_list", "get_robust_list", "rseq", "membarrier", "getcpu",
	"restart_syscall", "modify_ldt",
};

static const char *const identity[] = {
	"getuid", "getuid32", "geteuid", "geteuid32", "getgid", "getgid32", "getegid",
	"getegid32", "getgroups", "getgroups32", "getresuid", "getresuid32", "getresgid",
	"getresgid32", "setuid", "setuid32", "setgid", "setgid32", "setgroups", "setgroups32",
	"setresuid", "setresuid32", "setresgid", "setresgid32", "setreuid", "setreuid32",
	"setregid", "setregid32", "setfsuid", "setfsuid32", "setfsgid", "setfsgid32", "capget",
	"capset", "seccomp", "landlock_create_ruleset", "landlock_add_rule",
	"landlock_restrict_self", "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr",
	"getrandom", "uname", "sysinfo",
};

static const char *const memory[] = {
	"brk", "mmap", "mmap2", "munmap", "mprotect", "mremap", "msync", "madvise",
	"process_madvise", "mincore", "mlock", "mlock2", "mlockall", "munlock", "munlockall",
	"memfd_create", "memfd_secret", "remap_file_pages", "pkey_alloc", "pkey_free",
	"pkey_mprotect", "map_shadow_stack", "mseal",
};

static const char *const waiting[] = {
	"poll", "ppoll", "ppoll_time64", "select", "_newselect", "pselect6", "pselect6_time64",
	"epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait",
	"epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "signalfd",
	"signalfd4", "timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime",
	"timerfd_settime64", "pipe", "pipe2", "futex", "futex_time64", "futex_waitv",
	"futex_wait", "futex_wake", "futex_requeue", "pause", "io_setup", "io_destroy",
	"io_submit", "io_cancel", "io_getevents", "io_pgetevents", "io_pgetevents_time64",
};

static const char *const signals[] = {
	"rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
	"rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo",
	"sigaction", "sigaltstack", "signal", "sigpending", "sigprocmask", "sigreturn",
	"sigsuspend", "sgetmask", "ssetmask",
};

/* Setting a clock is left out: it is the machine's. adjtimex without CAP_SYS_TIME only reads. */
static const char *const clocks[] = {
	"time", "gettimeofday", "clock_getres", "clock_getres_time64", "clock_gettime",
	"clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "clock_adjtime",
	"clock_adjtime64", "adjtimex", "nanosleep", "alarm", "getitimer", "setitimer",
	"timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_gettime64",
	"timer_settime", "timer_settime64",
};

/* socket is not among them: rules[] says which families. */
static const char *const network[] = {
	"accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt",
	"listen", "recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "send",
	"sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "socketpair",
};

static const char *const ipc[] = {
	"ipc", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive",
	"mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64", "mq_unlink", "msgctl",
	"msgget", "msgrcv", "msgsnd", "semctl", "semget", "semop", "semtimedop",
	"semtimedop_time64", "shmat", "shmctl", "shmdt", "shmget",
};

static const struct group {
	const char *const *names;
	size_t n;
} allowed[] = {
	{ files, ARRAY_SIZE(files) },     { processes, ARRAY_SIZE(processes) },
	{ identity, ARRAY_SIZE(identity) }, { memory, ARRAY_SIZE(memory) },
	{ waiting, ARRAY_SIZE(waiting) }, { signals, ARRAY_SIZE(signals) },
	{ clocks, ARRAY_SIZE(clocks) },   { network, ARRAY_SIZE(network) },
	{ ipc, ARRAY_SIZE(ipc) },
};

/*
 * clone3 and socketcall have their arguments in memory, where the filter cannot see them; what
 * io_uring does never passes by the filter. Libraries know a way around, but for i386's, which have
 * no sockets without socketcall.
 */
static const char *const absent[] = {
	"clone3", "socketcall", "io_uring_setup", "io_uring_enter", "io_uring_register",
};
/* clang-format on */

/* CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET: a namespace brings capabilities.
 */
#define CLONE_NAMESPACES 0x7e020000

/* Allowed when the first argument is so. */
static const struct rule {
	const char *name, *op;
	uint64_t value, value_two;
} rules[] = {
	{ "clone", "SCMP_CMP_MASKED_EQ", CLONE_NAMESPACES, 0 },
	/* Linux or 32 bit, with or without UNAME26, and the question what it is. */
	{ "personality", "SCMP_CMP_EQ", 0x0, 0 },
	{ "personality", "SCMP_CMP_EQ", 0x8, 0 },
	{ "personality", "SCMP_CMP_EQ", 0x20000, 0 },
	{ "personality", "SCMP_CMP_EQ", 0x20008, 0 },
	{ "personality", "SCMP_CMP_EQ", 0xffffffff, 0 },
	/*
	 * Families that a network namespace confines. A list of what is allowed, because a
	 * comparison is of 64 bits and the kernel then takes 32: "all but AF_ALG" would let 1 << 32
	 * | AF_ALG pass.
	 */
	{ "socket", "SCMP_CMP_EQ", AF_UNIX, 0 },
	{ "socket", "SCMP_CMP_EQ", AF_INET, 0 },
	{ "socket", "SCMP_CMP_EQ", AF_INET6, 0 },
	{ "socket", "SCMP_CMP_EQ", AF_NETLINK, 0 },
	{ "socket", "SCMP_CMP_EQ", AF_PACKET, 0 },
};

static void put_architectures(struct json_out *j)
{
	json_out_key(j, "architectures");
	json_out_array(j);
#if defined(__x86_64__)
	json_out_str(j, "SCMP_ARCH_X86_64");
	json_out_str(j, "SCMP_ARCH_X86");
	json_out_str(j, "SCMP_ARCH_X32");
#elif defined(__aarch64__)
	json_out_str(j, "SCMP_ARCH_AARCH64");
	json_out_str(j, "SCMP_ARCH_ARM");
#endif
	json_out_end_array(j);
}

static void open_rule(struct json_out *j)
{
	json_out_object(j);
	json_out_key(j, "names");
	json_out_array(j);
}

static void close_rule(struct json_out *j, const char *action)
{
	json_out_end_array(j);
	json_out_kstr(j, "action", action);
}

static void put_rule(struct json_out *j, const struct rule *r)
{
	open_rule(j);
	json_out_str(j, r->name);
	close_rule(j, "SCMP_ACT_ALLOW");
	json_out_key(j, "args");
	json_out_array(j);
	json_out_object(j);
	json_out_ki64(j, "index", 0);
	json_out_ku64(j, "value", r->value);
	json_out_ku64(j, "valueTwo", r->value_two);
	json_out_kstr(j, "op", r->op);
	json_out_end_object(j);
	json_out_end_array(j);
	json_out_end_object(j);
}

static void put_syscalls(struct json_out *j)
{
	json_out_key(j, "syscalls");
	json_out_array(j);
	open_rule(j);
	for (size_t g = 0; g < ARRAY_SIZE(allowed); g++)
		for (size_t i = 0; i < allowed[g].n; i++)
			json_out_str(j, allowed[g].names[i]);
	close_rule(j, "SCMP_ACT_ALLOW");
	json_out_end_object(j);
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		put_rule(j, &rules[i]);
	open_rule(j);
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
		json_out_str(j, absent[i]);
	close_rule(j, "SCMP_ACT_ERRNO");
	json_out_ki64(j, "errnoRet", ENOSYS);
	json_out_end_object(j);
	json_out_end_array(j);
}

void spec_clone_seccomp(struct json_out *j)
{
	json_out_key(j, "seccomp");
	json_out_object(j);
	json_out_kstr(j, "defaultAction", "SCMP_ACT_ERRNO");
	json_out_ki64(j, "defaultErrnoRet", EPERM);
	put_architectures(j);
	put_syscalls(j);
	json_out_end_object(j);
}
