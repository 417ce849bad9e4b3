/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of a container now: what `events` shows. */
#ifndef CTR_CGROUPS_CG_STAT_H
#define CTR_CGROUPS_CG_STAT_H

#include "base/arena.h"
#include "cgroups/cg.h"

#include <stdint.h>

/* Bytes; failcnt: how often the limit was in the way. "No limit" is UINT64_MAX. */
struct cg_usage {
	struct opt_u64 usage, max, limit, failcnt;
};

/* Pressure stall information. The averages are decimal numbers as the kernel writes them. */
struct cg_psi {
	bool set;
	struct cg_psi_line {
		const char *avg10, *avg60, *avg300;
		uint64_t total; /* microseconds */
	} some, full;
};

struct cg_stat_pairs {
	struct cg_stat_pair {
		const char *name;
		uint64_t value;
	} * v;
	size_t n;
};

struct cg_stat_u64s {
	uint64_t *v;
	size_t n;
};

enum cg_blkio_kind {
	CG_BLKIO_BYTES,
	CG_BLKIO_SERVICED,
	CG_BLKIO_QUEUED,
	CG_BLKIO_SERVICE_TIME,
	CG_BLKIO_WAIT_TIME,
	CG_BLKIO_MERGED,
	CG_BLKIO_TIME,
	CG_BLKIO_SECTORS,
	CG_BLKIO_COST_USAGE,
	CG_BLKIO_COST_WAIT,
	CG_BLKIO_COST_INDEBT,
	CG_BLKIO_COST_INDELAY,
	CG_BLKIO_KINDS
};

struct cg_blkio_list {
	struct cg_blkio {
		uint64_t major, minor;
		const char *op; /* "Read"; "" where there is none */
		uint64_t value;
	} * v;
	size_t n;
};

/*
 * A value that this kernel or host does not have is not set; lists are empty then. What it points
 * to is in its arena. Released with cg_stat_free.
 */
struct cg_stat {
	struct arena arena;
	struct {
		struct opt_u64 cache;                            /* bytes */
		struct opt_u64 usage, max_usage, limit, failcnt; /* as in struct cg_usage */
		struct cg_usage swap;                            /* memory and swap together */
		struct cg_usage kernel, kernel_tcp;
		struct opt_u64 oom_kill;  /* processes killed */
		struct cg_stat_pairs raw; /* memory.stat */
		struct cg_psi psi;
	} memory;
	struct {
		struct opt_u64 usage, user, system;                   /* nanoseconds */
		struct opt_u64 periods, throttled_periods, throttled; /* throttled: nanoseconds */
		struct cg_stat_u64s percpu, percpu_kernel, percpu_user;
		struct cg_psi psi;
	} cpu;
	struct {
		const char *cpus, *mems; /* "0-3,7", or NULL */
		struct opt_u64 cpu_exclusive, mem_exclusive, mem_hardwall, memory_migrate;
		struct opt_u64 memory_spread_page, memory_spread_slab, memory_pressure;
		struct opt_u64 sched_load_balance;
		struct opt_i64 sched_relax_domain_level;
	} cpuset;
	struct {
		struct opt_u64 current, limit;
	} pids;
	struct {
		struct cg_blkio_list list[CG_BLKIO_KINDS];
		struct cg_psi psi;
	} blkio;
	struct {
		struct cg_hugetlb {
			const char *size; /* "2MB" */
			struct cg_usage u;
		} * v;
		size_t n;
	} hugetlb;
};

/* Reads them into *out (uninitialised before). A cgroup that is gone is -ENOENT. */
int cg_stat_read(struct cg *cg, struct cg_stat *out, struct err *e);

void cg_stat_free(struct cg_stat *st);

/*
 * A descriptor that becomes readable (*events: EPOLLIN for an eventfd of cgroup v1, EPOLLPRI for
 * memory.events of v2) when the container is short of memory beyond help. -ENOTSUP without a memory
 * controller.
 */
struct cg_oom {
	int fd;
	uint32_t events;
	bool v2;
	uint64_t kills; /* v2: how many there had been */
	/*
	 * v2: memory.events of the cgroup above, which counts ours and its neighbours', or -1: to
	 * be waited for like fd. What it had last.
	 */
	int above_fd;
	uint64_t above;
	char *dir; /* v1 */
};

#define CG_OOM_INIT                       \
	{                                 \
		.fd = -1, .above_fd = -1, \
	}

int cg_oom_open(struct cg *cg, struct cg_oom *o, struct err *e);

/*
 * After an event of either descriptor: how many times since it was last asked. The removal of the
 * cgroup is none. Where somebody (systemd) removed a cgroup of v2 before its last shortage was
 * read, it is one when the cgroup above has counted any since it was last asked.
 */
uint64_t cg_oom_count(struct cg_oom *o);
void cg_oom_close(struct cg_oom *o);

/* ---- parsers, pure; what they find goes to the arena. 0, -EBADMSG or -ENOMEM ---- */

int cg_parse_psi(struct arena *a, char *text, struct cg_psi *out);
int cg_parse_pairs(struct arena *a, char *text, struct cg_stat_pairs *out);
int cg_parse_u64s(struct arena *a, char *text, struct cg_stat_u64s *out);

/* "8:0 Read 4096" of v1, appended; "Total" of all devices is left out. */
int cg_parse_blkio(struct arena *a, char *text, struct cg_blkio_list *out);

/* io.stat of v2: "8:0 rbytes=1 wbytes=2 ...", sorted into the lists. */
int cg_parse_io_stat(struct arena *a, char *text, struct cg_blkio_list list[CG_BLKIO_KINDS]);

#endif
