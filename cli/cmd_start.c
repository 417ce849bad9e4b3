/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

static const struct opt opts[] = { {} };

static int run(const struct ctr_global *g, void *o, const struct opt_words *w, int *status,
	       struct err *e)
{
	(void)o;
	(void)status;
	return ctr_start(g, w->v[0], e);
}

const struct cmd cmd_start = {
	.name = "start",
	.words = "ID",
	.summary = "run the program of a created container",
	.opts = opts,
	.min = 1,
	.max = 1,
	.word = CMD_WORD_ID,
	.run = run,
};
