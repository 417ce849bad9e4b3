/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two kinds of callers: engines, which prepare a bundle and want exactly that, and people, who give
 * a command and adjust things on the command line (front-end use), for which the exit codes of
 * other front ends are kept.
 */
#include "cli/create_opts.h"
#include "cli/user.h"

#include "base/cleanup.h"

#include <errno.h>

struct run_opts {
	struct create_opts create; /* first: CREATE_OPTS_ROWS counts offsets from here */
	struct spec_edit edit;
	const char *disk;
	bool tty, interactive;
};

_Static_assert(offsetof(struct run_opts, create) == 0, "CREATE_OPTS_ROWS need it there");

#define AT(field) .at = offsetof(struct run_opts, field)

static const struct opt opts[] = {
	CREATE_OPTS_ROWS,
	{ "detach", 'd', OPT_FLAG, AT(create.detach), .help = "do not wait for the container" },
	{ "keep", 0, OPT_FLAG, AT(create.keep),
	  .help = "keep the container when its program has ended" },
	{ "clone", 0, OPT_FLAG, AT(create.clone),
	  .help = "no bundle: run in a copy-on-write clone of this machine" },
	{ "disk", 0, OPT_STRING, AT(disk), "FILE[:SIZE]",
	  "keep what the clone changes in FILE, made on first use", .complete = OPT_FILE },
	{ "env", 'e', OPT_STRINGS, AT(edit.env), "KEY[=VALUE]",
	  "add to the environment (may be repeated); without =VALUE from ctr's own" },
	{ "workdir", 'w', OPT_STRING, AT(edit.cwd), "DIR", "working directory" },
	{ "user", 'u', OPT_STRING, AT(edit.user), "USER[:GROUP]",
	  "user and group, numbers or names" },
	{ "tty", 't', OPT_FLAG, AT(tty), .help = "give the program a terminal" },
	{ "interactive", 'i', OPT_FLAG, AT(interactive),
	  .help = "pass standard input on (always so; alone: no terminal)" },
	{ "memory", 'm', OPT_SIZE, AT(edit.memory), "SIZE",
	  "memory limit, for example 512m; -1: none" },
	{ "cpus", 0, OPT_STRING, AT(edit.cpus), "N", "limit to N processors, for example 1.5" },
	{ "pids-limit", 0, OPT_I64, AT(edit.pids_limit), "N",
	  "limit of processes and threads; -1: none" },
	{ "volume", 'v', OPT_STRINGS, AT(edit.volumes), "SRC:DST[:OPTIONS]",
	  "bind mount a file or directory (may be repeated)" },
	{ "read-only", 0, OPT_FLAG, AT(edit.read_only),
	  .help = "make the root file system read-only" },
	{ "hostname", 0, OPT_STRING, AT(edit.hostname), "NAME", "host name" },
	{},
};

/* Exit codes of front-end use. */
enum { RUN_FAILED = 125, RUN_CANNOT_EXECUTE = 126, RUN_NOT_FOUND = 127 };

static int failure_status(bool front_end, const struct err *e)
{
	if (!front_end || e->kind == ERR_USAGE)
		return 1;
	if (e->kind == ERR_NOT_FOUND_PROGRAM)
		return RUN_NOT_FOUND;
	if (e->kind == ERR_CANNOT_EXECUTE)
		return RUN_CANNOT_EXECUTE;
	return RUN_FAILED;
}

/* FILE[:SIZE]. Cuts the word at the colon. */
static int parse_disk(struct run_opts *o, char *word, struct err *e)
{
	char *colon = strrchr(word, ':');
	int64_t size;

	if (colon) {
		if (str_to_size(colon + 1, &size) < 0 || size <= 0)
			return err_kind(e, ERR_USAGE, EINVAL, "run: --disk: not a size: %s",
					colon + 1);
		*colon = '\0';
		o->create.disk_size = (uint64_t)size;
	}
	if (!*word)
		return err_kind(e, ERR_USAGE, EINVAL, "run: --disk: the file name is empty");
	o->create.disk = word;
	return 0;
}

static int check(struct run_opts *o, struct err *e)
{
	const struct create_opts *c = &o->create;

	if (c->clone && (c->bundle || c->config))
		return err_kind(e, ERR_USAGE, EINVAL, "run: --clone and --%s exclude each other",
				c->bundle ? "bundle" : "config");
	if (o->disk && !c->clone)
		return err_kind(e, ERR_USAGE, EINVAL, "run: --disk is for --clone only");
	/* The words of argv are ours to write to. */
	return o->disk ? parse_disk(o, (char *)(uintptr_t)o->disk, e) : 0;
}

static int run(const struct ctr_global *g, void *opt, const struct opt_words *w, int *status,
	       struct err *e)
{
	AUTO(user_free) struct user_lookup user = {};
	struct run_opts *o = opt;
	struct spec_edit *ed = &o->edit;
	bool front_end;
	int r;

	o->create.id = w->v[0];
	ed->args = (struct spec_strings){ .v = w->v + 1, .n = w->n - 1 };
	if (o->tty || o->interactive)
		ed->terminal = (struct opt_bool){ .set = true, .v = o->tty };
	front_end = o->create.clone || o->create.vm.vm || o->create.network.network ||
		    !spec_edit_empty(ed);
	r = check(o, e);
	if (r == 0 && ed->user) {
		/* The clone's own directory is closed to other users. */
		if (o->create.clone && !ed->cwd)
			ed->cwd = "/";
		r = user_lookup(&o->create, ed, &user, e);
	}
	if (r == 0) {
		o->create.edit = spec_edit_empty(ed) ? NULL : ed;
		r = ctr_run(g, &o->create, status, e);
	}
	if (r < 0)
		*status = failure_status(front_end, e);
	return r;
}

const struct cmd cmd_run = {
	.seal = true,
	.name = "run",
	.words = "ID [COMMAND [ARG...]]",
	.summary = "create and start a container, and wait for its program to end",
	.more = "Options stand before ID; what stands after it replaces the program of the\n"
		"configuration. Exit code: that of the program (128 + N when signal N killed\n"
		"it), 1 when ctr failed. With --clone, --vm, --network, a COMMAND or an option\n"
		"that adjusts the configuration: 127 when the program does not exist, 126 when it cannot be\n"
		"executed, 125 when ctr failed.",
	.opts = opts,
	.opts_size = sizeof(struct run_opts),
	.order = OPT_BEFORE,
	.min = 1,
	.max = CMD_ANY_WORDS,
	.run = run,
};
