/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctr [GLOBAL OPTIONS] COMMAND [OPTIONS] [WORDS]
 *
 * The way of every command: global options, log, command table (cmd.c), the command's own options,
 * its function (cmd_NAME.c), which calls one operation of runtime/ctr.h. An error comes back as a
 * struct err and is reported here, once.
 */
#include "cli/cmd.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "runtime/guest.h"
#include "runtime/selfexe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

/*
 * A caller may have closed 0, 1 or 2; the first files that we open would take their place and get
 * what is printed.
 */
static bool std_fds_open(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (open("/dev/null", O_RDWR | O_NOCTTY) != fd)
			return false;
	}
	return true;
}

/* What is open of it; for the life of the program. */
struct log_fds {
	int file, sock;
	enum log_target target;
	const char *tag;
};

static void log_fds_close(struct log_fds *l)
{
	cleanup_close(&l->file);
	cleanup_close(&l->sock);
}

static int open_logger(struct log_fds *l, enum log_target target, const char *tag, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *path =
		target == LOG_TARGET_JOURNAL ? "/run/systemd/journal/socket" : "/dev/log";

	strcpy(a.sun_path, path);
	l->target = target;
	l->tag = *tag ? tag : "ctr";
	l->sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (l->sock < 0 || connect(l->sock, (const struct sockaddr *)&a, sizeof(a)) < 0) {
		l->target = LOG_TARGET_NONE;
		return err_sys(e, errno, "connect to the log: %s", path);
	}
	return 0;
}

/* --log: a path, file:PATH, journald:ID or syslog:ID; and --systemd-log. */
static int open_log(const struct global_opts *o, struct log_fds *l, struct err *e)
{
	const char *where = o->log ? o->log : "", *id;
	int r = 0;

	if ((id = str_after(where, "journald:")))
		r = open_logger(l, LOG_TARGET_JOURNAL, id, e);
	else if ((id = str_after(where, "syslog:")))
		r = open_logger(l, LOG_TARGET_SYSLOG, id, e);
	else if (*where) {
		const char *path = str_after(where, "file:");

		if (!path)
			path = where;
		l->file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
		if (l->file < 0)
			r = err_sys(e, errno, "open log file: %s", path);
	}
	if (r == 0 && o->systemd_log && l->target == LOG_TARGET_SYSLOG)
		return err_kind(e, ERR_USAGE, EINVAL,
				"--systemd-log and --log=syslog: exclude each other");
	if (r == 0 && o->systemd_log && l->target == LOG_TARGET_NONE)
		r = open_logger(l, LOG_TARGET_JOURNAL, "", e);
	return r;
}

/* How deep path leads below a directory that is depth below "/", by its words alone. */
static size_t path_depth(const char *path, size_t depth)
{
	while (*(path += strspn(path, "/"))) {
		size_t len = strcspn(path, "/");

		if (len == 2 && memcmp(path, "..", 2) == 0)
			depth -= depth > 0;
		else if (len != 1 || path[0] != '.')
			depth++;
		path += len;
	}
	return depth;
}

/* "/", in any spelling: containers would then be looked for in every directory of the machine. */
static bool is_slash(const char *path)
{
	char cwd[PATH_MAX];

	if (path[0] == '/')
		return path_depth(path, 0) == 0;
	return getcwd(cwd, sizeof(cwd)) && path_depth(path, path_depth(cwd, 0)) == 0;
}

static int fill_global(const char *argv0, const struct global_opts *o, struct ctr_global *g,
		       struct err *e)
{
	const char *slash = argv0 ? strrchr(argv0, '/') : NULL;
	const char *base = slash ? slash + 1 : argv0 ? argv0 : "";

	*g = (struct ctr_global){
		.root = o->root,
		.root_given = o->root != NULL,
		.driver = o->systemd_cgroup       ? CG_DRIVER_SYSTEMD
			  : o->cgroup_manager < 0 ? CG_DRIVER_CGROUPFS
						  : (enum cg_driver)o->cgroup_manager,
		.rootless = (enum rootless)o->rootless,
		.vm = o->vm,
	};
	g->vm.vm |= str_eq(base, "ctr-vm");
	if (o->root && !*o->root)
		return err_kind(e, ERR_USAGE, EINVAL, "--root: the path is empty");
	if (o->root && is_slash(o->root))
		return err_kind(e, ERR_USAGE, EINVAL, "--root: / is refused");
	if (o->systemd_cgroup && o->cgroup_manager >= 0 && o->cgroup_manager != CG_DRIVER_SYSTEMD)
		return err_kind(e, ERR_USAGE, EINVAL,
				"--systemd-cgroup and --cgroup-manager=%s contradict each other",
				cg_driver_names[o->cgroup_manager]);
	if (o->criu)
		log_warn("--criu %s: without effect, criu is looked for in PATH", o->criu);
	return 0;
}

static int check_words(const struct cmd *c, const struct opt_words *w, struct err *e)
{
	if (w->n < c->min)
		return err_kind(e, ERR_USAGE, EINVAL, "%s: an argument is missing: %s", c->name,
				c->words);
	if (w->n > c->max)
		return err_kind(e, ERR_USAGE, EINVAL, "%s: an argument too many: %s", c->name,
				w->v[c->max]);
	return 0;
}

static int run_cmd(const struct cmd *c, const struct ctr_global *g, const struct opt_words *given,
		   char **argv, int *status, struct err *e)
{
	AUTO_FREE void *opts = calloc(1, c->opts_size ? c->opts_size : 1);
	struct opt_words w;
	int r;

	if (!opts)
		return err_sys(e, ENOMEM, "%s", c->name);
	r = opt_parse(c->name, c->opts, c->order, given->v + 1, given->n - 1, opts, &w, e);
	if (r == 0 && w.help)
		r = cmd_print_help(c, e);
	else if (r == 0 && (r = check_words(c, &w, e)) == 0 &&
		 (r = c->seal ? selfexe_seal(argv, e) : 0) == 0)
		r = c->run(g, opts, &w, status, e);
	opt_free(c->opts, opts);
	return r;
}

static int dispatch(const struct ctr_global *g, const struct global_opts *o,
		    const struct opt_words *w, char **argv, int *status, struct err *e)
{
	const struct cmd *c;

	if (w->help)
		return cmd_print_help(NULL, e);
	if (o->version) {
		AUTO(str_buf_free) struct str_buf b = {};

		cmd_version_text(&b);
		return cmd_print(&b, e);
	}
	if (w->n == 0)
		return err_kind(e, ERR_USAGE, EINVAL, "no command given: ctr --help lists them");
	c = cmd_find(w->v[0]);
	if (!c)
		return err_kind(e, ERR_USAGE, EINVAL, "unknown command: %s", w->v[0]);
	return run_cmd(c, g, w, argv, status, e);
}

int main(int argc, char **argv)
{
	struct global_opts opts = GLOBAL_OPTS_INIT;
	AUTO(log_fds_close) struct log_fds log = { .file = -1, .sock = -1 };
	struct ctr_global global;
	struct opt_words words;
	struct err e = {};
	/* Option parsing moves the words about in argv; the sealed copy gets them as they came. */
	AUTO_FREE char **given = calloc((size_t)argc + 1, sizeof(*given));
	int status = 0, r, opened;

	if (guest_wanted(argv[0]))
		guest_main();
	if (!std_fds_open() || !given)
		return 1;
	/* A caller that ignores it would have us wait for children in vain. */
	signal(SIGCHLD, SIG_DFL);
	memcpy(given, argv, (size_t)argc * sizeof(*given));
	r = opt_parse(NULL, cmd_global_opts, OPT_FIRST, argv + 1, argc > 0 ? (size_t)argc - 1 : 0,
		      &opts, &words, &e);
	/* Also after a failed parse: a caller that reads the log must find the error there. */
	opened = open_log(&opts, &log, r == 0 ? &e : NULL);
	log_setup(log.file, (enum log_format)opts.log_format,
		  opts.debug ? LOG_LEVEL_DEBUG : (enum log_level)opts.log_level);
	log_setup_socket(log.sock, log.target, log.tag);
	if (r == 0)
		r = opened;
	if (r == 0)
		r = fill_global(argv[0], &opts, &global, &e);
	if (r == 0)
		r = dispatch(&global, &opts, &words, given, &status, &e);
	if (r < 0) {
		log_error("%s", e.msg[0] ? e.msg : strerrordesc_np(-r));
		if (status == 0)
			status = 1;
	}
	return status;
}
