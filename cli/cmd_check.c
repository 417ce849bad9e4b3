/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"
#include "runtime/ctr_check.h"

#include "base/cleanup.h"

struct check_opts {
	const char *bundle, *config;
	int format;
};

#define AT(field) .at = offsetof(struct check_opts, field)

static const struct opt opts[] = {
	{ "bundle", 'b', OPT_STRING, AT(bundle), "DIR",
	  "the bundle (default: the current directory)", .complete = OPT_DIR },
	{ "config", 0, OPT_STRING, AT(config), "FILE", "another name than config.json",
	  .complete = OPT_FILE },
	{ "format", 'f', OPT_CHOICE, AT(format), "FORMAT", "table (default) or json",
	  .choices = &cmd_formats },
	{},
};

static void line(struct str_buf *b, const char *path, const char *text)
{
	str_buf_addf(b, "%s%s%s\n", path, *path ? ": " : "", text);
}

static void table_out(struct str_buf *b, const struct ctr_check *k)
{
	size_t width = 0;

	for (size_t i = 0; i < k->doc.n; i++)
		line(b, k->doc.problems[i].path, k->doc.problems[i].reason);
	/* Of a configuration with mistakes nobody wants to know what would become of the rest. */
	if (k->doc.n)
		return;
	for (size_t i = 0; i < k->n; i++)
		if (strlen(k->fields[i].field) > width)
			width = strlen(k->fields[i].field);
	for (size_t i = 0; i < k->n; i++)
		str_buf_addf(b, "%-*s  %s%s\n", (int)width, k->fields[i].field,
			     k->fields[i].reason ? "cannot: " : "honoured",
			     k->fields[i].reason ?: "");
}

static void json_out(struct json_out *j, const struct ctr_check *k)
{
	json_out_object(j);
	json_out_key(j, "problems");
	json_out_array(j);
	for (size_t i = 0; i < k->doc.n; i++) {
		json_out_object(j);
		json_out_kstr(j, "path", k->doc.problems[i].path);
		json_out_kstr(j, "reason", k->doc.problems[i].reason);
		json_out_end_object(j);
	}
	json_out_end_array(j);
	json_out_key(j, "fields");
	json_out_array(j);
	for (size_t i = 0; i < k->n; i++) {
		json_out_object(j);
		json_out_kstr(j, "field", k->fields[i].field);
		json_out_kbool(j, "honoured", !k->fields[i].reason);
		if (k->fields[i].reason)
			json_out_kstr(j, "reason", k->fields[i].reason);
		json_out_end_object(j);
	}
	json_out_end_array(j);
	json_out_end_object(j);
}

static int run(const struct ctr_global *g, void *opt, const struct opt_words *w, int *status,
	       struct err *e)
{
	const struct check_opts *o = opt;
	AUTO(ctr_check_free) struct ctr_check k = {};
	AUTO(json_out_free) struct json_out j = { .indent = 2 };
	AUTO(str_buf_free) struct str_buf b = {};
	int r;

	(void)w;
	r = ctr_check(o->bundle, o->config, g->vm.vm, &k, e);
	if (r < 0)
		return r;
	*status = k.doc.n || k.host.n ? 1 : 0;
	if (o->format == CMD_FORMAT_JSON) {
		json_out(&j, &k);
		return cmd_print_json(&j, e);
	}
	table_out(&b, &k);
	return cmd_print(&b, e);
}

const struct cmd cmd_check = {
	.name = "check",
	.words = "",
	.summary = "look for mistakes in a bundle without making anything",
	.more = "Prints every mistake, a line each with its place in the configuration. Without one:\n"
		"every field that the configuration uses, and whether this host can honour it.\n"
		"The exit status is 1 when there is a mistake or a field that cannot be honoured.",
	.opts = opts,
	.opts_size = sizeof(struct check_opts),
	.run = run,
};
