/* SPDX-License-Identifier: Apache-2.0 */
#include "net_store.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define DIRECTORY ".networks"
#define LOCK ".lock"
#define LOCK_SECONDS 30
#define OPENED ".opened"
#define FILE_JSON "network.json"
#define FILE_MEMBERS "members"
#define FILE_FOREIGN "foreign"
#define FILE_MAX ((size_t)16 << 20)

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int wait_for(int fd, struct err *e)
{
	int r = lock_wait(fd, LOCK_SECONDS);

	if (r == -EBUSY)
		return err_set(e, EBUSY,
			       "lock the networks: another ctr has held it for %d seconds",
			       LOCK_SECONDS);
	return r < 0 ? err_sys(e, -r, "lock the networks") : 0;
}

/* Who may not write there, or has no such place, is the only one that it knows of. */
static int lock_host(struct net_store *s, struct err *e)
{
	s->host = open(NETWORK_HOST_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s->host >= 0)
		return wait_for(s->host, e);
	if (errno == EACCES || errno == EPERM || errno == EROFS || errno == ENOENT)
		return 0;
	return err_sys(e, errno, "open " NETWORK_HOST_LOCK);
}

int net_store_open(const struct store *root, bool make, struct net_store *s, struct err *e)
{
	AUTO_CLOSE int dir = -1, lock = -1;
	int r;

	*s = (struct net_store){ .root = root, .dir = -1, .lock = -1, .host = -1 };
	if (root->fd < 0)
		return 0;
	dir = openat(root->fd, DIRECTORY, OPEN_DIR);
	if (dir < 0 && errno == ENOENT && !make && !network_keep_any(root))
		return 0;
	if (dir < 0 && errno == ENOENT &&
	    (mkdirat(root->fd, DIRECTORY, 0700) == 0 || errno == EEXIST))
		dir = openat(root->fd, DIRECTORY, OPEN_DIR);
	if (dir < 0)
		return err_sys(e, errno, "open %s/" DIRECTORY, root->path);
	lock = openat(dir, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (lock < 0)
		return err_sys(e, errno, "open %s/" DIRECTORY "/" LOCK, root->path);
	r = wait_for(lock, e);
	if (r == 0)
		r = lock_host(s, e);
	if (r < 0)
		return r;
	s->dir = TAKE_FD(dir);
	s->lock = TAKE_FD(lock);
	network_keep_restore(s);
	return 0;
}

void net_store_close(struct net_store *s)
{
	cleanup_close(&s->host);
	cleanup_close(&s->lock);
	cleanup_close(&s->dir);
	s->host = s->lock = s->dir = -1;
}

int network_check_name(const char *name, struct err *e)
{
	static const char *const words[] = { "none", "host", "pasta" };
	size_t len = strlen(name);

	if (len == 0 || len > NET_NAME_MAX || name[0] == '.' || name[0] == '-' ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") !=
		    len)
		return err_set(e, EINVAL,
			       "network name: 1 to %d letters, digits, \"_\", \".\" and \"-\": %s",
			       NET_NAME_MAX, name);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (str_eq(name, words[i]))
			return err_set(e, EINVAL, "network name: %s means something else", name);
	return 0;
}

void network_alias(const struct net_store *s, const struct net_conf *c, char alias[LINK_ALIAS_MAX])
{
	size_t len = strlen(s->root->path), max = LINK_ALIAS_MAX - NET_NAME_MAX - 16;

	/* Of a path that is too long its end, which tells more. */
	snprintf(alias, LINK_ALIAS_MAX, NET_ALIAS "%s of %s", c->name,
		 s->root->path + (len > max ? len - max : 0));
}

/* ---- network.json ---- */

static int subnet_of(const char *subnet, const char *gateway, uint8_t family, struct ip_net *net,
		     struct ip *gw)
{
	if (!subnet)
		return 0;
	if (ip_net_parse(subnet, net) < 0 || net->ip.family != family || !gateway ||
	    ip_parse(gateway, gw) < 0 || gw->family != family || !ip_net_has(net, gw))
		return -EINVAL;
	return 0;
}

static int from_file(const struct network_file *f, struct network *n)
{
	struct net_conf *c = &n->conf;

	if (strlen(f->name) >= sizeof(c->name) || strlen(f->bridge) > NET_BRIDGE_MAX)
		return -EINVAL;
	strcpy(c->name, f->name);
	strcpy(c->bridge, f->bridge);
	c->mtu = f->mtu;
	c->internal = f->internal;
	n->automatic = f->automatic;
	if (subnet_of(f->subnet, f->gateway, AF_INET, &c->subnet[NET_4], &c->gateway[NET_4]) < 0)
		return -EINVAL;
	return subnet_of(f->subnet6, f->gateway6, AF_INET6, &c->subnet[NET_6], &c->gateway[NET_6]);
}

int network_to_file(const struct network *n, struct network_file *f)
{
	const struct net_conf *c = &n->conf;
	char **texts[NET_FAMILIES][2] = {
		[NET_4] = { &f->subnet, &f->gateway },
		[NET_6] = { &f->subnet6, &f->gateway6 },
	};
	char net[IP_NET_TEXT], ip[IP_TEXT];

	f->name = arena_strdup(&f->arena, c->name);
	f->bridge = arena_strdup(&f->arena, c->bridge);
	f->mtu = c->mtu;
	f->internal = c->internal;
	f->automatic = n->automatic;
	for (int i = 0; i < NET_FAMILIES; i++) {
		if (!c->subnet[i].ip.family)
			continue;
		*texts[i][0] = arena_strdup(&f->arena, ip_net_text(&c->subnet[i], net));
		*texts[i][1] = arena_strdup(&f->arena, ip_text(&c->gateway[i], ip));
		if (!*texts[i][0] || !*texts[i][1])
			return -ENOMEM;
	}
	return f->name && f->bridge ? 0 : -ENOMEM;
}

int network_write(const struct network *n, int dir, const char *file, struct err *e)
{
	AUTO(json_out_free) struct json_out j = { .indent = 2 };
	struct network_file f = {};
	int r = network_to_file(n, &f);

	json_out_object(&j);
	if (r == 0)
		network_out(&j, &f);
	json_out_end_object(&j);
	str_buf_add(&j.buf, "\n");
	arena_free(&f.arena);
	if (r == 0 && j.buf.failed)
		r = -ENOMEM;
	if (r == 0)
		r = io_write_atomic(dir, file, j.buf.s, j.buf.len, 0600);
	return r < 0 ? err_sys(e, -r, "network %s: write %s", n->conf.name, file) : 0;
}

int network_read(struct network *n, int dir, const char *file, const char *name, struct err *e)
{
	AUTO_NETWORK struct network_file *f = NULL;
	AUTO_FREE char *text = NULL;
	size_t len;
	int r = io_read_file(dir, file, FILE_MAX, &text, &len);

	if (r < 0)
		return err_sys(e, -r, "network %s: read %s", name, file);
	r = network_parse(text, len, &f, e);
	if (r < 0)
		return err_wrap(e, "network %s", name);
	r = from_file(f, n);
	return r < 0 ? err_set(e, EINVAL, "network %s: %s: not one of ours", name, file) : 0;
}

/* ---- a network ---- */

static int read_members(struct network *n, const char *name, struct err *e)
{
	AUTO_FREE char *text = NULL;
	int r = io_read_file(n->dir, FILE_MEMBERS, FILE_MAX, &text, NULL);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_sys(e, -r, "network %s: read " FILE_MEMBERS, name);
	r = members_parse(text, &n->members, e);
	return r < 0 ? err_wrap(e, "network %s", name) : 0;
}

int network_load(const struct net_store *s, const char *name, struct network *out, struct err *e)
{
	AUTO_NETWORK_REF struct network n = NETWORK_INIT;
	int r = network_check_name(name, e);

	if (r < 0)
		return r;
	n.dir = s->dir < 0 ? -1 : openat(s->dir, name, OPEN_DIR);
	if (n.dir < 0 && (s->dir < 0 || errno == ENOENT))
		return err_set(e, ENOENT, "network %s: does not exist", name);
	if (n.dir < 0)
		return err_sys(e, errno, "network %s", name);
	r = network_read(&n, n.dir, FILE_JSON, name, e);
	/* Who made it was ended before it was whole. */
	if (r == -ENOENT) {
		network_erase(s, name, NULL);
		return err_set(e, ENOENT, "network %s: does not exist", name);
	}
	if (r == 0)
		r = read_members(&n, name, e);
	if (r < 0)
		return r;
	*out = n;
	n = (struct network)NETWORK_INIT;
	return 0;
}

int network_make(const struct net_store *s, struct network *n, struct err *e)
{
	const char *name = n->conf.name;
	int r;

	if (mkdirat(s->dir, name, 0700) < 0)
		return errno == EEXIST ? err_set(e, EEXIST, "network %s: exists already", name)
				       : err_sys(e, errno, "network %s: make its directory", name);
	n->dir = openat(s->dir, name, OPEN_DIR);
	r = n->dir < 0 ? err_sys(e, errno, "network %s: open its directory", name)
		       : network_write(n, n->dir, FILE_JSON, e);
	if (r < 0)
		network_erase(s, name, NULL);
	return r;
}

int network_save_members(const struct network *n, struct err *e)
{
	AUTO(str_buf_free) struct str_buf b = {};
	int r;

	members_format(&n->members, &b);
	r = b.failed ? -ENOMEM : io_write_atomic(n->dir, FILE_MEMBERS, b.s ? b.s : "", b.len, 0600);
	return r < 0 ? err_sys(e, -r, "network %s: write " FILE_MEMBERS, n->conf.name) : 0;
}

int network_read_foreign(const struct network *n, char **text, struct err *e)
{
	int r = io_read_file(n->dir, FILE_FOREIGN, FILE_MAX, text, NULL);

	if (r == -ENOENT) {
		*text = strdup("");
		r = *text ? 0 : -ENOMEM;
	}
	return r < 0 ? err_sys(e, -r, "network %s: read " FILE_FOREIGN, n->conf.name) : 0;
}

int network_write_foreign(const struct network *n, const char *text, struct err *e)
{
	int r = io_write_atomic(n->dir, FILE_FOREIGN, text, strlen(text), 0600);

	return r < 0 ? err_sys(e, -r, "network %s: write " FILE_FOREIGN, n->conf.name) : 0;
}

/* The directory is private and flat; what is in it was made by us. */
int network_erase(const struct net_store *s, const char *name, struct err *e)
{
	int fd = openat(s->dir, name, OPEN_DIR);
	AUTO_CLOSEDIR DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *de;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, errno, "network %s: remove", name);
	while ((de = readdir(d)) != NULL) {
		if (str_eq(de->d_name, ".") || str_eq(de->d_name, ".."))
			continue;
		if (unlinkat(fd, de->d_name, 0) < 0 && errno != ENOENT)
			return err_sys(e, errno, "network %s: remove %s", name, de->d_name);
	}
	if (unlinkat(s->dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(e, errno, "network %s: remove", name);
	return 0;
}

void network_close(struct network *n)
{
	cleanup_close(&n->dir);
	n->dir = -1;
	members_free(&n->members);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int network_names(const struct net_store *s, struct str_list *out, struct err *e)
{
	AUTO(str_list_free) struct str_list l = {};
	AUTO_CLOSEDIR DIR *d = NULL;
	struct dirent *de;

	if (s->dir < 0)
		return 0;
	d = fdopendir(openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (!d)
		return err_sys(e, errno, "list the networks");
	while ((de = readdir(d)) != NULL)
		if (de->d_name[0] != '.' && str_list_add(&l, de->d_name) < 0)
			return err_sys(e, ENOMEM, "list the networks");
	if (l.n)
		qsort(l.v, l.n, sizeof(*l.v), by_name);
	*out = l;
	l = (struct str_list){};
	return 0;
}

int network_bridges(const struct net_store *s, struct str_list *out, struct err *e)
{
	AUTO(str_list_free) struct str_list names = {};
	int r = network_names(s, &names, e);

	for (size_t i = 0; i < names.n && r == 0; i++) {
		AUTO_NETWORK_REF struct network n = NETWORK_INIT;

		if (network_load(s, names.v[i], &n, NULL) == 0 &&
		    str_list_add(out, n.conf.bridge) < 0)
			r = err_sys(e, ENOMEM, "list the networks");
	}
	return r;
}

/* ---- links that forward ---- */

int net_store_read_opened(const struct net_store *s, struct forward_links *out, struct err *e)
{
	AUTO_FREE char *text = NULL;
	int r = io_read_file(s->dir, OPENED, FILE_MAX, &text, NULL);

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = forward_parse(text, out);
	return r < 0 ? err_sys(e, -r, "read %s/" DIRECTORY "/" OPENED, s->root->path) : 0;
}

int net_store_write_opened(const struct net_store *s, const struct forward_links *l, struct err *e)
{
	AUTO(str_buf_free) struct str_buf b = {};
	int r;

	if (l->n == 0)
		return unlinkat(s->dir, OPENED, 0) < 0 && errno != ENOENT
			       ? err_sys(e, errno, "remove %s/" DIRECTORY "/" OPENED, s->root->path)
			       : 0;
	forward_format(l, &b);
	r = b.failed ? -ENOMEM : io_write_atomic(s->dir, OPENED, b.s, b.len, 0600);
	return r < 0 ? err_sys(e, -r, "write %s/" DIRECTORY "/" OPENED, s->root->path) : 0;
}
