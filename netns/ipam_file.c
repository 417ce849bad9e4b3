/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of a network's leases: a line "last ADDRESS" for each family, then "ADDRESS ID" for each
 * lease. The lock is a file of its own, because the other is replaced.
 */
#include "netns/ipam.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define FILE_MAX ((size_t)64 << 20)
#define NAME_MAX_LEN 80

struct files {
	char leases[NAME_MAX_LEN], lock[NAME_MAX_LEN];
};

void ipam_free(struct ipam_leases *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].id);
	free(l->v);
	*l = (struct ipam_leases){};
}

/* ---- text ---- */

int ipam_format(const struct ipam_leases *l, char **out, size_t *len, struct err *e)
{
	AUTO(str_buf_free) struct str_buf b = {};
	char text[IP_TEXT];

	for (size_t i = 0; i < IPAM_POOLS; i++)
		if (l->last[i].family)
			str_buf_addf(&b, "last %s\n", ip_text(&l->last[i], text));
	for (size_t i = 0; i < l->n; i++)
		str_buf_addf(&b, "%s %s\n", ip_text(&l->v[i].ip, text), l->v[i].id);
	str_buf_add(&b, "");
	if (b.failed)
		return err_sys(e, ENOMEM, "leases");
	*len = b.len;
	*out = TAKE_PTR(b.s);
	return 0;
}

static int add(struct ipam_leases *l, const struct ip *ip, const char *id, size_t len)
{
	AUTO_FREE char *copy = strndup(id, len);
	struct ipam_lease *v;

	if (l->n % 64 == 0) {
		v = reallocarray(l->v, l->n + 64, sizeof(*v));
		if (!v)
			return -ENOMEM;
		l->v = v;
	}
	if (!copy)
		return -ENOMEM;
	l->v[l->n++] = (struct ipam_lease){ .ip = *ip, .id = TAKE_PTR(copy) };
	return 0;
}

static int parse_line(struct ipam_leases *l, const char *line, size_t len)
{
	const char *space = memchr(line, ' ', len), *end = line + len, *word;
	char text[IP_TEXT];
	struct ip ip;
	bool last;
	size_t n;

	if (!space || space + 1 == end)
		return -EINVAL;
	last = space - line == 4 && !memcmp(line, "last", 4);
	word = last ? space + 1 : line;
	n = (size_t)((last ? end : space) - word);
	if (n >= sizeof(text))
		return -EINVAL;
	memcpy(text, word, n);
	text[n] = '\0';
	if (ip_parse(text, &ip) < 0)
		return -EINVAL;
	if (!last)
		return add(l, &ip, space + 1, (size_t)(end - space - 1));
	l->last[ip.family == AF_INET6] = ip;
	return 0;
}

int ipam_parse(const char *text, struct ipam_leases *out, struct err *e)
{
	AUTO(ipam_free) struct ipam_leases l = {};
	size_t number = 1;

	for (const char *end; *text; text = end + 1, number++) {
		int r;

		end = strchr(text, '\n');
		r = end ? parse_line(&l, text, (size_t)(end - text)) : -EINVAL;
		if (r < 0)
			return err_set(e, -r, "leases: line %zu: %s", number,
				       r == -ENOMEM ? "out of memory" : "not an address and an ID");
	}
	*out = l;
	l = (struct ipam_leases){};
	return 0;
}

/* ---- the file ---- */

static int names(struct files *f, const char *network, struct err *e)
{
	if (!*network || strchr(network, '/') || strlen(network) + sizeof(".leases") > NAME_MAX_LEN)
		return err_set(e, EINVAL, "network %s: not a name", network);
	snprintf(f->leases, sizeof(f->leases), "%s.leases", network);
	snprintf(f->lock, sizeof(f->lock), "%s.lock", network);
	return 0;
}

static int load(int dir, const char *file, struct ipam_leases *out, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t len;
	int r = io_read_file(dir, file, FILE_MAX, &text, &len);

	if (r == -ENOENT) {
		*out = (struct ipam_leases){};
		return 0;
	}
	if (r < 0)
		return err_sys(e, -r, "read %s", file);
	if (strlen(text) != len)
		return err_set(e, EINVAL, "%s: has a NUL", file);
	r = ipam_parse(text, out, e);
	return r < 0 ? err_wrap(e, "%s", file) : 0;
}

static int save(int dir, const char *file, const struct ipam_leases *l, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t len;
	int r = ipam_format(l, &text, &len, e);

	if (r < 0)
		return r;
	r = io_write_atomic(dir, file, text, len, 0600);
	return r < 0 ? err_sys(e, -r, "write %s", file) : 0;
}

/* False when the network was removed, and its lock with it, while we waited for that. */
static bool still_there(int dir, const char *name, int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstatat(dir, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static int lock(int dir, const struct files *f, const char *network, struct err *e)
{
	for (;;) {
		AUTO_CLOSE int fd =
			openat(dir, f->lock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		int r = fd < 0 ? -errno : lock_wait(fd, LOCK_SECONDS);

		if (r == -EBUSY)
			return err_set(
				e, EBUSY,
				"network %s: another ctr has held its addresses for %d seconds",
				network, LOCK_SECONDS);
		if (r < 0)
			return err_sys(e, -r, "network %s: lock its addresses", network);
		if (still_there(dir, f->lock, fd))
			return TAKE_FD(fd);
	}
}

/* Drops the leases that drop says; how many. */
static size_t filter(struct ipam_leases *l, bool (*drop)(void *arg, const struct ipam_lease *x),
		     void *arg)
{
	size_t kept = 0, before = l->n;

	for (size_t i = 0; i < before; i++) {
		if (drop(arg, &l->v[i]))
			free(l->v[i].id);
		else
			l->v[kept++] = l->v[i];
	}
	l->n = kept;
	return before - kept;
}

static bool is_id(void *arg, const struct ipam_lease *x)
{
	return str_eq(x->id, arg);
}

struct alive {
	ipam_alive_fn fn;
	void *arg;
};

static bool is_dead(void *arg, const struct ipam_lease *x)
{
	const struct alive *a = arg;

	return !a->fn(a->arg, x->id);
}

/* One address of one pool, given to q->id. */
static int take_one(const struct ipam_request *q, struct ipam_leases *l, size_t i, struct ip *out,
		    struct err *e)
{
	struct alive a = { q->alive, q->arg };
	const struct ipam_pool *p = &q->pools[i];
	char text[IP_NET_TEXT];
	const char *who;
	int r;

	if (q->want[i].family) {
		r = ipam_may_have(p, &q->want[i], e);
		if (r < 0)
			return err_wrap(e, "network %s", q->network);
		if (ipam_holder(l, &q->want[i]))
			filter(l, is_dead, &a);
		who = ipam_holder(l, &q->want[i]);
		if (who)
			return err_set(e, EADDRINUSE, "network %s: address %s: container %s has it",
				       q->network, ip_text(&q->want[i], text), who);
		*out = q->want[i];
	} else {
		r = ipam_next(p, l, out);
		if (r == -ENOSPC && filter(l, is_dead, &a))
			r = ipam_next(p, l, out);
		if (r == -ENOSPC)
			return err_set(e, ENOSPC,
				       "network %s: all addresses of the subnet %s are taken",
				       q->network, ip_net_text(&p->subnet, text));
		if (r == 0)
			l->last[out->family == AF_INET6] = *out;
	}
	if (r == 0)
		r = add(l, out, q->id, strlen(q->id));
	return r < 0 ? err_sys(e, -r, "network %s: addresses", q->network) : 0;
}

int ipam_take(const struct ipam_request *q, struct ip *out, struct err *e)
{
	AUTO(ipam_free) struct ipam_leases l = {};
	struct ip got[IPAM_POOLS] = {};
	AUTO_CLOSE int locked = -1;
	struct files f;
	int r = names(&f, q->network, e);

	if (r == 0)
		r = locked = lock(q->dir, &f, q->network, e);
	if (r >= 0)
		r = load(q->dir, f.leases, &l, e);
	if (r < 0)
		return r;
	filter(&l, is_id, (void *)(uintptr_t)q->id);
	for (size_t i = 0; i < q->n_pools && r == 0; i++)
		r = take_one(q, &l, i, &got[i], e);
	if (r == 0)
		r = save(q->dir, f.leases, &l, e);
	if (r == 0)
		memcpy(out, got, q->n_pools * sizeof(*out));
	return r;
}

int ipam_release(int dir, const char *network, const char *id, struct err *e)
{
	AUTO(ipam_free) struct ipam_leases l = {};
	AUTO_CLOSE int locked = -1;
	struct files f;
	int r = names(&f, network, e);

	/* A network that is gone has taken its leases with it: no lock is made for that. */
	if (r == 0 && faccessat(dir, f.leases, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return 0;
	if (r == 0)
		r = locked = lock(dir, &f, network, e);
	if (r >= 0)
		r = load(dir, f.leases, &l, e);
	if (r == 0 && filter(&l, is_id, (void *)(uintptr_t)id))
		r = save(dir, f.leases, &l, e);
	return r < 0 ? r : 0;
}

int ipam_list(int dir, const char *network, struct ipam_leases *out, struct err *e)
{
	struct files f;
	int r = names(&f, network, e);

	return r < 0 ? r : load(dir, f.leases, out, e);
}

int ipam_remove(int dir, const char *network, ipam_alive_fn alive, void *arg, struct err *e)
{
	AUTO(ipam_free) struct ipam_leases l = {};
	struct alive a = { alive, arg };
	AUTO_CLOSE int locked = -1;
	struct files f;
	int r = names(&f, network, e);

	if (r == 0)
		r = locked = lock(dir, &f, network, e);
	if (r >= 0)
		r = load(dir, f.leases, &l, e);
	if (r < 0)
		return r;
	filter(&l, is_dead, &a);
	if (l.n)
		return err_set(e, EBUSY, "network %s: container %s is in it", network, l.v[0].id);
	if (unlinkat(dir, f.leases, 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "remove %s", f.leases);
	/* Last, and while it is held: who waits for it finds that it is no file any more. */
	if (unlinkat(dir, f.lock, 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "remove %s", f.lock);
	return 0;
}
