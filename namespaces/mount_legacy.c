/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount(2) takes strings only. The one string that cannot be led astray is the number of a
 * descriptor while the working directory is /proc/self/fd of a verified procfs; that is what every
 * call here uses.
 */
#include <sys/mount.h>

#include "namespaces/mount_exec.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "base/sys.h"
#include "namespaces/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

static const struct {
	uint64_t attr, ms;
} bits[] = {
	{ MOUNT_ATTR_RDONLY, MS_RDONLY },         { MOUNT_ATTR_NOSUID, MS_NOSUID },
	{ MOUNT_ATTR_NODEV, MS_NODEV },           { MOUNT_ATTR_NOEXEC, MS_NOEXEC },
	{ MOUNT_ATTR_NOATIME, MS_NOATIME },       { MOUNT_ATTR_STRICTATIME, MS_STRICTATIME },
	{ MOUNT_ATTR_NODIRATIME, MS_NODIRATIME }, { MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW },
};

static uint64_t to_ms(uint64_t attrs)
{
	uint64_t ms = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		if (attrs & bits[i].attr)
			ms |= bits[i].ms;
	return ms;
}

/* The flags that a mount has now: a remount states all of them anew. */
static uint64_t flags_of(int fd)
{
	static const struct {
		unsigned long st, ms;
	} map[] = {
		{ ST_RDONLY, MS_RDONLY },     { ST_NOSUID, MS_NOSUID },
		{ ST_NODEV, MS_NODEV },       { ST_NOEXEC, MS_NOEXEC },
		{ ST_NOATIME, MS_NOATIME },   { ST_NODIRATIME, MS_NODIRATIME },
		{ ST_RELATIME, MS_RELATIME },
	};
	struct statvfs vfs;
	uint64_t ms = 0;

	if (fstatvfs(fd, &vfs) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (vfs.f_flag & map[i].st)
			ms |= map[i].ms;
	return ms;
}

/* Goes to /proc/self/fd; *back is where the process was. */
static int go_to_fds(int *back, struct err *e)
{
	AUTO_CLOSE int old = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int proc = -1, fds = -1;

	if (old < 0)
		return err_sys(e, errno, "open the working directory");
	proc = path_procfs(e);
	if (proc < 0)
		return proc;
	fds = path_procfs_open(proc, "self/fd", O_PATH | O_DIRECTORY, e);
	if (fds < 0)
		return fds;
	if (fchdir(fds) < 0)
		return err_sys(e, errno, "chdir to /proc/self/fd");
	*back = TAKE_FD(old);
	return 0;
}

/* mount(2) with the target, and where source_fd >= 0 the source, as descriptors. */
static int mount_fds(int source_fd, const char *source, int target_fd, const char *fstype,
		     uint64_t flags, const char *data, struct err *e)
{
	char src[16], dst[16];
	AUTO_CLOSE int back = -1;
	int r = go_to_fds(&back, e);

	if (r < 0)
		return r;
	snprintf(src, sizeof(src), "%d", source_fd);
	snprintf(dst, sizeof(dst), "%d", target_fd);
	r = mount(source_fd >= 0 ? src : source, dst, fstype, flags, data) < 0 ? -errno : 0;
	if (fchdir(back) < 0 && r == 0)
		r = -errno;
	return r < 0 ? err_sys(e, -r, "mount(2)") : 0;
}

static uint64_t sb_ms(const struct spec_strings *flags)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} map[] = {
		{ "sync", MS_SYNCHRONOUS }, { "dirsync", MS_DIRSYNC }, { "lazytime", 1 << 25 },
		{ "mand", MS_MANDLOCK },    { "ro", MS_RDONLY },
	};
	uint64_t ms = 0;

	for (size_t i = 0; i < flags->n; i++)
		for (size_t j = 0; j < ARRAY_SIZE(map); j++)
			if (str_eq(flags->v[i], map[j].name))
				ms |= map[j].ms;
	return ms;
}

/* An SELinux label may hold commas: SELinux takes it in quotes then, and nothing else does. */
static void add_data(struct str_buf *b, const char *s)
{
	const char *label = strstr(s, "context=");

	if (b->len)
		str_buf_add(b, ",");
	if (label && strchr(label, ',') && !strchr(label, '"')) {
		label += strlen("context=");
		str_buf_addn(b, s, (size_t)(label - s));
		str_buf_addf(b, "\"%s\"", label);
	} else {
		str_buf_add(b, s);
	}
}

int mount_legacy_fs(const struct mount_op *op, int target_fd, const char *mode, struct err *e)
{
	struct str_buf data = { 0 };
	int r;

	for (size_t i = 0; i < op->data.n; i++)
		add_data(&data, op->data.v[i]);
	if (mode) {
		add_data(&data, "mode=");
		str_buf_add(&data, mode);
	}
	if (data.failed)
		r = err_sys(e, ENOMEM, "mount options");
	else
		r = mount_fds(-1, op->source ? op->source : "none", target_fd, op->fstype,
			      to_ms(op->attr_set) | sb_ms(&op->sb_set) | op->ms_flags, data.s, e);
	str_buf_free(&data);
	return r;
}

int mount_legacy_bind(int source_fd, bool recursive, int target_fd, struct err *e)
{
	return mount_fds(source_fd, NULL, target_fd, NULL, MS_BIND | (recursive ? MS_REC : 0), NULL,
			 e);
}

int mount_legacy_attr(int fd, uint64_t set, uint64_t clr, struct err *e)
{
	uint64_t ms = flags_of(fd);

	ms = (ms & ~to_ms(clr)) | to_ms(set);
	if (clr & MOUNT_ATTR__ATIME)
		ms &= ~(uint64_t)MS_RELATIME;
	return mount_fds(-1, NULL, fd, NULL, MS_REMOUNT | MS_BIND | ms, NULL, e);
}

int mount_legacy_propagation(int fd, uint64_t ms, struct err *e)
{
	return mount_fds(-1, NULL, fd, NULL, ms, NULL, e);
}
