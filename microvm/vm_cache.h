/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is made once for all machines and outlives them: unpacked kernels and initramfs archives.
 * Entries are named by the identity of what they were made of, appear whole (written aside, synced,
 * renamed), and nobody but the owner may have written them. One that was not used for a month goes
 * when another is made.
 */
#ifndef CTR_VM_CACHE_H
#define CTR_VM_CACHE_H

#include "base/err.h"

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/*
 * The directory, made when missing (0700): /var/cache/ctr for root, else $XDG_CACHE_HOME/ctr or
 * ~/.cache/ctr. -1 when there is none that is the caller's own: whoever asked works without.
 */
int vm_cache_open(void);

/* Names of entries: a running hash over what the entry is made of. Start with VM_CACHE_KEY. */
#define VM_CACHE_KEY 0xcbf29ce484222325ULL
uint64_t vm_cache_key(uint64_t key, const void *data, size_t len);
/* The same over a file's identity: device, inode, size, times of change. */
uint64_t vm_cache_key_file(uint64_t key, const struct stat *st);

/* "PREFIX-KEY"; returns the length as snprintf. */
enum { VM_CACHE_NAME_MAX = 64 };
void vm_cache_name(char name[VM_CACHE_NAME_MAX], const char *prefix, uint64_t key);

/* Opens an entry to read; -ENOENT also when it is not the caller's own regular file. */
int vm_cache_get(int cache, const char *name);

/*
 * A new file to fill, to write and read; with cache -1 or unwritable in memory only. *temp is its
 * temporary name (caller frees), or NULL when it has none.
 */
int vm_cache_begin(int cache, char **temp, struct err *e);

/*
 * The filled file becomes entry `name`. Takes fd; returns a descriptor to read it. A cache that
 * cannot take it is no error.
 */
int vm_cache_commit(int cache, int fd, const char *temp, const char *name, struct err *e);

/* The entry is not wanted after all; takes fd. */
void vm_cache_abort(int cache, int fd, const char *temp);

#endif
