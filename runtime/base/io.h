/* SPDX-License-Identifier: Apache-2.0 */
/* Whole-file and whole-buffer I/O. All retry on EINTR. All return 0 (or a count) or -errno. */
#ifndef CTR_BASE_IO_H
#define CTR_BASE_IO_H

#include <stddef.h>
#include <sys/types.h>

/* Writes all of buf to a file or pipe. */
int io_write_full(int fd, const void *buf, size_t len);

/* Reads until len bytes or end of file. Returns the count. */
ssize_t io_read_full(int fd, void *buf, size_t len);

/*
 * Reads all of fd into a fresh buffer with a terminating NUL (not counted in *len), which the
 * caller frees. -EFBIG when there are more than max bytes.
 */
int io_read_all(int fd, size_t max, char **out, size_t *len);

/* The same for a file below dirfd (AT_FDCWD works). -errno of open or read. */
int io_read_file(int dirfd, const char *path, size_t max, char **out, size_t *len);

/*
 * Reads a small file (proc, cgroup) into buf, terminates it, strips one newline at its end. Returns
 * the length.
 */
ssize_t io_read_small(int dirfd, const char *path, char *buf, size_t size);

/*
 * Writes data to an existing file below dirfd with one write(2): what /proc, /sys and cgroup files
 * want.
 */
int io_write_file(int dirfd, const char *path, const char *data);

/*
 * Replaces the file name below dirfd by data: a new file is written, synced to the file system's
 * own care (no fsync: the state lives on a tmpfs) and renamed over the old. Nobody sees half of it,
 * and on failure nothing is left behind.
 */
int io_write_atomic(int dirfd, const char *name, const void *data, size_t len, mode_t mode);

#endif
