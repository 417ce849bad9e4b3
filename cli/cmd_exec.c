/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include <errno.h>

#define AT(field) .at = offsetof(struct exec_opts, field)

static const struct opt opts[] = {
	{ "process", 'p', OPT_STRING, AT(process), "FILE",
	  "take the process from FILE, a process.json", .complete = OPT_FILE },
	{ "cwd", 0, OPT_STRING, AT(cwd), "DIR", "working directory in the container" },
	{ "env", 'e', OPT_STRINGS, AT(env), "KEY=VALUE",
	  "add to the environment (may be repeated)" },
	{ "tty", 't', OPT_FLAG, AT(tty), .help = "give the process a terminal" },
	{ "user", 'u', OPT_STRING, AT(user), "UID[:GID]", "user and group of the process" },
	{ "additional-gids", 'g', OPT_STRINGS, AT(additional_gids), "GID",
	  "supplementary group (may be repeated)" },
	{ "detach", 'd', OPT_FLAG, AT(detach), .help = "do not wait for the process" },
	{ "pid-file", 0, OPT_STRING, AT(pid_file), "PATH",
	  "file to write the pid of the process to", .complete = OPT_FILE },
	{ "console-socket", 0, OPT_STRING, AT(console_socket), "PATH",
	  "unix socket that receives the terminal's master", .complete = OPT_FILE },
	{ "pidfd-socket", 0, OPT_STRING, AT(pidfd_socket), "PATH",
	  "unix socket that receives a pidfd of the process", .complete = OPT_FILE },
	{ "process-label", 0, OPT_STRING, AT(process_label), "LABEL",
	  "SELinux label of the process" },
	{ "apparmor", 0, OPT_STRING, AT(apparmor), "PROFILE", "AppArmor profile of the process" },
	{ "no-new-privs", 0, OPT_FLAG, AT(no_new_privs), .help = "set no_new_privs" },
	{ "cap", 'c', OPT_STRINGS, AT(caps), "CAP", "add a capability (may be repeated)" },
	{ "preserve-fds", 0, OPT_COUNT, AT(preserve_fds), "N",
	  "pass N descriptors after standard error (3, 4, ...) on" },
	{ "cgroup", 0, OPT_STRINGS, AT(cgroups), "[CTRL,...:]PATH",
	  "a cgroup below the container's for the process (may be repeated)" },
	{ "ignore-paused", 0, OPT_FLAG, AT(ignore_paused), .help = "also in a paused container" },
	{},
};

/* Exit code of an exec that failed itself: callers tell it from a process that returned 1. */
#define EXEC_FAILED 255

/* The file says all of the process but for its terminal. */
static int with_process(const struct exec_opts *o, struct err *e)
{
	const char *given = o->cwd                 ? "--cwd"
			    : o->user              ? "--user"
			    : o->process_label     ? "--process-label"
			    : o->apparmor          ? "--apparmor"
			    : o->no_new_privs      ? "--no-new-privs"
			    : o->env.n             ? "--env"
			    : o->additional_gids.n ? "--additional-gids"
			    : o->caps.n            ? "--cap"
						   : NULL;

	return given ? err_kind(e, ERR_USAGE, EINVAL, "exec: --process and %s exclude each other",
				given)
		     : 0;
}

static int check(const struct exec_opts *o, const struct opt_words *w, struct err *e)
{
	int r;

	if (!o->process && w->n < 2)
		return err_kind(e, ERR_USAGE, EINVAL,
				"exec: an argument is missing: COMMAND, or --process");
	if (o->process && w->n > 1)
		return err_kind(e, ERR_USAGE, EINVAL,
				"exec: --process and a command exclude each other: %s", w->v[1]);
	if (o->process && (r = with_process(o, e)) < 0)
		return r;
	for (size_t i = 0; i < o->env.n; i++)
		if (!strchr(o->env.v[i], '=') || o->env.v[i][0] == '=')
			return err_kind(e, ERR_USAGE, EINVAL, "exec: --env: not KEY=VALUE: %s",
					o->env.v[i]);
	return 0;
}

static int run(const struct ctr_global *g, void *opt, const struct opt_words *w, int *status,
	       struct err *e)
{
	struct exec_opts *o = opt;
	int r = check(o, w, e);

	o->args = (struct spec_strings){ .v = w->v + 1, .n = w->n - 1 };
	if (r == 0)
		r = ctr_exec(g, w->v[0], o, status, e);
	if (r < 0)
		*status = EXEC_FAILED;
	return r;
}

const struct cmd cmd_exec = {
	.seal = true,
	.name = "exec",
	.words = "ID COMMAND [ARG...] | -p FILE ID",
	.summary = "run another process in a running container",
	.more = "Options stand before ID; what stands after it is the command. Exit code:\n"
		"that of the process (128 + N when signal N killed it), 255 when exec\n"
		"itself failed.",
	.opts = opts,
	.opts_size = sizeof(struct exec_opts),
	.order = OPT_BEFORE,
	.min = 1,
	.max = CMD_ANY_WORDS,
	.word = CMD_WORD_ID,
	.run = run,
};
