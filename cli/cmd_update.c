/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>

struct numbers {
	struct opt_i64 blkio_weight, cpu_period, cpu_quota, cpu_burst, cpu_share, rt_period,
		rt_runtime;
	struct opt_i64 cpu_idle, memory, reservation, swap, pids;
};

struct update_cmd {
	struct numbers n;
	const char *resources, *cpus, *mems;
	const char *l3, *mem_bw, *kernel, *kernel_tcp;
};

#define AT(field) .at = offsetof(struct update_cmd, field)

static const struct opt opts[] = {
	{ "resources", 'r', OPT_STRING, AT(resources), "FILE",
	  "a linux.resources object as JSON; - for standard input", .complete = OPT_FILE },
	{ "blkio-weight", 0, OPT_I64, AT(n.blkio_weight), "N", "weight of block I/O, 10 to 1000" },
	{ "cpu-period", 0, OPT_I64, AT(n.cpu_period), "USEC", "period of --cpu-quota" },
	{ "cpu-quota", 0, OPT_I64, AT(n.cpu_quota), "USEC",
	  "processor time in a period; -1 for no limit" },
	{ "cpu-burst", 0, OPT_I64, AT(n.cpu_burst), "USEC",
	  "unused quota that may be used later, at once" },
	{ "cpu-share", 0, OPT_I64, AT(n.cpu_share), "N",
	  "weight against other containers (default 1024)" },
	{ "cpu-rt-period", 0, OPT_I64, AT(n.rt_period), "USEC",
	  "period of --cpu-rt-runtime (cgroup v1)" },
	{ "cpu-rt-runtime", 0, OPT_I64, AT(n.rt_runtime), "USEC",
	  "real-time processor time in a period (cgroup v1)" },
	{ "cpuset-cpus", 0, OPT_STRING, AT(cpus), "LIST", "processors that may be used: 0-2,7" },
	{ "cpuset-mems", 0, OPT_STRING, AT(mems), "LIST", "memory nodes that may be used" },
	{ "cpu-idle", 0, OPT_I64, AT(n.cpu_idle), "0|1", "1: run only when nothing else wants to" },
	{ "memory", 0, OPT_SIZE, AT(n.memory), "SIZE", "limit on memory; -1 for none" },
	{ "memory-reservation", 0, OPT_SIZE, AT(n.reservation), "SIZE",
	  "memory that is left alone when memory is short" },
	{ "memory-swap", 0, OPT_SIZE, AT(n.swap), "SIZE",
	  "limit on memory and swap together; -1 for none" },
	{ "pids-limit", 0, OPT_I64, AT(n.pids), "N", "limit on processes; -1 for none" },
	{ "l3-cache-schema", 0, OPT_STRING, AT(l3), "SCHEMA", "not supported: refused" },
	{ "mem-bw-schema", 0, OPT_STRING, AT(mem_bw), "SCHEMA", "not supported: refused" },
	{ "kernel-memory", 0, OPT_STRING, AT(kernel), "SIZE",
	  "obsolete, without effect: kernels have no such limit any more" },
	{ "kernel-memory-tcp", 0, OPT_STRING, AT(kernel_tcp), "SIZE", "the same" },
	{},
};

static const struct member {
	const char *object, *key; /* neighbours share an object */
	size_t at;                /* in struct numbers */
} members[] = {
	{ "blockIO", "weight", offsetof(struct numbers, blkio_weight) },
	{ "pids", "limit", offsetof(struct numbers, pids) },
	{ "memory", "limit", offsetof(struct numbers, memory) },
	{ "memory", "reservation", offsetof(struct numbers, reservation) },
	{ "memory", "swap", offsetof(struct numbers, swap) },
	{ "cpu", "period", offsetof(struct numbers, cpu_period) },
	{ "cpu", "quota", offsetof(struct numbers, cpu_quota) },
	{ "cpu", "burst", offsetof(struct numbers, cpu_burst) },
	{ "cpu", "shares", offsetof(struct numbers, cpu_share) },
	{ "cpu", "realtimePeriod", offsetof(struct numbers, rt_period) },
	{ "cpu", "realtimeRuntime", offsetof(struct numbers, rt_runtime) },
	{ "cpu", "idle", offsetof(struct numbers, cpu_idle) }, /* last: the lists go on */
};

/* Makes key's object the open one. */
static void open_object(struct json_out *j, const char **open, const char *key)
{
	if (*open && str_eq(*open, key))
		return;
	if (*open)
		json_out_end_object(j);
	json_out_key(j, key);
	json_out_object(j);
	*open = key;
}

/* The options as a linux.resources object, without empty ones in it: "pids" needs its limit. */
static void put_resources(struct json_out *j, const struct update_cmd *o)
{
	const char *open = NULL;

	json_out_object(j);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const struct member *m = &members[i];
		const struct opt_i64 *v = (const void *)((const char *)&o->n + m->at);

		if (!v->set)
			continue;
		open_object(j, &open, m->object);
		json_out_ki64(j, m->key, v->v);
	}
	if (o->cpus || o->mems)
		open_object(j, &open, "cpu");
	if (o->cpus)
		json_out_kstr(j, "cpus", o->cpus);
	if (o->mems)
		json_out_kstr(j, "mems", o->mems);
	if (open)
		json_out_end_object(j);
	json_out_end_object(j);
}

static int refuse(const struct update_cmd *o, struct err *e)
{
	const char *option = o->l3 ? "l3-cache-schema" : o->mem_bw ? "mem-bw-schema" : NULL;

	if (option)
		return err_set(
			e, ENOTSUP,
			"--%s: resource control (resctrl) cannot be changed while a container runs",
			option);
	if (o->kernel || o->kernel_tcp)
		log_warn("--kernel-memory%s: obsolete, without effect", o->kernel ? "" : "-tcp");
	return 0;
}

static int read_resources(const char *file, char **text, size_t *len, struct err *e)
{
	bool in = str_eq(file, "-");
	int r = in ? io_read_all(STDIN_FILENO, SPEC_MAX_BYTES, text, len)
		   : io_read_file(AT_FDCWD, file, SPEC_MAX_BYTES, text, len);

	if (r == -EFBIG)
		return err_set(e, EFBIG, "--resources %s: larger than %zu bytes", file,
			       SPEC_MAX_BYTES);
	return r < 0 ? err_sys(e, -r, "--resources: read %s", in ? "standard input" : file) : 0;
}

static int run(const struct ctr_global *g, void *opt, const struct opt_words *w, int *status,
	       struct err *e)
{
	const struct update_cmd *o = opt;
	AUTO(json_out_free) struct json_out j = {};
	AUTO_FREE char *text = NULL;
	struct update_opts u = {};
	int r = refuse(o, e);

	(void)status;
	if (r == 0 && o->resources)
		r = read_resources(o->resources, &text, &u.resources_len, e);
	if (r < 0)
		return r;
	put_resources(&j, o);
	if (j.buf.failed)
		return err_sys(e, ENOMEM, "update");
	u.resources = text;
	u.options = j.buf.s;
	return ctr_update(g, w->v[0], &u, e);
}

const struct cmd cmd_update = {
	.name = "update",
	.words = "ID",
	.summary = "change the limits of a container that runs",
	.more = "Limits that are not given stay. When one of them cannot be set, none is.\n"
		"0 leaves a limit as it is (but --pids-limit, --cpu-burst and --cpu-idle, where it counts).\n"
		"Options go before what --resources says.",
	.opts = opts,
	.opts_size = sizeof(struct update_cmd),
	.min = 1,
	.max = 1,
	.word = CMD_WORD_ID,
	.run = run,
};
