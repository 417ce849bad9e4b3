/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include "base/cleanup.h"

static const struct opt opts[] = { {} };

static int run(const struct ctr_global *g, void *o, const struct opt_words *w, int *status,
	       struct err *e)
{
	AUTO(str_buf_free) struct str_buf b = {};

	(void)g;
	(void)o;
	(void)w;
	(void)status;
	cmd_version_text(&b);
	return cmd_print(&b, e);
}

const struct cmd cmd_version = {
	.name = "version",
	.words = "",
	.summary = "print the version",
	.opts = opts,
	.run = run,
};
