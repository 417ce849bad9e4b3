/* SPDX-License-Identifier: Apache-2.0 */
/* Handing the container's v2 cgroup over to its own root. */
#include "cgroups/cg_internal.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define DELEGATE "/sys/kernel/cgroup/delegate"

/* What kernels before 4.15, which have no list, let a delegate have. */
static const char before[] = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";

/* A file of the list may be one that this cgroup, without that controller, does not have. */
static int give_files(const struct cg_dir *d, char *list, uid_t owner, struct err *e)
{
	char *save = NULL;

	for (char *f = strtok_r(list, "\n", &save); f; f = strtok_r(NULL, "\n", &save)) {
		if (strchr(f, '/'))
			continue;
		if (fchownat(d->fd, f, owner, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0 &&
		    errno != ENOENT)
			return err_sys(e, errno, "give %s/%s to user %u", d->dir, f, owner);
	}
	return 0;
}

int cg_delegate(struct cg *cg, uid_t owner, struct err *e)
{
	struct cg_dir *d = cg_find_v2(cg);
	AUTO_FREE char *list = NULL;
	int r;

	if (!d)
		return 0;
	r = cg_dir_fd(d);
	if (r < 0)
		return err_sys(e, -r, "open %s", d->dir);
	r = io_read_file(AT_FDCWD, DELEGATE, 65536, &list, NULL);
	if (r == -ENOENT)
		list = strdup(before);
	if (!list)
		return err_sys(e, r == -ENOENT ? ENOMEM : -r, "read " DELEGATE);
	if (fchown(d->fd, owner, (gid_t)-1) < 0)
		return err_sys(e, errno, "give cgroup %s to user %u", d->dir, owner);
	return give_files(d, list, owner, e);
}
