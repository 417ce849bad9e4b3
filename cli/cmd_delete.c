/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

struct delete_opts {
	bool force, regex;
};

#define AT(field) .at = offsetof(struct delete_opts, field)

static const struct opt opts[] = {
	{ "force", 'f', OPT_FLAG, AT(force), .help = "kill it first; an unknown ID is no error" },
	{ "regex", 'r', OPT_FLAG, AT(regex), .help = "ID is an extended regular expression" },
	{},
};

static int delete_one(const struct ctr_global *g, const char *id, void *arg, struct err *e)
{
	const struct delete_opts *o = arg;

	return ctr_delete(g, id, o->force, e);
}

static int run(const struct ctr_global *g, void *opt, const struct opt_words *w, int *status,
	       struct err *e)
{
	const struct delete_opts *o = opt;

	(void)status;
	if (o->regex)
		return cmd_each_match(g, w->v[0], delete_one, opt, e);
	return delete_one(g, w->v[0], opt, e);
}

const struct cmd cmd_delete = {
	.name = "delete",
	.words = "ID",
	.summary = "remove a container that has stopped, and all that belongs to it",
	.opts = opts,
	.opts_size = sizeof(struct delete_opts),
	.min = 1,
	.max = 1,
	.word = CMD_WORD_ID,
	.run = run,
};
