/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/spec.h"

#include <errno.h>
#include <fcntl.h>

static const struct opt opts[] = { {} };

static int run(const struct ctr_global *g, void *opt, const struct opt_words *w, int *status,
	       struct err *e)
{
	const char *what = w->v[0], *file = w->v[2];
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	int r;

	(void)opt;
	(void)status;
	if (!str_eq(what, "add") && !str_eq(what, "remove"))
		return err_kind(e, ERR_USAGE, EINVAL, "mounts: neither add nor remove: %s", what);
	r = str_eq(file, "-") ? io_read_all(STDIN_FILENO, SPEC_MAX_BYTES, &text, &len)
			      : io_read_file(AT_FDCWD, file, SPEC_MAX_BYTES, &text, &len);
	if (r < 0)
		return err_sys(e, -r, "mounts: read %s", file);
	return ctr_mounts(g, w->v[1], str_eq(what, "add"), text, len, e);
}

const struct cmd cmd_mounts = {
	.seal = true,
	.name = "mounts",
	.words = "add|remove ID FILE",
	.summary = "add bind mounts to a running container, or take them away",
	.more = "FILE holds an array of mounts as in a configuration; - for standard input.\n"
		"Missing mount points are made. When one cannot be added, none is.",
	.opts = opts,
	.min = 3,
	.max = 3,
	.run = run,
};
