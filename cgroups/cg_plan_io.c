/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cg_plan_row.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* ---- block I/O ---- */

static int io_weight_check(struct plan_build *b, const struct plan_row *row, uint64_t w)
{
	if (w >= 10 && w <= 1000)
		return 0;
	return err_set(b->e, EINVAL, "linux.resources.%s: %" PRIu64 " is not within 10 and 1000",
		       row->field, w);
}

/* key: "8:0 " or "". The BFQ scheduler's file takes the number as it is; io.weight has its own
 * scale. */
static int io_put_weight(struct plan_build *b, const struct plan_row *row, const char *key,
			 uint64_t w)
{
	struct cg_op op = plan_op(b, row);
	int r = io_weight_check(b, row, w);

	if (r < 0)
		return r;
	op.value = PLAN_TEXT(b, "%s%" PRIu64, key, w);
	if (b->v2) {
		op.alt_file = "io.weight";
		op.alt_value = PLAN_TEXT(b, "%s%" PRIu64, key, cg_plan_io_weight(w));
	} else {
		op.alt_file = *key ? "blkio.weight_device" : "blkio.weight";
		op.alt_value = op.value;
	}
	return plan_put(b, op);
}

int emit_io_weight(struct plan_build *b, const struct plan_row *row)
{
	const struct spec_block_io *io = b->r->block_io;

	if (!io || !io->weight.set || !io->weight.v)
		return 0;
	return io_put_weight(b, row, "", io->weight.v);
}

int emit_io_leaf_weight(struct plan_build *b, const struct plan_row *row)
{
	const struct spec_block_io *io = b->r->block_io;
	int r;

	if (!io || !io->leaf_weight.set || !io->leaf_weight.v)
		return 0;
	if (!row->file)
		return plan_refuse(b, row, "cgroup v2 has no such setting");
	r = io_weight_check(b, row, io->leaf_weight.v);
	return r < 0 ? r : plan_put_u64(b, row, io->leaf_weight.v);
}

int emit_io_weight_device(struct plan_build *b, const struct plan_row *row)
{
	const struct spec_block_io *io = b->r->block_io;
	int r = 0;

	for (size_t i = 0; io && i < io->weight_device.n && r == 0; i++) {
		const struct spec_weight_device *d = &io->weight_device.v[i];
		const char *key = PLAN_TEXT(b, "%" PRId64 ":%" PRId64 " ", d->major, d->minor);

		if (!key)
			return plan_no_memory(b);
		if (d->weight.set && d->weight.v)
			r = io_put_weight(b, row, key, d->weight.v);
		if (r < 0 || !d->leaf_weight.set || !d->leaf_weight.v)
			continue;
		if (b->v2)
			return plan_refuse(b, row, "cgroup v2 has no leafWeight");
		r = io_weight_check(b, row, d->leaf_weight.v);
		if (r == 0) {
			struct cg_op op = plan_op(b, row);

			op.file = "blkio.leaf_weight_device";
			op.value = PLAN_TEXT(b, "%s%" PRIu64, key, d->leaf_weight.v);
			r = plan_put(b, op);
		}
	}
	return r;
}

/* v1: a file for each kind; v2: row->file is the key in io.max. A rate of 0 lifts the limit. */
int emit_io_throttle(struct plan_build *b, const struct plan_row *row)
{
	const struct spec_throttle_devices *l;
	int r = 0;

	if (!b->r->block_io)
		return 0;
	l = (const void *)((const char *)b->r->block_io + row->at);
	for (size_t i = 0; i < l->n && r == 0; i++) {
		const struct spec_throttle_device *d = &l->v[i];
		struct cg_op op = plan_op(b, row);

		if (!b->v2) {
			op.value = PLAN_TEXT(b, "%" PRId64 ":%" PRId64 " %" PRIu64, d->major,
					     d->minor, d->rate);
		} else {
			op.file = "io.max";
			op.value = d->rate ? PLAN_TEXT(b, "%" PRId64 ":%" PRId64 " %s=%" PRIu64,
						       d->major, d->minor, row->file, d->rate)
					   : PLAN_TEXT(b, "%" PRId64 ":%" PRId64 " %s=max",
						       d->major, d->minor, row->file);
		}
		r = plan_put(b, op);
	}
	return r;
}

/* ---- the rest ---- */

/* Both what is used and what is reserved: a reservation beyond the limit would end in SIGBUS later.
 */
int emit_hugetlb(struct plan_build *b, const struct plan_row *row)
{
	const char *end = b->v2 ? "max" : "limit_in_bytes";

	for (size_t i = 0; i < b->r->hugepage_limits.n; i++) {
		const struct spec_hugepage_limit *h = &b->r->hugepage_limits.v[i];
		struct cg_op op = plan_op(b, row);
		int r;

		if (!h->page_size || !*h->page_size || strchr(h->page_size, '/'))
			return err_set(b->e, EINVAL,
				       "linux.resources.%s[%zu].pageSize: bad page size",
				       row->field, i);
		op.file = PLAN_TEXT(b, "hugetlb.%s.%s", h->page_size, end);
		op.value = PLAN_TEXT(b, "%" PRIu64, h->limit);
		r = plan_put(b, op);
		if (r < 0)
			return r;
		op.file = PLAN_TEXT(b, "hugetlb.%s.rsvd.%s", h->page_size, end);
		op.optional = true;
		r = plan_put(b, op);
		if (r < 0)
			return r;
	}
	return 0;
}

int emit_net_class(struct plan_build *b, const struct plan_row *row)
{
	const struct spec_network *n = b->r->network;

	return n && n->class_id.set && n->class_id.v ? plan_put_u64(b, row, n->class_id.v) : 0;
}

int emit_net_priorities(struct plan_build *b, const struct plan_row *row)
{
	const struct spec_network *n = b->r->network;
	int r = 0;

	for (size_t i = 0; n && i < n->priorities.n && r == 0; i++)
		r = plan_put_text(b, row,
				  PLAN_TEXT(b, "%s %" PRIu32, n->priorities.v[i].name,
					    n->priorities.v[i].priority));
	return r;
}

/* What is not given is not written: an update leaves it, and "max" is what a new cgroup has. */
static const char *rdma_limit(struct plan_build *b, const char *key, const struct opt_u64 *o)
{
	return o->set ? PLAN_TEXT(b, " %s=%" PRIu64, key, o->v) : "";
}

int emit_rdma(struct plan_build *b, const struct plan_row *row)
{
	int r = 0;

	for (size_t i = 0; i < b->r->rdma.n && r == 0; i++) {
		const struct spec_rdma *d = &b->r->rdma.v[i];
		const char *handles = rdma_limit(b, "hca_handle", &d->handles);
		const char *objects = rdma_limit(b, "hca_object", &d->objects);

		if (!handles || !objects)
			return plan_no_memory(b);
		if (*handles || *objects)
			r = plan_put_text(b, row,
					  PLAN_TEXT(b, "%s%s%s", d->device, handles, objects));
	}
	return r;
}
