/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What process.* of the configuration says about the payload itself: environment, user, limits,
 * program.
 */
#ifndef CTR_PROCESS_H
#define CTR_PROCESS_H

#include "base/err.h"
#include "base/str.h"
#include "oci/spec.h"

#include <stdbool.h>
#include <sys/types.h>

/*
 * The environment: process.env with duplicates removed (the last wins, at the place of the first),
 * and HOME from the container's /etc/passwd (the process's uid; "/" when there is none) when it is
 * absent or empty. Call inside the container's root. passwd is read by bounded plain parsing, never
 * by NSS.
 */
int process_env(const struct spec_process *p, struct str_list *out, struct err *e);

/*
 * Finds the program: args[0] as it is when it has a '/', else along PATH of env (none there: a
 * default one). *path is malloc'ed. To be called as the target user. Errors with the kinds and
 * texts that callers match on (contract 2.3, 2.5, 2.7):
 *   ERR_NOT_FOUND_PROGRAM  exec: "x": executable file not found in $PATH   (no '/')
 *                          exec: "/x": stat /x: no such file or directory
 *   ERR_CANNOT_EXECUTE     exec: "/x": permission denied / is a directory
 */
int process_find(const char *arg0, const struct str_list *env, char **path, struct err *e);

/* prlimit of pid (0: the caller) for each; error names process.rlimits[i].type. */
int process_rlimits(pid_t pid, const struct spec_rlimits *r, struct err *e);

/*
 * /proc/PID/oom_score_adj, when set, through the caller's own /proc: for a child that is not yet in
 * its root.
 */
int process_oom_score_adj(pid_t pid, const struct spec_process *p, struct err *e);

/*
 * Groups, gid, uid, umask (0022 when the configuration has none). keep_groups: leave the
 * supplementary groups alone (a user namespace without setgroups); then additional groups are
 * refused.
 */
int process_user(const struct spec_user *u, bool keep_groups, struct err *e);

/*
 * chdir, the directory made when it is missing (mkdir -p, as runc does), and checked with getcwd to
 * lie inside the root (CVE-2024-21626): "(unreachable)" or a relative answer is an error. Needs no
 * privilege but that of the caller: -EACCES may be tried again as another user.
 */
int process_cwd(const char *cwd, struct err *e);

/* Scheduler, ioPriority, personality, CPU affinity reset to what the cpuset allows. */
int process_scheduling(const struct spec_process *p, struct err *e);
int process_personality(const struct spec_personality *p, struct err *e);
int process_reset_affinity(void);

/*
 * linux.memoryPolicy for the caller, by set_mempolicy(2): which mode, flags and nodes there are the
 * kernel says.
 */
int process_memory_policy(const struct spec_memory_policy *p, struct err *e);

/* The caller's CPUs: a list as in process.execCPUAffinity ("0-3,7"). Errors name it. */
int process_affinity(const char *list, struct err *e);

/* Every signal to SIG_DFL and an empty mask: what execve would inherit from us otherwise. */
void process_reset_signals(void);

/* Marks every fd >= 3 + preserve as close-on-exec. */
int process_cloexec_from(unsigned int first);

/*
 * Closes what the process neither passes on nor needs: every fd >= first, and those of our own from
 * 3 on that have got a number below it (close-on-exec, as what the caller passes never is). keep:
 * n descriptors that stay, in any order, -1 is none; it is sorted. 0 or -errno.
 */
int process_close_but(unsigned int first, int *keep, size_t n);

/*
 * LSM labels for the exec to come, through a verified procfs (CVE-2019-16884). An AppArmor profile
 * or SELinux label on a kernel without that LSM is an error naming process.apparmorProfile /
 * process.selinuxLabel.
 */
int process_lsm(const struct spec_process *p, struct err *e);

/*
 * process.selinuxLabel for the keys that the caller makes from now on; "" ends that, NULL does
 * nothing. Without SELinux it has no effect, and is no error.
 */
int process_key_label(const char *label, struct err *e);

/* linux.mountLabel can be honoured: -EOPNOTSUPP on a kernel without SELinux. NULL is fine. */
int process_mount_label(const char *label, struct err *e);

#endif
