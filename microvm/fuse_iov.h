/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scattered buffers as one stretch of bytes. A guest cuts its requests into pieces as it likes: a
 * header may span several, or share one with data. Pure.
 */
#ifndef CTR_FUSE_IOV_H
#define CTR_FUSE_IOV_H

#include <stddef.h>
#include <sys/uio.h>

/* All bytes; SIZE_MAX when that is more than a size_t holds. */
size_t fuse_iov_len(const struct iovec *v, size_t n);

/* Copies up to len bytes from offset off on. Returns how many there were. */
size_t fuse_iov_get(const struct iovec *v, size_t n, size_t off, void *buf, size_t len);
size_t fuse_iov_put(const struct iovec *v, size_t n, size_t off, const void *buf, size_t len);

/*
 * The pieces of [off, off+len) into dst, at most max of them: fewer bytes when there are more
 * pieces or the buffers end before. Returns the pieces; *bytes is what they hold.
 */
size_t fuse_iov_slice(const struct iovec *v, size_t n, size_t off, size_t len, struct iovec *dst,
		      size_t max, size_t *bytes);

#endif
