/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include "base/cleanup.h"

static const struct opt opts[] = { {} };

static int run(const struct ctr_global *g, void *o, const struct opt_words *w, int *status,
	       struct err *e)
{
	AUTO(json_out_free) struct json_out j = { .indent = 2 };
	int r;

	(void)g;
	(void)o;
	(void)w;
	(void)status;
	r = ctr_features(&j, e);
	return r < 0 ? r : cmd_print_json(&j, e);
}

const struct cmd cmd_features = {
	.name = "features",
	.words = "",
	.summary = "print what this runtime can do, as JSON",
	.opts = opts,
	.run = run,
};
