/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/process.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "oci/passwd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define PASSWD_BYTES_MAX ((size_t)4 << 20)

/*
 * Names to their place in the list: open addressing, so that thousands of variables cost no square.
 */
struct env_index {
	uint32_t *slot; /* place + 1; 0: empty */
	size_t mask;
};

static size_t name_len(const char *assignment)
{
	return strcspn(assignment, "=");
}

static uint32_t hash_name(const char *s, size_t n)
{
	uint32_t h = 2166136261U;

	while (n-- > 0)
		h = (h ^ (unsigned char)*s++) * 16777619U;
	return h;
}

static int index_init(struct env_index *x, size_t n)
{
	size_t size = 16;

	while (size < 2 * n + 2)
		size *= 2;
	x->slot = calloc(size, sizeof(*x->slot));
	x->mask = size - 1;
	return x->slot ? 0 : -ENOMEM;
}

/* The slot of that name: the one it has, or the empty one to put it into. */
static uint32_t *index_find(const struct env_index *x, const struct str_list *l, const char *s,
			    size_t len)
{
	for (size_t i = hash_name(s, len) & x->mask;; i = (i + 1) & x->mask) {
		const char *have = x->slot[i] ? l->v[x->slot[i] - 1] : NULL;

		if (!have || (name_len(have) == len && memcmp(have, s, len) == 0))
			return &x->slot[i];
	}
}

static int set(struct env_index *x, struct str_list *l, const char *assignment)
{
	uint32_t *slot = index_find(x, l, assignment, name_len(assignment));
	char *copy;
	int r;

	if (!*slot) {
		r = str_list_add(l, assignment);
		if (r == 0)
			*slot = (uint32_t)l->n;
		return r;
	}
	copy = strdup(assignment);
	if (!copy)
		return -ENOMEM;
	free(l->v[*slot - 1]);
	l->v[*slot - 1] = copy;
	return 0;
}

/*
 * The text of /etc/passwd, malloc'ed, or NULL. The file belongs to the container: it may be a pipe,
 * a device, a link through /proc, or endless.
 */
static char *read_passwd(void)
{
	AUTO_CLOSE int fd =
		sys_openat2(AT_FDCWD, "/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
			    0, RESOLVE_NO_MAGICLINKS);
	char *text = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	return io_read_all(fd, PASSWD_BYTES_MAX, &text, NULL) < 0 ? NULL : text;
}

static char *home_of(uid_t uid)
{
	AUTO_FREE char *text = read_passwd();
	struct passwd_entry p;

	if (!text || !passwd_by_uid(text, uid, &p) || p.home_len == 0)
		return strdup("HOME=/");
	return str_printf("HOME=%.*s", (int)p.home_len, p.home);
}

static int fill(const struct spec_process *p, struct env_index *x, struct str_list *l)
{
	AUTO_FREE char *home = NULL;
	const uint32_t *at;
	int r = 0;

	for (size_t i = 0; i < p->env.n && r == 0; i++)
		r = set(x, l, p->env.v[i]);
	if (r < 0)
		return r;
	at = index_find(x, l, "HOME", 4);
	if (*at && l->v[*at - 1][4] == '=' && l->v[*at - 1][5])
		return 0;
	home = home_of(p->user.uid);
	return home ? set(x, l, home) : -ENOMEM;
}

int process_env(const struct spec_process *p, struct str_list *out, struct err *e)
{
	AUTO(str_list_free) struct str_list l = {};
	struct env_index x;
	int r = index_init(&x, p->env.n);

	if (r == 0)
		r = fill(p, &x, &l);
	free(x.slot);
	if (r < 0)
		return err_sys(e, -r, "process.env");
	*out = l;
	l = (struct str_list){};
	return 0;
}
