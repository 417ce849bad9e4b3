/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include "base/cleanup.h"

static const struct opt opts[] = { {} };

static int run(const struct ctr_global *g, void *o, const struct opt_words *w, int *status,
	       struct err *e)
{
	AUTO(cmd_owners_free) struct cmd_owners owners = {};
	AUTO(json_out_free) struct json_out j = { .indent = 2 };
	AUTO_STATE struct state *s = NULL;
	enum status now;
	char owner[64];
	int r;

	(void)o;
	(void)status;
	r = ctr_state(g, w->v[0], &s, &now, e);
	if (r < 0)
		return r;
	state_out(&j, s, now, cmd_owner(&owners, s->owner, owner, sizeof(owner)));
	return cmd_print_json(&j, e);
}

const struct cmd cmd_state = {
	.name = "state",
	.words = "ID",
	.summary = "print the state of a container as JSON",
	.opts = opts,
	.min = 1,
	.max = 1,
	.word = CMD_WORD_ID,
	.run = run,
};
