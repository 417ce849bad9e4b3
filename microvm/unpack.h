/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacking with the libraries of this host, each loaded when it is first needed: a plain run pays
 * for none of them, and the build needs none of their headers.
 */
#ifndef CTR_UNPACK_H
#define CTR_UNPACK_H

#include "base/err.h"
#include "microvm/kernel_image.h"

#include <stdint.h>

/*
 * Unpacks the n bytes at p to fd, from its current offset on. What follows the end of the packed
 * data is ignored. max: the most bytes that may come out. -ENOTSUP: the library is not there
 * (named); -ENOEXEC: corrupt, truncated, or more than max; -errno of write.
 */
int unpack(enum kernel_packing how, const uint8_t *p, size_t n, int fd, uint64_t max,
	   struct err *e);

#endif
