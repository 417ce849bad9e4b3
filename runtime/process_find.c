/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/process.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define REASON_MAX 64

/*
 * The reason as callers match it (contract 2.3, 2.5): the C library's words, but beginning with a
 * small letter as Go writes them.
 */
static const char *reason(int code, char buf[REASON_MAX])
{
	/* Engines differ in which of the two they know as "cannot be executed", exit code 126. */
	if (code == EISDIR)
		return "is a directory: permission denied";
	snprintf(buf, REASON_MAX, "%s", strerrordesc_np(code) ?: "unknown error");
	buf[0] = (char)tolower((unsigned char)buf[0]);
	return buf;
}

/* 0 when the caller may execute it; *exists tells whether there is something at all. */
static int check_program(const char *path, bool *exists)
{
	struct stat st;

	*exists = stat(path, &st) == 0;
	if (!*exists)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EACCES;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

static int find_as_is(const char *arg0, char **path, struct err *e)
{
	char why[REASON_MAX];
	bool exists;
	int r = check_program(arg0, &exists);
	enum err_kind kind =
		r == -ENOENT || r == -ENOTDIR ? ERR_NOT_FOUND_PROGRAM : ERR_CANNOT_EXECUTE;

	if (r < 0 && !exists)
		return err_kind(e, kind, -r, "exec: \"%s\": stat %s: %s", arg0, arg0,
				reason(-r, why));
	if (r < 0)
		return err_kind(e, ERR_CANNOT_EXECUTE, -r, "exec: \"%s\": %s", arg0,
				reason(-r, why));
	*path = strdup(arg0);
	return *path ? 0 : err_sys(e, ENOMEM, "exec: \"%s\"", arg0);
}

static const char *env_path(const struct str_list *env)
{
	for (size_t i = 0; i < env->n; i++) {
		const char *v = str_after(env->v[i], "PATH=");

		if (v)
			return v;
	}
	return DEFAULT_PATH;
}

int process_find(const char *arg0, const struct str_list *env, char **path, struct err *e)
{
	const char *dirs = env_path(env);

	if (strchr(arg0, '/'))
		return find_as_is(arg0, path, e);
	for (const char *d = dirs; *arg0 && *dirs; d++) {
		size_t n = strcspn(d, ":");
		bool exists;
		/* an empty element is the working directory, as for a shell */
		AUTO_FREE char *p =
			n ? str_printf("%.*s/%s", (int)n, d, arg0) : str_printf("./%s", arg0);

		if (!p)
			return err_sys(e, ENOMEM, "exec: \"%s\"", arg0);
		if (check_program(p, &exists) == 0) {
			*path = TAKE_PTR(p);
			return 0;
		}
		d += n;
		if (!*d)
			break;
	}
	return err_kind(e, ERR_NOT_FOUND_PROGRAM, ENOENT,
			"exec: \"%s\": executable file not found in $PATH", arg0);
}
