/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose a port of the host is. A published port is no socket that could be found, so the books are
 * asked first: those of ctr's networks, those of CNI's containers (their plugins ask nobody), and
 * for other state directories the kernel. Last come the sockets of processes, Docker's too.
 */
#include "network.h"

#include "base/cleanup.h"
#include "netns/cni.h"
#include "netns/port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

struct wanted {
	const struct net_store *ns;
	const char *id;
	const struct ip_port *ports;
	size_t n;
};

static int compare(const struct wanted *w, const struct ip_port *theirs, size_t n, const char *id,
		   struct err *e)
{
	uint16_t port;

	for (size_t x = 0; x < n * w->n; x++)
		if (port_overlap(&theirs[x / w->n], &w->ports[x % w->n], &port))
			return err_set(e, EADDRINUSE,
				       "--publish: port %u of the host is taken by container %s",
				       port, id);
	return 0;
}

static int check_ours(const struct wanted *w, struct err *e)
{
	AUTO(str_list_free) struct str_list names = {};
	int r = network_names(w->ns, &names, e);

	for (size_t i = 0; i < names.n && r == 0; i++) {
		AUTO_NETWORK_REF struct network n = NETWORK_INIT;

		if (network_load(w->ns, names.v[i], &n, NULL) < 0)
			continue;
		for (size_t k = 0; k < n.members.n && r == 0; k++) {
			const struct member *m = &n.members.v[k];

			if (!str_eq(m->id, w->id) &&
			    ours_alive((void *)(uintptr_t)w->ns->root, m->id))
				r = compare(w, m->ports, m->net.n_ports, m->id, e);
		}
	}
	return r;
}

static int check_plugins(const struct wanted *w, struct err *e)
{
	AUTO_CLOSEDIR DIR *d = NULL;
	int fd = openat(w->ns->root->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	struct dirent *de;

	d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d) {
		err_sys(e, errno, "--publish: list the containers of %s", w->ns->root->path);
		if (fd >= 0)
			close(fd);
		return -e->code;
	}
	while (r == 0 && (de = readdir(d)) != NULL) {
		AUTO(arena_free) struct arena a = {};
		AUTO_CLOSE int dir = -1;
		struct ip_port *v;
		struct err ignored;
		size_t n;

		if (de->d_name[0] == '.' || str_eq(de->d_name, w->id))
			continue;
		dir = openat(fd, de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		/* What cannot be read is somebody else's trouble. */
		if (dir >= 0 && cni_ports(dir, &a, &v, &n, &ignored) == 0)
			r = compare(w, v, n, de->d_name, e);
	}
	return r;
}

int network_check_ports(const struct net_store *ns, struct net_socks *s, const char *id,
			const struct ip_port *ports, size_t n, struct err *e)
{
	const struct wanted w = { .ns = ns, .id = id, .ports = ports, .n = n };
	AUTO(str_list_free) struct str_list bridges = {};
	int r = n ? check_ours(&w, e) : 0;

	if (n && r == 0)
		r = check_plugins(&w, e);
	if (n && r == 0)
		r = network_bridges(ns, &bridges, e);
	if (n && r == 0)
		r = net_port_taken(s, &bridges, ports, n, e);
	for (size_t i = 0; i < n && r == 0; i++)
		r = port_check(&ports[i], e);
	return r;
}
