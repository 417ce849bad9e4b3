/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Controllers of cgroup v2. A controller's files are there in a cgroup only when its parent lists
 * the controller in cgroup.subtree_control, the parent's parent too, and so on from the root. A
 * cgroup other than the root cannot list one while it has processes of its own. The container's
 * cgroup is a leaf: it lists none itself.
 */
#include "cgroups/cg_internal.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

int cg_v2_controllers(int dirfd, const char *file, unsigned int *mask)
{
	char buf[512];
	ssize_t n = io_read_small(dirfd, file, buf, sizeof(buf));
	char *save = NULL;

	if (n < 0)
		return (int)n;
	*mask = 0;
	for (char *w = strtok_r(buf, " \n", &save); w; w = strtok_r(NULL, " \n", &save)) {
		int c = cg_ctl_by_v2(w, strlen(w));

		if (c >= 0 && c < CG_CTL_COUNT)
			*mask |= CG_BIT(c);
	}
	return 0;
}

static int write_mask(int dirfd, unsigned int mask)
{
	char buf[256] = "";

	for (int c = 0; c < CG_CTL_COUNT; c++) {
		if (!(mask & CG_BIT(c)) || !cg_ctl_names[c].v2)
			continue;
		strcat(buf, *buf ? " +" : "+");
		strcat(buf, cg_ctl_names[c].v2);
	}
	return *buf ? io_write_file(dirfd, "cgroup.subtree_control", buf) : 0;
}

static int enable_failed(int code, const char *name, int ctl, struct err *e)
{
	const char *c = cg_ctl_names[ctl].v2;

	switch (code) {
	case EBUSY:
		return err_set(
			e, code,
			"enable the %s controller below cgroup %s: it has processes of its own, "
			"which cgroup v2 allows in leaves only",
			c, name);
	case EOPNOTSUPP:
		return err_set(e, code,
			       "enable the %s controller below cgroup %s: it is a threaded cgroup",
			       c, name);
	case ENOENT:
		return err_set(e, ENOTSUP,
			       "enable the %s controller below cgroup %s: not available there", c,
			       name);
	default:
		return err_sys(e, code, "enable the %s controller below cgroup %s", c, name);
	}
}

int cg_v2_enable(int dirfd, const char *name, unsigned int need, unsigned int want, struct err *e)
{
	unsigned int have, missing;
	int r;

	if (!(need | want))
		return 0;
	r = cg_v2_controllers(dirfd, "cgroup.subtree_control", &have);
	if (r < 0)
		return need ? err_sys(e, -r, "read %s/cgroup.subtree_control", name) : 0;
	missing = (need | want) & ~have;
	/*
	 * One write for all is the usual case; when it fails, each by itself tells which one it
	 * was. Who has no right to write gets none of them.
	 */
	r = missing ? write_mask(dirfd, missing) : 0;
	if (r == 0 || (!(missing & need) && (r == -EACCES || r == -EPERM || r == -EROFS)))
		return 0;
	for (int c = 0; c < CG_CTL_COUNT; c++) {
		if (!(missing & CG_BIT(c)))
			continue;
		r = write_mask(dirfd, CG_BIT(c));
		/* The cgroup itself has gone: the caller makes it again. */
		if (r == -ENODEV || (r == -ENOENT && faccessat(dirfd, "cgroup.procs", F_OK, 0) < 0))
			return err_sys(e, ENOENT, "write %s/cgroup.subtree_control", name);
		if (r < 0 && (need & CG_BIT(c)))
			return enable_failed(-r, name, c, e);
	}
	return 0;
}

int cg_v2_enable_path(const struct cg_dir *d, const char *path, unsigned int need, struct err *e)
{
	size_t mount_len = strlen(d->hier->mount);
	AUTO_FREE char *dir = strdup(d->dir);

	if (!dir)
		return err_sys(e, ENOMEM, "enable controllers");
	if (!need)
		return 0;
	/* Every '/' of the path ends one ancestor's name: "" (the root), "/ctr", ... */
	for (const char *p = path; p; p = strchr(p + 1, '/')) {
		size_t len = mount_len + (size_t)(p - path);
		int r;

		dir[len] = '\0';
		AUTO_CLOSE int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0)
			return err_sys(e, errno, "open %s", dir);
		r = cg_v2_enable(fd, dir, need, 0, e);
		if (r < 0)
			return r;
		dir[len] = '/';
	}
	return 0;
}
