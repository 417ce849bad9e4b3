/* SPDX-License-Identifier: Apache-2.0 */
#include "namespaces/sysctl.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "namespaces/path.h"
#include "oci/validate.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/*
 * As sysctl(8) reads names: the separator that comes first is the one that separates; the other one
 * then stands for itself (interface names have dots).
 */
char *sysctl_path(const char *name)
{
	char *out = strdup(name);
	size_t first = strcspn(name, "./");

	if (!out || name[first] != '.')
		return out;
	for (char *p = out; *p; p++)
		*p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
	return out;
}

static int check_one(const char *key, const struct ns_plan *ns, struct err *e)
{
	AUTO_FREE char *path = sysctl_path(key);
	int r, owner;

	if (!path)
		return err_sys(e, ENOMEM, "linux.sysctl[\"%s\"]", key);
	owner = validate_sysctl_owner(path);
	r = owner < 0 ? 0 : ns_is_own(ns, (enum ns_kind)owner);
	if (r < 0)
		return err_sys(e, -r, "linux.sysctl[\"%s\"]: compare the %s namespaces", key,
			       ns_table[owner].name);
	if (r > 0)
		return err_set(e, EINVAL,
			       "linux.sysctl[\"%s\"]: the %s namespace that linux.namespaces names "
			       "by its path is the host's, whose value would be changed",
			       key, ns_table[owner].name);
	return 0;
}

int sysctl_check_joined(const struct spec_map *m, const struct ns_plan *ns, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < m->n && r == 0; i++)
		r = check_one(m->v[i].key, ns, e);
	return r;
}

static int apply_one(int proc_fd, const struct spec_pair *p, struct err *e)
{
	AUTO_FREE char *rel = sysctl_path(p->key);
	AUTO_FREE char *path = rel ? str_printf("sys/%s", rel) : NULL;
	AUTO_CLOSE int fd = -1;
	size_t len = strlen(p->value);
	ssize_t n;

	if (!path)
		return err_sys(e, ENOMEM, "linux.sysctl[\"%s\"]", p->key);
	if (strstr(path, "/../") || str_ends(path, "/.."))
		return err_set(e, EINVAL, "linux.sysctl[\"%s\"]: not the name of a sysctl", p->key);
	fd = path_procfs_open(proc_fd, path, O_WRONLY, e);
	if (fd < 0) {
		err_wrap(e, "linux.sysctl[\"%s\"]", p->key);
		return fd;
	}
	do
		n = write(fd, p->value, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, errno, "linux.sysctl[\"%s\"]: write \"%s\"", p->key, p->value);
	if ((size_t)n != len)
		return err_sys(e, EIO, "linux.sysctl[\"%s\"]: write \"%s\"", p->key, p->value);
	return 0;
}

int sysctl_apply(const struct spec_map *m, struct err *e)
{
	AUTO_CLOSE int proc = -1;
	int r = 0;

	if (!m->n)
		return 0;
	proc = path_procfs(e);
	if (proc < 0)
		return proc;
	for (size_t i = 0; i < m->n && r == 0; i++)
		r = apply_one(proc, &m->v[i], e);
	return r;
}
