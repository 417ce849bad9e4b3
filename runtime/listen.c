/* SPDX-License-Identifier: Apache-2.0 */
#include "listen.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *variable(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

static int number(const char *name, const char *text, uint64_t *out, struct err *e)
{
	if (str_to_u64(text, INT_MAX, out) < 0)
		return err_set(e, EINVAL, "%s: \"%.64s\": not a number", name, text);
	return 0;
}

int listen_fds_get(struct listen_fds *out, struct err *e)
{
	const char *fds = variable("LISTEN_FDS"), *who = variable("LISTEN_PID");
	uint64_t pid, n;
	int r;

	*out = (struct listen_fds){};
	if (!fds || !who)
		return 0;
	r = number("LISTEN_PID", who, &pid, e);
	if (r < 0 || (pid_t)pid != getpid())
		return r;
	r = number("LISTEN_FDS", fds, &n, e);
	if (r < 0)
		return r;
	for (uint64_t i = 0; i < n; i++) {
		int flags = i < INT_MAX - 3 ? fcntl(3 + (int)i, F_GETFD) : -1;

		if (flags < 0 || flags & FD_CLOEXEC)
			return err_set(e, EBADF,
				       "LISTEN_FDS: \"%s\": only %llu descriptors were passed", fds,
				       (unsigned long long)i);
	}
	out->n = (unsigned int)n;
	out->names = n ? variable("LISTEN_FDNAMES") : NULL;
	return 0;
}

/* Takes the text. */
static int put(struct str_list *env, char *assignment)
{
	AUTO_FREE char *a = assignment;
	size_t len;

	if (!a)
		return -ENOMEM;
	len = strcspn(a, "=") + 1;
	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], a, len) == 0) {
			free(env->v[i]);
			env->v[i] = a;
			a = NULL;
			return 0;
		}
	return str_list_add(env, a);
}

int listen_fds_env(const struct listen_fds *l, struct str_list *env, struct err *e)
{
	int r;

	if (l->n == 0)
		return 0;
	r = put(env, str_printf("LISTEN_FDS=%u", l->n));
	if (r == 0)
		r = put(env, str_printf("LISTEN_PID=%d", (int)getpid()));
	if (r == 0 && l->names)
		r = put(env, str_printf("LISTEN_FDNAMES=%s", l->names));
	return r < 0 ? err_sys(e, -r, "LISTEN_FDS") : 0;
}
