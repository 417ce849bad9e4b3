/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/names.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/resource.h>

/* Newer than some systems' headers. */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#define POLICY_ISO 4 /* reserved by the kernel, without a name in its headers */
#define POLICY_WEIGHTED_INTERLEAVE 6

static const struct name_value capabilities[] = {
	{ "CAP_CHOWN", CAP_CHOWN },
	{ "CAP_DAC_OVERRIDE", CAP_DAC_OVERRIDE },
	{ "CAP_DAC_READ_SEARCH", CAP_DAC_READ_SEARCH },
	{ "CAP_FOWNER", CAP_FOWNER },
	{ "CAP_FSETID", CAP_FSETID },
	{ "CAP_KILL", CAP_KILL },
	{ "CAP_SETGID", CAP_SETGID },
	{ "CAP_SETUID", CAP_SETUID },
	{ "CAP_SETPCAP", CAP_SETPCAP },
	{ "CAP_LINUX_IMMUTABLE", CAP_LINUX_IMMUTABLE },
	{ "CAP_NET_BIND_SERVICE", CAP_NET_BIND_SERVICE },
	{ "CAP_NET_BROADCAST", CAP_NET_BROADCAST },
	{ "CAP_NET_ADMIN", CAP_NET_ADMIN },
	{ "CAP_NET_RAW", CAP_NET_RAW },
	{ "CAP_IPC_LOCK", CAP_IPC_LOCK },
	{ "CAP_IPC_OWNER", CAP_IPC_OWNER },
	{ "CAP_SYS_MODULE", CAP_SYS_MODULE },
	{ "CAP_SYS_RAWIO", CAP_SYS_RAWIO },
	{ "CAP_SYS_CHROOT", CAP_SYS_CHROOT },
	{ "CAP_SYS_PTRACE", CAP_SYS_PTRACE },
	{ "CAP_SYS_PACCT", CAP_SYS_PACCT },
	{ "CAP_SYS_ADMIN", CAP_SYS_ADMIN },
	{ "CAP_SYS_BOOT", CAP_SYS_BOOT },
	{ "CAP_SYS_NICE", CAP_SYS_NICE },
	{ "CAP_SYS_RESOURCE", CAP_SYS_RESOURCE },
	{ "CAP_SYS_TIME", CAP_SYS_TIME },
	{ "CAP_SYS_TTY_CONFIG", CAP_SYS_TTY_CONFIG },
	{ "CAP_MKNOD", CAP_MKNOD },
	{ "CAP_LEASE", CAP_LEASE },
	{ "CAP_AUDIT_WRITE", CAP_AUDIT_WRITE },
	{ "CAP_AUDIT_CONTROL", CAP_AUDIT_CONTROL },
	{ "CAP_SETFCAP", CAP_SETFCAP },
	{ "CAP_MAC_OVERRIDE", CAP_MAC_OVERRIDE },
	{ "CAP_MAC_ADMIN", CAP_MAC_ADMIN },
	{ "CAP_SYSLOG", CAP_SYSLOG },
	{ "CAP_WAKE_ALARM", CAP_WAKE_ALARM },
	{ "CAP_BLOCK_SUSPEND", CAP_BLOCK_SUSPEND },
	{ "CAP_AUDIT_READ", CAP_AUDIT_READ },
	{ "CAP_PERFMON", CAP_PERFMON },
	{ "CAP_BPF", CAP_BPF },
	{ "CAP_CHECKPOINT_RESTORE", CAP_CHECKPOINT_RESTORE },
};
const struct name_table names_capabilities = NAME_TABLE("capability", capabilities);

static const struct name_value rlimits[] = {
	{ "RLIMIT_AS", RLIMIT_AS },
	{ "RLIMIT_CORE", RLIMIT_CORE },
	{ "RLIMIT_CPU", RLIMIT_CPU },
	{ "RLIMIT_DATA", RLIMIT_DATA },
	{ "RLIMIT_FSIZE", RLIMIT_FSIZE },
	{ "RLIMIT_LOCKS", RLIMIT_LOCKS },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
	{ "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
	{ "RLIMIT_NICE", RLIMIT_NICE },
	{ "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "RLIMIT_NPROC", RLIMIT_NPROC },
	{ "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
	{ "RLIMIT_RTTIME", RLIMIT_RTTIME },
	{ "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	{ "RLIMIT_STACK", RLIMIT_STACK },
};
const struct name_table names_rlimits = NAME_TABLE("resource limit", rlimits);

static const struct name_value namespaces[] = {
	{ "mount", NS_MOUNT }, { "pid", NS_PID },   { "network", NS_NETWORK }, { "uts", NS_UTS },
	{ "ipc", NS_IPC },     { "user", NS_USER }, { "cgroup", NS_CGROUP },   { "time", NS_TIME },
};
const struct name_table names_namespaces = NAME_TABLE("namespace", namespaces);

static const struct name_value hooks[] = {
	{ "prestart", HOOK_PRESTART },
	{ "createRuntime", HOOK_CREATE_RUNTIME },
	{ "createContainer", HOOK_CREATE_CONTAINER },
	{ "startContainer", HOOK_START_CONTAINER },
	{ "poststart", HOOK_POSTSTART },
	{ "poststop", HOOK_POSTSTOP },
};
const struct name_table names_hooks = NAME_TABLE("hook", hooks);

/* KILL is KILL_THREAD under its old name. */
static const struct name_value seccomp_actions[] = {
	{ "SCMP_ACT_KILL", ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_PROCESS", ACT_KILL_PROCESS },
	{ "SCMP_ACT_KILL_THREAD", ACT_KILL_THREAD },
	{ "SCMP_ACT_TRAP", ACT_TRAP },
	{ "SCMP_ACT_ERRNO", ACT_ERRNO },
	{ "SCMP_ACT_TRACE", ACT_TRACE },
	{ "SCMP_ACT_ALLOW", ACT_ALLOW },
	{ "SCMP_ACT_LOG", ACT_LOG },
	{ "SCMP_ACT_NOTIFY", ACT_NOTIFY },
};
const struct name_table names_seccomp_actions = NAME_TABLE("seccomp action", seccomp_actions);

static const struct name_value seccomp_ops[] = {
	{ "SCMP_CMP_NE", OP_NE },
	{ "SCMP_CMP_LT", OP_LT },
	{ "SCMP_CMP_LE", OP_LE },
	{ "SCMP_CMP_EQ", OP_EQ },
	{ "SCMP_CMP_GE", OP_GE },
	{ "SCMP_CMP_GT", OP_GT },
	{ "SCMP_CMP_MASKED_EQ", OP_MASKED_EQ },
};
const struct name_table names_seccomp_ops = NAME_TABLE("seccomp operator", seccomp_ops);

/* The values are positions: whoever loads a filter asks libseccomp by name. */
static const struct name_value seccomp_archs[] = {
	{ "SCMP_ARCH_X86", 0 },          { "SCMP_ARCH_X86_64", 1 },
	{ "SCMP_ARCH_X32", 2 },          { "SCMP_ARCH_ARM", 3 },
	{ "SCMP_ARCH_AARCH64", 4 },      { "SCMP_ARCH_LOONGARCH64", 5 },
	{ "SCMP_ARCH_M68K", 6 },         { "SCMP_ARCH_MIPS", 7 },
	{ "SCMP_ARCH_MIPS64", 8 },       { "SCMP_ARCH_MIPS64N32", 9 },
	{ "SCMP_ARCH_MIPSEL", 10 },      { "SCMP_ARCH_MIPSEL64", 11 },
	{ "SCMP_ARCH_MIPSEL64N32", 12 }, { "SCMP_ARCH_PPC", 13 },
	{ "SCMP_ARCH_PPC64", 14 },       { "SCMP_ARCH_PPC64LE", 15 },
	{ "SCMP_ARCH_S390", 16 },        { "SCMP_ARCH_S390X", 17 },
	{ "SCMP_ARCH_SH", 18 },          { "SCMP_ARCH_SHEB", 19 },
	{ "SCMP_ARCH_PARISC", 20 },      { "SCMP_ARCH_PARISC64", 21 },
	{ "SCMP_ARCH_RISCV64", 22 },     { "SCMP_ARCH_NATIVE", 23 },
};
const struct name_table names_seccomp_archs = NAME_TABLE("seccomp architecture", seccomp_archs);

static const struct name_value seccomp_flags[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC },
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV },
};
const struct name_table names_seccomp_flags = NAME_TABLE("seccomp flag", seccomp_flags);

static const struct name_value sched_policies[] = {
	{ "SCHED_OTHER", SCHED_NORMAL },
	{ "SCHED_FIFO", SCHED_FIFO },
	{ "SCHED_RR", SCHED_RR },
	{ "SCHED_BATCH", SCHED_BATCH },
	{ "SCHED_ISO", POLICY_ISO },
	{ "SCHED_IDLE", SCHED_IDLE },
	{ "SCHED_DEADLINE", SCHED_DEADLINE },
};
const struct name_table names_sched_policies = NAME_TABLE("scheduling policy", sched_policies);

static const struct name_value sched_flags[] = {
	{ "SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK },
	{ "SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM },
	{ "SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN },
	{ "SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY },
	{ "SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS },
	{ "SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN },
	{ "SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX },
};
const struct name_table names_sched_flags = NAME_TABLE("scheduling flag", sched_flags);

static const struct name_value ioprio_classes[] = {
	{ "IOPRIO_CLASS_RT", IOPRIO_CLASS_RT },
	{ "IOPRIO_CLASS_BE", IOPRIO_CLASS_BE },
	{ "IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE },
};
const struct name_table names_ioprio_classes = NAME_TABLE("I/O priority class", ioprio_classes);

static const struct name_value mempolicy_modes[] = {
	{ "MPOL_DEFAULT", MPOL_DEFAULT },
	{ "MPOL_BIND", MPOL_BIND },
	{ "MPOL_INTERLEAVE", MPOL_INTERLEAVE },
	{ "MPOL_WEIGHTED_INTERLEAVE", POLICY_WEIGHTED_INTERLEAVE },
	{ "MPOL_PREFERRED", MPOL_PREFERRED },
	{ "MPOL_PREFERRED_MANY", MPOL_PREFERRED_MANY },
	{ "MPOL_LOCAL", MPOL_LOCAL },
};
const struct name_table names_mempolicy_modes = NAME_TABLE("memory policy", mempolicy_modes);

static const struct name_value mempolicy_flags[] = {
	{ "MPOL_F_NUMA_BALANCING", MPOL_F_NUMA_BALANCING },
	{ "MPOL_F_RELATIVE_NODES", MPOL_F_RELATIVE_NODES },
	{ "MPOL_F_STATIC_NODES", MPOL_F_STATIC_NODES },
};
const struct name_table names_mempolicy_flags = NAME_TABLE("memory policy flag", mempolicy_flags);

static const struct name_value personalities[] = {
	{ "LINUX", PER_LINUX },
	{ "LINUX32", PER_LINUX32 },
};
const struct name_table names_personalities = NAME_TABLE("personality", personalities);

static const struct name_value propagation[] = {
	{ "private", MS_PRIVATE },
	{ "shared", MS_SHARED },
	{ "slave", MS_SLAVE },
	{ "unbindable", MS_UNBINDABLE },
	{ "rprivate", MS_PRIVATE | MS_REC },
	{ "rshared", MS_SHARED | MS_REC },
	{ "rslave", MS_SLAVE | MS_REC },
	{ "runbindable", MS_UNBINDABLE | MS_REC },
};
const struct name_table names_propagation = NAME_TABLE("mount propagation", propagation);

/* As the C library numbers them: SIGRTMIN is no constant there. */
#define RT_FIRST 34
#define RT_LAST 64

/* Aliases come after the names that are shown. */
static const struct name_value signals[] = {
	{ "HUP", SIGHUP },
	{ "INT", SIGINT },
	{ "QUIT", SIGQUIT },
	{ "ILL", SIGILL },
	{ "TRAP", SIGTRAP },
	{ "ABRT", SIGABRT },
	{ "BUS", SIGBUS },
	{ "FPE", SIGFPE },
	{ "KILL", SIGKILL },
	{ "USR1", SIGUSR1 },
	{ "SEGV", SIGSEGV },
	{ "USR2", SIGUSR2 },
	{ "PIPE", SIGPIPE },
	{ "ALRM", SIGALRM },
	{ "TERM", SIGTERM },
	{ "STKFLT", SIGSTKFLT },
	{ "CHLD", SIGCHLD },
	{ "CONT", SIGCONT },
	{ "STOP", SIGSTOP },
	{ "TSTP", SIGTSTP },
	{ "TTIN", SIGTTIN },
	{ "TTOU", SIGTTOU },
	{ "URG", SIGURG },
	{ "XCPU", SIGXCPU },
	{ "XFSZ", SIGXFSZ },
	{ "VTALRM", SIGVTALRM },
	{ "PROF", SIGPROF },
	{ "WINCH", SIGWINCH },
	{ "IO", SIGIO },
	{ "PWR", SIGPWR },
	{ "SYS", SIGSYS },
	{ "IOT", SIGABRT },
	{ "CLD", SIGCHLD },
	{ "POLL", SIGIO },
	{ "UNUSED", SIGSYS },
	{ "RTMIN", RT_FIRST },
	{ "RTMIN+1", RT_FIRST + 1 },
	{ "RTMIN+2", RT_FIRST + 2 },
	{ "RTMIN+3", RT_FIRST + 3 },
	{ "RTMIN+4", RT_FIRST + 4 },
	{ "RTMIN+5", RT_FIRST + 5 },
	{ "RTMIN+6", RT_FIRST + 6 },
	{ "RTMIN+7", RT_FIRST + 7 },
	{ "RTMIN+8", RT_FIRST + 8 },
	{ "RTMIN+9", RT_FIRST + 9 },
	{ "RTMIN+10", RT_FIRST + 10 },
	{ "RTMIN+11", RT_FIRST + 11 },
	{ "RTMIN+12", RT_FIRST + 12 },
	{ "RTMIN+13", RT_FIRST + 13 },
	{ "RTMIN+14", RT_FIRST + 14 },
	{ "RTMIN+15", RT_FIRST + 15 },
	{ "RTMAX-14", RT_LAST - 14 },
	{ "RTMAX-13", RT_LAST - 13 },
	{ "RTMAX-12", RT_LAST - 12 },
	{ "RTMAX-11", RT_LAST - 11 },
	{ "RTMAX-10", RT_LAST - 10 },
	{ "RTMAX-9", RT_LAST - 9 },
	{ "RTMAX-8", RT_LAST - 8 },
	{ "RTMAX-7", RT_LAST - 7 },
	{ "RTMAX-6", RT_LAST - 6 },
	{ "RTMAX-5", RT_LAST - 5 },
	{ "RTMAX-4", RT_LAST - 4 },
	{ "RTMAX-3", RT_LAST - 3 },
	{ "RTMAX-2", RT_LAST - 2 },
	{ "RTMAX-1", RT_LAST - 1 },
	{ "RTMAX", RT_LAST },
};
const struct name_table names_signals = NAME_TABLE("signal", signals);

/* "RTMIN+3" in full: offsets beyond the ones that have a row. */
static int real_time(const char *name)
{
	const char *up = str_after(name, "RTMIN+"), *down = str_after(name, "RTMAX-");
	uint64_t n;

	if (!up && !down)
		return -EINVAL;
	if (str_to_u64(up ? up : down, RT_LAST - RT_FIRST, &n) < 0)
		return -EINVAL;
	return up ? RT_FIRST + (int)n : RT_LAST - (int)n;
}

int names_signal(const char *text)
{
	char name[16];
	const char *s = name;
	size_t n = strlen(text);
	uint64_t number;
	int64_t value;

	if (isdigit((unsigned char)*text)) {
		if (str_to_u64(text, RT_LAST, &number) < 0 || (number == 0 && !str_eq(text, "0")))
			return -EINVAL;
		return (int)number;
	}
	if (n >= sizeof(name))
		return -EINVAL;
	for (size_t i = 0; i <= n; i++)
		name[i] = (char)toupper((unsigned char)text[i]);
	s = str_after(name, "SIG") ?: name;
	return table_value(&names_signals, s, &value) ? (int)value : real_time(s);
}
