/* SPDX-License-Identifier: Apache-2.0 */
#include "delegate.h"

#include "base/str.h"
#include "namespaces/idmap.h"
#include "namespaces/mount_plan.h"

#include <unistd.h>

#define CGROUP_DIR "/sys/fs/cgroup"

static bool is_read_only(const struct spec_mount *m)
{
	bool ro = false;

	for (size_t i = 0; i < m->options.n; i++) {
		const char *o = m->options.v[i];

		if (str_eq(o, "ro") || str_eq(o, "rro"))
			ro = true;
		else if (str_eq(o, "rw") || str_eq(o, "rrw"))
			ro = false;
	}
	return ro;
}

/* What is mounted there last is what the container sees. */
static bool has_writable_cgroups(const struct spec *s)
{
	struct arena a = { 0 };
	bool writable = false;

	for (size_t i = 0; i < s->mounts.n; i++) {
		const struct spec_mount *m = &s->mounts.v[i];
		const char *target = m->destination ? mount_plan_clean(&a, m->destination) : NULL;

		if (target && str_eq(target, CGROUP_DIR))
			writable = m->type &&
				   (str_eq(m->type, "cgroup") || str_eq(m->type, "cgroup2")) &&
				   !is_read_only(m);
	}
	arena_free(&a);
	return writable;
}

bool delegate_wanted(const struct spec *s, uid_t *owner)
{
	const struct spec_linux *l = &s->linux_;
	const struct spec_namespace *ns = &l->ns[NS_CGROUP];
	uid_t uid = s->process ? s->process->user.uid : 0;
	int64_t host = uid;

	if (!ns->wanted || ns->path || !has_writable_cgroups(s))
		return false;
	if (l->ns[NS_USER].wanted && l->uid_mappings.n)
		host = idmap_to_host(&l->uid_mappings, uid);
	else if (l->ns[NS_USER].wanted)
		return false; /* joined: its maps are not ours to know */
	*owner = (uid_t)host;
	return host >= 0;
}

int delegate_cgroup(const struct spec *s, struct cg *cg, struct err *e)
{
	uid_t owner;

	/*
	 * The caller's it is already; without the rights of root there is nobody else to give it
	 * to.
	 */
	if (!cg || geteuid() != 0 || !delegate_wanted(s, &owner) || owner == 0)
		return 0;
	return cg_delegate(cg, owner, e);
}
