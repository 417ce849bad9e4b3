/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cg_systemd_props.h"

#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a unit name may hold; '-' separates levels in a slice's name and is plain in a scope's. */
static bool is_unit_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr(":-_.\\@", c));
}

/* Everything else becomes \xNN, as systemd-escape does it. */
static int add_escaped(char *out, size_t size, const char *s)
{
	size_t len = strlen(out);

	for (; *s; s++) {
		int n = is_unit_char(*s)
				? snprintf(out + len, size - len, "%c", *s)
				: snprintf(out + len, size - len, "\\x%02x", (unsigned char)*s);

		if ((size_t)n >= size - len)
			return -ENAMETOOLONG;
		len += (size_t)n;
	}
	return 0;
}

/* The length of the name without ".slice", or 0 when it is none. */
static size_t slice_stem(const char *s)
{
	size_t len = strlen(s), stem;

	if (!str_ends(s, ".slice") || len > CG_UNIT_NAME_MAX)
		return 0;
	stem = len - strlen(".slice");
	for (size_t i = 0; i < stem; i++)
		if (!is_unit_char(s[i]) || s[i] == '@' || (s[i] == '-' && s[i + 1] == '-'))
			return 0;
	if (stem == 1 && *s == '-')
		return 1;
	return stem && s[0] != '-' && s[stem - 1] != '-' ? stem : 0;
}

int cg_slice_path(const char *slice, char **out)
{
	size_t stem = slice_stem(slice);
	struct str_buf b = { 0 };

	if (!stem)
		return -EINVAL;
	if (stem == 1 && *slice == '-')
		str_buf_add(&b, "/");
	else
		for (size_t i = 1; i <= stem; i++)
			if (i == stem || slice[i] == '-')
				str_buf_addf(&b, "/%.*s.slice", (int)i, slice);
	if (b.failed) {
		str_buf_free(&b);
		return -ENOMEM;
	}
	*out = b.s;
	return 0;
}

static int set_slice(const char *s, size_t len, bool rootless, struct cg_unit_names *out)
{
	if (len > CG_UNIT_NAME_MAX)
		return -ENAMETOOLONG;
	snprintf(out->slice, sizeof(out->slice), "%.*s", (int)len, s);
	if (len == 0)
		strcpy(out->slice, rootless ? "user.slice" : "system.slice");
	else if (str_eq(out->slice, "-"))
		strcpy(out->slice, "-.slice");
	return slice_stem(out->slice) ? 0 : -EINVAL;
}

static int set_unit(const char *prefix, size_t prefix_len, const char *name,
		    struct cg_unit_names *out)
{
	char head[CG_UNIT_NAME_MAX + 2];
	int r;

	out->unit[0] = '\0';
	out->is_slice = str_ends(name, ".slice");
	if (prefix_len > CG_UNIT_NAME_MAX)
		return -ENAMETOOLONG;
	if (out->is_slice) {
		if (!slice_stem(name) || str_eq(name, "-.slice"))
			return strlen(name) > CG_UNIT_NAME_MAX ? -ENAMETOOLONG : -EINVAL;
		strcpy(out->unit, name);
		return 0;
	}
	snprintf(head, sizeof(head), "%.*s-", (int)prefix_len, prefix);
	r = add_escaped(out->unit, sizeof(out->unit), head);
	if (r == 0)
		r = add_escaped(out->unit, sizeof(out->unit), name);
	return r < 0 ? r : add_escaped(out->unit, sizeof(out->unit), ".scope");
}

int cg_unit_names(const char *id, const char *cgroups_path, bool rootless,
		  struct cg_unit_names *out, struct err *e)
{
	bool given = cgroups_path && *cgroups_path;
	const char *slice = given ? cgroups_path : ":ctr", *prefix, *name;
	int r;

	prefix = strchr(slice, ':');
	name = prefix && given ? strchr(prefix + 1, ':') : NULL;
	if (given && (!name || strchr(name + 1, ':') || strchr(cgroups_path, '/') || !name[1]))
		return err_set(
			e, EINVAL,
			"linux.cgroupsPath: %s: with the systemd cgroup manager it has the form SLICE:PREFIX:NAME",
			cgroups_path);
	name = name ? name : prefix + strlen(":ctr");
	r = set_slice(slice, (size_t)(prefix - slice), rootless, out);
	if (r == -EINVAL)
		return err_set(e, EINVAL,
			       "linux.cgroupsPath: %s: \"%.*s\" is not the name of a slice",
			       cgroups_path, (int)(prefix - slice), slice);
	if (r == 0)
		r = set_unit(prefix + 1, (size_t)(name - prefix - 1), given ? name + 1 : id, out);
	if (r == -ENAMETOOLONG)
		return err_set(
			e, ENAMETOOLONG,
			"linux.cgroupsPath: %s: longer than the %d bytes that a unit's name may have",
			given ? cgroups_path : id, CG_UNIT_NAME_MAX);
	return r < 0 ? err_set(e, -r, "linux.cgroupsPath: %s: \"%s\" is not the name of a slice",
			       cgroups_path, name + 1)
		     : 0;
}
