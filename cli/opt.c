/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/opt.h"

#include "oci/spec.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

struct parser {
	const char *who;
	const struct opt *opts;
	char **argv;
	size_t n, next; /* next: the word to look at */
	char *into;
	struct opt_words *words;
	struct err *e;
};

#define usage_error(p, fmt, ...)                                                  \
	err_kind((p)->e, ERR_USAGE, EINVAL, "%s%s" fmt, (p)->who ? (p)->who : "", \
		 (p)->who ? ": " : "", ##__VA_ARGS__)

bool opt_has_value(const struct opt *o)
{
	return o->kind != OPT_FLAG && o->kind != OPT_NOTHING;
}

static const struct opt *find_long(const struct opt *opts, const char *name, size_t len)
{
	for (; opts->name; opts++)
		if (strlen(opts->name) == len && memcmp(opts->name, name, len) == 0)
			return opts;
	return NULL;
}

static const struct opt *find_letter(const struct opt *opts, char letter)
{
	for (; opts->name; opts++)
		if (opts->letter && opts->letter == letter)
			return opts;
	return NULL;
}

static int add_string(struct spec_strings *l, char *s)
{
	char **grown = realloc(l->v, (l->n + 2) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	l->v = grown;
	grown[l->n++] = s;
	grown[l->n] = NULL;
	return 0;
}

static int set_flag(struct parser *p, const struct opt *o, const char *value)
{
	bool v = true;

	if (value) {
		if (str_eq(value, "false") || str_eq(value, "0"))
			v = false;
		else if (!str_eq(value, "true") && !str_eq(value, "1"))
			return usage_error(p, "option takes no argument but true or false: --%s=%s",
					   o->name, value);
	}
	if (o->kind == OPT_FLAG)
		*(bool *)(p->into + o->at) = v;
	return 0;
}

static int set_choice(struct parser *p, const struct opt *o, const char *value)
{
	int64_t v;

	if (!table_value(o->choices, value, &v))
		return usage_error(p, "--%s: unknown %s: %s", o->name, o->choices->what, value);
	*(int *)(p->into + o->at) = (int)v;
	return 0;
}

static int set_number(struct parser *p, const struct opt *o, const char *value)
{
	struct opt_i64 *wide = (struct opt_i64 *)(p->into + o->at);
	int64_t v;
	int r;

	if (o->kind == OPT_SIZE)
		r = str_to_size(value, &v);
	else if (o->kind == OPT_I64)
		r = str_to_i64(value, -1, INT64_MAX, &v);
	else
		r = str_to_i64(value, 0, INT_MAX, &v);
	if (r < 0)
		return usage_error(p, "--%s: %s: %s", o->name,
				   r == -ERANGE          ? "out of range"
				   : o->kind == OPT_SIZE ? "not a size"
							 : "not a number",
				   value);
	if (o->kind == OPT_COUNT)
		*(int *)(p->into + o->at) = (int)v;
	else
		*wide = (struct opt_i64){ .set = true, .v = v };
	return 0;
}

static int set_value(struct parser *p, const struct opt *o, char *value)
{
	switch (o->kind) {
	case OPT_FLAG:
	case OPT_NOTHING:
		return set_flag(p, o, value);
	case OPT_STRING:
		*(const char **)(p->into + o->at) = value;
		return 0;
	case OPT_STRINGS:
		if (add_string((struct spec_strings *)(p->into + o->at), value) < 0)
			return err_sys(p->e, ENOMEM, "--%s", o->name);
		return 0;
	case OPT_CHOICE:
		return set_choice(p, o, value);
	case OPT_COUNT:
	case OPT_I64:
	case OPT_SIZE:
		return set_number(p, o, value);
	}
	return usage_error(p, "unknown option: --%s", o->name);
}

/* The value of an option that needs one: what stands behind it in the same word, or the next word.
 */
static int take_value(struct parser *p, const struct opt *o, char *attached, const char *spelling)
{
	if (!attached && opt_has_value(o)) {
		if (p->next >= p->n)
			return usage_error(p, "option requires an argument: %s", spelling);
		attached = p->argv[p->next++];
	}
	return set_value(p, o, attached);
}

static int parse_letters(struct parser *p, char *word)
{
	for (char *s = word + 1; *s; s++) {
		const struct opt *o = find_letter(p->opts, *s);
		char spelling[3] = { '-', *s, '\0' };
		char *rest;

		if (!o && *s == 'h') {
			p->words->help = true;
			return 0;
		}
		if (!o)
			return usage_error(p, "unknown option: %s",
					   s == word + 1 ? word : spelling);
		rest = s[1] == '=' ? s + 2 : s[1] && opt_has_value(o) ? s + 1 : NULL;
		if (rest || opt_has_value(o))
			return take_value(p, o, rest, spelling);
		if (set_flag(p, o, NULL) < 0)
			return -EINVAL;
	}
	return 0;
}

static int parse_option(struct parser *p, char *word)
{
	bool two = word[1] == '-';
	const char *name = word + 1 + two;
	size_t len = strcspn(name, "=");
	const struct opt *o;
	char spelling[64];

	if (two && str_eq(name, "help")) {
		p->words->help = true;
		return 0;
	}
	/* With one dash a long name must be longer than the short form that it could be taken for.
	 */
	o = two || len > 1 ? find_long(p->opts, name, len) : NULL;
	if (!o && !two)
		return str_eq(name, "help") ? (p->words->help = true, 0) : parse_letters(p, word);
	if (!o)
		return usage_error(p, "unknown option: %s", word);
	snprintf(spelling, sizeof(spelling), "--%s", o->name);
	return take_value(p, o, name[len] == '=' ? word + 1 + two + len + 1 : NULL, spelling);
}

/* All that is left are words. */
static int take_rest(struct parser *p, enum opt_order order)
{
	struct opt_words *w = p->words;

	if (order == OPT_BEFORE && w->n == 1 && p->next < p->n && p->argv[p->next][0] == '-') {
		if (!str_eq(p->argv[p->next], "--"))
			return usage_error(p,
					   "options stand before the ID: %s (write -- before a "
					   "command that begins with a dash)",
					   p->argv[p->next]);
		p->next++;
	}
	while (p->next < p->n)
		w->v[w->n++] = p->argv[p->next++];
	return 0;
}

int opt_parse(const char *who, const struct opt *opts, enum opt_order order, char **argv, size_t n,
	      void *into, struct opt_words *words, struct err *e)
{
	struct parser p = {
		.who = who, .opts = opts, .argv = argv, .n = n, .into = into, .words = words, .e = e
	};
	int r = 0;

	*words = (struct opt_words){ .v = argv };
	while (r == 0 && p.next < n && !words->help) {
		char *word = argv[p.next++];

		if (str_eq(word, "--") && order == OPT_BEFORE && words->n == 0 && p.next < n) {
			words->v[words->n++] = argv[p.next++];
			r = take_rest(&p, order);
		} else if (str_eq(word, "--")) {
			r = take_rest(&p, OPT_FIRST);
		} else if (word[0] == '-' && word[1]) {
			r = parse_option(&p, word);
		} else {
			words->v[words->n++] = word;
			if (order != OPT_MIXED)
				r = take_rest(&p, order);
		}
	}
	words->v[words->n] = NULL;
	return r;
}

void opt_free(const struct opt *opts, void *into)
{
	for (; opts->name; opts++) {
		struct spec_strings *l = (struct spec_strings *)((char *)into + opts->at);

		if (opts->kind != OPT_STRINGS)
			continue;
		free(l->v);
		*l = (struct spec_strings){};
	}
}

#define USAGE_COLUMN 30

void opt_usage(struct str_buf *b, const struct opt *opts)
{
	for (; opts->name; opts++) {
		size_t start = b->len, width;

		if (opts->letter)
			str_buf_addf(b, "  -%c, --%s", opts->letter, opts->name);
		else
			str_buf_addf(b, "      --%s", opts->name);
		if (opts->arg)
			str_buf_addf(b, " %s", opts->arg);
		width = b->len - start;
		if (width + 2 > USAGE_COLUMN)
			str_buf_addf(b, "\n%*s%s\n", USAGE_COLUMN, "", opts->help);
		else
			str_buf_addf(b, "%*s%s\n", (int)(USAGE_COLUMN - width), "", opts->help);
	}
}
