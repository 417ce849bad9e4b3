/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: text that claims to be a config.json, through everything pure that is done with it.
 * The way that create goes and the way that check goes must agree on what is a configuration.
 */
#include "base/cleanup.h"
#include "cgroups/cg_plan.h"
#include "namespaces/idmap.h"
#include "namespaces/mount_plan.h"
#include "namespaces/sysctl.h"
#include "oci/names.h"
#include "oci/spec.h"
#include "oci/spec_check.h"
#include "oci/spec_edit.h"
#include "oci/validate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

#define ALL (CG_BIT(CG_CTL_COUNT) - 1)

static void plan_mounts(const struct spec *s)
{
	static const struct mount_cgroup cgroups[] = {
		{ .controllers = "cpu,cpuacct", .mount = "/sys/fs/cgroup/cpu", .path = "/c" },
		{ .controllers = "", .mount = "/sys/fs/cgroup/unified", .path = "/c", .v2 = true },
	};
	AUTO(arena_free) struct arena a = {};
	const struct mount_plan_in in = {
		.spec = s,
		.cgroups = cgroups,
		.n_cgroups = ARRAY_SIZE(cgroups),
		.bundle = "/bundle",
		.cgroup_ns = s->linux_.ns[NS_CGROUP].wanted,
		.userns = s->linux_.ns[NS_USER].wanted,
	};
	struct mount_plan plan = {};
	struct err e = {};

	mount_plan_build(&a, &in, &plan, &e);
	for (size_t i = 0; i < s->mounts.n; i++) {
		free(idmap_text(&s->mounts.v[i].uid_mappings));
		mount_plan_clean(&a, s->mounts.v[i].destination);
	}
}

static void plan_cgroups(const struct spec_resources *r)
{
	static const struct cg_where where[] = {
		{ .v1 = ALL },
		{ .v2 = ALL, .has_v2 = true },
		{ .v1 = ALL & ~CG_BIT(CG_CTL_MEMORY), .v2 = CG_BIT(CG_CTL_MEMORY), .has_v2 = true },
		{ 0 },
	};

	for (size_t i = 0; r && i < ARRAY_SIZE(where); i++) {
		AUTO(cg_plan_free) struct cg_plan plan = {};
		struct err e = {};

		cg_plan_make(r, &where[i], &plan, &e);
	}
}

static void use(const struct spec *s)
{
	free(idmap_text(&s->linux_.uid_mappings));
	free(idmap_text(&s->linux_.gid_mappings));
	if (s->process)
		idmap_to_host(&s->linux_.uid_mappings, s->process->user.uid);
	for (size_t i = 0; i < s->linux_.sysctl.n; i++)
		free(sysctl_path(s->linux_.sysctl.v[i].key));
	plan_mounts(s);
	plan_cgroups(s->linux_.resources);
}

/* What the edits make of a configuration must be one again, or be refused with a reason. */
static void edit(const char *text, size_t len)
{
	char *args[] = { "sh", "-c", "true", NULL }, *env[] = { "A=b", "HOME", NULL };
	char *volumes[] = { "/src:/dst:ro", "rel:/x", NULL };
	const struct spec_edit ed = {
		.args = { args, 3 },
		.env = { env, 2 },
		.volumes = { volumes, 2 },
		.cwd = "/",
		.user = "1:2",
		.cpus = "1.5",
		.terminal = { true, true },
		.memory = { true, 1 << 20 },
		.pids_limit = { true, 7 },
		.read_only = true,
		.hostname = "h",
	};
	AUTO_SPEC struct spec *s = NULL;
	AUTO_FREE char *out = NULL;
	struct err e = {};
	size_t n = 0;

	if (spec_edit_apply(text, len, &ed, &out, &n, &e) == 0 && spec_parse(out, n, &s, &e) == 0)
		use(s);
}

static void both_ways_agree(const char *text, size_t len, int parsed, const struct err *why)
{
	AUTO(spec_check_free) struct spec_check k = {};
	AUTO_SPEC struct spec *s = NULL;
	struct err e = {};
	int r = spec_check(&k, text, len, &s, &e);

	if (parsed == -ENOMEM || r < 0 || (parsed == 0) == (k.n == 0))
		return;
	fprintf(stderr, "parse: %d %s; check: %zu problems, the first %s: %s\n", parsed, why->msg,
		k.n, k.n ? k.problems[0].path : "", k.n ? k.problems[0].reason : "");
	abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	/* A copy of exactly this size: what reads beyond it is found. */
	AUTO_FREE char *text = malloc(size ? size : 1);
	AUTO_SPEC struct spec *s = NULL, *process = NULL, *resources = NULL;
	struct err e = {}, other = {};
	int r;

	memcpy(text, data, size);
	r = spec_parse(text, size, &s, &e);
	if ((r < 0) != !s || (r < 0 && !e.msg[0]))
		abort();
	if (s)
		use(s);
	both_ways_agree(text, size, r, &e);
	edit(text, size);
	spec_parse_process(text, size, &process, &other);
	if (spec_parse_resources(text, size, &resources, &other) == 0)
		plan_cgroups(resources->linux_.resources);
	return 0;
}
