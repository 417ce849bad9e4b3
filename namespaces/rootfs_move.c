/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --no-pivot: for a host whose root is an initramfs. chroot alone leaves the host's tree mounted in
 * the container's namespace; the host's whole /proc and /sys are taken out of it, because a procfs
 * that is fully visible somewhere lets a nested user namespace mount one without our masks.
 */
#include <sys/mount.h>

#include "namespaces/rootfs.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "base/sys.h"
#include "namespaces/mount_exec.h"
#include "namespaces/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define MOUNTINFO_MAX ((size_t)16 << 20)

/* \040 and the like, in place. */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

/* A whole procfs or sysfs outside the container's root: its mount point, else NULL. */
static char *full_view(char *line, const char *root)
{
	char *save = NULL, *type = strstr(line, " - "), *view, *point, *rest;

	if (!type || !(str_after(type, " - proc ") || str_after(type, " - sysfs ")))
		return NULL;
	strtok_r(line, " ", &save);
	strtok_r(NULL, " ", &save);
	strtok_r(NULL, " ", &save);
	view = strtok_r(NULL, " ", &save);
	point = strtok_r(NULL, " ", &save);
	if (!view || !point || !str_eq(view, "/"))
		return NULL;
	unescape(point);
	rest = root ? (char *)str_after(point, root) : NULL;
	return rest && (*rest == '/' || *rest == '\0') ? NULL : point;
}

/* An unmount may be refused in a user namespace, where mounts are locked: an empty tmpfs hides it
 * then. */
static int take_away(const char *point, struct err *e)
{
	const struct mount_fs hide = { .fstype = "tmpfs",
				       .source = "tmpfs",
				       .attrs = MOUNT_ATTR_RDONLY };
	AUTO_CLOSE int fd = open(point, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int mnt = -1;
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "open the host's %s", point);
	r = mount_propagation_fd(fd, MS_SLAVE | MS_REC);
	if (r == -ENOSYS || r == -EPERM)
		r = mount(NULL, point, NULL, MS_SLAVE | MS_REC, NULL) < 0 ? -errno : 0;
	if (r < 0 && r != -EINVAL)
		return err_sys(e, -r, "set the propagation of the host's %s", point);
	if (umount2(point, MNT_DETACH) == 0)
		return 0;
	if (errno != EINVAL && errno != EPERM)
		return err_sys(e, errno, "unmount the host's %s", point);
	mnt = mount_fs_new(&hide, NULL, e);
	if (mnt < 0)
		return mnt;
	r = mount_attach(mnt, fd);
	return r < 0 ? err_sys(e, -r, "hide the host's %s", point) : 0;
}

/* Where the root is in the tree, as mountinfo spells it: o->path may lead there by links. */
static int root_point(const struct rootfs *r, int proc, char *buf, size_t size, struct err *e)
{
	char name[32];
	AUTO_CLOSE int fds = path_procfs_open(proc, "self/fd", O_PATH | O_DIRECTORY, e);
	ssize_t n;

	if (fds < 0)
		return fds;
	snprintf(name, sizeof(name), "%d", r->root_fd);
	n = readlinkat(fds, name, buf, size - 1);
	if (n < 0)
		return err_sys(e, errno, "read where the root is mounted");
	buf[n] = '\0';
	return 0;
}

static int take_away_all(const struct rootfs *r, struct err *e)
{
	AUTO_CLOSE int proc = path_procfs(e);
	AUTO_CLOSE int info = -1;
	AUTO_FREE char *text = NULL;
	char *save = NULL, *line, *point, root[PATH_MAX];
	size_t len;
	int ret;

	if (proc < 0)
		return proc;
	if (!r->on_top && (ret = root_point(r, proc, root, sizeof(root), e)) < 0)
		return ret;
	info = path_procfs_open(proc, "self/mountinfo", O_RDONLY, e);
	if (info < 0)
		return info;
	ret = io_read_all(info, MOUNTINFO_MAX, &text, &len);
	if (ret < 0)
		return err_sys(e, -ret, "read /proc/self/mountinfo");
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		point = full_view(line, r->on_top ? NULL : root);
		if (point && (ret = take_away(point, e)) < 0)
			return ret;
	}
	return 0;
}

int rootfs_move(struct rootfs *r, struct err *e)
{
	AUTO_CLOSE int host = -1;
	int ret = take_away_all(r, e);

	if (ret < 0)
		return ret;
	if (fchdir(r->root_fd) < 0)
		return err_sys(e, errno, "chdir to the root");
	if (!r->on_top) {
		host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (host < 0)
			return err_sys(e, errno, "open /");
		ret = mount_attach(r->root_fd, host);
		if (ret == -ENOSYS || ret == -EPERM)
			ret = mount(".", "/", NULL, MS_MOVE, NULL) < 0 ? -errno : 0;
		if (ret < 0)
			return err_sys(e, -ret, "move the root over /");
	}
	if (chroot(".") < 0 || chdir("/") < 0)
		return err_sys(e, errno, "chroot");
	return 0;
}
