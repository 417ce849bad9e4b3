/* SPDX-License-Identifier: Apache-2.0 */
/* `-u USER[:GROUP]` by the passwd and group files of a root file system that may be hostile. */
#include "oci/spec_edit.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "oci/passwd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define FILE_MAX ((size_t)4 << 20)
#define GROUPS_MAX 65536 /* NGROUPS_MAX */

/*
 * Reads a regular file of the root; *out is NULL when there is none. O_NONBLOCK, because what
 * stands there may be a fifo that nobody writes to.
 */
static int read_root_file(int root, const char *path, char **out, struct err *e)
{
	AUTO_CLOSE int fd = sys_openat2(root, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0,
					RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	struct stat st;
	int r;

	*out = NULL;
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return err_sys(e, -fd, "--user: open %s of the root", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "--user: %s of the root is not a file", path);
	r = io_read_all(fd, FILE_MAX, out, NULL);
	return r < 0 ? err_sys(e, -r, "--user: read %s of the root", path) : 0;
}

static bool is_number(const char *s, uint32_t *out)
{
	uint64_t v;

	if (str_to_u64(s, UINT32_MAX - 1, &v) < 0)
		return false;
	*out = (uint32_t)v;
	return true;
}

static int find_user(const char *name, const char *passwd, struct passwd_entry *p, bool *listed,
		     struct err *e)
{
	uid_t uid;

	/* A name may consist of digits, but who types digits means the number. */
	if (is_number(name, &uid)) {
		*listed = passwd && passwd_by_uid(passwd, uid, p);
		if (!*listed)
			*p = (struct passwd_entry){ .uid = uid };
		return 0;
	}
	*listed = *name && passwd && passwd_by_name(passwd, name, p);
	return *listed ? 0
		       : err_set(e, EINVAL, "--user: no such user in /etc/passwd of the root: %s",
				 name);
}

static int find_groups(const struct passwd_entry *p, const char *group, struct spec_gids *out)
{
	size_t n = group_of_member(group, p->name, p->name_len, NULL, 0);

	if (n > GROUPS_MAX)
		n = GROUPS_MAX;
	if (n == 0)
		return 0;
	out->v = calloc(n, sizeof(*out->v));
	if (!out->v)
		return -ENOMEM;
	out->n = n;
	(void)group_of_member(group, p->name, p->name_len, out->v, n);
	return 0;
}

static int look_up(const char *user, const char *group_name, const char *passwd, const char *group,
		   struct spec_edit_user *out, struct err *e)
{
	struct passwd_entry p = {};
	bool listed;
	int r = find_user(user, passwd, &p, &listed, e);

	if (r < 0)
		return r;
	*out = (struct spec_edit_user){ .uid = p.uid, .gid = p.gid };
	if (group_name) {
		/* A group that is given is the only one, as `su -g` and other front ends have it.
		 */
		if (!is_number(group_name, &out->gid) &&
		    !(*group_name && group && group_by_name(group, group_name, &out->gid)))
			return err_set(e, EINVAL,
				       "--user: no such group in /etc/group of the root: %s",
				       group_name);
		return 0;
	}
	if (listed && group && find_groups(&p, group, &out->groups) < 0)
		return err_sys(e, ENOMEM, "--user: %s", user);
	return 0;
}

int spec_edit_user(const char *user, int root_fd, struct spec_edit_user *out, struct err *e)
{
	AUTO_FREE char *name = strdup(user);
	AUTO_FREE char *passwd = NULL;
	AUTO_FREE char *group = NULL;
	char *colon;
	int r;

	if (!name)
		return err_sys(e, ENOMEM, "--user: %s", user);
	colon = strchr(name, ':');
	if (colon)
		*colon++ = '\0';
	r = read_root_file(root_fd, "etc/passwd", &passwd, e);
	if (r == 0)
		r = read_root_file(root_fd, "etc/group", &group, e);
	return r < 0 ? r : look_up(name, colon, passwd, group, out, e);
}
