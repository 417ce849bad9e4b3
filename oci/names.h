/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabularies of the runtime specification, each one table. The parser, `features` and the
 * documentation read the same rows.
 */
#ifndef CTR_OCI_NAMES_H
#define CTR_OCI_NAMES_H

#include "base/table.h"
#include "oci/spec.h"

/* Neutral values for seccomp; runtime/seccomp.c maps them to libseccomp's. */
enum seccomp_action {
	ACT_KILL_THREAD,
	ACT_KILL_PROCESS,
	ACT_TRAP,
	ACT_ERRNO,
	ACT_TRACE,
	ACT_ALLOW,
	ACT_LOG,
	ACT_NOTIFY,
};

enum seccomp_op { OP_NE, OP_LT, OP_LE, OP_EQ, OP_GE, OP_GT, OP_MASKED_EQ };

extern const struct name_table names_capabilities;    /* "CAP_CHOWN" -> 0 ... */
extern const struct name_table names_rlimits;         /* "RLIMIT_NOFILE" -> RLIMIT_NOFILE */
extern const struct name_table names_namespaces;      /* "mount" -> enum ns_kind */
extern const struct name_table names_hooks;           /* "prestart" -> enum hook_kind */
extern const struct name_table names_seccomp_actions; /* "SCMP_ACT_ERRNO" -> enum seccomp_action */
extern const struct name_table names_seccomp_ops;
/* "SCMP_ARCH_X86_64" -> its position; ask libseccomp by name */
extern const struct name_table names_seccomp_archs;
extern const struct name_table names_seccomp_flags; /* "SECCOMP_FILTER_FLAG_LOG" -> kernel flag */
extern const struct name_table names_sched_policies;
extern const struct name_table names_sched_flags;
extern const struct name_table names_ioprio_classes;
extern const struct name_table names_mempolicy_modes;
extern const struct name_table names_mempolicy_flags;
extern const struct name_table names_personalities;
extern const struct name_table names_propagation; /* "rslave" -> MS_SLAVE | MS_REC */
extern const struct name_table names_signals;     /* "TERM" -> SIGTERM; without the SIG prefix */

/*
 * A signal as a caller writes it: number ("9"), name with or without SIG, any case, "RTMIN+3".
 * The number (0 allowed only as "0") or -EINVAL.
 */
int names_signal(const char *text);

/*
 * The mount options of the specification, and crun's about links. One row an option;
 * namespaces/mount_plan.c turns rows into operations, `features` lists their names.
 */
enum mount_option_kind {
	MOPT_SB_SET, /* super block flag, value = SB_* (MS_*): fsconfig SET_FLAG `flag` */
	MOPT_SB_CLEAR,
	MOPT_ATTR,        /* per-mount: attr_set / attr_clr */
	MOPT_ATTR_REC,    /* the same, recursively (r* options) */
	MOPT_PROPAGATION, /* value = MS_PRIVATE ... with MS_REC */
	MOPT_BIND,        /* bind; value = MS_REC for rbind */
	MOPT_REMOUNT,
	MOPT_IDMAP, /* value = 1 for ridmap */
	MOPT_TMPCOPYUP,
	MOPT_LINKS,   /* value = MOUNT_LINK_* */
	MOPT_IGNORED, /* defaults, and what has no meaning for the kernel */
};

/* What happens where the last component of a path is a symbolic link. */
enum {
	MOUNT_LINK_COPY = 1, /* of a bind's source: the link itself is made, nothing is mounted */
	MOUNT_LINK_SRC = 2,  /* the same: it is bound, not what it leads to */
	MOUNT_LINK_DEST = 4, /* of the destination: it is mounted over */
};

struct mount_option {
	const char *name;
	enum mount_option_kind kind;
	uint64_t value;              /* MS_* for SB_*, ATTR*, PROPAGATION, BIND */
	uint64_t attr_set, attr_clr; /* MOUNT_ATTR_* */
	/* fsconfig flag name for MOPT_SB_* ("sync", "dirsync", ...); NULL: none has it */
	const char *flag;
};

extern const struct mount_option names_mount_options[];
extern const size_t names_mount_options_n;

/* The row, or NULL: then the option is data for the file system ("size=64k"). */
const struct mount_option *names_mount_option(const char *name);

#endif
