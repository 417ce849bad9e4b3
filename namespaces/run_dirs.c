/* SPDX-License-Identifier: Apache-2.0 */
/* What the texts say, and the making. Where the texts come from: run_dirs_scan.c. */
#include "namespaces/run_dirs.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "oci/passwd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define DIRS_MAX 512
#define PATH_LEN_MAX 255
#define MODE_DEFAULT 0755

void run_dirs_free(struct run_dirs *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->v[i].path);
	free(d->v);
	*d = (struct run_dirs){};
}

/* ---- one directory ---- */

/* A plain relative path: no empty, "." or ".." component, nothing that is a pattern or specifier.
 */
static bool is_plain(const char *path)
{
	size_t n;

	if (!*path || strlen(path) > PATH_LEN_MAX || strpbrk(path, "%\"'\\*?:"))
		return false;
	for (const char *s = path;; s += n + 1) {
		n = strcspn(s, "/");
		if (n == 0 || (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
			return false;
		if (!s[n])
			return true;
	}
}

static bool is_systemd(const char *path)
{
	const char *rest = str_after(path, "systemd");

	return rest && (*rest == '\0' || *rest == '/');
}

static int add(struct run_dirs *d, const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	AUTO_FREE char *copy = NULL;
	struct run_dir *v;

	if (!is_plain(path) || is_systemd(path) || d->n == DIRS_MAX)
		return 0;
	for (size_t i = 0; i < d->n; i++)
		if (str_eq(d->v[i].path, path))
			return 0;
	copy = strdup(path);
	v = reallocarray(d->v, d->n + 1, sizeof(*v));
	if (v)
		d->v = v;
	if (!copy || !v)
		return -ENOMEM;
	v[d->n++] = (struct run_dir){ TAKE_PTR(copy), mode, uid, gid };
	return 0;
}

static bool to_mode(const char *s, mode_t *out)
{
	mode_t v = 0;

	if (!*s || strlen(s) > 5 || s[strspn(s, "01234567")])
		return false;
	for (; *s; s++)
		v = v * 8 + (mode_t)(*s - '0');
	*out = v & 07777;
	return v <= 07777;
}

/* A user by name or number; *gid is the primary group. */
static bool to_user(const struct run_dirs_names *names, const char *s, uid_t *uid, gid_t *gid)
{
	struct passwd_entry p;
	uint64_t n;

	if (str_to_u64(s, UINT32_MAX - 1, &n) == 0) {
		*uid = (uid_t)n;
		*gid = passwd_by_uid(names->passwd, *uid, &p) ? p.gid : (gid_t)n;
		return true;
	}
	if (!passwd_by_name(names->passwd, s, &p))
		return false;
	*uid = p.uid;
	*gid = p.gid;
	return true;
}

static bool to_group(const struct run_dirs_names *names, const char *s, gid_t *gid)
{
	uint64_t n;

	if (str_to_u64(s, UINT32_MAX - 1, &n) == 0) {
		*gid = (gid_t)n;
		return true;
	}
	return group_by_name(names->group, s, gid);
}

/* ---- tmpfiles.d ---- */

static const char *below_run(const char *path)
{
	const char *rest = str_after(path, "/run/");

	return rest ? rest : str_after(path, "/var/run/");
}

static bool is_given(const char *field)
{
	return field && !str_eq(field, "-");
}

/* TYPE PATH MODE USER GROUP ... */
static int tmpfiles_line(struct run_dirs *d, char *line, const struct run_dirs_names *names)
{
	char *save = NULL, *field[5];
	mode_t mode = MODE_DEFAULT;
	const char *path, *digits;
	uid_t uid = 0;
	gid_t gid = 0, ignored;
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(field); i++)
		field[i] = strtok_r(i ? NULL : line, " \t", &save);
	if (!field[0] || !field[1] || !strchr("dD", field[0][0]) ||
	    field[0][1 + strspn(field[0] + 1, "!-=")])
		return 0;
	path = below_run(field[1]);
	if (!path)
		return 0;
	len = strlen(path);
	if (len > 1 && path[len - 1] == '/')
		field[1][strlen(field[1]) - 1] = '\0';
	digits = is_given(field[2]) ? field[2] + strspn(field[2], "~:") : NULL;
	if ((digits && !to_mode(digits, &mode)) ||
	    (is_given(field[3]) && !to_user(names, field[3], &uid, &ignored)) ||
	    (is_given(field[4]) && !to_group(names, field[4], &gid)))
		return 0;
	return add(d, path, mode, uid, gid);
}

int run_dirs_tmpfiles(struct run_dirs *d, const char *text, const struct run_dirs_names *names)
{
	AUTO_FREE char *copy = strdup(text);
	char *save = NULL;
	int r = 0;

	if (!copy)
		return -ENOMEM;
	for (char *s = strtok_r(copy, "\n", &save); s && r == 0; s = strtok_r(NULL, "\n", &save))
		r = tmpfiles_line(d, s, names);
	return r;
}

/* ---- service units ---- */

struct unit {
	const char *user, *group, *mode;
	char *dirs[16];
	size_t n;
};

static void unit_line(struct unit *u, char *line)
{
	static const char key[] = "RuntimeDirectory=";
	const char *v;

	if ((v = str_after(line, "User=")))
		u->user = *v ? v : NULL;
	else if ((v = str_after(line, "Group=")))
		u->group = *v ? v : NULL;
	else if ((v = str_after(line, "RuntimeDirectoryMode=")))
		u->mode = v;
	else if ((v = str_after(line, key)) && !*v)
		u->n = 0; /* an empty value takes back what was said before */
	else if (v && u->n < ARRAY_SIZE(u->dirs))
		u->dirs[u->n++] = line + sizeof(key) - 1;
}

static char *strip(char *s)
{
	size_t n;

	s += strspn(s, " \t");
	for (n = strlen(s); n && strchr(" \t\r", s[n - 1]); n--)
		;
	s[n] = '\0';
	return s;
}

static int unit_dirs(struct run_dirs *d, const struct unit *u, const struct run_dirs_names *names)
{
	mode_t mode = MODE_DEFAULT;
	uid_t uid = 0;
	gid_t gid = 0;
	int r = 0;

	if ((u->user && !to_user(names, u->user, &uid, &gid)) ||
	    (u->group && !to_group(names, u->group, &gid)) || (u->mode && !to_mode(u->mode, &mode)))
		return 0;
	for (size_t i = 0; i < u->n; i++) {
		char *save = NULL;

		for (char *s = strtok_r(u->dirs[i], " \t", &save); s && r == 0;
		     s = strtok_r(NULL, " \t", &save))
			r = add(d, s, mode, uid, gid);
	}
	return r;
}

int run_dirs_unit(struct run_dirs *d, const char *text, const struct run_dirs_names *names)
{
	AUTO_FREE char *copy = NULL;
	bool service = false;
	struct unit u = {};
	char *save = NULL;

	if (!strstr(text, "RuntimeDirectory="))
		return 0;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	for (char *s = strtok_r(copy, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
		s = strip(s);
		if (*s == '[')
			service = str_eq(s, "[Service]");
		else if (service)
			unit_line(&u, s);
	}
	return unit_dirs(d, &u, names);
}

/* ---- making them ---- */

/* The directory's own name in path, below the fd of its parent, which is made when it is not there.
 */
static int open_parent(int run_fd, const char *path, const char **name)
{
	AUTO_CLOSE int at = fcntl(run_fd, F_DUPFD_CLOEXEC, 3);
	const char *slash;

	if (at < 0)
		return -errno;
	while ((slash = strchr(path, '/')) != NULL) {
		char part[PATH_LEN_MAX + 1];
		int next;

		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (mkdirat(at, part, MODE_DEFAULT) < 0 && errno != EEXIST)
			return -errno;
		next = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return -errno;
		close(at);
		at = next;
		path = slash + 1;
	}
	*name = path;
	return TAKE_FD(at);
}

static int make_one(int run_fd, const struct run_dir *d)
{
	const char *name;
	AUTO_CLOSE int parent = open_parent(run_fd, d->path, &name);
	AUTO_CLOSE int fd = -1;

	if (parent < 0)
		return parent;
	if (mkdirat(parent, name, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* The owner first: a change of owner takes set-id bits away. */
	if (fd < 0 || fchown(fd, d->uid, d->gid) < 0 || fchmod(fd, d->mode) < 0)
		return -errno;
	return 0;
}

int run_dirs_make(int run_fd, const struct run_dirs *d, struct err *e)
{
	mode_t mask = umask(022);
	int r = 0;

	for (size_t i = 0; i < d->n && r == 0; i++) {
		r = make_one(run_fd, &d->v[i]);
		if (r < 0)
			err_sys(e, -r, "make /run/%s in the clone", d->v[i].path);
	}
	umask(mask);
	return r;
}
