/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/cpio.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>

enum { HEAD = 110, BLOCK = 512 };
#define TRAILER "TRAILER!!!"

static int put(struct cpio *c, const void *p, size_t n, struct err *e)
{
	int r = io_write_full(c->fd, p, n);

	if (r < 0)
		return err_sys(e, -r, "write the initramfs");
	c->at += n;
	return 0;
}

static int pad(struct cpio *c, unsigned int to, struct err *e)
{
	static const char zeros[BLOCK];

	return put(c, zeros, (to - c->at % to) % to, e);
}

/* Thirteen numbers of eight digits after the magic; the name counts its NUL. */
static int put_head(struct cpio *c, const char *name, mode_t mode, dev_t rdev, size_t n,
		    struct err *e)
{
	unsigned int nlink = S_ISDIR(mode) ? 2 : 1, none = 0;
	char head[HEAD + 1];
	int r;

	snprintf(head, sizeof(head), "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		 c->ino++, (unsigned int)mode, none, none, nlink, none, (unsigned int)n, none, none,
		 major(rdev), minor(rdev), (unsigned int)strlen(name) + 1, none);
	r = put(c, head, HEAD, e);
	if (r == 0)
		r = put(c, name, strlen(name) + 1, e);
	return r < 0 ? r : pad(c, 4, e);
}

static bool has_dir(const struct cpio *c, const char *path)
{
	for (size_t i = 0; i < c->dirs.n; i++)
		if (str_eq(c->dirs.v[i], path))
			return true;
	return false;
}

static int add_dir(struct cpio *c, const char *path, struct err *e)
{
	if (has_dir(c, path))
		return 0;
	if (str_list_add(&c->dirs, path) < 0)
		return err_sys(e, ENOMEM, "write the initramfs");
	return put_head(c, path, S_IFDIR | 0755, 0, 0, e);
}

/* "a/b/c": a and a/b. */
static int add_parents(struct cpio *c, const char *path, struct err *e)
{
	char dir[PATH_MAX];

	for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
		int r;

		memcpy(dir, path, (size_t)(p - path));
		dir[p - path] = '\0';
		r = add_dir(c, dir, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool plain(const char *path)
{
	size_t n = strlen(path);

	return path[0] == '/' && n > 1 && n < PATH_MAX && path[n - 1] != '/' &&
	       !strstr(path, "//") && !strstr(path, "/./") && !strstr(path, "/../") &&
	       !str_ends(path, "/..") && !str_ends(path, "/.");
}

int cpio_add(struct cpio *c, const char *path, mode_t mode, dev_t rdev, const void *data, size_t n,
	     struct err *e)
{
	int r;

	if (!plain(path) || n > UINT32_MAX)
		return err_set(e, EINVAL, "initramfs: cannot hold %s (%zu bytes)", path, n);
	path++;
	r = add_parents(c, path, e);
	if (r < 0)
		return r;
	if (S_ISDIR(mode))
		return add_dir(c, path, e);
	r = put_head(c, path, mode, rdev, n, e);
	if (r == 0)
		r = put(c, data, n, e);
	return r < 0 ? r : pad(c, 4, e);
}

int cpio_end(struct cpio *c, struct err *e)
{
	int r;

	c->ino = 0;
	r = put_head(c, TRAILER, 0, 0, 0, e);
	return r < 0 ? r : pad(c, BLOCK, e);
}

void cpio_free(struct cpio *c)
{
	str_list_free(&c->dirs);
}
