/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seccomp: linux.seccomp to a BPF program through libseccomp, in the parent; loaded in the child
 * with the bare system call. Compiled programs are kept in a cache directory, because libseccomp
 * takes milliseconds for a profile of Docker's size.
 */
#ifndef CTR_SECCOMP_H
#define CTR_SECCOMP_H

#include "base/err.h"
#include "oci/spec.h"

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

struct seccomp_prog {
	struct sock_filter *insns; /* malloc'ed; NULL: no filter */
	size_t n;
	/* SECCOMP_FILTER_FLAG_* for seccomp(2), NEW_LISTENER included when notify */
	unsigned int flags;
	bool notify; /* some rule is SCMP_ACT_NOTIFY */
};

/*
 * Compiles. cache_fd: a directory for compiled programs, private to the owner, or -1 for no cache.
 * A cache entry is used only when the whole profile that it was made from, the libseccomp version,
 * the kernel's release and the machine are the same bytes. Writing the cache never fails the call.
 *
 * Errors name linux.seccomp.syscalls[i]...: unknown actions or archs, flags and actions that this
 * kernel lacks. A system call name that libseccomp does not know is skipped as runc does (logged at
 * debug level). When the default action is an errno, calls newer than all that the profile names
 * get ENOSYS. listener_path is the caller's business: whether a profile with out->notify has one.
 */
int seccomp_compile(const struct spec_seccomp *s, int cache_fd, struct seccomp_prog *out,
		    struct err *e);

/*
 * The flags of the configuration for seccomp(2). Of who says nothing of them, not even that there
 * are none, SECCOMP_FILTER_FLAG_SPEC_ALLOW where the kernel has it, as runc does: the mitigation of
 * speculative store bypass, which old kernels tie to a filter, slows programs down.
 */
unsigned int seccomp_flags_for(const struct spec_seccomp *s);

/*
 * Loads it into the calling thread. *listener gets the notify fd (or -1). 0 or -errno; async-
 * signal-safe. (Not called seccomp_load: that is a function of libseccomp.)
 */
int seccomp_install(const struct seccomp_prog *p, int *listener);

void seccomp_free(struct seccomp_prog *p);

/* For `features`: names ending with NULL (static), what library and kernel support. */
const char *const *seccomp_archs(void);
const char *const *seccomp_flags(void);
const char *seccomp_library_version(void);

#endif
