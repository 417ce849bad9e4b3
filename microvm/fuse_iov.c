/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/fuse_iov.h"

#include <stdint.h>
#include <string.h>

size_t fuse_iov_len(const struct iovec *v, size_t n)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++)
		if (__builtin_add_overflow(sum, v[i].iov_len, &sum))
			return SIZE_MAX;
	return sum;
}

size_t fuse_iov_slice(const struct iovec *v, size_t n, size_t off, size_t len, struct iovec *dst,
		      size_t max, size_t *bytes)
{
	size_t used = 0, sum = 0;

	for (size_t i = 0; i < n && used < max && sum < len; i++) {
		size_t have = v[i].iov_len;

		if (off >= have) {
			off -= have;
			continue;
		}
		have -= off;
		if (have > len - sum)
			have = len - sum;
		dst[used].iov_base = (char *)v[i].iov_base + off;
		dst[used++].iov_len = have;
		sum += have;
		off = 0;
	}
	*bytes = sum;
	return used;
}

/* The next piece of a copy: where it is, and its length in *have. NULL at the end. */
static char *piece(const struct iovec **v, size_t *n, size_t *off, size_t len, size_t *have)
{
	char *at;

	while (*n && *off >= (*v)->iov_len) {
		*off -= (*v)->iov_len;
		(*v)++;
		(*n)--;
	}
	if (!*n || !len)
		return NULL;
	at = (char *)(*v)->iov_base + *off;
	*have = (*v)->iov_len - *off;
	if (*have > len)
		*have = len;
	*off += *have;
	return at;
}

size_t fuse_iov_get(const struct iovec *v, size_t n, size_t off, void *buf, size_t len)
{
	size_t done = 0, have;
	char *at;

	while ((at = piece(&v, &n, &off, len - done, &have))) {
		memcpy((char *)buf + done, at, have);
		done += have;
	}
	return done;
}

size_t fuse_iov_put(const struct iovec *v, size_t n, size_t off, const void *buf, size_t len)
{
	size_t done = 0, have;
	char *at;

	while ((at = piece(&v, &n, &off, len - done, &have))) {
		memcpy(at, (const char *)buf + done, have);
		done += have;
	}
	return done;
}
