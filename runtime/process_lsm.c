/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The labels take effect at the next execve, or for the next new key. All are writes below
 * /proc/self/attr; on a fake procfs they would be writes into somebody's file, with no label set
 * and no error (CVE-2019-16884).
 */
#include "runtime/process.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "namespaces/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* What set_attr answers beside -errno. */
enum { LSM_SET = 0, LSM_ABSENT = 1 };

/*
 * True when nobody answers for that directory of attributes: its module is not built in or not on.
 */
static bool module_absent(int proc, const char *dir)
{
	AUTO_FREE char *path = str_printf("%s/current", dir);
	AUTO_CLOSE int fd = path ? path_procfs_open(proc, path, O_RDONLY, NULL) : -1;
	char buf[256];

	return fd < 0 || read(fd, buf, sizeof(buf)) < 0;
}

/* Writes text to the attribute name of dir. LSM_SET, LSM_ABSENT or -errno. */
static int set_attr(int proc, const char *dir, const char *name, const char *text, struct err *e)
{
	AUTO_FREE char *path = str_printf("%s/%s", dir, name);
	AUTO_CLOSE int fd = path ? path_procfs_open(proc, path, O_WRONLY, e) : -ENOMEM;
	ssize_t n;
	int code;

	if (fd == -ENOENT)
		return LSM_ABSENT;
	if (fd < 0)
		return fd;
	do
		n = write(fd, text, strlen(text));
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return LSM_SET;
	code = errno;
	if (code == EINVAL && module_absent(proc, dir))
		return LSM_ABSENT;
	/* The quotes are what callers look for to tell these errors (contract 2.3). */
	return err_sys(e, code, "write to `/proc/%s`", path);
}

static int set_apparmor(int proc, const char *profile, struct err *e)
{
	AUTO_FREE char *text = str_printf("exec %s", profile);
	int r;

	if (!text)
		return err_sys(e, ENOMEM, "process.apparmorProfile: %s", profile);
	r = set_attr(proc, "self/attr/apparmor", "exec", text, e);
	/*
	 * Before Linux 5.8 AppArmor had only the shared file, where no other module takes this
	 * text.
	 */
	if (r == LSM_ABSENT)
		r = set_attr(proc, "self/attr", "exec", text, e);
	if (r == LSM_ABSENT && str_eq(profile, "unconfined"))
		return 0; /* without AppArmor everything is */
	if (r == LSM_ABSENT)
		return err_set(e, EOPNOTSUPP,
			       "process.apparmorProfile: %s: this kernel runs without AppArmor",
			       profile);
	return r < 0 ? err_wrap(e, "process.apparmorProfile: %s", profile) : 0;
}

static int set_selinux(int proc, const char *label, struct err *e)
{
	int r = set_attr(proc, "self/attr", "exec", label, e);

	if (r == LSM_ABSENT)
		return err_set(e, EOPNOTSUPP,
			       "process.selinuxLabel: %s: this kernel runs without SELinux", label);
	return r < 0 ? err_wrap(e, "process.selinuxLabel: %s", label) : 0;
}

/* Without SELinux there is nothing to label here: process_lsm tells, which is to come. */
int process_key_label(const char *label, struct err *e)
{
	AUTO_CLOSE int proc = -1;
	int r;

	if (!label)
		return 0;
	proc = path_procfs(e);
	if (proc < 0)
		return proc;
	r = set_attr(proc, "self/attr", "keycreate", label, e);
	return r < 0 ? err_wrap(e, "process.selinuxLabel: %s", label) : 0;
}

/* SELinux registers its file system when it is on, mounted or not. */
int process_mount_label(const char *label, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t len;
	int r;

	if (!label)
		return 0;
	r = io_read_file(AT_FDCWD, "/proc/filesystems", 65536, &text, &len);
	if (r < 0)
		return err_sys(e, -r, "linux.mountLabel: read /proc/filesystems");
	if (!strstr(text, "\tselinuxfs\n"))
		return err_set(e, EOPNOTSUPP,
			       "linux.mountLabel: %s: this kernel runs without SELinux", label);
	return 0;
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
