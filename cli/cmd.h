/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One command a file, cmd_NAME.c: its option table, its struct of options, its function. main.c
 * parses the global options, finds the command here, parses the command's options into a zeroed
 * struct of opts_size bytes and calls run.
 */
#ifndef CTR_CLI_CMD_H
#define CTR_CLI_CMD_H

#include "cli/opt.h"
#include "runtime/ctr.h"

/* What is before the command's name. */
struct global_opts {
	bool debug;
	const char *log;
	int log_format; /* enum log_format */
	int log_level;  /* enum log_level */
	const char *root;
	bool systemd_cgroup;
	bool systemd_log;
	int cgroup_manager; /* enum cg_driver; -1: not given */
	const char *criu;
	int rootless;       /* enum rootless */
	struct vm_opts vm;
	bool version;
};

/* The global settings that apply when nothing is said. */
#define GLOBAL_OPTS_INIT                                                   \
	{                                                                  \
		.log_level = LOG_LEVEL_WARNING, .rootless = ROOTLESS_AUTO, \
		.cgroup_manager = -1                                       \
	}

extern const struct opt cmd_global_opts[];

/* What the shell completes as the command's first word. */
enum cmd_word { CMD_WORD_NONE, CMD_WORD_ID, CMD_WORD_COMMAND, CMD_WORD_SHELL };

struct cmd {
	const char *name;
	const char *words;   /* for the usage text: "ID [SIGNAL]" */
	const char *summary; /* one line, no capital, no full stop */
	const char *more;    /* further text of --help, or NULL */
	const struct opt *opts;
	size_t opts_size;
	enum opt_order order;
	size_t min, max; /* number of words */
	enum cmd_word word;
	bool seal; /* enters a container: goes on as a sealed copy of itself (runtime/selfexe.h) */
	/*
	 * 0, and *status, 0 unless set, is the exit code; or -errno with *e set, and *status, when
	 * it is set, is the exit code of the failure instead of 1.
	 */
	int (*run)(const struct ctr_global *g, void *opts, const struct opt_words *w, int *status,
		   struct err *e);
};

#define CMD_ANY_WORDS ((size_t)-1)

extern const struct cmd *const cmd_table[]; /* ends with NULL */

const struct cmd *cmd_find(const char *name); /* NULL when there is none */

/* The texts of --help: all of ctr, one command; and of --version. */
void cmd_help_all(struct str_buf *b);
void cmd_help_one(struct str_buf *b, const struct cmd *c);
void cmd_version_text(struct str_buf *b);
int cmd_print_help(const struct cmd *c, struct err *e); /* NULL: all of ctr */

/* The bash completion script. */
void cmd_completion_bash(struct str_buf *b);

/* Writes the buffer to stdout. -errno with *e set also when the buffer failed for want of memory.
 */
int cmd_print(const struct str_buf *b, struct err *e);

/* The same for a finished JSON value, with a newline behind it. */
int cmd_print_json(struct json_out *j, struct err *e);

/*
 * Calls fn for every container whose ID matches the extended regular expression. All are tried; the
 * first error is the result. No match is no error.
 */
int cmd_each_match(const struct ctr_global *g, const char *regex,
		   int (*fn)(const struct ctr_global *g, const char *id, void *arg, struct err *e),
		   void *arg, struct err *e);

/*
 * The names of users by /etc/passwd, read once: never NSS, which may load modules and ask a
 * network. Zero-initialise; cmd_owners_free.
 */
struct cmd_owners {
	char *passwd;
	bool read;
};

const char *cmd_owner(struct cmd_owners *o, uid_t uid, char *buf,
		      size_t size); /* "#UID" if unknown */
void cmd_owners_free(struct cmd_owners *o);

/* `table` or `json`, for list and ps. */
enum cmd_format { CMD_FORMAT_TABLE, CMD_FORMAT_JSON };
extern const struct name_table cmd_formats;

/* auto, kvm, tcg. */
extern const struct name_table cmd_accels;

extern const struct cmd cmd_create, cmd_start, cmd_run, cmd_exec, cmd_kill, cmd_delete, cmd_state,
	cmd_list, cmd_ps, cmd_pause, cmd_resume, cmd_update, cmd_events, cmd_spec, cmd_features,
	cmd_version, cmd_check, cmd_completion, cmd_help, cmd_checkpoint, cmd_restore,
	cmd_mounts, cmd_network, cmd_info;

#endif
