/* SPDX-License-Identifier: Apache-2.0 */
#include "stats.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(struct json_out *j, const char *key, struct opt_u64 v)
{
	json_out_ku64(j, key, v.set ? v.v : 0);
}

static void psi_line(struct json_out *j, const char *key, const struct cg_psi_line *p)
{
	json_out_key(j, key);
	json_out_object(j);
	json_out_key(j, "avg10");
	json_out_raw(j, p->avg10);
	json_out_key(j, "avg60");
	json_out_raw(j, p->avg60);
	json_out_key(j, "avg300");
	json_out_raw(j, p->avg300);
	json_out_ku64(j, "total", p->total);
	json_out_end_object(j);
}

static void psi(struct json_out *j, const struct cg_psi *p)
{
	if (!p->set)
		return;
	json_out_key(j, "psi");
	json_out_object(j);
	psi_line(j, "some", &p->some);
	psi_line(j, "full", &p->full);
	json_out_end_object(j);
}

static void u64s(struct json_out *j, const char *key, const struct cg_stat_u64s *l)
{
	if (!l->n)
		return;
	json_out_key(j, key);
	json_out_array(j);
	for (size_t i = 0; i < l->n; i++)
		json_out_u64(j, l->v[i]);
	json_out_end_array(j);
}

static void cpu(struct json_out *j, const struct cg_stat *st)
{
	json_out_key(j, "cpu");
	json_out_object(j);
	json_out_key(j, "usage");
	json_out_object(j);
	put(j, "total", st->cpu.usage);
	u64s(j, "percpu", &st->cpu.percpu);
	u64s(j, "percpu_kernel", &st->cpu.percpu_kernel);
	u64s(j, "percpu_user", &st->cpu.percpu_user);
	put(j, "kernel", st->cpu.system);
	put(j, "user", st->cpu.user);
	json_out_end_object(j);
	json_out_key(j, "throttling");
	json_out_object(j);
	put(j, "periods", st->cpu.periods);
	put(j, "throttledPeriods", st->cpu.throttled_periods);
	put(j, "throttledTime", st->cpu.throttled);
	json_out_end_object(j);
	psi(j, &st->cpu.psi);
	json_out_end_object(j);
}

/* "0-2,7" as [0,1,2,7]. The kernel wrote it; what is not such a list ends it. */
static void cpu_list(struct json_out *j, const char *key, const char *list)
{
	json_out_key(j, key);
	json_out_array(j);
	for (char *end; list && *list; list = *end == ',' ? end + 1 : "") {
		unsigned long from = strtoul(list, &end, 10), to = from;

		if (end == list)
			break;
		if (*end == '-')
			to = strtoul(end + 1, &end, 10);
		for (unsigned long i = from; i <= to && i < 65536; i++)
			json_out_u64(j, i);
	}
	json_out_end_array(j);
}

static void cpuset(struct json_out *j, const struct cg_stat *st)
{
	json_out_key(j, "cpuset");
	json_out_object(j);
	cpu_list(j, "cpus", st->cpuset.cpus);
	put(j, "cpu_exclusive", st->cpuset.cpu_exclusive);
	cpu_list(j, "mems", st->cpuset.mems);
	put(j, "mem_hardwall", st->cpuset.mem_hardwall);
	put(j, "mem_exclusive", st->cpuset.mem_exclusive);
	put(j, "memory_migrate", st->cpuset.memory_migrate);
	put(j, "memory_spread_page", st->cpuset.memory_spread_page);
	put(j, "memory_spread_slab", st->cpuset.memory_spread_slab);
	put(j, "memory_pressure", st->cpuset.memory_pressure);
	put(j, "sched_load_balance", st->cpuset.sched_load_balance);
	json_out_ki64(j, "sched_relax_domain_level", st->cpuset.sched_relax_domain_level.v);
	json_out_end_object(j);
}

static void usage(struct json_out *j, const char *key, const struct cg_usage *u)
{
	json_out_key(j, key);
	json_out_object(j);
	put(j, "limit", u->limit);
	put(j, "usage", u->usage);
	put(j, "max", u->max);
	put(j, "failcnt", u->failcnt);
	json_out_end_object(j);
}

static void memory(struct json_out *j, const struct cg_stat *st)
{
	const struct cg_usage all = {
		.usage = st->memory.usage,
		.max = st->memory.max_usage,
		.limit = st->memory.limit,
		.failcnt = st->memory.failcnt,
	};

	json_out_key(j, "memory");
	json_out_object(j);
	put(j, "cache", st->memory.cache);
	usage(j, "usage", &all);
	usage(j, "swap", &st->memory.swap);
	usage(j, "kernel", &st->memory.kernel);
	usage(j, "kernelTCP", &st->memory.kernel_tcp);
	json_out_key(j, "raw");
	json_out_object(j);
	for (size_t i = 0; i < st->memory.raw.n; i++)
		json_out_ku64(j, st->memory.raw.v[i].name, st->memory.raw.v[i].value);
	json_out_end_object(j);
	psi(j, &st->memory.psi);
	json_out_end_object(j);
}

/* No limit is 0 here, and UINT64_MAX for memory: so it has always been. */
static void pids(struct json_out *j, const struct cg_stat *st)
{
	json_out_key(j, "pids");
	json_out_object(j);
	put(j, "current", st->pids.current);
	json_out_ku64(j, "limit",
		      st->pids.limit.set && st->pids.limit.v != UINT64_MAX ? st->pids.limit.v : 0);
	json_out_end_object(j);
}

static void blkio_list(struct json_out *j, const char *key, const struct cg_blkio_list *l)
{
	json_out_key(j, key);
	json_out_array(j);
	for (size_t i = 0; i < l->n; i++) {
		json_out_object(j);
		json_out_ku64(j, "major", l->v[i].major);
		json_out_ku64(j, "minor", l->v[i].minor);
		if (*l->v[i].op)
			json_out_kstr(j, "op", l->v[i].op);
		json_out_ku64(j, "value", l->v[i].value);
		json_out_end_object(j);
	}
	json_out_end_array(j);
}

static void blkio(struct json_out *j, const struct cg_stat *st)
{
	static const char *const names[CG_BLKIO_KINDS] = {
		[CG_BLKIO_BYTES] = "ioServiceBytesRecursive",
		[CG_BLKIO_SERVICED] = "ioServicedRecursive",
		[CG_BLKIO_QUEUED] = "ioQueueRecursive",
		[CG_BLKIO_SERVICE_TIME] = "ioServiceTimeRecursive",
		[CG_BLKIO_WAIT_TIME] = "ioWaitTimeRecursive",
		[CG_BLKIO_MERGED] = "ioMergedRecursive",
		[CG_BLKIO_TIME] = "ioTimeRecursive",
		[CG_BLKIO_SECTORS] = "sectorsRecursive",
		[CG_BLKIO_COST_USAGE] = "ioCostUsage",
		[CG_BLKIO_COST_WAIT] = "ioCostWait",
		[CG_BLKIO_COST_INDEBT] = "ioCostIndebt",
		[CG_BLKIO_COST_INDELAY] = "ioCostIndelay",
	};

	json_out_key(j, "blkio");
	json_out_object(j);
	for (size_t i = 0; i < CG_BLKIO_KINDS; i++)
		if (i <= CG_BLKIO_SECTORS || st->blkio.list[i].n)
			blkio_list(j, names[i], &st->blkio.list[i]);
	psi(j, &st->blkio.psi);
	json_out_end_object(j);
}

static void hugetlb(struct json_out *j, const struct cg_stat *st)
{
	json_out_key(j, "hugetlb");
	json_out_object(j);
	for (size_t i = 0; i < st->hugetlb.n; i++) {
		const struct cg_hugetlb *h = &st->hugetlb.v[i];

		json_out_key(j, h->size);
		json_out_object(j);
		put(j, "usage", h->u.usage);
		put(j, "max", h->u.max);
		put(j, "failcnt", h->u.failcnt);
		json_out_end_object(j);
	}
	json_out_end_object(j);
}

/* One line of /proc/net/dev: "  eth0: 1 2 3 ...", eight numbers received, eight sent. */
static void interface(struct json_out *j, const char *line)
{
	static const char *const names[] = { "RxBytes", "RxPackets", "RxErrors", "RxDropped",
					     "TxBytes", "TxPackets", "TxErrors", "TxDropped" };
	const char *colon = strchr(line, ':');
	unsigned long long v[12];
	char name[32];

	line += strspn(line, " ");
	if (!colon || colon - line >= (ptrdiff_t)sizeof(name) ||
	    (colon - line == 2 && !memcmp(line, "lo", 2)))
		return;
	snprintf(name, sizeof(name), "%.*s", (int)(colon - line), line);
	if (sscanf(colon + 1, "%llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0],
		   &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &v[9], &v[10],
		   &v[11]) != 12)
		return;
	json_out_object(j);
	json_out_kstr(j, "Name", name);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		json_out_ku64(j, names[i], v[i < 4 ? i : i + 4]);
	json_out_end_object(j);
}

static void interfaces(struct json_out *j, const char *net_dev)
{
	json_out_key(j, "network_interfaces");
	json_out_array(j);
	for (const char *l = net_dev; l && *l;) {
		const char *end = strchrnul(l, '\n');
		char line[512];

		snprintf(line, sizeof(line), "%.*s", (int)(end - l), l);
		interface(j, line);
		l = *end ? end + 1 : end;
	}
	json_out_end_array(j);
}

void stats_out(struct json_out *j, const struct cg_stat *st, const char *net_dev)
{
	json_out_object(j);
	cpu(j, st);
	cpuset(j, st);
	memory(j, st);
	pids(j, st);
	blkio(j, st);
	hugetlb(j, st);
	json_out_key(j, "intel_rdt");
	json_out_object(j);
	json_out_end_object(j);
	interfaces(j, net_dev);
	json_out_end_object(j);
}
