/* SPDX-License-Identifier: Apache-2.0 */
#include "net_plugins.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "net_files.h"
#include "net_store.h"
#include "oci/spec.h"
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

static void put_words(struct str_buf *b, const char *key, const char *const *v, size_t n)
{
	if (!n)
		return;
	str_buf_add(b, key);
	for (size_t i = 0; i < n; i++)
		str_buf_addf(b, " %s", v[i]);
	str_buf_add(b, "\n");
}

bool net_plugins_resolv(struct str_buf *b, const struct cni_result *r)
{
	for (size_t i = 0; i < r->n_nameservers; i++)
		put_words(b, "nameserver", &r->nameservers[i], 1);
	if (r->n_search)
		put_words(b, "search", r->search, r->n_search);
	else if (r->domain)
		put_words(b, "search", &r->domain, 1);
	put_words(b, "options", r->options, r->n_options);
	return r->n_nameservers > 0;
}

int net_plugins_servers(int dir, const struct cni_result *r, const struct spec_strings *dns,
			struct err *e)
{
	AUTO(str_buf_free) struct str_buf b = {};
	int n;

	if (dns->n || !net_plugins_resolv(&b, r))
		return 0;
	n = net_files_put(dir, NET_RESOLV, &b);
	return n < 0 ? err_sys(e, -n, "write " NET_RESOLV) : 0;
}

/* ---- names ---- */

/* The first address of each family. */
static struct net_member addresses(const struct cni_result *r)
{
	struct net_member m = {};

	for (size_t i = 0; i < r->n_ips; i++) {
		const struct ip *ip = &r->ips[i].ip.ip;
		int family = ip->family == AF_INET6 ? NET_6 : NET_4;

		if (!m.ip[family].family)
			m.ip[family] = *ip;
	}
	return m;
}

/* Adds the container behind dir when it is in the network. 0 or -ENOMEM. */
static int add_member(struct members *l, int dir, const char *id, const char *network)
{
	AUTO(arena_free) struct arena a = {};
	AUTO_SPEC struct spec *spec = NULL;
	struct cni_result result;
	struct net_member net;
	struct member *m;
	const char *name, *hostname;
	struct err e;

	if (cni_known(dir, &a, &name, &result, &e) < 0 || !str_eq(name, network))
		return 0;
	net = addresses(&result);
	/* Not of its /etc/hostname, which the container can write. */
	hostname = store_read_config(dir, &spec, &e) < 0 ? NULL : spec->hostname;
	if (hostname && !member_name_ok(hostname))
		hostname = NULL;
	m = members_add(l);
	return m ? member_fill(m, id, hostname, &net) : -ENOMEM;
}

static int collect(const struct store *s, const char *network, struct members *l)
{
	int fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSEDIR DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *de;
	int r = 0;

	if (!d)
		return -errno;
	while (r == 0 && (de = readdir(d)) != NULL) {
		AUTO_CLOSE int dir = -1;

		if (de->d_name[0] == '.')
			continue;
		dir = openat(s->fd, de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = dir < 0 ? 0 : add_member(l, dir, de->d_name, network);
	}
	return r;
}

void net_plugins_names(const struct store *s, const char *network)
{
	AUTO_NET_STORE struct net_store lock = NET_STORE_INIT;
	AUTO_MEMBERS struct members l = {};
	struct err e;
	int r;

	/* Who comes and goes at the same time must not write what is not so any more. */
	if (net_store_open(s, true, &lock, &e) < 0) {
		log_warn("names of the network cni:%s: %s", network, e.msg);
		return;
	}
	r = collect(s, network, &l);
	if (r < 0)
		log_warn("names of the network cni:%s: %s", network, strerrordesc_np(-r));
	else
		net_files_refresh(s, &l);
}
