/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/kernel_modules.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

enum { NAME_MAX_LEN = 64, DEPTH_MAX = 32 };

static char plain(char c)
{
	return c == '-' ? '_' : c;
}

const char *kernel_module_name(const char *path, char *name, size_t size)
{
	const char *base = strrchr(path, '/'), *end;
	size_t n;

	base = base ? base + 1 : path;
	end = strstr(base, ".ko");
	if (!end || end == base || (end[3] && end[3] != '.'))
		return NULL;
	n = (size_t)(end - base);
	if (n >= size)
		return NULL;
	for (size_t i = 0; i < n; i++)
		name[i] = plain(base[i]);
	name[n] = '\0';
	return end + 3;
}

/* The length of the first word of a line: a path, up to the colon, a blank or the end. */
static size_t path_len(const char *line)
{
	return strcspn(line, ": \t\n");
}

static bool is_module(const char *line, size_t len, const char *name)
{
	char path[PATH_MAX], have[NAME_MAX_LEN];
	size_t i = 0;

	if (len == 0 || len >= sizeof(path))
		return false;
	memcpy(path, line, len);
	path[len] = '\0';
	if (!kernel_module_name(path, have, sizeof(have)))
		return false;
	for (; name[i] && plain(name[i]) == have[i]; i++)
		;
	return !name[i] && !have[i];
}

/* The line that begins with the path of module name, or NULL. */
static const char *find_line(const char *text, const char *name)
{
	for (const char *l = text; l && *l; l = strchr(l, '\n'), l = l ? l + 1 : NULL)
		if (is_module(l, path_len(l), name))
			return l;
	return NULL;
}

enum kernel_module kernel_module_find(const char *dep, const char *builtin, const char *name)
{
	if (find_line(builtin, name))
		return KERNEL_MODULE_BUILTIN;
	return find_line(dep, name) ? KERNEL_MODULE_FILE : KERNEL_MODULE_NONE;
}

static bool listed(const struct str_list *l, const char *path, size_t len)
{
	for (size_t i = 0; i < l->n; i++)
		if (strlen(l->v[i]) == len && memcmp(l->v[i], path, len) == 0)
			return true;
	return false;
}

/*
 * depmod writes what a module needs in the whole, the nearest first; that each needed one has a
 * line of its own gives the order whether it does or not.
 */
static int add(const char *dep, const char *line, int depth, struct str_list *out, struct err *e)
{
	size_t len = path_len(line);
	char path[PATH_MAX], name[NAME_MAX_LEN];
	const char *p = line + len;

	if (listed(out, line, len))
		return 0;
	if (len >= sizeof(path))
		return err_set(e, EINVAL, "modules.dep: a path is too long");
	memcpy(path, line, len);
	path[len] = '\0';
	if (depth > DEPTH_MAX)
		return err_set(e, ELOOP, "modules.dep: %s needs itself", path);
	for (p += *p == ':'; *p && *p != '\n'; p += path_len(p)) {
		char other[PATH_MAX];
		const char *l;
		size_t n;
		int r;

		p += strspn(p, ": \t");
		n = path_len(p);
		if (n == 0)
			continue;
		if (n >= sizeof(other))
			return err_set(e, EINVAL, "modules.dep: a path is too long");
		memcpy(other, p, n);
		other[n] = '\0';
		if (!kernel_module_name(other, name, sizeof(name)) || !(l = find_line(dep, name)))
			return err_set(e, ENOENT, "modules.dep: no line for %s, which %s needs",
				       other, path);
		r = add(dep, l, depth + 1, out, e);
		if (r < 0)
			return r;
	}
	if (str_list_add(out, path) < 0)
		return err_sys(e, ENOMEM, "list modules");
	return 0;
}

int kernel_module_order(const char *dep, const char *builtin, const char *name,
			struct str_list *out, struct err *e)
{
	const char *line;

	if (find_line(builtin, name))
		return 0;
	line = find_line(dep, name);
	if (!line)
		return err_set(e, ENOENT, "the kernel has no module %s", name);
	return add(dep, line, 0, out, e);
}
