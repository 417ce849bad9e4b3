/* SPDX-License-Identifier: Apache-2.0 */
/* Block I/O and huge pages among the numbers of a container. */
#include "cgroups/cg_internal.h"
#include "cgroups/cg_stat.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define STAT_MAX ((size_t)1 << 20)

/* -ENOENT and the like for a file that is not there; a cgroup that has gone is an error of its own.
 */
static bool is_absent(const struct cg_dir *d, int r)
{
	return (r == -ENOENT || r == -EOPNOTSUPP) && access(d->dir, F_OK) == 0;
}

/* ---- block I/O ---- */

static const char *const v1_files[CG_BLKIO_KINDS] = {
	[CG_BLKIO_BYTES] = "io_service_bytes",
	[CG_BLKIO_SERVICED] = "io_serviced",
	[CG_BLKIO_QUEUED] = "io_queued",
	[CG_BLKIO_SERVICE_TIME] = "io_service_time",
	[CG_BLKIO_WAIT_TIME] = "io_wait_time",
	[CG_BLKIO_MERGED] = "io_merged",
	[CG_BLKIO_TIME] = "time",
	[CG_BLKIO_SECTORS] = "sectors",
};

static int v1_list(struct cg_dir *d, const char *prefix, enum cg_blkio_kind kind,
		   struct cg_stat *st, struct err *e)
{
	AUTO_FREE char *text = NULL;
	char file[80];
	int r;

	snprintf(file, sizeof(file), "%s%s_recursive", prefix, v1_files[kind]);
	r = io_read_file(d->fd, file, STAT_MAX, &text, NULL);
	if (is_absent(d, r))
		return 0;
	if (r == 0)
		r = cg_parse_blkio(&st->arena, text, &st->blkio.list[kind]);
	return r < 0 ? err_sys(e, -r, "read %s/%s", d->dir, file) : 0;
}

/* Whichever scheduler counts: BFQ, an older one, or the throttling layer, which always does. */
static int blkio_v1(struct cg_dir *d, struct cg_stat *st, struct err *e)
{
	static const char *const prefixes[] = { "blkio.bfq.", "blkio.", "blkio.throttle." };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(prefixes) && r == 0; i++) {
		r = v1_list(d, prefixes[i], CG_BLKIO_SERVICED, st, e);
		if (r < 0 || !st->blkio.list[CG_BLKIO_SERVICED].n)
			continue;
		for (int k = 0; k < CG_BLKIO_KINDS && r == 0; k++)
			if (k != CG_BLKIO_SERVICED && v1_files[k])
				r = v1_list(d, prefixes[i], k, st, e);
		break;
	}
	return r;
}

static int blkio_v2(struct cg_dir *d, struct cg_stat *st, struct err *e)
{
	AUTO_FREE char *text = NULL;
	int r = io_read_file(d->fd, "io.stat", STAT_MAX, &text, NULL);

	if (is_absent(d, r))
		return 0;
	if (r == 0)
		r = cg_parse_io_stat(&st->arena, text, st->blkio.list);
	return r < 0 ? err_sys(e, -r, "read %s/io.stat", d->dir) : 0;
}

int cg_stat_blkio(struct cg *cg, struct cg_stat *st, struct err *e)
{
	bool v2 = !cg_host_v1(&cg->host, "blkio");
	struct cg_dir *d = v2 ? cg_find_v2(cg) : cg_find_v1(cg, "blkio");
	int r = d ? cg_dir_fd(d) : 0;

	if (!d)
		return 0;
	if (r < 0)
		return err_sys(e, -r, "open %s", d->dir);
	return v2 ? blkio_v2(d, st, e) : blkio_v1(d, st, e);
}

/* ---- huge pages ---- */

struct huge {
	struct cg_dir *d;
	bool v2;
	struct cg_stat *st;
};

static int number(const struct huge *h, const char *size, const char *what, struct opt_u64 *out)
{
	char file[96], buf[64];
	ssize_t n;

	snprintf(file, sizeof(file), "hugetlb.%s.%s", size, what);
	n = io_read_small(h->d->fd, file, buf, sizeof(buf));
	if (n < 0)
		return n == -ENOENT ? 0 : (int)n;
	out->v = UINT64_MAX;
	out->set = str_eq(buf, "max") || str_to_u64(buf, UINT64_MAX, &out->v) == 0;
	return out->set ? 0 : -EBADMSG;
}

/* Reserved pages are what a limit is about, and more than those in use; older kernels count use
 * only. */
static int one_size(const struct huge *h, const char *size, struct cg_hugetlb *out)
{
	char file[96];
	uint64_t v;
	int r;

	out->size = arena_strdup(&h->st->arena, size);
	if (!out->size)
		return -ENOMEM;
	r = number(h, size, h->v2 ? "rsvd.current" : "rsvd.usage_in_bytes", &out->u.usage);
	if (r == 0 && !out->u.usage.set)
		r = number(h, size, h->v2 ? "current" : "usage_in_bytes", &out->u.usage);
	if (r == 0 && !h->v2)
		r = number(h, size, "rsvd.max_usage_in_bytes", &out->u.max);
	if (r == 0 && !h->v2 && !out->u.max.set)
		r = number(h, size, "max_usage_in_bytes", &out->u.max);
	if (r == 0 && !h->v2)
		r = number(h, size, "failcnt", &out->u.failcnt);
	if (r < 0 || !h->v2)
		return r;
	snprintf(file, sizeof(file), "hugetlb.%s.events", size);
	if (cg_dir_key(h->d->fd, file, "max", &v) == 0)
		out->u.failcnt = (struct opt_u64){ .set = true, .v = v };
	return 0;
}

/* "2MB" of hugetlb.2MB.current: one file of each page size. */
static bool page_size(const char *name, bool v2, char size[16])
{
	const char *rest = str_after(name, "hugetlb."), *dot = rest ? strchr(rest, '.') : NULL;

	if (!dot || dot - rest >= 16 || !str_eq(dot, v2 ? ".current" : ".usage_in_bytes"))
		return false;
	snprintf(size, 16, "%.*s", (int)(dot - rest), rest);
	return true;
}

#define MAX_SIZES 16

static int sizes(const struct huge *h)
{
	AUTO_CLOSEDIR DIR *dir =
		fdopendir(openat(h->d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct cg_stat *st = h->st;
	struct dirent *de;
	char size[16];

	if (!dir)
		return -errno;
	st->hugetlb.v = arena_array(&st->arena, MAX_SIZES, sizeof(*st->hugetlb.v));
	if (!st->hugetlb.v)
		return -ENOMEM;
	while ((de = readdir(dir)) && st->hugetlb.n < MAX_SIZES) {
		int r = page_size(de->d_name, h->v2, size)
				? one_size(h, size, &st->hugetlb.v[st->hugetlb.n])
				: 1;

		if (r < 0)
			return r;
		st->hugetlb.n += r == 0;
	}
	return 0;
}

int cg_stat_hugetlb(struct cg *cg, struct cg_stat *st, struct err *e)
{
	struct huge h = { .v2 = !cg_host_v1(&cg->host, "hugetlb"), .st = st };
	int r;

	h.d = h.v2 ? cg_find_v2(cg) : cg_find_v1(cg, "hugetlb");
	if (!h.d)
		return 0;
	r = cg_dir_fd(h.d);
	if (r >= 0)
		r = sizes(&h);
	return r < 0 ? err_sys(e, -r, "read the huge pages of %s", h.d->dir) : 0;
}
