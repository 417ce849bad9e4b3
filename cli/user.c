/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/user.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>

static int open_dir(int at, const char *path, const char *what, int *out, struct err *e)
{
	int fd = openat(at, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "open %s: %s", what, path);
	*out = fd;
	return 0;
}

/* The directory that becomes the container's root: this machine's for a clone, the bundle's
 * otherwise. */
static int open_root(const struct create_opts *o, int *out, struct err *e)
{
	AUTO_CLOSE int bundle = -1;
	AUTO_SPEC struct spec *s = NULL;
	int r;

	if (o->clone)
		return open_dir(AT_FDCWD, "/", "root", out, e);
	r = open_dir(AT_FDCWD, o->bundle ? o->bundle : ".", "bundle", &bundle, e);
	if (r == 0)
		/* Whether it may change this host is asked by create, which knows the mode. */
		r = spec_load(bundle, o->config ? o->config : "config.json", true, &s, NULL, NULL,
			      e);
	if (r < 0)
		return r;
	if (!s->root)
		return err_set(e, EINVAL, "run: --user: the configuration has no root.path");
	return open_dir(bundle, s->root->path, "root.path", out, e);
}

int user_lookup(const struct create_opts *o, struct spec_edit *ed, struct user_lookup *u,
		struct err *e)
{
	AUTO_CLOSE int root = -1;
	int r = open_root(o, &root, e);

	if (r == 0)
		r = spec_edit_user(ed->user, root, &u->found, e);
	if (r < 0)
		return r;
	snprintf(u->text, sizeof(u->text), "%u:%u", u->found.uid, u->found.gid);
	ed->user = u->text;
	ed->groups = u->found.groups;
	return 0;
}

void user_free(struct user_lookup *u)
{
	free(u->found.groups.v);
	u->found.groups = (struct spec_gids){};
}
