/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of restore; see cmd_checkpoint.c. */
#include "cli/cmd.h"

#include "cli/criu_opts.h"

#include <errno.h>

struct restore_opts {
	struct criu_opts criu;
	const char *bundle, *pid_file, *console_socket, *lsm_profile, *lsm_mount_context;
	bool detach, no_pivot;
};

_Static_assert(offsetof(struct restore_opts, criu) == 0, "CRIU_OPTS_ROWS need it there");

#define AT(field) .at = offsetof(struct restore_opts, field)

static const struct opt opts[] = {
	CRIU_OPTS_ROWS,
	{ "bundle", 'b', OPT_STRING, AT(bundle), "DIR",
	  "the bundle (default: the current directory)", .complete = OPT_DIR },
	{ "detach", 'd', OPT_FLAG, AT(detach), .help = "do not wait for the container" },
	{ "pid-file", 0, OPT_STRING, AT(pid_file), "PATH",
	  "file to write the pid of the container's init to", .complete = OPT_FILE },
	{ "console-socket", 0, OPT_STRING, AT(console_socket), "PATH",
	  "unix socket that receives the terminal's master", .complete = OPT_FILE },
	{ "no-subreaper", 0, OPT_NOTHING, .help = "accepted for compatibility; without effect" },
	{ "no-pivot", 0, OPT_FLAG, AT(no_pivot),
	  .help = "change the root without pivot_root (for a root on a ramdisk)" },
	{ "lsm-profile", 0, OPT_STRING, AT(lsm_profile), "TYPE:NAME",
	  "security profile to use instead of the saved one" },
	{ "lsm-mount-context", 0, OPT_STRING, AT(lsm_mount_context), "CONTEXT",
	  "SELinux context of mounts to use instead of the saved one" },
	{},
};

static const struct name_value cgroup_modes[] = {
	{ "soft", CRIU_CGROUPS_SOFT },
	{ "full", CRIU_CGROUPS_FULL },
	{ "strict", CRIU_CGROUPS_STRICT },
	{ "ignore", CRIU_CGROUPS_IGNORE },
};

const struct name_table criu_cgroup_modes = NAME_TABLE("mode", cgroup_modes);

int criu_refuse(const struct ctr_global *g, const char *command, const char *id, struct err *e)
{
	if (id) {
		struct state *s = NULL;
		enum status status;
		int r = ctr_state(g, id, &s, &status, e);

		if (r < 0)
			return r;
		state_free(s);
		if (status != STATUS_RUNNING && status != STATUS_PAUSED)
			return err_set(e, EINVAL, "%s: %s: container not running", command, id);
	}
	return err_set(e, ENOTSUP, "%s: not supported by this version of ctr", command);
}

static int run(const struct ctr_global *g, void *opt, const struct opt_words *w, int *status,
	       struct err *e)
{
	(void)opt;
	(void)w;
	(void)status;
	return criu_refuse(g, "restore", NULL, e);
}

const struct cmd cmd_restore = {
	.name = "restore",
	.words = "ID",
	.summary = "bring a saved container back (not supported yet: fails)",
	.more = "The options are checked; the work is not done by this version of ctr.",
	.opts = opts,
	.opts_size = sizeof(struct restore_opts),
	.min = 1,
	.max = 1,
	.run = run,
};
