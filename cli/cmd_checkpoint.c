/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of checkpoint, which engines probe before they offer the function to their
 * users. The work itself is not done by this version: `features` says so, and the command fails,
 * after everything that the caller may have got wrong.
 */
#include "cli/cmd.h"

#include "cli/criu_opts.h"

#include <errno.h>

struct checkpoint_opts {
	struct criu_opts criu;
	const char *parent_path, *page_server;
	bool leave_running, pre_dump;
	int status_fd;
};

_Static_assert(offsetof(struct checkpoint_opts, criu) == 0, "CRIU_OPTS_ROWS need it there");

#define AT(field) .at = offsetof(struct checkpoint_opts, field)

static const struct opt opts[] = {
	CRIU_OPTS_ROWS,
	{ "parent-path", 0, OPT_STRING, AT(parent_path), "DIR",
	  "images of an earlier --pre-dump, relative to --image-path", .complete = OPT_DIR },
	{ "leave-running", 'R', OPT_FLAG, AT(leave_running),
	  .help = "let the container go on afterwards" },
	{ "pre-dump", 0, OPT_FLAG, AT(pre_dump), .help = "only the memory, the container goes on" },
	{ "page-server", 0, OPT_STRING, AT(page_server), "ADDRESS:PORT",
	  "send the memory to a page server" },
	{ "status-fd", 0, OPT_COUNT, AT(status_fd), "FD",
	  "write a byte to FD when the page server is ready" },
	{},
};

static int run(const struct ctr_global *g, void *opt, const struct opt_words *w, int *status,
	       struct err *e)
{
	(void)opt;
	(void)status;
	return criu_refuse(g, "checkpoint", w->v[0], e);
}

const struct cmd cmd_checkpoint = {
	.name = "checkpoint",
	.words = "ID",
	.summary = "save a running container (not supported yet: fails)",
	.more = "The options are checked; the work is not done by this version of ctr.",
	.opts = opts,
	.opts_size = sizeof(struct checkpoint_opts),
	.min = 1,
	.max = 1,
	.word = CMD_WORD_ID,
	.run = run,
};
