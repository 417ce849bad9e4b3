/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include <errno.h>

static const struct opt opts[] = { {} };

static int run(const struct ctr_global *g, void *o, const struct opt_words *w, int *status,
	       struct err *e)
{
	const struct cmd *c = w->n ? cmd_find(w->v[0]) : NULL;

	(void)g;
	(void)o;
	(void)status;
	if (w->n && !c)
		return err_kind(e, ERR_USAGE, EINVAL, "help: unknown command: %s", w->v[0]);
	return cmd_print_help(c, e);
}

const struct cmd cmd_help = {
	.name = "help",
	.words = "[COMMAND]",
	.summary = "print what a command does and its options",
	.opts = opts,
	.max = 1,
	.word = CMD_WORD_COMMAND,
	.run = run,
};
