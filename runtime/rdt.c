/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/rdt.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOUNTINFO_MAX ((size_t)64 << 20)
#define STATUS_MAX 512
#define SCHEMATA_MAX ((size_t)1 << 20)

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

/* "0=f;1=ff": what id has, or false. */
static bool value_of(const char *entries, unsigned long id, int base, unsigned long long *out)
{
	char *end;

	for (const char *p = entries; p; p = strpbrk(p, ";\n")) {
		p += *p == ';';
		if (*p == '\n')
			return false;
		if (strtoul(p, &end, 10) == id && *end == '=') {
			*out = strtoull(end + 1, &end, base);
			return true;
		}
	}
	return false;
}

/* The entries of the line for a resource ("L3:") in a group's schemata, or NULL. */
static const char *entries_of(const char *schemata, const char *resource, size_t len)
{
	for (const char *l = schemata; *l; l += *l == '\n') {
		l += strspn(l, " ");
		if (strncmp(l, resource, len) == 0)
			return l + len;
		l += strcspn(l, "\n");
	}
	return NULL;
}

bool rdt_line_holds(const char *schemata, const char *line, unsigned int step)
{
	const size_t len = strcspn(line, ":") + 1;
	const bool percent = str_after(line, "MB:");
	const int base = percent ? 10 : 16;
	const char *have = entries_of(schemata, line, len), *p = line + len;

	while (have && *p) {
		unsigned long long want, is;
		char *end;
		const unsigned long id = strtoul(p, &end, 10);

		if (*end != '=' || !value_of(have, id, base, &is))
			return false;
		want = strtoull(end + 1, &end, base);
		/* The kernel rounds a bandwidth up to what the processor has. */
		if (percent && step > 1)
			want = (want + step - 1) / step * step;
		if (want != is || (*end && *end != ';'))
			return false;
		p = end + (*end == ';');
	}
	return have;
}

/* A group that others have made is used as it is, or not at all. */
static int compare_line(const char *root, const char *clos, const char *field, const char *line,
			struct err *e)
{
	AUTO_FREE char *path = str_printf("%s/schemata", clos);
	AUTO_FREE char *gran = str_printf("%s/info/MB/bandwidth_gran", root);
	AUTO_FREE char *have = NULL;
	char text[16] = "";
	size_t len;
	int r = path && gran ? io_read_file(AT_FDCWD, path, SCHEMATA_MAX, &have, &len) : -ENOMEM;

	if (r < 0)
		return err_sys(e, -r, "linux.intelRdt.%s: read the schemata of %s", field, clos);
	if (io_read_small(AT_FDCWD, gran, text, sizeof(text)) < 0)
		text[0] = '\0';
	if (rdt_line_holds(have, line, (unsigned int)strtoul(text, NULL, 10)))
		return 0;
	return err_set(e, EINVAL, "linux.intelRdt.%s: \"%.80s\" is not what the group %.120s has",
		       field, line, clos);
}

/*
 * l3CacheSchema may hold several lines; those of the bandwidth give way to memBwSchema. The general
 * list comes last: it has the last word.
 */
static int give_schemata(const struct spec_intel_rdt *s, const char *root, const char *clos,
			 bool made, struct err *e)
{
	int (*const give)(const char *, const char *, const char *, const char *, struct err *) =
		made ? write_line : compare_line;
	char field[40];
	int r = 0;

	for (const char *l = s->l3_cache_schema ?: ""; *l && r == 0;) {
		size_t len = strcspn(l, "\n");
		AUTO_FREE char *line = strndup(l, len);

		if (!line)
			return err_sys(e, ENOMEM, "linux.intelRdt");
		if (len && !(s->mem_bw_schema && str_after(line, "MB:")))
			r = give(root, clos, "l3CacheSchema", line, e);
		l += len + (l[len] == '\n');
	}
	if (r == 0 && s->mem_bw_schema)
		r = give(root, clos, "memBwSchema", s->mem_bw_schema, e);
	for (size_t i = 0; i < s->schemata.n && r == 0; i++) {
		snprintf(field, sizeof(field), "schemata[%zu]", i);
		r = give(root, clos, field, s->schemata.v[i], e);
	}
	return r;
}

static int make_group(const struct spec_intel_rdt *s, const char *root, struct rdt *x,
		      struct err *e)
{
	if (s->clos_id && (!has_schema(s) || str_eq(s->clos_id, "/"))) {
		if (access(x->clos, F_OK) < 0)
			return err_sys(e, errno,
				       "linux.intelRdt.closID: %s, which must be there without a "
				       "schema",
				       x->clos);
	} else if (mkdir(x->clos, 0755) == 0) {
		x->clos_made = true;
	} else if (errno != EEXIST || !s->clos_id) {
		return err_sys(e, errno, "linux.intelRdt: make %s", x->clos);
	}
	return give_schemata(s, root, x->clos, x->clos_made, e);
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
	const char *name = s->clos_id ?: id;
	int r = root ? 0 : find_root(&found, e);

	if (r < 0)
		return r;
	root = root ?: found;
	x.clos = str_eq(name, "/") ? strdup(root) : str_printf("%s/%s", root, name);
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
