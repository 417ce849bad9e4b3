/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>

struct spec_opts {
	const char *bundle, *file;
	bool rootless;
};

#define AT(field) .at = offsetof(struct spec_opts, field)

static const struct opt opts[] = {
	{ "bundle", 'b', OPT_STRING, AT(bundle), "DIR",
	  "where to write (default: the current directory)", .complete = OPT_DIR },
	{ "file", 'f', OPT_STRING, AT(file), "FILE",
	  "another name than config.json; - for standard output", .complete = OPT_FILE },
	{ "rootless", 0, OPT_FLAG, AT(rootless), .help = "for a user without the rights of root" },
	{},
};

static int write_new(int dir, const char *name, const char *text, struct err *e)
{
	AUTO_CLOSE int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	int r;

	if (fd < 0 && errno == EEXIST)
		return err_set(e, EEXIST, "write %s: it exists already, remove it first", name);
	if (fd < 0)
		return err_sys(e, errno, "write %s", name);
	r = io_write_full(fd, text, strlen(text));
	if (r < 0) {
		unlinkat(dir, name, 0);
		return err_sys(e, -r, "write %s", name);
	}
	return 0;
}

static int run(const struct ctr_global *g, void *opt, const struct opt_words *w, int *status,
	       struct err *e)
{
	const struct spec_opts *o = opt;
	AUTO_CLOSE int dir = -1;
	AUTO_FREE char *text = NULL;
	int r;

	(void)g;
	(void)w;
	(void)status;
	r = spec_default_text(o->rootless, geteuid(), getegid(), &text, e);
	if (r < 0)
		return r;
	if (o->file && str_eq(o->file, "-")) {
		const struct str_buf b = { .s = text, .len = strlen(text) };

		return cmd_print(&b, e);
	}
	dir = open(o->bundle ? o->bundle : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, errno, "open bundle: %s", o->bundle ? o->bundle : ".");
	return write_new(dir, o->file ? o->file : "config.json", text, e);
}

const struct cmd cmd_spec = {
	.name = "spec",
	.words = "",
	.summary = "write a configuration to start from, config.json",
	.more = "An existing file is never overwritten.",
	.opts = opts,
	.opts_size = sizeof(struct spec_opts),
	.run = run,
};
