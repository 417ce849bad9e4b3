/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The format is said, never guessed: what a guest writes into its image must not make another kind
 * of image of it, one that names files of the host.
 */
#include "vm_image.h"

#include "base/cleanup.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	SUPER_AT = 1024, /* of ext2-4 and of erofs */
	SUPER_LEN = 1024,
	EXT4_LOG_BLOCK_SIZE = 24,
	EXT4_BLOCKS = 4,
	EXT4_MAGIC_AT = 56,
	EROFS_LOG_BLOCK_SIZE = 12,
	EROFS_BLOCKS = 36,
	LOG_BLOCK_MAX = 16,
};

static uint32_t le32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint16_t le16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

/* Bytes that the file system says it has; 0 when it is none. */
static uint64_t parse(const uint8_t *super, bool *writable)
{
	unsigned int shift;

	*writable = le16(super + EXT4_MAGIC_AT) == EXT4_SUPER_MAGIC;
	if (*writable) {
		shift = 10 + (le32(super + EXT4_LOG_BLOCK_SIZE) & 31);
		return shift > LOG_BLOCK_MAX ? 0 : (uint64_t)le32(super + EXT4_BLOCKS) << shift;
	}
	shift = super[EROFS_LOG_BLOCK_SIZE];
	if (le32(super) != EROFS_SUPER_MAGIC_V1 || shift > LOG_BLOCK_MAX)
		return 0;
	return (uint64_t)le32(super + EROFS_BLOCKS) << shift;
}

static int check(int fd, const char *path, bool *writable, struct err *e)
{
	uint8_t super[SUPER_LEN];
	struct stat st;
	uint64_t size;
	off_t end;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "vm.image.path: %s", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, EINVAL,
			       "vm.image.path: %s: neither a regular file nor a block device",
			       path);
	end = lseek(fd, 0, SEEK_END);
	if (end < 0 || pread(fd, super, sizeof(super), SUPER_AT) != sizeof(super))
		return err_set(e, EINVAL, "vm.image.path: %s: too short for a file system", path);
	size = parse(super, writable);
	if (size == 0)
		return err_set(
			e, EINVAL,
			"vm.image.path: %s: no file system that a guest mounts (ext4, erofs)",
			path);
	if (size > (uint64_t)end)
		return err_set(e, EINVAL,
			       "vm.image.path: %s: its file system has %llu bytes, the file %llu: "
			       "it is truncated",
			       path, (unsigned long long)size, (unsigned long long)end);
	return 0;
}

int vm_image_open(const char *path, bool read_only, bool *ro, struct err *e)
{
	/* Non-blocking: a fifo without a writer is an error, no wait. */
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	bool writable;
	int r;

	if (fd < 0)
		return err_sys(e, errno, "vm.image.path: %s", path);
	r = check(fd, path, &writable, e);
	if (r < 0)
		return r;
	*ro = read_only || !writable;
	if (!*ro) {
		close(TAKE_FD(fd));
		fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, errno, "vm.image.path: %s: for writing", path);
		r = check(fd, path, &writable, e);
		if (r < 0)
			return r;
	}
	if (flock(fd, (*ro ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? err_set(e, EBUSY, "vm.image.path: %s: another machine has it%s",
					 path, *ro ? " and writes to it" : "")
			       : err_sys(e, errno, "vm.image.path: %s: lock", path);
	return TAKE_FD(fd);
}
