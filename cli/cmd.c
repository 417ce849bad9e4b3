/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, the global options, and what several commands need. */
#include "cli/cmd.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "oci/features.h"
#include "oci/passwd.h"
#include "runtime/seccomp.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <regex.h>

const struct cmd *const cmd_table[] = {
	&cmd_create,  &cmd_start,      &cmd_run,        &cmd_exec,    &cmd_kill,   &cmd_delete,
	&cmd_state,   &cmd_list,       &cmd_ps,         &cmd_pause,   &cmd_resume, &cmd_check,
	&cmd_update,  &cmd_events,     &cmd_checkpoint, &cmd_restore,
	&cmd_mounts,   &cmd_network, &cmd_spec,   &cmd_features,
	&cmd_info,
	&cmd_version, &cmd_completion, &cmd_help,       NULL,
};

static const struct name_value log_formats[] = {
	{ "text", LOG_FORMAT_TEXT },
	{ "json", LOG_FORMAT_JSON },
};

/* The second names are those of other runtimes for the same levels. */
static const struct name_value log_levels[] = {
	{ "error", LOG_LEVEL_ERROR },  { "warning", LOG_LEVEL_WARNING },
	{ "debug", LOG_LEVEL_DEBUG },  { "warn", LOG_LEVEL_WARNING },
	{ "info", LOG_LEVEL_WARNING }, { "trace", LOG_LEVEL_DEBUG },
};

static const struct name_value managers[] = {
	{ "cgroupfs", CG_DRIVER_CGROUPFS },
	{ "systemd", CG_DRIVER_SYSTEMD },
	{ "disabled", CG_DRIVER_DISABLED },
};

static const struct name_value rootless_values[] = {
	{ "auto", ROOTLESS_AUTO },
	{ "true", ROOTLESS_YES },
	{ "false", ROOTLESS_NO },
};

static const struct name_value formats[] = {
	{ "table", CMD_FORMAT_TABLE },
	{ "json", CMD_FORMAT_JSON },
};

static const struct name_table log_format_names = NAME_TABLE("log format", log_formats);
static const struct name_table log_level_names = NAME_TABLE("log level", log_levels);
static const struct name_table manager_names = NAME_TABLE("cgroup manager", managers);
static const struct name_table rootless_names = NAME_TABLE("value", rootless_values);
static const struct name_value accels[] = {
	{ "auto", VM_ACCEL_AUTO },
	{ "kvm", VM_ACCEL_KVM },
	{ "tcg", VM_ACCEL_TCG },
};
const struct name_table cmd_accels = NAME_TABLE("accelerator", accels);

const struct name_table cmd_formats = NAME_TABLE("format", formats);

#define AT(field) .at = offsetof(struct global_opts, field)

const struct opt cmd_global_opts[] = {
	{ "debug", 0, OPT_FLAG, AT(debug), .help = "log every step with its time" },
	{ "log", 'l', OPT_STRING, AT(log), "[file:]PATH",
	  "append messages to PATH, or journald:ID, syslog:ID; errors go to stderr too",
	  .complete = OPT_FILE },
	{ "log-format", 0, OPT_CHOICE, AT(log_format), "FORMAT", "text (default) or json",
	  .choices = &log_format_names },
	{ "log-level", 0, OPT_CHOICE, AT(log_level), "LEVEL", "error, warning (default) or debug",
	  .choices = &log_level_names },
	{ "root", 'r', OPT_STRING, AT(root), "DIR",
	  "where the state is kept (default /run/ctr, or $XDG_RUNTIME_DIR/ctr)",
	  .complete = OPT_DIR },
	{ "systemd-cgroup", 's', OPT_FLAG, AT(systemd_cgroup),
	  .help = "the same as --cgroup-manager systemd" },
	{ "cgroup-manager", 0, OPT_CHOICE, AT(cgroup_manager), "MANAGER",
	  "cgroupfs (default), systemd or disabled", .choices = &manager_names },
	{ "criu", 0, OPT_STRING, AT(criu), "PATH",
	  "accepted for compatibility, with a warning: criu is looked for in PATH",
	  .complete = OPT_FILE },
	{ "rootless", 0, OPT_CHOICE, AT(rootless), "VALUE",
	  "true, false or auto (default): do without the rights of root",
	  .choices = &rootless_names },
	{ "systemd-log", 0, OPT_FLAG, AT(systemd_log),
	  .help = "send messages to the journal of systemd, too" },
	{ "vm", 0, OPT_FLAG, AT(vm.vm), .help = "run as a micro-VM (also when called as ctr-vm)" },
	{ "accel", 0, OPT_CHOICE, AT(vm.accel), "WHAT",
	  "of a micro-VM: kvm, tcg (QEMU, without hardware) or auto (default)",
	  .choices = &cmd_accels },
	{ "kernel", 0, OPT_STRING, AT(vm.kernel), "FILE", "of a micro-VM: a vmlinux or bzImage",
	  .complete = OPT_FILE },
	{ "version", 'v', OPT_FLAG, AT(version), .help = "print the version" },
	{},
};

const struct cmd *cmd_find(const char *name)
{
	for (size_t i = 0; cmd_table[i]; i++)
		if (str_eq(cmd_table[i]->name, name))
			return cmd_table[i];
	return NULL;
}

void cmd_help_all(struct str_buf *b)
{
	str_buf_add(b,
		    "Usage: ctr [OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]\n\n"
		    "Runs OCI bundles as containers, and copy-on-write clones of this machine.\n\n"
		    "Commands:\n");
	for (size_t i = 0; cmd_table[i]; i++)
		str_buf_addf(b, "  %-12s %s\n", cmd_table[i]->name, cmd_table[i]->summary);
	str_buf_add(b, "\nOptions:\n");
	opt_usage(b, cmd_global_opts);
	str_buf_add(b, "  -h, --help                  print this text, or that of a command\n");
}

void cmd_help_one(struct str_buf *b, const struct cmd *c)
{
	str_buf_addf(b, "Usage: ctr %s [OPTIONS]%s%s\n\n%c%s.\n", c->name, *c->words ? " " : "",
		     c->words, toupper((unsigned char)c->summary[0]), c->summary + 1);
	if (c->more)
		str_buf_addf(b, "\n%s\n", c->more);
	str_buf_add(b, "\nOptions:\n");
	opt_usage(b, c->opts);
	str_buf_add(b, "  -h, --help                  print this text\n");
}

void cmd_version_text(struct str_buf *b)
{
	str_buf_addf(b, "ctr version %s\ncommit: %s\nspec: %s\nlibseccomp: %s\n", ctr_version,
		     ctr_commit, OCI_VERSION_MAX, seccomp_library_version());
}

int cmd_print(const struct str_buf *b, struct err *e)
{
	int r;

	if (b->failed)
		return err_sys(e, ENOMEM, "print");
	r = io_write_full(STDOUT_FILENO, b->s, b->len);
	return r < 0 ? err_sys(e, -r, "write to standard output") : 0;
}

int cmd_print_help(const struct cmd *c, struct err *e)
{
	AUTO(str_buf_free) struct str_buf b = {};

	if (c)
		cmd_help_one(&b, c);
	else
		cmd_help_all(&b);
	return cmd_print(&b, e);
}

int cmd_print_json(struct json_out *j, struct err *e)
{
	str_buf_add(&j->buf, "\n");
	return cmd_print(&j->buf, e);
}

int cmd_each_match(const struct ctr_global *g, const char *regex,
		   int (*fn)(const struct ctr_global *g, const char *id, void *arg, struct err *e),
		   void *arg, struct err *e)
{
	struct ctr_entry *v = NULL;
	struct err one = {};
	size_t n = 0;
	int r, first = 0;
	regex_t re;

	if (regcomp(&re, regex, REG_EXTENDED | REG_NOSUB))
		return err_kind(e, ERR_USAGE, EINVAL, "--regex: not a regular expression: %s",
				regex);
	r = ctr_list(g, &v, &n, e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (regexec(&re, v[i].state->id, 0, NULL, 0))
			continue;
		r = fn(g, v[i].state->id, arg, &one);
		if (r < 0 && first == 0) {
			first = r;
			*e = one;
		}
		r = 0;
	}
	regfree(&re);
	ctr_list_free(v, n);
	return r < 0 ? r : first;
}

#define PASSWD_MAX ((size_t)4 << 20)

const char *cmd_owner(struct cmd_owners *o, uid_t uid, char *buf, size_t size)
{
	struct passwd_entry p;

	if (!o->read) {
		o->read = true;
		if (io_read_file(AT_FDCWD, "/etc/passwd", PASSWD_MAX, &o->passwd, NULL) < 0)
			o->passwd = NULL;
	}
	if (o->passwd && passwd_by_uid(o->passwd, uid, &p) && p.name_len < size)
		snprintf(buf, size, "%.*s", (int)p.name_len, p.name);
	else
		snprintf(buf, size, "#%u", uid);
	return buf;
}

void cmd_owners_free(struct cmd_owners *o)
{
	free(o->passwd);
	*o = (struct cmd_owners){};
}
