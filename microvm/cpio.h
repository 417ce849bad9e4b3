/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer of cpio archives in the one format that Linux unpacks as its first file system ("newc",
 * Documentation/driver-api/early-userspace/buffer-format.rst). No times, no owners but root: the
 * same content gives the same bytes.
 */
#ifndef CTR_CPIO_H
#define CTR_CPIO_H

#include "base/err.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct cpio {
	int fd; /* borrowed; written from its current offset on */
	uint64_t at;
	uint32_t ino;
	struct str_list dirs; /* those that are in it */
};

#define CPIO_INIT(to)      \
	{                  \
		.fd = (to) \
	}

/*
 * Adds one entry; path is absolute, its directories are added when they are missing. mode with the
 * type: S_IFREG (data: the content), S_IFLNK (data: the target), S_IFCHR (rdev), S_IFDIR (nothing;
 * one that is there already is no error). At most 4 GiB - 1. -EINVAL for a path that is not plain;
 * -errno of write.
 */
int cpio_add(struct cpio *c, const char *path, mode_t mode, dev_t rdev, const void *data, size_t n,
	     struct err *e);

/* Ends the archive, whose length is then a multiple of 512. */
int cpio_end(struct cpio *c, struct err *e);

void cpio_free(struct cpio *c);
#define AUTO_CPIO __attribute__((cleanup(cpio_free)))

#endif
