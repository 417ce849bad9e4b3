/* SPDX-License-Identifier: Apache-2.0 */
#include "selfexe.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int copy(int from, int to)
{
	struct stat st;

	if (fstat(from, &st) < 0)
		return -errno;
	for (off_t left = st.st_size; left > 0;) {
		ssize_t n = sendfile(to, from, NULL, (size_t)left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		left -= n;
	}
	return 0;
}

/*
 * EBUSY: somebody else looks at a page of it (the kernel's own memory scanners do), which it has
 * waited for in vain, for a good while each time.
 */
static int seal(int fd)
{
	for (int i = 0; i < 20; i++) {
		if (fcntl(fd, F_ADD_SEALS, SEALS) == 0)
			return 0;
		if (errno != EBUSY)
			break;
	}
	return -errno;
}

static int sealed_copy(int self, struct err *e)
{
	AUTO_CLOSE int fd = memfd_create("ctr", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	int r;

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("ctr", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(e, errno, "make a sealed copy of ctr");
	r = copy(self, fd);
	if (r < 0)
		return err_sys(e, -r, "make a sealed copy of ctr");
	r = seal(fd);
	if (r < 0)
		return err_sys(e, -r, "seal the copy of ctr");
	return TAKE_FD(fd);
}

/*
 * Where memory cannot be executed (sysctl vm.memfd_noexec=2), a file that has no name: what runs
 * cannot be written, and afterwards nobody finds it.
 */
static int nameless_copy(int self, struct err *e)
{
	static const char *const dirs[] = { "/run", "/tmp", "/var/tmp", "/dev/shm" };
	char path[32];
	struct statvfs v;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		AUTO_CLOSE int fd = open(dirs[i], O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0700);
		int ro;

		if (fd < 0 || fstatvfs(fd, &v) < 0 || v.f_flag & ST_NOEXEC || copy(self, fd) < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ro = open(path, O_RDONLY | O_CLOEXEC);
		if (ro >= 0)
			return ro;
	}
	return err_set(e, EACCES,
		       "make a sealed copy of ctr: vm.memfd_noexec forbids one in memory, and none "
		       "can be made in /run, /tmp, /var/tmp or /dev/shm");
}

static int safe_copy(int self, struct err *e)
{
	int fd = sealed_copy(self, e);

	return fd == -EACCES || fd == -ENOSYS ? nameless_copy(self, e) : fd;
}

/* Memory of somebody else's that is not sealed has no name either, and may be run again. */
static bool is_copy(int self)
{
	int seals = fcntl(self, F_GET_SEALS);
	char path[16];
	struct stat st;

	if (seals >= 0 && (seals & SEALS) == SEALS)
		return true;
	return fstat(self, &st) == 0 && st.st_nlink == 0 &&
	       readlink("/proc/self/exe", path, sizeof(path)) > 7 &&
	       memcmp(path, "/memfd:", 7) != 0;
}

int selfexe_seal(char *const argv[], struct err *e)
{
	AUTO_CLOSE int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int fd = -1;
	int r;

	if (self < 0)
		return err_sys(e, errno, "open /proc/self/exe");
	if (is_copy(self)) {
		prctl(PR_SET_NAME, "ctr");
		return 0;
	}
	fd = safe_copy(self, e);
	if (fd < 0)
		return fd;
	r = sys_execveat(fd, "", argv, environ, AT_EMPTY_PATH);
	return err_sys(e, -r, "run the sealed copy of ctr");
}
