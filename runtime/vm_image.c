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
	EXT4_BLOCKS = 4,
	EXT4_LOG_BLOCK_SIZE = 24,
	EXT4_MAGIC_AT = 56,
	EXT4_INCOMPAT = 96,
	EXT4_INCOMPAT_RECOVER = 1 << 2,
	EXT4_INCOMPAT_64BIT = 1 << 7,
	EXT4_BLOCKS_HIGH = 336,
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

static int parse_ext4(const uint8_t *super, struct vm_image *i)
{
	const uint32_t incompat = le32(super + EXT4_INCOMPAT);
	const uint32_t log = le32(super + EXT4_LOG_BLOCK_SIZE);
	uint64_t blocks = le32(super + EXT4_BLOCKS);

	if (log > LOG_BLOCK_MAX - 10)
		return -EINVAL;
	if (incompat & EXT4_INCOMPAT_64BIT)
		blocks |= (uint64_t)le32(super + EXT4_BLOCKS_HIGH) << 32;
	if (blocks == 0 || blocks > (uint64_t)INT64_MAX >> (log + 10))
		return -EINVAL;
	*i = (struct vm_image){
		.size = blocks << (log + 10),
		.writable = true,
		.recover = incompat & EXT4_INCOMPAT_RECOVER,
	};
	return 0;
}

int vm_image_parse(const uint8_t super[VM_IMAGE_SUPER], struct vm_image *i)
{
	const unsigned int log = super[EROFS_LOG_BLOCK_SIZE];

	if (le16(super + EXT4_MAGIC_AT) == EXT4_SUPER_MAGIC)
		return parse_ext4(super, i);
	if (le32(super) != EROFS_SUPER_MAGIC_V1 || log > LOG_BLOCK_MAX ||
	    le32(super + EROFS_BLOCKS) == 0)
		return -EINVAL;
	*i = (struct vm_image){ .size = (uint64_t)le32(super + EROFS_BLOCKS) << log };
	return 0;
}

static int check(int fd, const char *path, struct vm_image *i, struct vm_disk *d, struct err *e)
{
	uint8_t super[VM_IMAGE_SUPER];
	struct stat st;
	off_t end;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "vm.image.path: %s", path);
	d->device = S_ISBLK(st.st_mode);
	if (!S_ISREG(st.st_mode) && !d->device)
		return err_set(e, EINVAL,
			       "vm.image.path: %s: neither a regular file nor a block device",
			       path);
	end = lseek(fd, 0, SEEK_END);
	if (end < 0 || pread(fd, super, sizeof(super), SUPER_AT) != sizeof(super))
		return err_set(e, EINVAL, "vm.image.path: %s: too short for a file system", path);
	if (vm_image_parse(super, i) < 0)
		return err_set(
			e, EINVAL,
			"vm.image.path: %s: no file system that a guest mounts (ext4, erofs)",
			path);
	if (i->size > (uint64_t)end)
		return err_set(e, EINVAL,
			       "vm.image.path: %s: its file system has %llu bytes, the file %llu: "
			       "it is truncated",
			       path, (unsigned long long)i->size, (unsigned long long)end);
	return 0;
}

/*
 * O_EXCL: a device that the host itself has mounted would be written by two kernels. For a regular
 * file it means nothing.
 */
static int open_for_writing(const char *path, bool device, struct err *e)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (device ? O_EXCL : 0));

	if (fd < 0 && errno == EBUSY)
		return err_set(e, EBUSY,
			       "vm.image.path: %s: the host has it mounted, or another machine has "
			       "it",
			       path);
	return fd < 0 ? err_sys(e, errno, "vm.image.path: %s: for writing", path) : fd;
}

int vm_image_open(const char *path, bool read_only, struct vm_disk *out, struct err *e)
{
	/* Non-blocking: a fifo without a writer is an error, no wait. */
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct vm_disk d = {};
	struct vm_image i;
	int r;

	if (fd < 0)
		return err_sys(e, errno, "vm.image.path: %s", path);
	r = check(fd, path, &i, &d, e);
	if (r < 0)
		return r;
	d.ro = read_only || !i.writable;
	if (!d.ro) {
		close(TAKE_FD(fd));
		fd = open_for_writing(path, d.device, e);
		if (fd < 0)
			return fd;
	}
	if (flock(fd, (d.ro ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? err_set(e, EBUSY, "vm.image.path: %s: another machine has it%s",
					 path, d.ro ? " and writes to it" : "")
			       : err_sys(e, errno, "vm.image.path: %s: lock", path);
	/* Now that nobody else writes. */
	r = check(fd, path, &i, &d, e);
	if (r < 0)
		return r;
	if (d.ro && i.recover)
		return err_set(
			e, EINVAL,
			"vm.image.path: %s: its journal holds what a machine that was killed "
			"wrote: a read-only machine cannot put it in its place (e2fsck -p "
			"does)",
			path);
	d.fd = TAKE_FD(fd);
	*out = d;
	return 0;
}
