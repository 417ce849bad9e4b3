/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPv4 decides by a setting of the link that a packet came by. IPv6 has had one switch for the
 * whole host until Linux 6.17, which brought force_forwarding for a link. Before that, the switch
 * is not ours to throw: it makes a host that gets its addresses from a router lose them.
 */
#include "netns/forward.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "netns/addr.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
	int number;
	const char *all;  /* the host is a router */
	const char *link; /* one link is */
	bool follows;     /* who changes the first has set the second of all links to the same */
} settings[NET_FAMILIES] = {
	[NET_4] = { 4, "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/conf/%s/forwarding",
		    true },
	[NET_6] = { 6, "/proc/sys/net/ipv6/conf/all/forwarding",
		    "/proc/sys/net/ipv6/conf/%s/force_forwarding", false },
};

/* 0 or 1; -errno: there is no such setting. */
static int read_setting(const char *path)
{
	char buf[8];
	ssize_t n = io_read_small(AT_FDCWD, path, buf, sizeof(buf));

	return n < 0 ? (int)n : !str_eq(buf, "0");
}

static void link_path(char *buf, size_t size, int family, const char *name)
{
	/* The formats are ours, with one %s each. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(buf, size, settings[family].link, name);
#pragma GCC diagnostic pop
}

struct finder {
	const bool *want;
	struct forward_links *l;
};

static bool has(const struct forward_links *l, int family, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].family == family && str_eq(l->v[i].name, name))
			return true;
	return false;
}

int forward_add(struct forward_links *l, int family, const char *name)
{
	struct forward_link *v;

	if (has(l, family, name))
		return 0;
	v = reallocarray(l->v, l->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	l->v = v;
	v[l->n] = (struct forward_link){ .family = family };
	snprintf(v[l->n].name, sizeof(v[l->n].name), "%s", name);
	l->n++;
	return 0;
}

static int look_at(int index, const struct ip_net *a, void *arg)
{
	struct finder *f = arg;
	int family = a->ip.family == AF_INET ? NET_4 : NET_6;
	char name[IFNAMSIZ], path[128];

	if (!f->want[family] || !if_indextoname((unsigned int)index, name) || str_eq(name, "lo"))
		return 0;
	link_path(path, sizeof(path), family, name);
	return read_setting(path) == 0 ? forward_add(f->l, family, name) : 0;
}

/* The bridge of an internal network has an address and shall not forward. */
static int drop_ours(struct nl *n, struct forward_links *l, size_t from)
{
	size_t kept = from;

	for (size_t i = from; i < l->n; i++) {
		struct link link;
		int r = link_get(n, l->v[i].name, 0, &link);

		if (r < 0 && r != -ENODEV)
			return r;
		if (r == 0 && !str_after(link.alias, NET_ALIAS))
			l->v[kept++] = l->v[i];
	}
	l->n = kept;
	return 0;
}

int forward_find(struct nl *n, const bool family[NET_FAMILIES], struct forward_links *l,
		 struct err *e)
{
	bool want[NET_FAMILIES];
	struct finder f = { .want = want, .l = l };
	bool any = false;
	size_t before = l->n;
	int r;

	for (int i = 0; i < NET_FAMILIES; i++) {
		want[i] = family[i] && read_setting(settings[i].all) == 0;
		any = any || want[i];
	}
	if (!any)
		return 0;
	r = addrs_each(n, look_at, &f);
	if (r == 0)
		r = drop_ours(n, l, before);
	return r < 0 ? err_sys(e, -r, "read the host's addresses") : 0;
}

static int write_setting(const struct forward_link *l, const char *value)
{
	char path[128];

	link_path(path, sizeof(path), l->family, l->name);
	return io_write_file(AT_FDCWD, path, value);
}

int forward_on(const struct forward_links *l, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		int r = write_setting(&l->v[i], "1");

		if (r < 0 && r != -ENOENT)
			return err_sys(e, -r, "switch on IPv%d forwarding of %s",
				       settings[l->v[i].family].number, l->v[i].name);
	}
	return 0;
}

static bool is_router(int family)
{
	return read_setting(settings[family].all) > 0;
}

/* A link that forwards because the whole host does is not ours any more. */
static void switch_off(const struct forward_link *l)
{
	char path[128];
	int r;

	if (settings[l->family].follows && is_router(l->family))
		return;
	link_path(path, sizeof(path), l->family, l->name);
	r = read_setting(path) > 0 ? write_setting(l, "0") : 0;
	if (r < 0 && r != -ENOENT)
		log_warn("switch off IPv%d forwarding of %s: %s", settings[l->family].number,
			 l->name, strerrordesc_np(-r));
}

void forward_off(const struct forward_links *l)
{
	for (size_t i = 0; i < l->n; i++)
		switch_off(&l->v[i]);
}

bool forward_settle(struct forward_links *l)
{
	size_t kept = 0, n = l->n;

	for (size_t i = 0; i < n; i++) {
		if (is_router(l->v[i].family))
			switch_off(&l->v[i]);
		else
			l->v[kept++] = l->v[i];
	}
	l->n = kept;
	return kept != n;
}

static int bridge_setting(const char *format_name, const char *bridge, struct err *e)
{
	char path[128];
	int r;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/%s", bridge, format_name);
	r = io_write_file(AT_FDCWD, path, "1");
	return r < 0 ? err_sys(e, -r, "set %s", path) : 0;
}

/* An internal network forwards nothing, and publishes nothing. */
int forward_bridge(const struct net_conf *c, struct err *e)
{
	struct forward_link l = { .family = NET_6 };
	int r = 0;

	if (c->internal)
		return 0;
	if (c->subnet[NET_4].ip.family) {
		r = bridge_setting("forwarding", c->bridge, e);
		if (r == 0)
			r = bridge_setting("route_localnet", c->bridge, e);
	}
	if (r < 0 || !c->subnet[NET_6].ip.family || read_setting(settings[NET_6].all) != 0)
		return r;
	snprintf(l.name, sizeof(l.name), "%s", c->bridge);
	if (write_setting(&l, "1") < 0 && !str_eq(c->name, NET_DEFAULT))
		log_warn(
			"network %s: this kernel has IPv6 forwarding for the whole host only, and it "
			"is off: containers reach IPv6 addresses of this network and the host. "
			"sysctl -w net.ipv6.conf.all.forwarding=1 changes that",
			c->name);
	return 0;
}

void forward_format(const struct forward_links *l, struct str_buf *out)
{
	for (size_t i = 0; i < l->n; i++)
		str_buf_addf(out, "%d %s\n", settings[l->v[i].family].number, l->v[i].name);
}

int forward_parse(const char *text, struct forward_links *out)
{
	struct forward_links l = {};
	int r = 0;

	while (*text && r == 0) {
		size_t len = strcspn(text, "\n");
		char name[IFNAMSIZ];

		if (len < 3 || len - 2 >= sizeof(name) || text[1] != ' ' ||
		    (text[0] != '4' && text[0] != '6') || memchr(text + 2, '/', len - 2)) {
			r = -EINVAL;
			break;
		}
		snprintf(name, sizeof(name), "%.*s", (int)(len - 2), text + 2);
		r = forward_add(&l, text[0] == '4' ? NET_4 : NET_6, name);
		text += len + (text[len] == '\n');
	}
	if (r < 0)
		forward_free(&l);
	else
		*out = l;
	return r;
}

void forward_free(struct forward_links *l)
{
	free(l->v);
	*l = (struct forward_links){};
}
