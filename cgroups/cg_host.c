/* SPDX-License-Identifier: Apache-2.0 */
/* Which hierarchies there are and where they are mounted. */
#include "cgroups/cg_internal.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>

#define PROC_MAX ((size_t)4 << 20) /* mountinfo of a host with very many mounts */

static long fs_type(const char *path)
{
	struct statfs st;

	return statfs(path, &st) < 0 ? -errno : (long)st.f_type;
}

static bool set_mount(struct cg_hier *h, const char *path)
{
	return snprintf(h->mount, sizeof(h->mount), "%s", path) < (int)sizeof(h->mount);
}

static bool try_mount(struct cg_hier *h, const struct cg_probe_env *env, const char *name,
		      size_t len)
{
	long want = h->v2 ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC;
	char path[sizeof(h->mount)];
	int n;

	n = len ? snprintf(path, sizeof(path), "%s/%.*s", env->base, (int)len, name)
		: snprintf(path, sizeof(path), "%s", env->base);
	return n < (int)sizeof(path) && env->fs_type(path) == want && set_mount(h, path);
}

/* The places where every distribution mounts them: by the whole list, then by each controller. */
static bool usual_place(struct cg_hier *h, const struct cg_probe_env *env)
{
	const char *c = h->controllers, *name;

	if (h->v2)
		return try_mount(h, env, "", 0) || try_mount(h, env, "unified", 7);
	name = str_after(c, "name=");
	if (name)
		return try_mount(h, env, name, strlen(name));
	if (try_mount(h, env, c, strlen(c)))
		return true;
	for (; *c; c += c[0] == ',') {
		size_t len = strcspn(c, ",");

		if (try_mount(h, env, c, len))
			return true;
		c += len;
	}
	return false;
}

/* True when every word of `want` is a word of `have`; both are comma lists. */
static bool has_words(const char *have, const char *want)
{
	while (*want) {
		size_t len = strcspn(want, ",");
		const char *p = have;
		bool found = false;

		while (*p && !found) {
			size_t n = strcspn(p, ",\n");

			found = n == len && memcmp(p, want, len) == 0;
			p += n + (p[n] == ',');
			if (*p == '\n')
				break;
		}
		if (!found)
			return false;
		want += len + (want[len] == ',');
	}
	return true;
}

/* Undoes the \040 of mountinfo, in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

/* One line of mountinfo: "ID PARENT MAJ:MIN ROOT MOUNT OPTIONS [...] - TYPE SOURCE SUPER". */
static bool line_matches(char *line, struct cg_hier *h)
{
	char *sep = strstr(line, " - "), *save = NULL, *tok[5], *type, *super;

	if (!sep)
		return false;
	*sep = '\0';
	type = strtok_r(sep + 3, " ", &save);
	if (!type || !strtok_r(NULL, " ", &save) || !str_eq(type, h->v2 ? "cgroup2" : "cgroup"))
		return false;
	super = strtok_r(NULL, " ", &save);
	save = NULL;
	for (int i = 0; i < 5; i++) {
		tok[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!tok[i])
			return false;
	}
	if (!h->v2 && (!super || !has_words(super, h->controllers)))
		return false;
	unescape(tok[4]);
	return set_mount(h, tok[4]);
}

static bool in_mountinfo(struct cg_hier *h, const char *text)
{
	AUTO_FREE char *copy = strdup(text);
	char *save = NULL;

	if (!copy)
		return false;
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (line_matches(line, h))
			return true;
	return false;
}

/* "4:memory:/a" or "0::/a". 1 when it fills *h, 0 for a line of another form, or -E2BIG. */
static int parse_line(char *line, struct cg_hier *h)
{
	char *controllers = strchr(line, ':'), *path;

	if (!controllers)
		return 0;
	*controllers++ = '\0';
	path = strchr(controllers, ':');
	if (!path)
		return 0;
	*path++ = '\0';
	*h = (struct cg_hier){ .v2 = str_eq(line, "0") };
	if (snprintf(h->controllers, sizeof(h->controllers), "%s", controllers) >=
	    (int)sizeof(h->controllers))
		return -E2BIG;
	if (snprintf(h->self, sizeof(h->self), "%s", path) >= (int)sizeof(h->self))
		h->self[0] = '\0';
	return 1;
}

static void set_layout(struct cg_host *h)
{
	bool v1 = false, v2 = false;

	for (size_t i = 0; i < h->n; i++) {
		v2 = v2 || h->hier[i].v2;
		v1 = v1 || !h->hier[i].v2;
	}
	h->layout = v1 && v2 ? CG_LAYOUT_HYBRID
		    : v1     ? CG_LAYOUT_V1
		    : v2     ? CG_LAYOUT_V2
			     : CG_LAYOUT_NONE;
}

int cg_host_probe_env(struct cg_host *h, const struct cg_probe_env *env, struct err *e)
{
	AUTO_FREE char *text = NULL, *mounts = NULL;
	char *save = NULL;
	int r;

	h->n = 0;
	r = io_read_file(AT_FDCWD, env->proc_cgroup, PROC_MAX, &text, NULL);
	if (r == -ENOENT) { /* a kernel without cgroups */
		h->layout = CG_LAYOUT_NONE;
		return 0;
	}
	if (r < 0)
		return err_sys(e, -r, "read %s", env->proc_cgroup);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct cg_hier *one = &h->hier[h->n];

		r = parse_line(line, one);
		if (r < 0)
			return err_sys(e, -r, "%s: a line of it", env->proc_cgroup);
		if (!r)
			continue;
		if (!usual_place(one, env)) {
			if (!mounts) {
				r = io_read_file(AT_FDCWD, env->mountinfo, PROC_MAX, &mounts, NULL);
				if (r < 0)
					return err_sys(e, -r, "read %s", env->mountinfo);
			}
			if (!in_mountinfo(one, mounts))
				continue;
		}
		if (++h->n == CG_MAX_HIER)
			break;
	}
	set_layout(h);
	return 0;
}

int cg_host_probe(struct cg_host *h, struct err *e)
{
	static const struct cg_probe_env env = {
		.proc_cgroup = "/proc/self/cgroup",
		.mountinfo = "/proc/self/mountinfo",
		.base = "/sys/fs/cgroup",
		.fs_type = fs_type,
	};

	return cg_host_probe_env(h, &env, e);
}

const struct cg_hier *cg_host_v1(const struct cg_host *h, const char *controller)
{
	for (size_t i = 0; i < h->n; i++)
		if (!h->hier[i].v2 && has_words(h->hier[i].controllers, controller))
			return &h->hier[i];
	return NULL;
}

const struct cg_hier *cg_host_v2(const struct cg_host *h)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->hier[i].v2)
			return &h->hier[i];
	return NULL;
}
