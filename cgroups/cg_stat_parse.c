/* SPDX-License-Identifier: Apache-2.0 */
/* The formats of the files behind cg_stat. */
#include "cgroups/cg_stat.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static size_t count(const char *text, const char *of)
{
	size_t n = 1;

	for (; *text; text++)
		n += strchr(of, *text) != NULL;
	return n;
}

static bool is_decimal(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n &&
	       (!s[n] || (s[n] == '.' && s[n + 1] && !s[n + 1 + strspn(s + n + 1, "0123456789")]));
}

/* "avg10=0.00 avg60=0.00 avg300=0.00 total=0" */
static int psi_line(struct arena *a, char *text, struct cg_psi_line *out)
{
	char *save = NULL;

	for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		char *value = strchr(w, '=');
		const char **to;

		if (!value)
			return -EBADMSG;
		*value++ = '\0';
		if (str_eq(w, "total")) {
			if (str_to_u64(value, UINT64_MAX, &out->total) < 0)
				return -EBADMSG;
			continue;
		}
		to = str_eq(w, "avg10")    ? &out->avg10
		     : str_eq(w, "avg60")  ? &out->avg60
		     : str_eq(w, "avg300") ? &out->avg300
					   : NULL;
		if (!to)
			continue;
		if (!is_decimal(value))
			return -EBADMSG;
		*to = arena_strdup(a, value);
		if (!*to)
			return -ENOMEM;
	}
	return out->avg10 && out->avg60 && out->avg300 ? 0 : -EBADMSG;
}

int cg_parse_psi(struct arena *a, char *text, struct cg_psi *out)
{
	static const struct cg_psi_line none = { "0.00", "0.00", "0.00", 0 };
	struct cg_psi psi = { .some = none, .full = none };
	char *save = NULL;

	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		struct cg_psi_line *to = str_after(l, "some ")   ? &psi.some
					 : str_after(l, "full ") ? &psi.full
								 : NULL;
		int r;

		if (!to)
			continue;
		*to = (struct cg_psi_line){ 0 };
		r = psi_line(a, l + strlen("some "), to);
		if (r < 0)
			return r;
		psi.set = true;
	}
	*out = psi;
	return 0;
}

int cg_parse_pairs(struct arena *a, char *text, struct cg_stat_pairs *out)
{
	struct cg_stat_pairs l = { .v = arena_array(a, count(text, "\n"), sizeof(*l.v)) };
	char *save = NULL;

	if (!l.v)
		return -ENOMEM;
	for (char *p = strtok_r(text, "\n", &save); p; p = strtok_r(NULL, "\n", &save)) {
		struct cg_stat_pair *x = &l.v[l.n];
		char *space = strchr(p, ' ');

		if (!space)
			return -EBADMSG;
		*space = '\0';
		if (str_to_u64(space + 1, UINT64_MAX, &x->value) < 0)
			return -EBADMSG;
		x->name = arena_strdup(a, p);
		if (!x->name)
			return -ENOMEM;
		l.n++;
	}
	*out = l;
	return 0;
}

int cg_parse_u64s(struct arena *a, char *text, struct cg_stat_u64s *out)
{
	struct cg_stat_u64s l = { .v = arena_array(a, count(text, " \n"), sizeof(*l.v)) };
	char *save = NULL;

	if (!l.v)
		return -ENOMEM;
	for (char *w = strtok_r(text, " \n", &save); w; w = strtok_r(NULL, " \n", &save))
		if (str_to_u64(w, UINT64_MAX, &l.v[l.n++]) < 0)
			return -EBADMSG;
	*out = l;
	return 0;
}

/* ---- block I/O ---- */

static int put(struct arena *a, struct cg_blkio_list *l, const struct cg_blkio *x)
{
	/* Grows when the count is a power of two. */
	if (!(l->n & (l->n - 1)) || l->n == 0) {
		struct cg_blkio *v = arena_array(a, l->n ? l->n * 2 : 1, sizeof(*v));

		if (!v)
			return -ENOMEM;
		if (l->n)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
	}
	l->v[l->n] = *x;
	l->v[l->n].op = arena_strdup(a, x->op);
	return l->v[l->n++].op ? 0 : -ENOMEM;
}

/* "8:0" */
static bool numbers(char *word, struct cg_blkio *x)
{
	char *colon = strchr(word, ':');

	if (!colon)
		return false;
	*colon = '\0';
	return str_to_u64(word, UINT32_MAX, &x->major) == 0 &&
	       str_to_u64(colon + 1, UINT32_MAX, &x->minor) == 0;
}

/* "8:0" at the beginning of a line; the rest of it, or NULL. */
static char *device(char *line, struct cg_blkio *x)
{
	char *space = strchr(line, ' ');

	if (!space)
		return NULL;
	*space = '\0';
	return numbers(line, x) ? space + 1 : NULL;
}

int cg_parse_blkio(struct arena *a, char *text, struct cg_blkio_list *out)
{
	char *save = NULL;

	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		struct cg_blkio x = { .op = "" };
		char *rest, *value;
		int r;

		/* A row of a disk that the kernel does not name belongs to one that it does. */
		if (str_after(l, "Total ") || str_after(l, "(unknown)"))
			continue;
		rest = device(l, &x);
		value = rest ? strchr(rest, ' ') : NULL;
		if (!rest)
			return -EBADMSG;
		if (value) {
			*value++ = '\0';
			x.op = rest;
		} else {
			value = rest;
		}
		if (str_to_u64(value, UINT64_MAX, &x.value) < 0)
			return -EBADMSG;
		r = put(a, out, &x);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What the kernel calls it in io.stat; the rest has no place among the numbers of v1. */
static const struct {
	const char *key;
	enum cg_blkio_kind kind;
	const char *op;
} io_keys[] = {
	{ "rbytes", CG_BLKIO_BYTES, "Read" },
	{ "wbytes", CG_BLKIO_BYTES, "Write" },
	{ "dbytes", CG_BLKIO_BYTES, "Discard" },
	{ "rios", CG_BLKIO_SERVICED, "Read" },
	{ "wios", CG_BLKIO_SERVICED, "Write" },
	{ "dios", CG_BLKIO_SERVICED, "Discard" },
	{ "cost.usage", CG_BLKIO_COST_USAGE, "Count" },
	{ "cost.wait", CG_BLKIO_COST_WAIT, "Count" },
	{ "cost.indebt", CG_BLKIO_COST_INDEBT, "Count" },
	{ "cost.indelay", CG_BLKIO_COST_INDELAY, "Count" },
};

static int io_pair(struct arena *a, char *w, struct cg_blkio *x, struct cg_blkio_list *list)
{
	char *value = strchr(w, '=');

	/* "(unknown)" of a device that is going; or the next one's numbers, where the kernel has
	 * left out the end of a line without words */
	if (!value) {
		numbers(w, x);
		return 0;
	}
	*value++ = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(io_keys); i++) {
		if (!str_eq(w, io_keys[i].key))
			continue;
		if (str_to_u64(value, UINT64_MAX, &x->value) < 0)
			return -EBADMSG;
		x->op = io_keys[i].op;
		return put(a, &list[io_keys[i].kind], x);
	}
	return 0;
}

int cg_parse_io_stat(struct arena *a, char *text, struct cg_blkio_list list[CG_BLKIO_KINDS])
{
	char *save = NULL;

	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		struct cg_blkio x = { 0 };
		char *words = NULL;
		char *rest = device(l, &x);

		/* A device without any transfer is a line without words. */
		for (char *w = rest ? strtok_r(rest, " ", &words) : NULL; w;
		     w = strtok_r(NULL, " ", &words)) {
			int r = io_pair(a, w, &x, list);

			if (r < 0)
				return r;
		}
	}
	return 0;
}
