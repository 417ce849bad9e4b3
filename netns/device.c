/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A link's index may change on the way, and with a template for its name (eth%d) nobody knows how
 * it will be called. So it travels under a name that nobody else has, is found by it on the other
 * side, and renamed there: that is also where a conflict shows without the link being in between.
 */
#include "netns/device.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "netns/addr.h"
#include "netns/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

struct device_moved {
	struct link before; /* as it was on the host */
	struct addrs addrs;
	int index; /* in the container */
	char name[IFNAMSIZ];
};

struct mover {
	struct nl host, inside;
	int netns;
};

static void mover_close(struct mover *m)
{
	nl_close(&m->host);
	nl_close(&m->inside);
}

static const char *wanted_name(const struct spec_net_device *d)
{
	return d->name ? d->name : d->host_name;
}

static int fail_at(const struct spec_net_device *d, int r, const char *what, struct err *e)
{
	return err_sys(e, -r, "linux.netDevices[\"%s\"]: %s", d->host_name, what);
}

static int random_name(char name[IFNAMSIZ])
{
	uint32_t n;

	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		return -errno;
	snprintf(name, IFNAMSIZ, "ctr%08x", n);
	return 0;
}

/* ---- one device ---- */

/* Arrives inside under a name of its own; *index is its number there. */
static int carry(struct nl *from, int index, struct nl *to, int to_fd, int *new_index)
{
	char name[IFNAMSIZ];
	struct link l;
	int r = random_name(name);

	if (r == 0)
		r = link_move(from, index, to_fd, name);
	if (r == 0)
		r = link_get(to, name, 0, &l);
	if (r == 0)
		*new_index = l.index;
	return r;
}

static int add_addrs(struct nl *n, int index, const struct device_moved *d, const char *old_name,
		     const char *new_name)
{
	int r = 0;

	for (size_t i = 0; i < d->addrs.n && r == 0; i++)
		r = addr_add(n, index, &d->addrs.v[i], old_name, new_name);
	return r;
}

static int settle(struct mover *m, const struct spec_net_device *s, struct device_moved *d,
		  struct err *e)
{
	struct link l;
	int r = link_rename(&m->inside, d->index, wanted_name(s));

	if (r == -EEXIST)
		return err_set(
			e, EEXIST,
			"linux.netDevices[\"%s\"]: the name \"%s\" is taken in the container",
			s->host_name, wanted_name(s));
	if (r < 0)
		return fail_at(s, r, "rename", e);
	r = link_get(&m->inside, NULL, d->index, &l);
	if (r < 0)
		return fail_at(s, r, "find in the container", e);
	memcpy(d->name, l.name, sizeof(d->name));
	r = link_restore(&m->inside, d->index, &d->before);
	if (r < 0)
		return fail_at(s, r, "set MTU and hardware address", e);
	r = link_set_up(&m->inside, d->index);
	if (r < 0)
		return fail_at(s, r, "set up", e);
	r = add_addrs(&m->inside, d->index, d, d->before.name, d->name);
	return r < 0 ? fail_at(s, r, "add its addresses", e) : 0;
}

static int move_one(struct mover *m, const struct spec_net_device *s, struct devices *out,
		    struct err *e)
{
	struct device_moved *d = &out->v[out->n];
	int r = link_get(&m->host, s->host_name, 0, &d->before);

	if (r < 0)
		return fail_at(s, r, "find on the host", e);
	r = addrs_get(&m->host, d->before.index, &d->addrs);
	if (r < 0)
		return fail_at(s, r, "read its addresses", e);
	r = carry(&m->host, d->before.index, &m->inside, m->netns, &d->index);
	if (r < 0) {
		addrs_free(&d->addrs);
		return fail_at(s, r, "move into the container", e);
	}
	out->n++;
	return settle(m, s, d, e);
}

/* ---- all ---- */

/* What can be known before anything is moved. */
static int check_one(struct mover *m, const struct spec_net_device *s, struct err *e)
{
	struct link l;
	int r = link_get(&m->host, s->host_name, 0, &l);

	if (r < 0)
		return fail_at(s, r, "find on the host", e);
	if (strchr(wanted_name(s), '%'))
		return 0;
	r = link_get(&m->inside, wanted_name(s), 0, &l);
	if (r == 0)
		return err_set(
			e, EEXIST,
			"linux.netDevices[\"%s\"]: the name \"%s\" is taken in the container",
			s->host_name, wanted_name(s));
	return r == -ENODEV ? 0 : fail_at(s, r, "look for its name in the container", e);
}

static int check_namespace(int netns_fd, struct err *e)
{
	struct stat own, other;

	if (stat("/proc/thread-self/ns/net", &own) < 0 || fstat(netns_fd, &other) < 0)
		return err_sys(e, errno, "linux.netDevices: compare the network namespaces");
	if (own.st_dev == other.st_dev && own.st_ino == other.st_ino)
		return err_set(e, EINVAL,
			       "linux.netDevices: the container's network namespace is the host's");
	return 0;
}

static int open_mover(struct mover *m, int netns_fd, struct err *e)
{
	int r = nl_open(&m->host, -1, e);

	m->netns = netns_fd;
	return r < 0 ? r : nl_open(&m->inside, netns_fd, e);
}

int devices_move(const struct spec_net_devices *l, int netns_fd, struct devices *out, struct err *e)
{
	AUTO(mover_close) struct mover m = {};
	struct devices moved = {};
	int r = check_namespace(netns_fd, e);

	if (r == 0)
		r = open_mover(&m, netns_fd, e);
	for (size_t i = 0; i < l->n && r == 0; i++)
		r = check_one(&m, &l->v[i], e);
	if (r < 0)
		return r;
	moved.v = calloc(l->n, sizeof(*moved.v));
	if (!moved.v)
		return err_sys(e, ENOMEM, "linux.netDevices");
	for (size_t i = 0; i < l->n && r == 0; i++)
		r = move_one(&m, &l->v[i], &moved, e);
	if (r < 0)
		devices_return(&moved, netns_fd);
	else
		*out = moved;
	return r;
}

static int return_one(struct mover *m, int host_fd, const struct device_moved *d)
{
	int index, r = carry(&m->inside, d->index, &m->host, host_fd, &index);

	if (r == 0)
		r = link_rename(&m->host, index, d->before.name);
	if (r == 0)
		r = link_restore(&m->host, index, &d->before);
	if (r == 0 && d->before.up)
		r = link_set_up(&m->host, index);
	return r < 0 ? r : add_addrs(&m->host, index, d, d->before.name, d->before.name);
}

void devices_return(struct devices *d, int netns_fd)
{
	AUTO(mover_close) struct mover m = {};
	AUTO_CLOSE int host = -1;
	struct err e;

	if (d->n)
		host = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (host >= 0 && open_mover(&m, netns_fd, &e) < 0) {
		log_warn("network devices stay in the container: %s", e.msg);
		devices_free(d);
		return;
	}
	for (size_t i = d->n; host >= 0 && i-- > 0;) {
		int r = return_one(&m, host, &d->v[i]);

		if (r < 0)
			log_warn("network device %s: return to the host: %s", d->v[i].before.name,
				 strerrordesc_np(-r));
	}
	devices_free(d);
}

void devices_free(struct devices *d)
{
	for (size_t i = 0; i < d->n; i++)
		addrs_free(&d->v[i].addrs);
	free(d->v);
	*d = (struct devices){};
}
