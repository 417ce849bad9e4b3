/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mount of type "cgroup" shows the container its cgroups as the host lays them out: one cgroup2
 * mount on a pure v2 host, otherwise a tmpfs with a directory a hierarchy. With a cgroup namespace
 * a new mount starts at the container's own cgroup; without one, a bind of that cgroup's directory
 * does.
 */
#include <sys/mount.h>

#include "namespaces/mount_plan.h"

#include "base/str.h"
#include "base/sys.h"

#include <errno.h>
#include <string.h>

static int no_memory(const struct mount_op *proto, struct err *e)
{
	return err_sys(e, ENOMEM, "mounts[%zu]", proto->index);
}

/* Controllers are flags of the file system ("memory"), a named hierarchy is a value
 * ("name=systemd"). */
static int controller_data(struct arena *a, const struct mount_cgroup *c, struct spec_strings *out)
{
	const char *s = c->controllers;
	size_t n = 1;

	for (const char *p = s; *p; p++)
		n += *p == ',';
	out->v = arena_array(a, n + 1, sizeof(char *));
	if (!out->v)
		return -ENOMEM;
	while (*s) {
		size_t len = strcspn(s, ",");

		out->v[out->n] = arena_strndup(a, s, len);
		if (!out->v[out->n])
			return -ENOMEM;
		out->n++;
		s += len;
		s += *s == ',';
	}
	return 0;
}

/* One hierarchy at target. */
static int add_hierarchy(struct arena *a, const struct mount_plan_in *in,
			 const struct mount_cgroup *c, const struct mount_op *proto,
			 const char *target, struct mount_plan *out, struct err *e)
{
	struct mount_op *op = mount_plan_add(a, out, proto->index);
	const char *own;

	if (!op)
		return no_memory(proto, e);
	own = arena_printf(a, "%s%s%s", c->mount, c->path[0] == '/' ? "" : "/", c->path);
	if (!own)
		return no_memory(proto, e);
	op->target = target;
	op->attr_set = proto->attr_set;
	op->attr_clr = proto->attr_clr;
	op->rec_attr_set = proto->rec_attr_set;
	op->rec_attr_clr = proto->rec_attr_clr;
	op->n_propagation = proto->n_propagation;
	memcpy(op->propagation, proto->propagation, sizeof(op->propagation));
	if (!in->cgroup_ns) {
		op->kind = MOUNT_OP_BIND;
		op->source = own;
		op->recursive = true;
		/* The whole tree of the host, writable by who is root in a user namespace: never.
		 */
		if (in->userns && str_eq(c->path, "/"))
			op->attr_set |= MOUNT_ATTR_RDONLY;
		return 0;
	}
	op->kind = MOUNT_OP_FS;
	op->fallback = own;
	op->fstype = op->source = c->v2 ? "cgroup2" : "cgroup";
	if (!c->v2 && controller_data(a, c, &op->data) < 0)
		return no_memory(proto, e);
	return 0;
}

/* cpu -> cpu,cpuacct: programs look for either name. */
static int add_links(struct arena *a, const struct mount_cgroup *c, const struct mount_op *proto,
		     const char *base, struct mount_plan *out, struct err *e)
{
	struct spec_strings names = { 0 };

	if (c->v2 || !strchr(c->controllers, ',') || strchr(c->controllers, '='))
		return 0;
	if (controller_data(a, c, &names) < 0)
		return no_memory(proto, e);
	for (size_t i = 0; i < names.n; i++) {
		struct mount_op *op;

		if (str_eq(names.v[i], base))
			continue;
		op = mount_plan_add(a, out, proto->index);
		if (!op)
			return no_memory(proto, e);
		op->kind = MOUNT_OP_SYMLINK;
		op->source = base;
		op->target = arena_printf(a, "%s/%s", proto->target, names.v[i]);
		if (!op->target)
			return no_memory(proto, e);
	}
	return 0;
}

static int add_tmpfs(struct arena *a, const struct mount_op *proto, struct mount_plan *out,
		     struct err *e)
{
	struct mount_op *op = mount_plan_add(a, out, proto->index);

	if (!op)
		return no_memory(proto, e);
	op->kind = MOUNT_OP_FS;
	op->target = proto->target;
	op->fstype = "tmpfs";
	op->source = "cgroup";
	op->attr_set = proto->attr_set & ~(uint64_t)MOUNT_ATTR_RDONLY;
	op->attr_clr = proto->attr_clr;
	op->data.v = arena_array(a, 2, sizeof(char *));
	if (!op->data.v)
		return no_memory(proto, e);
	op->data.v[op->data.n++] = (char *)"mode=755";
	op->n_propagation = proto->n_propagation;
	memcpy(op->propagation, proto->propagation, sizeof(op->propagation));
	return 0;
}

int mount_cgroup_expand(struct arena *a, const struct mount_plan_in *in,
			const struct mount_op *proto, struct mount_plan *out, struct err *e)
{
	int r;

	if (proto->data.n || proto->sb_set.n)
		return err_set(e, EINVAL,
			       "mounts[%zu].options: \"%s\": not an option of a cgroup mount",
			       proto->index, proto->data.n ? proto->data.v[0] : proto->sb_set.v[0]);
	if (in->n_cgroups == 1 && in->cgroups[0].v2)
		return add_hierarchy(a, in, &in->cgroups[0], proto, proto->target, out, e);
	r = add_tmpfs(a, proto, out, e);
	for (size_t i = 0; i < in->n_cgroups && r == 0; i++) {
		const struct mount_cgroup *c = &in->cgroups[i];
		const char *slash = strrchr(c->mount, '/'), *base = slash ? slash + 1 : c->mount;
		const char *target = arena_printf(a, "%s/%s", proto->target, base);

		if (!target)
			return no_memory(proto, e);
		r = add_hierarchy(a, in, c, proto, target, out, e);
		if (r == 0)
			r = add_links(a, c, proto, base, out, e);
	}
	if (r == 0 && proto->attr_set & MOUNT_ATTR_RDONLY) {
		struct mount_op *op = mount_plan_add(a, out, proto->index);

		if (!op)
			return no_memory(proto, e);
		op->kind = MOUNT_OP_REMOUNT;
		op->target = proto->target;
		op->attr_set = MOUNT_ATTR_RDONLY;
	}
	return r;
}
