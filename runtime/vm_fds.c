/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mount.h>

#include "vm_fds.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "namespaces/mount_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* A detached mount of path and nothing below it, read-only. */
static int read_only_clone(const char *path)
{
	AUTO_CLOSE int mnt = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	int r;

	if (mnt < 0)
		return mnt;
	r = mount_attr_fd(mnt, false, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0);
	return r < 0 ? r : TAKE_FD(mnt);
}

#define NO_NAME (-ENODATA)

/* Another machine that makes the same cache entry puts its own in place of ours. */
static bool is_nameless(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_nlink == 0;
}

/* The clone of the file behind fd, found by its name, which it may not have for us: NO_NAME. */
static int clone_of_file(int fd, char name[PATH_MAX], struct err *e)
{
	AUTO_CLOSE int mnt = -1;
	struct stat own, found;
	char link[64];
	ssize_t n;

	if (fstat(fd, &own) < 0)
		return err_sys(e, errno, "stat what the micro-VM is made of");
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, name, PATH_MAX - 1);
	if (n < 0)
		return err_sys(e, errno, "read %s", link);
	name[n] = '\0';
	mnt = read_only_clone(name);
	/* looked at after the name: whoever takes that leaves ours without one */
	if (mnt == -EACCES || is_nameless(fd))
		return NO_NAME;
	if (mnt < 0)
		return err_sys(e, -mnt, "%s: read-only for the micro-VM", name);
	if (fstat(mnt, &found) < 0)
		return err_sys(e, errno, "%s: stat", name);
	if (found.st_dev != own.st_dev || found.st_ino != own.st_ino)
		return err_set(e, ESTALE, "%s: another file has taken its place", name);
	return TAKE_FD(mnt);
}

static int make_read_only(int fd, bool lock, struct err *e)
{
	char name[PATH_MAX], link[64];
	AUTO_CLOSE int mnt = -1, again = -1;
	int r;

	if (fd < 0)
		return 0;
	mnt = clone_of_file(fd, name, e);
	if (mnt < 0)
		return mnt == NO_NAME ? 0 : mnt;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", mnt);
	again = open(link, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	/* A device that our cgroup denies us: nobody in here opens it again. */
	if (again < 0 && errno == EPERM)
		return 0;
	if (again < 0)
		return err_sys(e, errno, "%s: open read-only", name);
	if (lock && flock(again, LOCK_SH | LOCK_NB) < 0)
		return err_sys(e, errno, "%s: lock", name);
	/* A device is written whatever its mount is; so it cannot be opened any more. */
	r = mount_attr_fd(mnt, false, MOUNT_ATTR_NODEV, 0);
	if (r < 0)
		return err_sys(e, -r, "%s: nodev", name);
	return dup3(again, fd, O_CLOEXEC) < 0 ? err_sys(e, errno, "%s: dup", name) : 0;
}

int vm_fds_read_only(struct vm_config *config, struct err *e)
{
	int r = make_read_only(config->kernel, false, e);

	if (r == 0)
		r = make_read_only(config->initrd, false, e);
	for (size_t i = 0; i < config->n_disks && r == 0; i++)
		if (config->disks[i].ro)
			r = make_read_only(config->disks[i].fd, true, e);
	return r;
}

int vm_fds_proc(struct err *e)
{
	int fd = read_only_clone("/proc/self/fd");

	return fd < 0 ? err_sys(e, -fd, "/proc/self/fd: read-only for the micro-VM") : fd;
}
