/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"
#include "oci/names.h"

#include <errno.h>

struct kill_opts {
	bool all, regex;
};

#define AT(field) .at = offsetof(struct kill_opts, field)

static const struct opt opts[] = {
	{ "all", 'a', OPT_FLAG, AT(all),
	  .help = "signal every process, and accept a stopped container" },
	{ "regex", 'r', OPT_FLAG, AT(regex), .help = "ID is an extended regular expression" },
	{},
};

struct job {
	int sig;
	bool all;
};

static int kill_one(const struct ctr_global *g, const char *id, void *arg, struct err *e)
{
	const struct job *j = arg;

	return ctr_kill(g, id, j->sig, j->all, e);
}

static int run(const struct ctr_global *g, void *opt, const struct opt_words *w, int *status,
	       struct err *e)
{
	const struct kill_opts *o = opt;
	struct job j = { .all = o->all, .sig = names_signal(w->n > 1 ? w->v[1] : "TERM") };

	(void)status;
	if (j.sig < 0)
		return err_kind(e, ERR_USAGE, EINVAL, "kill: unknown signal: %s", w->v[1]);
	if (o->regex)
		return cmd_each_match(g, w->v[0], kill_one, &j, e);
	return kill_one(g, w->v[0], &j, e);
}

const struct cmd cmd_kill = {
	.name = "kill",
	.words = "ID [SIGNAL]",
	.summary = "send a signal to the container's init",
	.more = "SIGNAL is a number or a name, with or without SIG (default TERM).",
	.opts = opts,
	.opts_size = sizeof(struct kill_opts),
	.min = 1,
	.max = 2,
	.word = CMD_WORD_ID,
	.run = run,
};
