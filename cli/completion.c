/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The completion script is made of the option tables: functions that print the words for a command,
 * the values of an option, and one walk over the line that is the same for all.
 */
#include "cli/cmd.h"

static void put_names(struct str_buf *b, const struct opt *opts)
{
	for (; opts->name; opts++) {
		str_buf_addf(b, " --%s", opts->name);
		if (opts->letter)
			str_buf_addf(b, " -%c", opts->letter);
	}
	str_buf_add(b, " --help");
}

static void put_spellings(struct str_buf *b, const char *who, const struct opt *o)
{
	str_buf_addf(b, "\t%s:--%s", who, o->name);
	if (o->letter)
		str_buf_addf(b, "|%s:-%c", who, o->letter);
	str_buf_add(b, ") ");
}

/* One row of the case that says what follows an option. */
static void put_values(struct str_buf *b, const char *who, const struct opt *opts)
{
	for (; opts->name; opts++) {
		if (!opt_has_value(opts))
			continue;
		put_spellings(b, who, opts);
		if (opts->kind == OPT_CHOICE) {
			str_buf_add(b, "echo words");
			for (size_t i = 0; i < opts->choices->n; i++)
				str_buf_addf(b, " %s", opts->choices->rows[i].name);
		} else {
			str_buf_add(b, opts->complete == OPT_FILE  ? "echo file"
				       : opts->complete == OPT_DIR ? "echo dir"
								   : "echo none");
		}
		str_buf_add(b, " ;;\n");
	}
}

static void put_first_word(struct str_buf *b, const struct cmd *c)
{
	static const char *const kinds[] = {
		[CMD_WORD_NONE] = NULL,
		[CMD_WORD_ID] = "id",
		[CMD_WORD_COMMAND] = "command",
		[CMD_WORD_SHELL] = "shell",
	};

	if (kinds[c->word])
		str_buf_addf(b, "\t%s) echo %s ;;\n", c->name, kinds[c->word]);
}

/* clang-format off */
static const char walk[] =
	"_ctr()\n"
	"{\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	"\tlocal cmd='' words=0 i=1 w kind\n"
	"\tlocal -a global=()\n"
	"\t# Bash cuts --name=value at the sign.\n"
	"\tif [[ $cur == '=' ]]; then\n"
	"\t\tcur=''\n"
	"\telif [[ $prev == '=' ]]; then\n"
	"\t\tprev=${COMP_WORDS[COMP_CWORD-2]}\n"
	"\tfi\n"
	"\twhile ((i < COMP_CWORD)); do\n"
	"\t\tw=${COMP_WORDS[i]}\n"
	"\t\tif [[ $w == -* && -n $(_ctr_value \"$cmd:$w\") ]]; then\n"
	"\t\t\t((++i))\n"
	"\t\t\t[[ ${COMP_WORDS[i]} != '=' ]] || ((++i))\n"
	"\t\t\t[[ -n $cmd || ! $w =~ ^(--root|-r)$ ]] || global=(--root \"${COMP_WORDS[i]}\")\n"
	"\t\telif [[ $w != -* && -z $cmd ]]; then\n"
	"\t\t\tcmd=$w\n"
	"\t\telif [[ $w != -* ]]; then\n"
	"\t\t\t((++words))\n"
	"\t\tfi\n"
	"\t\t((++i))\n"
	"\tdone\n"
	"\tkind=$(_ctr_value \"$cmd:$prev\")\n"
	"\tif [[ -z $kind && $cur == -* ]]; then\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W \"$(_ctr_options \"$cmd\")\" -- \"$cur\")\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tif [[ -z $kind && -z $cmd ]]; then\n"
	"\t\tkind='command'\n"
	"\telif [[ -z $kind && $words == 0 ]]; then\n"
	"\t\tkind=$(_ctr_word \"$cmd\")\n"
	"\tfi\n"
	"\tCOMPREPLY=()\n"
	"\tcase $kind in\n"
	"\tnone) ;;\n"
	"\tdir) mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") ;;\n"
	"\twords*) mapfile -t COMPREPLY < <(compgen -W \"${kind#words}\" -- \"$cur\") ;;\n"
	"\tcommand) mapfile -t COMPREPLY < <(compgen -W \"$_ctr_commands\" -- \"$cur\") ;;\n"
	"\tshell) mapfile -t COMPREPLY < <(compgen -W bash -- \"$cur\") ;;\n"
	"\tid) mapfile -t COMPREPLY "
	"< <(compgen -W \"$(ctr \"${global[@]}\" list -q 2>/dev/null)\" -- \"$cur\") ;;\n"
	"\t*) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
	"\tesac\n"
	"}\n"
	"complete -o filenames -F _ctr ctr ctr-vm\n";
/* clang-format on */

void cmd_completion_bash(struct str_buf *b)
{
	str_buf_add(b, "# bash completion for ctr; made by: ctr completion bash\n_ctr_commands=\"");
	for (size_t i = 0; cmd_table[i]; i++)
		str_buf_addf(b, "%s%s", i ? " " : "", cmd_table[i]->name);
	str_buf_add(b, "\"\n_ctr_options()\n{\n\tcase $1 in\n\t'') echo");
	put_names(b, cmd_global_opts);
	str_buf_add(b, " ;;\n");
	for (size_t i = 0; cmd_table[i]; i++) {
		str_buf_addf(b, "\t%s) echo", cmd_table[i]->name);
		put_names(b, cmd_table[i]->opts);
		str_buf_add(b, " ;;\n");
	}
	str_buf_add(b, "\tesac\n}\n_ctr_value()\n{\n\tcase $1 in\n");
	put_values(b, "", cmd_global_opts);
	for (size_t i = 0; cmd_table[i]; i++)
		put_values(b, cmd_table[i]->name, cmd_table[i]->opts);
	str_buf_add(b, "\tesac\n}\n_ctr_word()\n{\n\tcase $1 in\n");
	for (size_t i = 0; cmd_table[i]; i++)
		put_first_word(b, cmd_table[i]);
	str_buf_add(b, "\tesac\n}\n");
	str_buf_add(b, walk);
}
