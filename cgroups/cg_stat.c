/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cg_stat.h"

#include "cgroups/cg_internal.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>

/* Where one number is: a file that holds just it, or a key in a file of lines. */
struct source {
	const char *controller; /* v1 hierarchy */
	const char *file, *key; /* key NULL: the whole file */
	uint64_t scale;         /* to the unit of struct cg_stat */
	size_t at;
};

#define AT(field) offsetof(struct cg_stat, field)
#define NS_PER_TICK (1000000000 / 100) /* USER_HZ is 100 on every architecture that matters here \
					*/

/* A limit this near to the largest number is how v1 writes "none". */
#define V1_NO_LIMIT ((uint64_t)INT64_MAX / 4096 * 4096)

static const struct source sources_v1[] = {
	{ "memory", "memory.usage_in_bytes", NULL, 1, AT(memory.usage) },
	{ "memory", "memory.max_usage_in_bytes", NULL, 1, AT(memory.max_usage) },
	{ "memory", "memory.limit_in_bytes", NULL, 1, AT(memory.limit) },
	{ "memory", "memory.failcnt", NULL, 1, AT(memory.failcnt) },
	{ "memory", "memory.memsw.usage_in_bytes", NULL, 1, AT(memory.swap_usage) },
	{ "memory", "memory.memsw.limit_in_bytes", NULL, 1, AT(memory.swap_limit) },
	{ "memory", "memory.oom_control", "oom_kill", 1, AT(memory.oom_kill) },
	{ "cpuacct", "cpuacct.usage", NULL, 1, AT(cpu.usage) },
	{ "cpuacct", "cpuacct.stat", "user", NS_PER_TICK, AT(cpu.user) },
	{ "cpuacct", "cpuacct.stat", "system", NS_PER_TICK, AT(cpu.system) },
	{ "cpu", "cpu.stat", "nr_periods", 1, AT(cpu.periods) },
	{ "cpu", "cpu.stat", "nr_throttled", 1, AT(cpu.throttled_periods) },
	{ "cpu", "cpu.stat", "throttled_time", 1, AT(cpu.throttled) },
	{ "pids", "pids.current", NULL, 1, AT(pids.current) },
	{ "pids", "pids.max", NULL, 1, AT(pids.limit) },
};

static const struct source sources_v2[] = {
	{ "memory", "memory.current", NULL, 1, AT(memory.usage) },
	{ "memory", "memory.peak", NULL, 1, AT(memory.max_usage) },
	{ "memory", "memory.max", NULL, 1, AT(memory.limit) },
	{ "memory", "memory.events", "max", 1, AT(memory.failcnt) },
	{ "memory", "memory.swap.current", NULL, 1, AT(memory.swap_usage) },
	{ "memory", "memory.swap.max", NULL, 1, AT(memory.swap_limit) },
	{ "memory", "memory.events", "oom_kill", 1, AT(memory.oom_kill) },
	/* Outside of the root these are there without any controller. */
	{ "cpuacct", "cpu.stat", "usage_usec", 1000, AT(cpu.usage) },
	{ "cpuacct", "cpu.stat", "user_usec", 1000, AT(cpu.user) },
	{ "cpuacct", "cpu.stat", "system_usec", 1000, AT(cpu.system) },
	{ "cpu", "cpu.stat", "nr_periods", 1, AT(cpu.periods) },
	{ "cpu", "cpu.stat", "nr_throttled", 1, AT(cpu.throttled_periods) },
	{ "cpu", "cpu.stat", "throttled_usec", 1000, AT(cpu.throttled) },
	{ "pids", "pids.current", NULL, 1, AT(pids.current) },
	{ "pids", "pids.max", NULL, 1, AT(pids.limit) },
};

static int read_one(int dirfd, const struct source *s, uint64_t *v)
{
	char buf[64];
	ssize_t n;

	if (s->key)
		return cg_dir_key(dirfd, s->file, s->key, v);
	n = io_read_small(dirfd, s->file, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	if (str_eq(buf, "max")) {
		*v = UINT64_MAX;
		return 0;
	}
	return str_to_u64(buf, UINT64_MAX, v);
}

static int fill(struct cg_dir *d, const struct source *s, struct cg_stat *out, struct err *e)
{
	struct opt_u64 *o = (struct opt_u64 *)((char *)out + s->at);
	int r = cg_dir_fd(d);
	uint64_t v;

	if (r >= 0)
		r = read_one(d->fd, s, &v);
	/* A file or a key that this kernel lacks is a number that it does not have. */
	if (r == -ENOENT && access(d->dir, F_OK) == 0)
		return 0;
	if (r < 0)
		return err_sys(e, -r, "read %s/%s", d->dir, s->file);
	if (!d->hier->v2 && !s->key && v >= V1_NO_LIMIT)
		v = UINT64_MAX;
	*o = (struct opt_u64){ .set = true, .v = v == UINT64_MAX ? v : v * s->scale };
	return 0;
}

/* Each number from where its controller is: v1 where that is mounted, v2 for what is left. */
int cg_stat_read(struct cg *cg, struct cg_stat *out, struct err *e)
{
	struct cg_dir *v2 = cg_find_v2(cg);
	struct cg_stat st = { 0 };
	int r = 0;

	if (!cg->path)
		return err_set(e, ENOENT, "the container has no cgroup");
	for (size_t i = 0; i < ARRAY_SIZE(sources_v1) && r == 0; i++) {
		struct cg_dir *d = cg_find_v1(cg, sources_v1[i].controller);

		if (d)
			r = fill(d, &sources_v1[i], &st, e);
	}
	for (size_t i = 0; v2 && i < ARRAY_SIZE(sources_v2) && r == 0; i++)
		if (!cg_host_v1(&cg->host, sources_v2[i].controller))
			r = fill(v2, &sources_v2[i], &st, e);
	if (r == 0)
		*out = st;
	return r;
}
