/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled seccomp programs in a directory that belongs to the caller alone. An entry is a file
 * named by the hash of its key; the key itself is in the file and compared byte by byte, so a hash
 * that collides, or an entry that is damaged, is a miss and never a wrong filter.
 */
#ifndef CTR_SECCOMP_CACHE_H
#define CTR_SECCOMP_CACHE_H

#include "base/str.h"
#include "oci/spec.h"
#include "runtime/seccomp.h"

#define SECCOMP_CACHE_MAX 64 /* entries kept; the oldest go first */

/*
 * Everything that the compiled program depends on, as bytes without pointers or padding: the
 * profile, the libseccomp version, the kernel and the machine. 0 or -errno; b is the caller's to
 * free.
 */
int seccomp_cache_key(const struct spec_seccomp *s, struct str_buf *b);

/*
 * Fills out->insns and out->n (the caller's to free). 0, or -errno when there is no usable entry.
 */
int seccomp_cache_get(int cache_fd, const struct str_buf *key, struct seccomp_prog *out);

/* Stores the program and removes what is too much. 0 or -errno (nothing half-written stays). */
int seccomp_cache_put(int cache_fd, const struct str_buf *key, const struct seccomp_prog *p);

#endif
