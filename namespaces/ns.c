/* SPDX-License-Identifier: Apache-2.0 */
#include "namespaces/ns.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

const struct ns_desc ns_table[NS_KINDS] = {
	[NS_MOUNT] = { "mount", "mnt", CLONE_NEWNS },
	[NS_PID] = { "pid", "pid", CLONE_NEWPID },
	[NS_NETWORK] = { "network", "net", CLONE_NEWNET },
	[NS_UTS] = { "uts", "uts", CLONE_NEWUTS },
	[NS_IPC] = { "ipc", "ipc", CLONE_NEWIPC },
	[NS_USER] = { "user", "user", CLONE_NEWUSER },
	[NS_CGROUP] = { "cgroup", "cgroup", CLONE_NEWCGROUP },
	[NS_TIME] = { "time", "time", CLONE_NEWTIME },
};

static int open_checked(enum ns_kind k, const char *path, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int type;

	if (fd < 0)
		return err_sys(e, errno, "open %s namespace: %s", ns_table[k].name, path);
	type = ioctl(fd, NS_GET_NSTYPE);
	if (type < 0)
		return err_set(e, EINVAL, "open %s namespace: %s: not a namespace",
			       ns_table[k].name, path);
	if ((uint64_t)(unsigned int)type != ns_table[k].clone_flag)
		return err_set(e, EINVAL, "open %s namespace: %s: a namespace of another kind",
			       ns_table[k].name, path);
	return TAKE_FD(fd);
}

int ns_plan_spec(const struct spec_linux *l, struct ns_plan *p, struct err *e)
{
	for (int k = 0; k < NS_KINDS; k++) {
		if (!l->ns[k].wanted)
			continue;
		if (!l->ns[k].path) {
			p->new_flags |= ns_table[k].clone_flag;
			continue;
		}
		p->fd[k] = open_checked((enum ns_kind)k, l->ns[k].path, e);
		if (p->fd[k] < 0)
			return p->fd[k];
	}
	return 0;
}

int ns_is_own(const struct ns_plan *p, enum ns_kind k)
{
	struct stat own, other;
	char path[40];

	if (p->fd[k] < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/thread-self/ns/%s", ns_table[k].proc);
	if (stat(path, &own) < 0 || fstat(p->fd[k], &other) < 0)
		return -errno;
	return own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

/*
 * The order: first every namespace that the caller's present rights reach (a host's network
 * namespace can be joined only before the user namespace takes those rights away), then the user
 * namespace, then what only its rights reach. The mount namespace last of each round: it changes
 * what paths mean.
 */
static const enum ns_kind join_order[] = { NS_IPC,    NS_UTS,  NS_NETWORK, NS_PID,
					   NS_CGROUP, NS_TIME, NS_MOUNT };

static int join_one(struct ns_plan *p, enum ns_kind k)
{
	if (setns(p->fd[k], (int)ns_table[k].clone_flag) < 0)
		return -errno;
	close(p->fd[k]);
	p->fd[k] = -1;
	return 0;
}

int ns_join(struct ns_plan *p, struct err *e)
{
	bool later = p->fd[NS_USER] >= 0;
	int r;

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(join_order); i++) {
			enum ns_kind k = join_order[i];

			if (p->fd[k] < 0)
				continue;
			r = join_one(p, k);
			if (r == -EPERM && later)
				continue;
			if (r < 0)
				return err_sys(e, -r, "join %s namespace", ns_table[k].name);
		}
		if (!later)
			break;
		r = join_one(p, NS_USER);
		if (r < 0)
			return err_sys(e, -r, "join user namespace");
		later = false;
	}
	return 0;
}

void ns_plan_close(struct ns_plan *p)
{
	for (int k = 0; k < NS_KINDS; k++) {
		if (p->fd[k] >= 0)
			close(p->fd[k]);
		p->fd[k] = -1;
	}
}
