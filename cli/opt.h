/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options as tables: one row an option. The same rows parse a command line into a struct, print the
 * usage text and give the shell completion.
 *
 * Spellings: --name VALUE, --name=VALUE, -name VALUE (callers written against Go's flag package
 * send long names with one dash), -n VALUE, -nVALUE, -n=VALUE, and flags combined, -it. A flag also
 * takes =true and =false. "--" ends the options.
 */
#ifndef CTR_CLI_OPT_H
#define CTR_CLI_OPT_H

#include "base/err.h"
#include "base/str.h"
#include "base/table.h"

#include <stdbool.h>
#include <stddef.h>

enum opt_kind {
	OPT_FLAG,    /* bool */
	OPT_NOTHING, /* a flag that is accepted and has no effect; writes nothing */
	OPT_STRING,  /* const char *; borrowed from argv; the last one counts */
	OPT_STRINGS, /* struct spec_strings: every occurrence; the array is freed by opt_free */
	OPT_COUNT,   /* int, 0 .. INT_MAX */
	OPT_I64,     /* struct opt_i64, -1 .. INT64_MAX */
	OPT_SIZE,    /* struct opt_i64, bytes with an optional suffix k, m, g, t; -1: unlimited */
	OPT_CHOICE,  /* int: the value of the name in choices */
};

/* What the shell completes after the option. */
enum opt_complete { OPT_WORD, OPT_FILE, OPT_DIR };

struct opt {
	const char *name; /* long name without dashes; NULL ends the table */
	char letter;      /* short form, or 0 */
	enum opt_kind kind;
	size_t at;       /* offset in the struct that is filled */
	const char *arg; /* what the value is called; NULL for flags */
	const char *help;
	const struct name_table *choices;
	enum opt_complete complete;
};

/* Where options may stand. */
enum opt_order {
	OPT_MIXED, /* before, between and after the words */
	OPT_FIRST, /* before the first word; everything after it is words */
	/*
	 * The same, and a word with a dash right behind the first one is refused: it is meant as an
	 * option. "--" behind the first word lets it pass.
	 */
	OPT_BEFORE,
};

/* What is left of the command line: argv itself, compacted. v[n] is NULL. */
struct opt_words {
	char **v;
	size_t n;
	bool help; /* --help or -h was there: the rest was not looked at */
};

/*
 * Parses argv (n words, argv[n] is NULL; reordered) into *into. who names the command in errors, or
 * is NULL. -EINVAL with ERR_USAGE for a bad command line, -ENOMEM. On failure too opt_free is due.
 */
int opt_parse(const char *who, const struct opt *opts, enum opt_order order, char **argv, size_t n,
	      void *into, struct opt_words *words, struct err *e);

/* Frees what OPT_STRINGS rows hold in *into. */
void opt_free(const struct opt *opts, void *into);

/* True when the option takes a value. */
bool opt_has_value(const struct opt *o);

/* Appends the rows, aligned, one or more lines each. */
void opt_usage(struct str_buf *b, const struct opt *opts);

#endif
