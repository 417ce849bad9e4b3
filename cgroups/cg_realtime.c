/* SPDX-License-Identifier: Apache-2.0 */
/* Budgets of real-time processor time in the cgroups above the container's, on cgroup v1. */
#include "cgroups/cg_internal.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#define RUNTIME "cpu.rt_runtime_us"
#define PERIOD "cpu.rt_period_us"

bool cg_is_realtime(const struct cg_op *op)
{
	return !op->v2 && (str_eq(op->file, RUNTIME) || str_eq(op->file, PERIOD));
}

/* Microseconds in each period. */
struct budget {
	int64_t runtime, period;
};

static int read_number(const char *dir, const char *file, int64_t *out)
{
	AUTO_FREE char *path = str_printf("%s/%s", dir, file);
	char buf[32];
	ssize_t n;

	if (!path)
		return -ENOMEM;
	n = io_read_small(AT_FDCWD, path, buf, sizeof(buf));
	return n < 0 ? (int)n : str_to_i64(buf, -1, INT64_MAX, out);
}

static int read_budget(const char *dir, struct budget *b, struct err *e)
{
	int r = read_number(dir, RUNTIME, &b->runtime);

	if (r == 0)
		r = read_number(dir, PERIOD, &b->period);
	if (r == 0 && b->period < 1)
		r = -EBADMSG;
	return r < 0 ? err_sys(e, -r, "read the real-time budget of cgroup %s", dir) : 0;
}

/* A part of one period in microseconds of another one, rounded up. */
static int64_t scale(int64_t runtime, int64_t from, int64_t to)
{
	return (int64_t)(((__int128)runtime * to + from - 1) / from);
}

/* Gives dir as much more as `want` is more than `have`. */
static int give(const char *dir, const struct budget *have, const struct budget *want,
		struct cg_undo *undo, struct err *e)
{
	AUTO_FREE char *path = str_printf("%s/" RUNTIME, dir);
	struct budget b;
	char text[32];
	int r = read_budget(dir, &b, e);

	if (r < 0)
		return r;
	if (!path)
		return err_sys(e, ENOMEM, "real-time budget");
	b.runtime += scale(want->runtime, want->period, b.period) -
		     scale(have->runtime, have->period, b.period);
	snprintf(text, sizeof(text), "%" PRId64, b.runtime);
	r = undo ? cg_undo_save(undo, dir, RUNTIME, text) : 0;
	if (r < 0)
		return err_sys(e, -r, "real-time budget");
	r = io_write_file(AT_FDCWD, path, text);
	if (r < 0 && undo)
		cg_undo_drop(undo);
	if (r < 0)
		return err_sys(e, -r,
			       "linux.resources.cpu.realtimeRuntime: cgroup %s has too little "
			       "real-time budget: write \"%s\" to " RUNTIME,
			       dir, text);
	return 0;
}

static int wanted(const struct cg_op *op, size_t n, struct budget *b)
{
	for (size_t i = 0; i < n; i++) {
		bool runtime = str_eq(op[i].file, RUNTIME);
		int r = str_to_i64(op[i].value, -1, INT64_MAX, runtime ? &b->runtime : &b->period);

		if (r < 0)
			return r;
	}
	return b->period < 1 || b->period > 1000000000 || b->runtime < 0 || b->runtime > b->period
		       ? -EINVAL
		       : 0;
}

int cg_realtime_budget(struct cg *cg, const struct cg_op *op, size_t n, struct cg_undo *undo,
		       struct err *e)
{
	struct cg_dir *d = cg_find_v1(cg, "cpu");
	AUTO_FREE char *dir = d ? strdup(d->dir) : NULL;
	struct budget have, want;
	size_t mount_len;
	int r;

	if (!dir)
		return err_sys(e, d ? ENOMEM : ENOENT, "real-time budget");
	r = read_budget(dir, &have, e);
	if (r < 0)
		return r;
	want = have;
	/* Wrong by itself: the kernel's answer to the container's own value, which is set, says it
	 * all. */
	if (wanted(op, n, &want) < 0)
		return -EINVAL;
	mount_len = strlen(d->hier->mount);
	for (char *p = strchr(dir + mount_len + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		r = give(dir, &have, &want, undo, e);
		*p = '/';
		if (r < 0)
			return r;
	}
	return 0;
}
