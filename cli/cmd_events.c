/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"
#include "cli/duration.h"

#include <errno.h>

struct events_cmd {
	bool stats;
	const char *interval;
};

#define AT(field) .at = offsetof(struct events_cmd, field)

static const struct opt opts[] = {
	{ "interval", 0, OPT_STRING, AT(interval), "TIME",
	  "time between the numbers: 500ms, 5s (default), 1m30s" },
	{ "stats", 0, OPT_FLAG, AT(stats), .help = "print the numbers once and end" },
	{},
};

static int print(void *arg, struct json_out *j, struct err *e)
{
	(void)arg;
	return cmd_print_json(j, e);
}

static int run(const struct ctr_global *g, void *opt, const struct opt_words *w, int *status,
	       struct err *e)
{
	const struct events_cmd *o = opt;
	const char *interval = o->interval ? o->interval : "5s";
	struct events_opts v = { .stats = o->stats, .fn = print };

	(void)status;
	if (duration_parse(interval, &v.interval) < 0)
		return err_kind(e, ERR_USAGE, EINVAL, "--interval: not a length of time: %s",
				interval);
	if (v.interval <= 0)
		return err_kind(e, ERR_USAGE, EINVAL, "--interval: must be greater than 0: %s",
				interval);
	return ctr_events(g, w->v[0], &v, e);
}

const struct cmd cmd_events = {
	.name = "events",
	.words = "ID",
	.summary = "print the numbers of a container again and again, and when it is out of memory",
	.more = "One JSON object a line; ends when the container does.",
	.opts = opts,
	.opts_size = sizeof(struct events_cmd),
	.min = 1,
	.max = 1,
	.word = CMD_WORD_ID,
	.run = run,
};
