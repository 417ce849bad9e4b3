/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include "base/cleanup.h"

#include <errno.h>

static const struct opt opts[] = { {} };

static int run(const struct ctr_global *g, void *o, const struct opt_words *w, int *status,
	       struct err *e)
{
	AUTO(str_buf_free) struct str_buf b = {};

	(void)g;
	(void)o;
	(void)status;
	if (!str_eq(w->v[0], "bash"))
		return err_kind(e, ERR_USAGE, EINVAL,
				"completion: unknown shell: %s (bash is known)", w->v[0]);
	cmd_completion_bash(&b);
	return cmd_print(&b, e);
}

const struct cmd cmd_completion = {
	.name = "completion",
	.words = "bash",
	.summary = "print the completion script for a shell",
	.more = "To try it: source <(ctr completion bash)",
	.opts = opts,
	.min = 1,
	.max = 1,
	.word = CMD_WORD_SHELL,
	.run = run,
};
