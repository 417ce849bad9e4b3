/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/log.h"
#include "cli/cmd.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct sample {
	bool flag, other;
	const char *string;
	struct spec_strings strings;
	int count, choice;
	struct opt_i64 wide, size;
};

static const struct name_value colour_rows[] = { { "red", 1 }, { "blue", 2 } };
static const struct name_table colours = NAME_TABLE("colour", colour_rows);

#define AT(field) .at = offsetof(struct sample, field)

static const struct opt table[] = {
	{ "flag", 'f', OPT_FLAG, AT(flag), .help = "h" },
	{ "other", 'o', OPT_FLAG, AT(other), .help = "h" },
	{ "nothing", 'n', OPT_NOTHING, .help = "h" },
	{ "string", 's', OPT_STRING, AT(string), "S", "h" },
	{ "list", 'l', OPT_STRINGS, AT(strings), "S", "h" },
	{ "count", 'c', OPT_COUNT, AT(count), "N", "h" },
	{ "choice", 0, OPT_CHOICE, AT(choice), "C", "h", .choices = &colours },
	{ "wide", 'w', OPT_I64, AT(wide), "N", "h" },
	{ "size", 0, OPT_SIZE, AT(size), "N", "h" },
	{},
};

#define MAX_WORDS 16

struct line {
	struct sample s;
	struct opt_words w;
	struct err e;
	char *argv[MAX_WORDS + 1];
	size_t n;
	char text[256];
};

/* Parses text, cut at blanks. */
static int parse(struct line *l, enum opt_order order, const char *text)
{
	char *save = NULL;

	memset(l, 0, sizeof(*l));
	snprintf(l->text, sizeof(l->text), "%s", text);
	for (char *s = strtok_r(l->text, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		assert_true(l->n < MAX_WORDS);
		l->argv[l->n++] = s;
	}
	return opt_parse("cmd", table, order, l->argv, l->n, &l->s, &l->w, &l->e);
}

static void refused(enum opt_order order, const char *text, const char *message)
{
	struct line l;

	assert_int_equal(parse(&l, order, text), -EINVAL);
	assert_string_equal(l.e.msg, message);
	assert_int_equal(l.e.kind, ERR_USAGE);
	opt_free(table, &l.s);
}

static void test_spellings(void **state)
{
	static const char *const lines[] = { "--string v", "--string=v", "-string v", "-string=v",
					     "-s v",       "-sv",        "-s=v",      "-fsv",
					     "-f -s v",    "-fs v",      "-s x -s v" };
	struct line l;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		assert_int_equal(parse(&l, OPT_MIXED, lines[i]), 0);
		assert_string_equal(l.s.string, "v");
		assert_int_equal(l.w.n, 0);
		assert_int_equal(l.s.flag, strstr(lines[i], "-f") != NULL);
	}
	/* A value may look like an option, be empty, and hold the sign itself. */
	assert_int_equal(parse(&l, OPT_MIXED, "--string --flag"), 0);
	assert_string_equal(l.s.string, "--flag");
	assert_false(l.s.flag);
	assert_int_equal(parse(&l, OPT_MIXED, "--string="), 0);
	assert_string_equal(l.s.string, "");
	assert_int_equal(parse(&l, OPT_MIXED, "--string=a=b"), 0);
	assert_string_equal(l.s.string, "a=b");
	assert_int_equal(parse(&l, OPT_MIXED, "-"), 0);
	assert_int_equal(l.w.n, 1);
}

static void test_flags(void **state)
{
	struct line l;

	(void)state;
	assert_int_equal(parse(&l, OPT_MIXED, "-fo -nothing --nothing -n"), 0);
	assert_true(l.s.flag && l.s.other);
	assert_int_equal(parse(&l, OPT_MIXED, "--flag --other=true --flag=false"), 0);
	assert_true(!l.s.flag && l.s.other);
	assert_int_equal(parse(&l, OPT_MIXED, "-f=0 -o=1"), 0);
	assert_true(!l.s.flag && l.s.other);
	refused(OPT_MIXED, "--flag=maybe",
		"cmd: option takes no argument but true or false: --flag=maybe");
	refused(OPT_MIXED, "--nothing=x",
		"cmd: option takes no argument but true or false: --nothing=x");
}

static void test_values(void **state)
{
	struct line l;

	(void)state;
	assert_int_equal(parse(&l, OPT_MIXED, "--choice blue --count 7 --wide -1 --size 1g"), 0);
	assert_int_equal(l.s.choice, 2);
	assert_int_equal(l.s.count, 7);
	assert_true(l.s.wide.set && l.s.wide.v == -1);
	assert_true(l.s.size.set && l.s.size.v == 1 << 30);
	assert_int_equal(parse(&l, OPT_MIXED, "-l a --list=b c -ld"), 0);
	assert_int_equal(l.s.strings.n, 3);
	assert_string_equal(l.s.strings.v[0], "a");
	assert_string_equal(l.s.strings.v[1], "b");
	assert_string_equal(l.s.strings.v[2], "d");
	assert_null(l.s.strings.v[3]);
	opt_free(table, &l.s);
	assert_int_equal(l.s.strings.n, 0);
	assert_null(l.s.strings.v);
	assert_int_equal(parse(&l, OPT_MIXED, "a"), 0);
	assert_false(l.s.wide.set || l.s.size.set);
}

static void test_errors(void **state)
{
	(void)state;
	refused(OPT_MIXED, "--bogus", "cmd: unknown option: --bogus");
	refused(OPT_MIXED, "--flagx", "cmd: unknown option: --flagx");
	refused(OPT_MIXED, "--fla", "cmd: unknown option: --fla");
	refused(OPT_MIXED, "--f", "cmd: unknown option: --f");
	refused(OPT_MIXED, "--=x", "cmd: unknown option: --=x");
	refused(OPT_MIXED, "-x", "cmd: unknown option: -x");
	refused(OPT_MIXED, "-fx", "cmd: unknown option: -x");
	refused(OPT_MIXED, "-bogus", "cmd: unknown option: -bogus");
	refused(OPT_MIXED, "--string", "cmd: option requires an argument: --string");
	refused(OPT_MIXED, "-string", "cmd: option requires an argument: --string");
	refused(OPT_MIXED, "-l x -s", "cmd: option requires an argument: -s");
	refused(OPT_MIXED, "-fs", "cmd: option requires an argument: -s");
	refused(OPT_MIXED, "--choice green", "cmd: --choice: unknown colour: green");
	refused(OPT_MIXED, "--count -1", "cmd: --count: out of range: -1");
	refused(OPT_MIXED, "--count 2147483648", "cmd: --count: out of range: 2147483648");
	refused(OPT_MIXED, "--count 1x", "cmd: --count: not a number: 1x");
	refused(OPT_MIXED, "--count=", "cmd: --count: not a number: ");
	refused(OPT_MIXED, "--wide -2", "cmd: --wide: out of range: -2");
	refused(OPT_MIXED, "--size 5q", "cmd: --size: not a size: 5q");
	refused(OPT_MIXED, "--size 99999999999999999999",
		"cmd: --size: out of range: "
		"99999999999999999999");
}

static void words_are(struct line *l, const char *want)
{
	char got[256] = "";

	for (size_t i = 0; i < l->w.n; i++) {
		strcat(got, i ? " " : "");
		strcat(got, l->w.v[i]);
	}
	assert_string_equal(got, want);
	assert_null(l->w.v[l->w.n]);
}

static void test_order(void **state)
{
	static const struct {
		enum opt_order order;
		const char *line, *words;
		bool flag;
	} rows[] = {
		{ OPT_MIXED, "a -f b", "a b", true },
		{ OPT_MIXED, "a b -f", "a b", true },
		{ OPT_MIXED, "-f a b", "a b", true },
		{ OPT_MIXED, "a -- -f", "a -f", false },
		{ OPT_MIXED, "-- -f --", "-f --", false },
		{ OPT_FIRST, "-f a b", "a b", true },
		{ OPT_FIRST, "a -f b", "a -f b", false },
		{ OPT_FIRST, "a --bogus", "a --bogus", false },
		{ OPT_BEFORE, "-f a b -f", "a b -f", true },
		{ OPT_BEFORE, "a b -f --", "a b -f --", false },
		{ OPT_BEFORE, "a -- -f b", "a -f b", false },
		{ OPT_BEFORE, "a --", "a", false },
		{ OPT_BEFORE, "a -- -- b", "a -- b", false },
		{ OPT_BEFORE, "-f -- a -- -f", "a -f", true },
		{ OPT_BEFORE, "-- a b --", "a b --", false },
		{ OPT_BEFORE, "--", "", false },
		{ OPT_MIXED, "", "", false },
	};
	struct line l;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(parse(&l, rows[i].order, rows[i].line), 0);
		words_are(&l, rows[i].words);
		assert_int_equal(l.s.flag, rows[i].flag);
	}
	refused(OPT_BEFORE, "a -f b",
		"cmd: options stand before the ID: -f (write -- before a "
		"command that begins with a dash)");
	refused(OPT_BEFORE, "a --bogus=x",
		"cmd: options stand before the ID: --bogus=x (write -- "
		"before a command that begins with a dash)");
}

static void test_help(void **state)
{
	static const char *const lines[] = { "--help", "-h", "-help", "-f a --help --bogus",
					     "-fh" };
	struct line l;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		assert_int_equal(parse(&l, OPT_MIXED, lines[i]), 0);
		assert_true(l.w.help);
	}
	assert_int_equal(parse(&l, OPT_FIRST, "a --help"), 0);
	assert_false(l.w.help);
}

/* ---- the tables of the program ---- */

static const char *valid_value(const struct opt *o)
{
	return o->kind == OPT_CHOICE ? o->choices->rows[o->choices->n - 1].name
	       : o->kind == OPT_SIZE ? "8m"
				     : "7";
}

/* Parses one or two words into fresh memory of 4 KiB, which the caller frees. */
static void *parse_words(const struct cmd *c, const char *first, const char *second)
{
	char *argv[] = { (char *)(uintptr_t)first, (char *)(uintptr_t)second, NULL };
	void *into = calloc(1, c->opts_size + 1);
	struct opt_words w;
	struct err e = {};

	assert_non_null(into);
	assert_int_equal(opt_parse(c->name, c->opts, c->order, argv, second ? 2 : 1, into, &w, &e),
			 0);
	assert_int_equal(w.n, 0);
	return into;
}

/* What the row o has stored in it, as text. */
static void stored(const struct opt *o, const void *into, char *buf, size_t size)
{
	const char *at = (const char *)into + o->at;

	*buf = '\0';
	if (o->kind == OPT_FLAG)
		snprintf(buf, size, "%d", *(const bool *)at);
	else if (o->kind == OPT_STRING)
		snprintf(buf, size, "%s", *(const char *const *)at);
	else if (o->kind == OPT_STRINGS)
		snprintf(buf, size, "%s", ((const struct spec_strings *)at)->v[0]);
	else if (o->kind == OPT_COUNT)
		snprintf(buf, size, "%d", *(const int *)at);
	else if (o->kind == OPT_CHOICE)
		snprintf(buf, size, "%s", table_name(o->choices, *(const int *)at));
	else if (o->kind == OPT_I64 || o->kind == OPT_SIZE)
		snprintf(buf, size, "%jd", (intmax_t)((const struct opt_i64 *)at)->v);
}

static void spelling_stores(const struct cmd *c, const struct opt *o, const char *first,
			    const char *second)
{
	const char *want = o->kind == OPT_FLAG      ? "1"
			   : o->kind == OPT_NOTHING ? ""
			   : o->kind == OPT_SIZE    ? "8388608"
						    : valid_value(o);
	AUTO_FREE void *into = parse_words(c, first, second);
	char got[64];

	if (o->kind == OPT_CHOICE) {
		int64_t v;

		assert_true(table_value(o->choices, want, &v));
		want = table_name(o->choices, v);
	}
	stored(o, into, got, sizeof(got));
	assert_string_equal(got, want);
	opt_free(c->opts, into);
}

static void each_spelling(const struct cmd *c, const struct opt *o)
{
	const char *value = opt_has_value(o) ? valid_value(o) : NULL;
	char word[4][96];

	snprintf(word[0], sizeof(word[0]), "--%s", o->name);
	snprintf(word[1], sizeof(word[1]), "-%s", o->name);
	snprintf(word[2], sizeof(word[2]), "--%s=%s", o->name, value ? value : "true");
	snprintf(word[3], sizeof(word[3]), "-%c", o->letter);
	spelling_stores(c, o, word[0], value);
	spelling_stores(c, o, word[1], value);
	spelling_stores(c, o, word[2], NULL);
	if (o->letter)
		spelling_stores(c, o, word[3], value);
}

static void missing_value(const struct cmd *c, const struct opt *o)
{
	char word[64];
	char *argv[] = { word, NULL };
	AUTO_FREE void *into = calloc(1, c->opts_size + 1);
	struct opt_words w;
	struct err e = {};

	snprintf(word, sizeof(word), "--%s", o->name);
	assert_int_equal(opt_parse(c->name, c->opts, c->order, argv, 1, into, &w, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "requires an argument"));
	assert_non_null(strstr(e.msg, o->name));
}

static void check_rows(const struct cmd *c)
{
	for (const struct opt *o = c->opts; o->name; o++) {
		assert_non_null(o->help);
		assert_int_equal(opt_has_value(o), o->arg != NULL);
		assert_int_equal(o->kind == OPT_CHOICE, o->choices != NULL);
		assert_string_not_equal(o->name, "help");
		assert_int_not_equal(o->letter, 'h');
		for (const struct opt *p = c->opts; p < o; p++) {
			assert_string_not_equal(o->name, p->name);
			assert_true(!o->letter || o->letter != p->letter);
		}
		each_spelling(c, o);
		if (opt_has_value(o))
			missing_value(c, o);
	}
}

static void test_commands(void **state)
{
	const struct cmd global = { .name = "ctr",
				    .opts = cmd_global_opts,
				    .opts_size = sizeof(struct global_opts) };

	(void)state;
	check_rows(&global);
	for (size_t i = 0; cmd_table[i]; i++) {
		const struct cmd *c = cmd_table[i];

		assert_ptr_equal(cmd_find(c->name), c);
		assert_non_null(c->run);
		assert_non_null(c->summary);
		assert_true(c->min <= c->max);
		check_rows(c);
	}
	assert_null(cmd_find("bogus"));
	assert_null(cmd_find(""));
}

/* Usage and completion name every option, because they are made of the same rows. */
static void test_texts(void **state)
{
	AUTO(str_buf_free) struct str_buf script = {};

	(void)state;
	cmd_completion_bash(&script);
	assert_false(script.failed);
	for (size_t i = 0; cmd_table[i]; i++) {
		const struct cmd *c = cmd_table[i];
		struct str_buf help = {};

		cmd_help_one(&help, c);
		for (const struct opt *o = c->opts; o->name; o++) {
			char word[80];

			snprintf(word, sizeof(word), "--%s", o->name);
			assert_non_null(strstr(help.s, word));
			assert_non_null(strstr(script.s, word));
			if (!opt_has_value(o))
				continue;
			snprintf(word, sizeof(word), "%s:--%s", c->name, o->name);
			assert_non_null(strstr(script.s, word));
		}
		str_buf_free(&help);
	}
}

static void test_usage_columns(void **state)
{
	static const struct opt rows[] = {
		{ "a", 'a', OPT_FLAG, .help = "short" },
		{ "a-name-that-is-rather-long", 0, OPT_STRING, .arg = "V", .help = "long" },
		{},
	};
	AUTO(str_buf_free) struct str_buf b = {};

	(void)state;
	opt_usage(&b, rows);
	assert_string_equal(b.s, "  -a, --a                     short\n"
				 "      --a-name-that-is-rather-long V\n"
				 "                              long\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spellings),     cmocka_unit_test(test_flags),
		cmocka_unit_test(test_values),        cmocka_unit_test(test_errors),
		cmocka_unit_test(test_order),         cmocka_unit_test(test_help),
		cmocka_unit_test(test_commands),      cmocka_unit_test(test_texts),
		cmocka_unit_test(test_usage_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
