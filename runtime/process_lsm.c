/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The labels take effect at the next execve. Both are writes below /proc/self/attr; on a fake procfs
 * they would be writes into somebody's file, with no label set and no error (CVE-2019-16884).
 */
#include "runtime/process.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "namespaces/path.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* One write, as the kernel wants it. -ENOENT: this kernel has no such attribute. */
static int write_attr(int proc, const char *attr, const char *text, struct err *e)
{
	AUTO_CLOSE int fd = path_procfs_open(proc, attr, O_WRONLY, e);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return fd;
	do
		n = write(fd, text, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, errno, "write to `/proc/%s`: %s", attr, text);
	return (size_t)n == len ? 0 : err_sys(e, EIO, "write to `/proc/%s`: %s", attr, text);
}

static int set_apparmor(int proc, const char *profile, struct err *e)
{
	AUTO_FREE char *text = str_printf("exec %s", profile);
	int r;

	if (!text)
		return err_sys(e, ENOMEM, "process.apparmorProfile: %s", profile);
	r = write_attr(proc, "self/attr/apparmor/exec", text, e);
	/* Before Linux 5.8 AppArmor had only the shared file, which others refuse to take this from. */
	if (r == -ENOENT)
		r = write_attr(proc, "self/attr/exec", text, e);
	if (r == -ENOENT && str_eq(profile, "unconfined"))
		return 0; /* without AppArmor everything is */
	if (r == -ENOENT)
		return err_set(e, EOPNOTSUPP,
			       "process.apparmorProfile: %s: this kernel runs without AppArmor", profile);
	return r < 0 ? err_wrap(e, "process.apparmorProfile: %s", profile) : 0;
}

static int set_selinux(int proc, const char *label, struct err *e)
{
	int r = write_attr(proc, "self/attr/exec", label, e);

	if (r == -ENOENT)
		return err_set(e, EOPNOTSUPP,
			       "process.selinuxLabel: %s: this kernel runs without SELinux", label);
	return r < 0 ? err_wrap(e, "process.selinuxLabel: %s", label) : 0;
}

int process_lsm(const struct spec_process *p, struct err *e)
{
	bool apparmor = p->apparmor_profile && *p->apparmor_profile;
	bool selinux = p->selinux_label && *p->selinux_label;
	AUTO_CLOSE int proc = -1;
	int r = 0;

	if (!apparmor && !selinux)
		return 0;
	proc = path_procfs(e);
	if (proc < 0)
		return proc;
	if (apparmor)
		r = set_apparmor(proc, p->apparmor_profile, e);
	if (r == 0 && selinux)
		r = set_selinux(proc, p->selinux_label, e);
	return r;
}
