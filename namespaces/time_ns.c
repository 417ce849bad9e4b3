/* SPDX-License-Identifier: Apache-2.0 */
#include "namespaces/time_ns.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int time_ns_open(const struct spec_linux *l, const struct ns_plan *p, int *fd, struct err *e)
{
	*fd = -1;
	if (!(p->new_flags & CLONE_NEWTIME) || !(l->monotonic.set || l->boottime.set))
		return 0;
	*fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	return *fd < 0 ? err_sys(e, errno, "linux.timeOffsets: open /proc/self/timens_offsets") : 0;
}

static int write_offsets(const struct spec_linux *l, int fd, struct err *e)
{
	char text[128];
	size_t n = 0;

	if (l->monotonic.set)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "monotonic %lld %u\n",
				      (long long)l->monotonic.secs, l->monotonic.nanosecs);
	if (l->boottime.set)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "boottime %lld %u\n",
				      (long long)l->boottime.secs, l->boottime.nanosecs);
	/* All in one call: the kernel takes nothing more afterwards. */
	if (write(fd, text, n) != (ssize_t)n)
		return err_sys(e, errno, "linux.timeOffsets");
	return 0;
}

int time_ns_make(const struct spec_linux *l, int offsets, struct err *e)
{
	if (unshare(CLONE_NEWTIME) < 0)
		return err_sys(e, errno, "make time namespace");
	return offsets < 0 ? 0 : write_offsets(l, offsets, e);
}

int time_ns_enter(struct err *e)
{
	AUTO_CLOSE int fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWTIME) < 0)
		return err_sys(e, errno, "enter time namespace");
	return 0;
}
