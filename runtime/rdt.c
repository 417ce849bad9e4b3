/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/rdt.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOUNTINFO_MAX ((size_t)64 << 20)
#define STATUS_MAX 512

/* ---- where it is ---- */

/* "\040" -> " ": as mountinfo writes what would separate its fields. In place. */
static void unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
}

/* The mount point of a line whose file system is resctrl, the whole of it; malloc'ed, or NULL. */
static char *resctrl_of(const char *line, size_t len)
{
	AUTO_FREE char *copy = strndup(line, len);
	char *save = NULL, *sep = copy ? strstr(copy, " - ") : NULL;
	const char *root = NULL, *point = NULL;
	int i = 0;

	if (!sep || !str_after(sep, " - resctrl "))
		return NULL;
	for (char *f = strtok_r(copy, " ", &save); f && i < 5;
	     f = strtok_r(NULL, " ", &save), i++) {
		root = i == 3 ? f : root;
		point = i == 4 ? f : point;
	}
	if (!point || !str_eq(root, "/"))
		return NULL;
	sep = strdup(point);
	if (sep)
		unescape(sep);
	return sep;
}

char *rdt_mount_point(const char *mountinfo)
{
	for (const char *line = mountinfo; *line;) {
		size_t len = strcspn(line, "\n");
		char *point = resctrl_of(line, len);

		if (point)
			return point;
		line += len + (line[len] == '\n');
	}
	return NULL;
}

static int find_root(char **out, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t len;
	int r = io_read_file(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, &len);

	if (r < 0)
		return err_sys(e, -r, "linux.intelRdt: read /proc/self/mountinfo");
	*out = rdt_mount_point(text);
	if (*out)
		return 0;
	return err_set(
		e, EOPNOTSUPP,
		"linux.intelRdt: resctrl is not mounted: this kernel or processor has no such "
		"allocation, or nobody has mounted it (mount -t resctrl resctrl /sys/fs/resctrl)");
}

/* ---- the group ---- */

static bool has_schema(const struct spec_intel_rdt *s)
{
	return s->l3_cache_schema || s->mem_bw_schema || s->schemata.n;
}

/* What the kernel has to say about a refused line. */
static int refused(const char *root, int code, const char *what, struct err *e)
{
	AUTO_FREE char *path = str_printf("%s/info/last_cmd_status", root);
	char why[STATUS_MAX];

	if (path && io_read_small(AT_FDCWD, path, why, sizeof(why)) > 0 && !str_eq(why, "ok")) {
		why[strcspn(why, "\n")] = '\0';
		return err_set(e, code, "%s: %s (%s)", what, strerrordesc_np(code), why);
	}
	return err_sys(e, code, "%s", what);
}

static int write_line(const char *root, const char *clos, const char *field, const char *line,
		      struct err *e)
{
	AUTO_FREE char *path = str_printf("%s/schemata", clos);
	AUTO_FREE char *text = str_printf("%s\n", line);
	char what[256];
	int r = path && text ? io_write_file(AT_FDCWD, path, text) : -ENOMEM;

	snprintf(what, sizeof(what), "linux.intelRdt.%s: write \"%.80s\" to %.120s", field, line,
		 path ?: "");
	return r < 0 ? refused(root, -r, what, e) : 0;
}

/* l3CacheSchema may hold several lines. The general list comes last: it has the last word. */
static int write_schemata(const struct spec_intel_rdt *s, const char *root, const char *clos,
			  struct err *e)
{
	char field[40];
	int r = 0;

	for (const char *l = s->l3_cache_schema ?: ""; *l && r == 0;) {
		size_t len = strcspn(l, "\n");
		AUTO_FREE char *line = strndup(l, len);

		if (!line)
			return err_sys(e, ENOMEM, "linux.intelRdt");
		if (len)
			r = write_line(root, clos, "l3CacheSchema", line, e);
		l += len + (l[len] == '\n');
	}
	if (r == 0 && s->mem_bw_schema)
		r = write_line(root, clos, "memBwSchema", s->mem_bw_schema, e);
	for (size_t i = 0; i < s->schemata.n && r == 0; i++) {
		snprintf(field, sizeof(field), "schemata[%zu]", i);
		r = write_line(root, clos, field, s->schemata.v[i], e);
	}
	return r;
}

static int make_group(const struct spec_intel_rdt *s, const char *root, struct rdt *x,
		      struct err *e)
{
	if (!s->clos_id && !has_schema(s))
		return 0; /* monitoring alone: the default group */
	if (s->clos_id && !has_schema(s)) {
		if (access(x->clos, F_OK) == 0)
			return 0;
		return err_sys(e, errno,
			       "linux.intelRdt.closID: %s, which must be there without a schema",
			       x->clos);
	}
	if (mkdir(x->clos, 0755) == 0)
		x->clos_made = true;
	else if (errno != EEXIST || !s->clos_id)
		return err_sys(e, errno, "linux.intelRdt: make %s", x->clos);
	return write_schemata(s, root, x->clos, e);
}

static int make_monitor(const char *id, struct rdt *x, struct err *e)
{
	char *path = str_printf("%s/mon_groups/%s", x->clos, id);

	if (!path)
		return err_sys(e, ENOMEM, "linux.intelRdt.enableMonitoring");
	if (mkdir(path, 0755) < 0) {
		int r = err_sys(e, errno, "linux.intelRdt.enableMonitoring: make %s", path);

		free(path);
		return r;
	}
	x->mon = path;
	return 0;
}

int rdt_create(const struct spec_intel_rdt *s, const char *id, const char *root, struct rdt *out,
	       struct err *e)
{
	AUTO(rdt_free) struct rdt x = {};
	AUTO_FREE char *found = NULL;
	const char *name = s->clos_id ?: has_schema(s) ? id : NULL;
	int r = root ? 0 : find_root(&found, e);

	if (r < 0)
		return r;
	root = root ?: found;
	x.clos = name ? str_printf("%s/%s", root, name) : strdup(root);
	if (!x.clos)
		return err_sys(e, ENOMEM, "linux.intelRdt");
	r = make_group(s, root, &x, e);
	if (r == 0 && s->enable_monitoring)
		r = make_monitor(id, &x, e);
	if (r < 0) {
		rdt_remove(x.clos_made ? x.clos : NULL, x.mon, NULL);
		return r;
	}
	*out = x;
	x = (struct rdt){};
	return 0;
}

static int write_task(const char *dir, pid_t pid, struct err *e)
{
	AUTO_FREE char *path = str_printf("%s/tasks", dir);
	char text[16];
	int r;

	snprintf(text, sizeof(text), "%d", pid);
	r = path ? io_write_file(AT_FDCWD, path, text) : -ENOMEM;
	return r < 0 ? err_sys(e, -r, "linux.intelRdt: write to %s", path ?: dir) : 0;
}

int rdt_join(const char *clos, const char *mon, pid_t pid, struct err *e)
{
	int r = write_task(clos, pid, e);

	/* A process can be in a monitoring group of its own group only. */
	return r == 0 && mon ? write_task(mon, pid, e) : r;
}

int rdt_remove(const char *clos, const char *mon, struct err *e)
{
	const char *const dirs[] = { mon, clos };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (dirs[i] && rmdir(dirs[i]) < 0 && errno != ENOENT)
			return err_sys(e, errno, "remove %s", dirs[i]);
	return 0;
}

void rdt_free(struct rdt *r)
{
	free(r->clos);
	free(r->mon);
	*r = (struct rdt){};
}
