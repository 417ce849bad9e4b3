/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/create_opts.h"

static const struct opt opts[] = { CREATE_OPTS_ROWS, {} };

static int run(const struct ctr_global *g, void *o, const struct opt_words *w, int *status,
	       struct err *e)
{
	struct create_opts *c = o;

	(void)status;
	c->id = w->v[0];
	return ctr_create(g, c, e);
}

const struct cmd cmd_create = {
	.seal = true,
	.name = "create",
	.words = "ID",
	.summary = "make a container from a bundle, without starting its program",
	.opts = opts,
	.opts_size = sizeof(struct create_opts),
	.min = 1,
	.max = 1,
	.run = run,
};
