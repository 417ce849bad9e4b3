/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directories below /run that a machine's services expect to find: sshd, PostgreSQL and others
 * do not start without theirs, and on the machine itself an init system makes them. A clone's /run
 * is fresh and it has no init system, so they are made from what the packages say themselves:
 *
 *   tmpfiles.d(5)      lines d and D for paths below /run, without specifiers
 *   systemd.exec(5)    RuntimeDirectory=, RuntimeDirectoryMode=, User=, Group= of service units,
 *                      without specifiers
 *
 * Where two say something about one path, the first counts: files below /etc before those below
 * /usr/lib. What belongs to systemd itself (/run/systemd) is left out.
 */
#ifndef CTR_NAMESPACES_RUN_DIRS_H
#define CTR_NAMESPACES_RUN_DIRS_H

#include "base/err.h"

#include <stddef.h>
#include <sys/types.h>

struct run_dir {
	char *path; /* below /run, without a slash at either end; malloc'ed */
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

struct run_dirs {
	struct run_dir *v; /* malloc'ed */
	size_t n;
};

void run_dirs_free(struct run_dirs *d);

/* Users and groups by name: the text of /etc/passwd and /etc/group. */
struct run_dirs_names {
	const char *passwd, *group;
};

/*
 * Adds what the text of a tmpfiles.d file, or of a service unit, says. Lines that are not
 * understood, or name an unknown user, are passed over. 0 or -ENOMEM.
 */
int run_dirs_tmpfiles(struct run_dirs *d, const char *text, const struct run_dirs_names *names);
int run_dirs_unit(struct run_dirs *d, const char *text, const struct run_dirs_names *names);

/* All that the files below root_fd say. A machine without any has none. 0 or -errno with *e. */
int run_dirs_scan(int root_fd, struct run_dirs *out, struct err *e);

/*
 * The same for "/", from the directory cache (-1: none) when nothing has changed since: the
 * directories, and each file that said something, have the modification time of then.
 */
int run_dirs_load(int cache, struct run_dirs *out, struct err *e);

/* Makes them below run_fd, whatever the umask. What is there stays as it is. */
int run_dirs_make(int run_fd, const struct run_dirs *d, struct err *e);

#endif
