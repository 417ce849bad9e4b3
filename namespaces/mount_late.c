/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts that become read-only last. They are kept as descriptors: their paths would lead to what
 * is there by then, another mount over them, or nothing.
 */
#include "namespaces/mount_exec.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int mount_late_keep(struct mount_late *l, const struct mount_op *op, int mnt, struct err *e)
{
	void *v;

	if (!op->late_ro)
		return 0;
	v = reallocarray(l->v, l->n + 1, sizeof(*l->v));
	if (!v)
		return err_sys(e, ENOMEM, "mounts[%zu]", op->index);
	l->v = v;
	l->v[l->n].op = op;
	l->v[l->n].fd = fcntl(mnt, F_DUPFD_CLOEXEC, 0);
	if (l->v[l->n].fd < 0)
		return err_sys(e, errno, "mounts[%zu]: keep the mount of %s", op->index,
			       op->target);
	l->n++;
	return 0;
}

int mount_exec_late(const struct mount_late *l, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct mount_op *op = l->v[i].op;
		int r = mount_attr_fd(l->v[i].fd, false, MOUNT_ATTR_RDONLY, 0);

		if (r == -ENOSYS || r == -EPERM)
			r = mount_legacy_attr(l->v[i].fd, MOUNT_ATTR_RDONLY, 0, NULL);
		if (r < 0)
			return err_sys(e, -r, "mounts[%zu]: make %s read-only", op->index,
				       op->target);
	}
	return 0;
}

void mount_late_close(struct mount_late *l)
{
	while (l->n)
		close(l->v[--l->n].fd);
	free(l->v);
	l->v = NULL;
}
