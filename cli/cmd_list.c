/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include "base/cleanup.h"

#include <errno.h>

struct list_opts {
	int format;
	bool quiet;
};

#define AT(field) .at = offsetof(struct list_opts, field)

static const struct opt opts[] = {
	{ "format", 'f', OPT_CHOICE, AT(format), "FORMAT", "table (default) or json",
	  .choices = &cmd_formats },
	{ "quiet", 'q', OPT_FLAG, AT(quiet), .help = "print IDs only" },
	{},
};

enum { COLUMNS = 6, MIN_WIDTH = 12, PADDING = 3 };

struct row {
	const char *cell[COLUMNS];
	char pid[16], owner[64];
};

static const struct row header = { .cell = { "ID", "PID", "STATUS", "BUNDLE", "CREATED",
					     "OWNER" } };

/* Columns that a cell takes on a screen: characters, not bytes. */
static size_t cell_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static void widen(size_t *width, const struct row *r)
{
	for (size_t c = 0; c < COLUMNS; c++) {
		size_t w = cell_width(r->cell[c]) + PADDING;

		if (w > width[c])
			width[c] = w;
	}
}

static void put_row(struct str_buf *b, const size_t *width, const struct row *r)
{
	for (size_t c = 0; c < COLUMNS; c++) {
		str_buf_add(b, r->cell[c]);
		if (c + 1 < COLUMNS)
			str_buf_addf(b, "%*s", (int)(width[c] - cell_width(r->cell[c])), "");
	}
	str_buf_add(b, "\n");
}

static void fill_row(struct row *r, const struct ctr_entry *v, struct cmd_owners *owners)
{
	const struct state *s = v->state;

	snprintf(r->pid, sizeof(r->pid), "%d", v->status == STATUS_STOPPED ? 0 : (int)s->pid);
	r->cell[0] = s->id;
	r->cell[1] = r->pid;
	r->cell[2] = status_names[v->status];
	r->cell[3] = s->bundle ? s->bundle : "";
	r->cell[4] = s->created ? s->created : "";
	r->cell[5] = cmd_owner(owners, s->owner, r->owner, sizeof(r->owner));
}

static int print_table(const struct ctr_entry *v, size_t n, struct err *e)
{
	AUTO(cmd_owners_free) struct cmd_owners owners = {};
	AUTO(str_buf_free) struct str_buf b = {};
	AUTO_FREE struct row *rows = calloc(n ? n : 1, sizeof(*rows));
	size_t width[COLUMNS];

	if (!rows)
		return err_sys(e, ENOMEM, "list");
	for (size_t c = 0; c < COLUMNS; c++)
		width[c] = MIN_WIDTH;
	widen(width, &header);
	for (size_t i = 0; i < n; i++) {
		fill_row(&rows[i], &v[i], &owners);
		widen(width, &rows[i]);
	}
	put_row(&b, width, &header);
	for (size_t i = 0; i < n; i++)
		put_row(&b, width, &rows[i]);
	return cmd_print(&b, e);
}

static int print_json(const struct ctr_entry *v, size_t n, struct err *e)
{
	AUTO(cmd_owners_free) struct cmd_owners owners = {};
	AUTO(json_out_free) struct json_out j = {};
	char owner[64];

	json_out_array(&j);
	for (size_t i = 0; i < n; i++)
		state_out(&j, v[i].state, v[i].status,
			  cmd_owner(&owners, v[i].state->owner, owner, sizeof(owner)));
	json_out_end_array(&j);
	return cmd_print_json(&j, e);
}

static int print_ids(const struct ctr_entry *v, size_t n, struct err *e)
{
	AUTO(str_buf_free) struct str_buf b = {};

	for (size_t i = 0; i < n; i++)
		str_buf_addf(&b, "%s\n", v[i].state->id);
	return cmd_print(&b, e);
}

static int run(const struct ctr_global *g, void *opt, const struct opt_words *w, int *status,
	       struct err *e)
{
	const struct list_opts *o = opt;
	struct ctr_entry *v = NULL;
	size_t n = 0;
	int r;

	(void)w;
	(void)status;
	r = ctr_list(g, &v, &n, e);
	if (r < 0)
		return r;
	if (o->quiet)
		r = print_ids(v, n, e);
	else if (o->format == CMD_FORMAT_JSON)
		r = print_json(v, n, e);
	else
		r = print_table(v, n, e);
	ctr_list_free(v, n);
	return r;
}

const struct cmd cmd_list = {
	.name = "list",
	.words = "",
	.summary = "list the containers of this state directory",
	.opts = opts,
	.opts_size = sizeof(struct list_opts),
	.run = run,
};
