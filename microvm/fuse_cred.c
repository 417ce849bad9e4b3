/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acting for somebody in the guest. New files are made under the file system ids of who asked, so
 * that the host's file system decides about inherited groups, quota and default ACLs as it does for
 * a process of the host. The capabilities stay, though the kernel takes them away with the id: the
 * guest's kernel has decided by its own rules, with supplementary groups that nobody here knows.
 *
 * All of it belongs to the calling thread alone, as it does for the kernel: no library in between
 * that would tell the other threads.
 */
#include "microvm/fuse_priv.h"

#include <errno.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct __user_cap_header_struct header(void)
{
	return (struct __user_cap_header_struct){ .version = _LINUX_CAPABILITY_VERSION_3 };
}

static bool has(const struct fuse_cred *c, unsigned int cap)
{
	return c->caps[cap / 32].effective & 1U << cap % 32;
}

int fuse_cred_enter(struct fuse_cred *c, struct err *e)
{
	struct __user_cap_header_struct h = header();

	if (syscall(SYS_capget, &h, c->caps) < 0)
		return err_sys(e, errno, "file server: capget");
	c->uid = geteuid();
	c->gid = getegid();
	umask(0);
	c->mask = 0;
	c->switches = has(c, CAP_SETUID) && has(c, CAP_SETGID);
	return 0;
}

/* What is effective now, of what is permitted: cannot fail. */
static void set_caps(const struct fuse_cred *c, uint32_t without)
{
	struct __user_cap_header_struct h = header();
	struct __user_cap_data_struct caps[2] = { c->caps[0], c->caps[1] };

	caps[0].effective &= ~without;
	syscall(SYS_capset, &h, caps);
}

/* setfsuid has no error: the second call tells what the first has done. */
static bool set_ids(uid_t uid, gid_t gid)
{
	setfsgid(gid);
	if ((gid_t)setfsgid(gid) != gid)
		return false;
	setfsuid(uid);
	return (uid_t)setfsuid(uid) == uid;
}

int fuse_cred_as(struct fuse_cred *c, uid_t uid, gid_t gid, mode_t mask)
{
	mask &= 0777;
	if (mask != c->mask) {
		umask(mask);
		c->mask = mask;
	}
	if (uid == c->uid && gid == c->gid)
		return 0;
	if (!c->switches)
		return -EOVERFLOW;
	c->switched = true;
	if (set_ids(uid, gid)) {
		set_caps(c, 0);
		return 0;
	}
	fuse_cred_back(c);
	return -EOVERFLOW;
}

void fuse_cred_back(struct fuse_cred *c)
{
	if (!c->switched)
		return;
	c->switched = false;
	setfsuid(c->uid);
	setfsgid(c->gid);
}

static void fsetid(const struct fuse_cred *c, bool on)
{
	if (has(c, CAP_FSETID))
		set_caps(c, on ? 0 : 1U << CAP_FSETID);
}

static bool set_id(mode_t mode)
{
	return S_ISREG(mode) && mode & (S_ISUID | S_ISGID);
}

struct fuse_setid fuse_setid_begin(const struct fuse_cred *c, int fd, bool kill)
{
	struct fuse_setid is = { .kill = kill };
	struct stat st;

	if (kill)
		fsetid(c, false);
	else if (fstat(fd, &st) == 0 && set_id(st.st_mode))
		is.mode = st.st_mode & 07777;
	return is;
}

void fuse_setid_end(const struct fuse_cred *c, int fd, const struct fuse_setid *is)
{
	struct stat st;

	if (is->kill)
		fsetid(c, true);
	else if (is->mode && fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) != is->mode)
		fchmod(fd, is->mode);
}
