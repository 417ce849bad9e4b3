/* SPDX-License-Identifier: Apache-2.0 */
#include "selfexe.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

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

int selfexe_seal(char *const argv[], struct err *e)
{
	AUTO_CLOSE int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int fd = -1;
	int seals, r;

	if (self < 0)
		return err_sys(e, errno, "open /proc/self/exe");
	seals = fcntl(self, F_GET_SEALS);
	if (seals >= 0 && (seals & SEALS) == SEALS) {
		prctl(PR_SET_NAME, "ctr");
		return 0;
	}
	fd = sealed_copy(self, e);
	if (fd < 0)
		return fd;
	r = sys_execveat(fd, "", argv, environ, AT_EMPTY_PATH);
	return err_sys(e, -r, "run the sealed copy of ctr");
}
