/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk of a clone. A flock on the file is held by its open file description, and the loop
 * device keeps that open: the lock lives exactly as long as the device, whoever dies first.
 */
#include "namespaces/overlay.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "namespaces/mount_exec.h"
#include "namespaces/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define DEFAULT_SIZE ((uint64_t)8 << 30)
#define MIN_SIZE ((uint64_t)16 << 20)
#define MKFS_SECONDS 120
#define EXT4_MAGIC_AT 1080
#define LOOP_TRIES 100

static int lock(int fd, const char *file, struct err *e)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(e, EBUSY, "disk %s: in use by another clone", file);
	return err_sys(e, errno, "lock %s", file);
}

/* ---- making it ---- */

static int mkfs(const char *path, struct err *e)
{
	char *argv[] = { (char *)"mkfs.ext4",
			 (char *)"-F",
			 (char *)"-q",
			 (char *)"-m",
			 (char *)"0",
			 (char *)"-E",
			 (char *)"lazy_itable_init=1,nodiscard",
			 (char *)path,
			 NULL };

	return tool_run(argv, MKFS_SECONDS, e);
}

/*
 * A file without a name, so that one of the right name is always a whole disk, and an interrupted
 * attempt leaves nothing. *named: the file system has no such files, and the final name is in use
 * already; others find it locked.
 */
static int open_new(const char *file, bool *named, struct err *e)
{
	const char *slash = strrchr(file, '/');
	AUTO_FREE char *dir = slash ? strndup(file, (size_t)(slash - file) + 1) : strdup(".");
	AUTO_CLOSE int fd = -1;
	int r;

	if (!dir)
		return err_sys(e, ENOMEM, "make disk %s", file);
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	*named = fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR);
	if (*named)
		fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, errno, "make disk %s", file);
	r = lock(fd, file, e);
	return r < 0 ? r : TAKE_FD(fd);
}

/* Makes the file, unless somebody else completes one of that name meanwhile. */
static int make_disk(const char *file, uint64_t size, struct err *e)
{
	bool named = false;
	AUTO_CLOSE int fd = -1;
	char path[48];
	int r;

	if (size == 0)
		size = DEFAULT_SIZE;
	if (size < MIN_SIZE)
		return err_set(e, EINVAL, "disk %s: at least 16 MiB are needed", file);
	fd = open_new(file, &named, e);
	if (fd < 0)
		return fd;
	/* of this process, so that the tool can open it without inheriting it */
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), fd);
	if (ftruncate(fd, (off_t)size) < 0)
		r = err_sys(e, errno, "make disk %s", file);
	else if ((r = mkfs(path, e)) < 0)
		err_wrap(e, "make disk %s", file);
	else if (!named && linkat(AT_FDCWD, path, AT_FDCWD, file, AT_SYMLINK_FOLLOW) < 0 &&
		 errno != EEXIST)
		r = err_sys(e, errno, "make disk %s", file);
	if (r < 0 && named)
		unlink(file);
	return r;
}

/* Never formats what it did not make: a file that is no ext4 disk is somebody's file. */
static int check_disk(int fd, const char *file, struct err *e)
{
	unsigned char magic[2];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "stat %s", file);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "disk %s: not a regular file", file);
	if (pread(fd, magic, sizeof(magic), EXT4_MAGIC_AT) != sizeof(magic) || magic[0] != 0x53 ||
	    magic[1] != 0xef)
		return err_set(e, EINVAL, "disk %s: exists and is no ext4 disk", file);
	return 0;
}

/* ---- attaching it ---- */

/* A loop device that was set up by somebody else, without a lock, is found by device and inode. */
static int check_loops(int fd, const char *file, struct err *e)
{
	AUTO_CLOSEDIR DIR *dir = opendir("/sys/block");
	struct loop_info64 info;
	const struct dirent *d;
	struct stat st;

	if (!dir)
		return 0;
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "stat %s", file);
	while ((d = readdir(dir))) {
		char path[PATH_MAX];
		AUTO_CLOSE int loop = -1;

		if (!str_after(d->d_name, "loop"))
			continue;
		snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", d->d_name);
		if (access(path, F_OK) < 0)
			continue;
		snprintf(path, sizeof(path), "/dev/%s", d->d_name);
		loop = open(path, O_RDONLY | O_CLOEXEC);
		if (loop < 0 || ioctl(loop, LOOP_GET_STATUS64, &info) < 0)
			continue;
		if (info.lo_inode == st.st_ino && info.lo_device == st.st_dev)
			return err_set(e, EBUSY, "disk %s: in use by /dev/%s", file, d->d_name);
	}
	return 0;
}

static int configure(int loop, int fd, const char *file)
{
	struct loop_config c = { .fd = (uint32_t)fd, .info.lo_flags = LO_FLAGS_AUTOCLEAR };

	/* For losetup -l only; the kernel cuts nothing that we rely on. */
	snprintf((char *)c.info.lo_file_name, sizeof(c.info.lo_file_name), "%s", file);
	return ioctl(loop, LOOP_CONFIGURE, &c) < 0 ? -errno : 0;
}

/* Between asking for a free device and taking it, another process may take it. */
static int attach(int fd, const char *file, int *out, struct err *e)
{
	AUTO_CLOSE int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int r = -EBUSY;

	if (control < 0)
		return err_sys(e, errno, "open /dev/loop-control");
	for (int i = 0; i < LOOP_TRIES && r == -EBUSY; i++) {
		int n = ioctl(control, LOOP_CTL_GET_FREE);
		AUTO_CLOSE int loop = -1;
		char path[32];

		if (n < 0)
			return err_sys(e, errno, "find a free loop device");
		snprintf(path, sizeof(path), "/dev/loop%d", n);
		loop = open(path, O_RDWR | O_CLOEXEC);
		if (loop < 0)
			return err_sys(e, errno, "open %s", path);
		r = configure(loop, fd, file);
		if (r == 0)
			*out = TAKE_FD(loop);
	}
	return r < 0 ? err_sys(e, -r, "attach %s to a loop device", file) : 0;
}

/* The mount keeps the device open, so that the device goes with it. */
static int mount_disk(int loop, const char *file, int *out, struct err *e)
{
	char path[32];
	const struct mount_fs f = { .fstype = "ext4", .source = path };
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", loop);
	fd = mount_fs_new(&f, NULL, e);
	if (fd == -EINVAL || fd == -EUCLEAN)
		return err_set(e, -fd, "disk %s: its ext4 file system is damaged or cut off", file);
	if (fd < 0) {
		err_wrap(e, "disk %s", file);
		return fd;
	}
	*out = fd;
	return 0;
}

int overlay_disk_open(const char *file, uint64_t size, int *mount_fd, struct err *e)
{
	AUTO_CLOSE int fd = open(file, O_RDWR | O_CLOEXEC);
	AUTO_CLOSE int loop = -1;
	int r = 0;

	if (fd < 0 && errno == ENOENT) {
		r = make_disk(file, size, e);
		if (r < 0)
			return r;
		fd = open(file, O_RDWR | O_CLOEXEC);
	}
	if (fd < 0)
		return err_sys(e, errno, "open disk %s", file);
	if ((r = lock(fd, file, e)) == 0 && (r = check_disk(fd, file, e)) == 0 &&
	    (r = check_loops(fd, file, e)) == 0)
		r = attach(fd, file, &loop, e);
	return r < 0 ? r : mount_disk(loop, file, mount_fd, e);
}
