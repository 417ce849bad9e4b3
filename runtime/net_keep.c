/* SPDX-License-Identifier: Apache-2.0 */
#include "net_store.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define RESTORED ".restored"
#define SUFFIX ".json"

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

static bool keeps(const struct store *root)
{
	return str_eq(root->path, STORE_DEFAULT);
}

static bool is_kept(const char *file)
{
	return file[0] != '.' && str_ends(file, SUFFIX);
}

/* Who may not read it has nothing kept either. */
static DIR *open_kept(void)
{
	int fd = open(NETWORK_KEPT, OPEN_DIR);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

bool network_keep_any(const struct store *root)
{
	AUTO_CLOSEDIR DIR *d = keeps(root) ? open_kept() : NULL;
	struct dirent *de;

	while (d && (de = readdir(d)) != NULL)
		if (is_kept(de->d_name))
			return true;
	return false;
}

/* /var/lib/ctr may be searched by all; what is in the directory is root's. */
static int make_kept(struct err *e)
{
	int fd;

	if ((mkdir("/var/lib/ctr", 0755) < 0 && errno != EEXIST) ||
	    (mkdir(NETWORK_KEPT, 0700) < 0 && errno != EEXIST))
		return err_sys(e, errno, "make " NETWORK_KEPT);
	fd = open(NETWORK_KEPT, OPEN_DIR);
	return fd < 0 ? err_sys(e, errno, "open " NETWORK_KEPT) : fd;
}

static void file_name(char out[NET_NAME_MAX + sizeof(SUFFIX)], const char *name)
{
	snprintf(out, NET_NAME_MAX + sizeof(SUFFIX), "%s" SUFFIX, name);
}

int network_keep(const struct net_store *s, const struct network *n, struct err *e)
{
	char file[NET_NAME_MAX + sizeof(SUFFIX)];
	AUTO_CLOSE int dir = -1, fd = -1;
	int r;

	if (!keeps(s->root))
		return 0;
	dir = make_kept(e);
	if (dir < 0)
		return dir;
	file_name(file, n->conf.name);
	r = network_write(n, dir, file, e);
	if (r < 0)
		return r;
	fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 || fsync(dir) < 0
		       ? err_sys(e, errno, "write " NETWORK_KEPT "/%s", file)
		       : 0;
}

int network_keep_not(const struct net_store *s, const char *name, struct err *e)
{
	char path[sizeof(NETWORK_KEPT) + NET_NAME_MAX + sizeof(SUFFIX)];

	if (!keeps(s->root))
		return 0;
	snprintf(path, sizeof(path), NETWORK_KEPT "/%s" SUFFIX, name);
	return unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR
		       ? err_sys(e, errno, "remove %s", path)
		       : 0;
}

static int restore_one(const struct net_store *s, int dir, const char *file, struct err *e)
{
	AUTO_NETWORK_REF struct network n = NETWORK_INIT;
	char name[NET_NAME_MAX + 1];
	size_t len = strlen(file) - strlen(SUFFIX);
	int r;

	if (len > NET_NAME_MAX)
		return err_set(e, EINVAL, "not the name of a network");
	snprintf(name, sizeof(name), "%.*s", (int)len, file);
	r = network_check_name(name, e);
	if (r == 0)
		r = network_read(&n, dir, file, name, e);
	if (r == 0 && !str_eq(n.conf.name, name))
		r = err_set(e, EINVAL, "is of network %s", n.conf.name);
	return r < 0 ? r : network_make(s, &n, e);
}

void network_keep_restore(const struct net_store *s)
{
	AUTO_CLOSEDIR DIR *d = NULL;
	AUTO_CLOSE int mark = -1;
	struct dirent *de;
	struct err e;

	if (!keeps(s->root) || faccessat(s->dir, RESTORED, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return;
	d = open_kept();
	while (d && (de = readdir(d)) != NULL) {
		int r = is_kept(de->d_name) ? restore_one(s, dirfd(d), de->d_name, &e) : 0;

		/* Those that were brought back before somebody was killed. */
		if (r < 0 && r != -EEXIST)
			log_warn(NETWORK_KEPT "/%s: %s", de->d_name, e.msg);
	}
	mark = openat(s->dir, RESTORED, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (mark < 0)
		log_warn("%s/.networks/" RESTORED ": %s", s->root->path, strerrordesc_np(errno));
}
