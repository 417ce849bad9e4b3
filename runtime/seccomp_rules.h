/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of runtime/seccomp.c that talks to libseccomp about rules. Private to the seccomp files.
 */
#ifndef CTR_SECCOMP_RULES_H
#define CTR_SECCOMP_RULES_H

#include "base/err.h"
#include "oci/spec.h"
#include "runtime/seccomp.h"

#include <seccomp.h>

/* libseccomp's action for the default one. */
int seccomp_rules_default(const struct spec_seccomp *s, uint32_t *action, struct err *e);

/* Adds linux.seccomp.syscalls to the filter. */
int seccomp_rules_add(scmp_filter_ctx ctx, const struct spec_seccomp *s, uint32_t default_action,
		      struct err *e);

/* Refuses names of system calls that libseccomp does not know. */
int seccomp_rules_known(const struct spec_seccomp *s, struct err *e);

/* libseccomp's token for a SCMP_ARCH_* name, 0 when it has none. */
uint32_t seccomp_rules_arch(const char *name);

/*
 * Puts a check in front of the program: a system call newer than every one that the profile names
 * fails with ENOSYS, as on an older kernel, instead of the default action's errno. 0 or -errno.
 */
int seccomp_enosys_stub(const struct spec_seccomp *s, struct seccomp_prog *p);

#endif
