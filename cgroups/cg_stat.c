/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cg_stat.h"

#include "cgroups/cg_internal.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>

/* Where one number is: a file that holds just it, or a key in a file of lines. */
struct source {
	const char *controller; /* v1 hierarchy */
	const char *file, *key; /* key NULL: the whole file */
	uint64_t scale;         /* to the unit of struct cg_stat */
	size_t at;
};

#define AT(field) offsetof(struct cg_stat, field)
#define NS_PER_TICK \
	(1000000000 / 100) /* USER_HZ is 100 on every architecture that matters here \
			    */

#define USAGE_V1(prefix, to)                                                     \
	{ "memory", prefix ".usage_in_bytes", NULL, 1, AT(to.usage) },           \
		{ "memory", prefix ".max_usage_in_bytes", NULL, 1, AT(to.max) }, \
		{ "memory", prefix ".limit_in_bytes", NULL, 1, AT(to.limit) },   \
	{                                                                        \
		"memory", prefix ".failcnt", NULL, 1, AT(to.failcnt)             \
	}

#define CPUSET(name)                                                \
	{                                                           \
		"cpuset", "cpuset." #name, NULL, 1, AT(cpuset.name) \
	}

static const struct source sources_v1[] = {
	{ "memory", "memory.usage_in_bytes", NULL, 1, AT(memory.usage) },
	{ "memory", "memory.max_usage_in_bytes", NULL, 1, AT(memory.max_usage) },
	{ "memory", "memory.limit_in_bytes", NULL, 1, AT(memory.limit) },
	{ "memory", "memory.failcnt", NULL, 1, AT(memory.failcnt) },
	USAGE_V1("memory.memsw", memory.swap),
	USAGE_V1("memory.kmem", memory.kernel),
	USAGE_V1("memory.kmem.tcp", memory.kernel_tcp),
	{ "memory", "memory.oom_control", "oom_kill", 1, AT(memory.oom_kill) },
	{ "cpuacct", "cpuacct.usage", NULL, 1, AT(cpu.usage) },
	{ "cpuacct", "cpuacct.stat", "user", NS_PER_TICK, AT(cpu.user) },
	{ "cpuacct", "cpuacct.stat", "system", NS_PER_TICK, AT(cpu.system) },
	{ "cpu", "cpu.stat", "nr_periods", 1, AT(cpu.periods) },
	{ "cpu", "cpu.stat", "nr_throttled", 1, AT(cpu.throttled_periods) },
	{ "cpu", "cpu.stat", "throttled_time", 1, AT(cpu.throttled) },
	CPUSET(cpu_exclusive),
	CPUSET(mem_exclusive),
	CPUSET(mem_hardwall),
	CPUSET(memory_migrate),
	CPUSET(memory_spread_page),
	CPUSET(memory_spread_slab),
	CPUSET(memory_pressure),
	CPUSET(sched_load_balance),
	{ "pids", "pids.current", NULL, 1, AT(pids.current) },
	{ "pids", "pids.max", NULL, 1, AT(pids.limit) },
};

static const struct source sources_v2[] = {
	{ "memory", "memory.current", NULL, 1, AT(memory.usage) },
	{ "memory", "memory.peak", NULL, 1, AT(memory.max_usage) },
	{ "memory", "memory.max", NULL, 1, AT(memory.limit) },
	{ "memory", "memory.events", "max", 1, AT(memory.failcnt) },
	{ "memory", "memory.swap.current", NULL, 1, AT(memory.swap.usage) },
	{ "memory", "memory.swap.max", NULL, 1, AT(memory.swap.limit) },
	{ "memory", "memory.swap.events", "max", 1, AT(memory.swap.failcnt) },
	{ "memory", "memory.stat", "kernel", 1, AT(memory.kernel.usage) },
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
	if ((r == -ENOENT || r == -EOPNOTSUPP) && access(d->dir, F_OK) == 0)
		return 0;
	if (r < 0)
		return err_sys(e, -r, "read %s/%s", d->dir, s->file);
	*o = (struct opt_u64){ .set = true, .v = v == UINT64_MAX ? v : v * s->scale };
	return 0;
}

static int fill_all(struct cg *cg, struct cg_dir *v2, struct cg_stat *st, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sources_v1) && r == 0; i++) {
		struct cg_dir *d = cg_find_v1(cg, sources_v1[i].controller);

		if (d)
			r = fill(d, &sources_v1[i], st, e);
	}
	for (size_t i = 0; v2 && i < ARRAY_SIZE(sources_v2) && r == 0; i++)
		if (!cg_host_v1(&cg->host, sources_v2[i].controller))
			r = fill(v2, &sources_v2[i], st, e);
	return r;
}

/* cgroup v2 counts and limits swap alone. The sum is what everybody knows from v1. */
static void add_up(struct cg_stat *st)
{
	struct cg_usage *swap = &st->memory.swap;

	if (swap->usage.set && st->memory.usage.set)
		swap->usage.v += st->memory.usage.v;
	if (swap->limit.set && swap->limit.v != UINT64_MAX)
		swap->limit.v = st->memory.limit.set && st->memory.limit.v != UINT64_MAX
					? swap->limit.v + st->memory.limit.v
					: UINT64_MAX;
}

/* The cgroup with this controller: the v1 one, or the v2 one where that is not mounted. */
static struct cg_dir *dir_of(struct cg *cg, const char *v1, bool *is_v2)
{
	*is_v2 = !cg_host_v1(&cg->host, v1);
	return *is_v2 ? cg_find_v2(cg) : cg_find_v1(cg, v1);
}

/* The whole of a file; *text stays NULL where it does not exist. Broken ones are an error by name.
 */
static int slurp(struct cg_dir *d, const char *file, char **text, struct err *e)
{
	int r = d ? cg_dir_fd(d) : -ENOENT;

	if (r >= 0)
		r = io_read_file(d->fd, file, (size_t)1 << 20, text, NULL);
	if (!d || ((r == -ENOENT || r == -EOPNOTSUPP) && access(d->dir, F_OK) == 0))
		return 0;
	return r < 0 ? err_sys(e, -r, "read %s/%s", d->dir, file) : 0;
}

static int bad(struct cg_dir *d, const char *file, int r, struct err *e)
{
	return r < 0 ? err_sys(e, -r, "read %s/%s", d->dir, file) : 0;
}

static int read_psi(struct cg *cg, const char *file, struct cg_stat *st, struct cg_psi *out,
		    struct err *e)
{
	struct cg_dir *v2 = cg_find_v2(cg);
	AUTO_FREE char *text = NULL;
	int r = slurp(v2, file, &text, e);

	return r < 0 || !text ? r : bad(v2, file, cg_parse_psi(&st->arena, text, out), e);
}

static int read_memory(struct cg *cg, struct cg_stat *st, struct err *e)
{
	AUTO_FREE char *text = NULL;
	bool v2;
	struct cg_dir *d = dir_of(cg, "memory", &v2);
	int r = slurp(d, "memory.stat", &text, e);

	if (r == 0 && text)
		r = bad(d, "memory.stat", cg_parse_pairs(&st->arena, text, &st->memory.raw), e);
	for (size_t i = 0; r == 0 && i < st->memory.raw.n; i++)
		if (str_eq(st->memory.raw.v[i].name, v2 ? "file" : "cache"))
			st->memory.cache =
				(struct opt_u64){ .set = true, .v = st->memory.raw.v[i].value };
	if (r == 0 && v2)
		add_up(st);
	return r < 0 ? r : read_psi(cg, "memory.pressure", st, &st->memory.psi, e);
}

static int read_percpu(struct cg_dir *d, const char *file, struct cg_stat *st,
		       struct cg_stat_u64s *out, struct err *e)
{
	AUTO_FREE char *text = NULL;
	int r = slurp(d, file, &text, e);

	return r < 0 || !text ? r : bad(d, file, cg_parse_u64s(&st->arena, text, out), e);
}

static int read_cpu(struct cg *cg, struct cg_stat *st, struct err *e)
{
	struct cg_dir *d = cg_find_v1(cg, "cpuacct");
	int r = read_percpu(d, "cpuacct.usage_percpu", st, &st->cpu.percpu, e);

	if (r == 0)
		r = read_percpu(d, "cpuacct.usage_percpu_sys", st, &st->cpu.percpu_kernel, e);
	if (r == 0)
		r = read_percpu(d, "cpuacct.usage_percpu_user", st, &st->cpu.percpu_user, e);
	return r < 0 ? r : read_psi(cg, "cpu.pressure", st, &st->cpu.psi, e);
}

static int read_line(struct cg_dir *d, const char *file, struct cg_stat *st, const char **out,
		     struct err *e)
{
	AUTO_FREE char *text = NULL;
	int r = slurp(d, file, &text, e);

	if (r < 0 || !text)
		return r;
	text[strcspn(text, "\n")] = '\0';
	*out = arena_strdup(&st->arena, text);
	return *out ? 0 : err_sys(e, ENOMEM, "read %s/%s", d->dir, file);
}

static int read_cpuset(struct cg *cg, struct cg_stat *st, struct err *e)
{
	bool v2;
	struct cg_dir *d = dir_of(cg, "cpuset", &v2);
	const char *level = NULL;
	int64_t n;
	int r = read_line(d, v2 ? "cpuset.cpus.effective" : "cpuset.cpus", st, &st->cpuset.cpus, e);

	if (r == 0)
		r = read_line(d, v2 ? "cpuset.mems.effective" : "cpuset.mems", st, &st->cpuset.mems,
			      e);
	if (r == 0 && !v2)
		r = read_line(d, "cpuset.sched_relax_domain_level", st, &level, e);
	if (r == 0 && level && str_to_i64(level, INT32_MIN, INT32_MAX, &n) == 0)
		st->cpuset.sched_relax_domain_level = (struct opt_i64){ .set = true, .v = n };
	return r;
}

/* Each number from where its controller is: v1 where that is mounted, v2 for what is left. */
int cg_stat_read(struct cg *cg, struct cg_stat *out, struct err *e)
{
	struct cg_stat st = { 0 };
	int r;

	if (!cg->path)
		return err_set(e, ENOENT, "the container has no cgroup");
	r = fill_all(cg, cg_find_v2(cg), &st, e);
	if (r == 0)
		r = read_memory(cg, &st, e);
	if (r == 0)
		r = read_cpu(cg, &st, e);
	if (r == 0)
		r = read_cpuset(cg, &st, e);
	if (r == 0)
		r = cg_stat_blkio(cg, &st, e);
	if (r == 0)
		r = cg_stat_hugetlb(cg, &st, e);
	if (r == 0)
		r = read_psi(cg, "io.pressure", &st, &st.blkio.psi, e);
	if (r < 0)
		cg_stat_free(&st);
	else
		*out = st;
	return r;
}

void cg_stat_free(struct cg_stat *st)
{
	arena_free(&st->arena);
	*st = (struct cg_stat){ 0 };
}
