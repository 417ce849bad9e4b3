/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the text, no recursion: the three levels that a value can have are three functions.
 */
#include "cgroups/cg_value.h"

#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEAVES_MAX 4096

struct parser {
	struct arena *a;
	const char *start, *p;
	const char *why;
	struct cg_value *out;
	size_t cap;
	bool fixed; /* out->types is known: by an annotation or the first element */
};

static int bad(struct parser *s, const char *why)
{
	s->why = why;
	return -EINVAL;
}

static void blanks(struct parser *s)
{
	s->p += strspn(s->p, " \t\n\r");
}

static bool eat(struct parser *s, char c)
{
	blanks(s);
	if (*s->p != c)
		return false;
	s->p++;
	return true;
}

/* The word at p, when it is this one. */
static bool eat_word(struct parser *s, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(s->p, word, n) != 0 || isalnum((unsigned char)s->p[n]))
		return false;
	s->p += n;
	return true;
}

static int put(struct parser *s, union cg_leaf leaf)
{
	struct cg_value *o = s->out;

	if (o->n == LEAVES_MAX)
		return bad(s, "too many elements");
	if (o->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 4;
		union cg_leaf *v = arena_array(s->a, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		if (o->n)
			memcpy(v, o->v, o->n * sizeof(*v));
		o->v = v;
		s->cap = cap;
	}
	o->v[o->n++] = leaf;
	return 0;
}

/* ---- strings ---- */

static size_t utf8(uint32_t c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* \uXXXX and \UXXXXXXXX; p is behind the letter. */
static int unicode(struct parser *s, int digits, char **to)
{
	uint32_t c = 0;

	for (int i = 0; i < digits; i++, s->p++) {
		static const char hex[] = "0123456789abcdef";
		const char *d = *s->p ? strchr(hex, tolower((unsigned char)*s->p)) : NULL;

		if (!d)
			return bad(s, "a \\u escape needs hexadecimal digits");
		c = c << 4 | (uint32_t)(d - hex);
	}
	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return bad(s, "not a character");
	*to += utf8(c, *to);
	return 0;
}

static int escape(struct parser *s, char **to)
{
	static const char from[] = "abfnrtv", into[] = "\a\b\f\n\r\t\v";
	char c = *s->p;
	const char *f;

	if (!c)
		return bad(s, "the string does not end");
	s->p++;
	if (c == 'u' || c == 'U')
		return unicode(s, c == 'u' ? 4 : 8, to);
	f = strchr(from, c);
	*(*to)++ = f ? into[f - from] : c;
	return 0;
}

/* Nothing gets longer by being unescaped. */
static int string(struct parser *s, const char **out)
{
	char quote = *s->p++;
	size_t len = 0;
	char *text, *to;

	while (s->p[len] && s->p[len] != quote)
		len += s->p[len] == '\\' && s->p[len + 1] ? 2 : 1;
	text = to = arena_alloc(s->a, len + 1);
	if (!text)
		return -ENOMEM;
	while (*s->p != quote) {
		int r = 0;

		if (!*s->p)
			return bad(s, "the string does not end");
		if (*s->p != '\\') {
			*to++ = *s->p++;
			continue;
		}
		s->p++;
		r = escape(s, &to);
		if (r < 0)
			return r;
	}
	s->p++;
	*to = '\0';
	*out = text;
	return 0;
}

/* ---- numbers ---- */

static const struct int_type {
	char type;
	const char *word;
	int64_t min;
	uint64_t max;
} int_types[] = {
	{ 'y', "byte", 0, UINT8_MAX },    { 'n', "int16", INT16_MIN, INT16_MAX },
	{ 'q', "uint16", 0, UINT16_MAX }, { 'i', "int32", INT32_MIN, INT32_MAX },
	{ 'u', "uint32", 0, UINT32_MAX }, { 'x', "int64", INT64_MIN, INT64_MAX },
	{ 't', "uint64", 0, UINT64_MAX },
};

#define N_INT_TYPES (sizeof(int_types) / sizeof(int_types[0]))

static int real(struct parser *s, const char *text, size_t len, union cg_leaf *leaf)
{
	char *end;

	leaf->d = strtod(text, &end);
	if (end != text + len || !(leaf->d >= -1e300 && leaf->d <= 1e300))
		return bad(s, "not a number");
	return 0;
}

/* Without a type a number is an int32, with a point or an exponent a double. *type in and out. */
static int number(struct parser *s, char *type, union cg_leaf *leaf)
{
	char text[40];
	size_t len = strspn(s->p, "+-.0123456789abcdefABCDEFxX"), k = 0;
	bool hex, neg;
	unsigned long long v;
	char *end;

	if (len == 0 || len >= sizeof(text))
		return bad(s, "not a value");
	memcpy(text, s->p, len);
	text[len] = '\0';
	s->p += len;
	neg = *text == '-';
	hex = strpbrk(text, "xX") != NULL;
	if (*type == 'd' || (!*type && !hex && strpbrk(text, ".eE"))) {
		*type = 'd';
		return real(s, text, len, leaf);
	}
	if (!*type)
		*type = 'i';
	while (k < N_INT_TYPES && int_types[k].type != *type)
		k++;
	if (k == N_INT_TYPES || !isdigit((unsigned char)text[neg]))
		return bad(s, "not of that type");
	errno = 0;
	v = strtoull(text + neg, &end, hex ? 16 : 10);
	if (*end)
		return bad(s, "not a number");
	if (errno || (neg ? v > (uint64_t) - (int_types[k].min + 1) + 1 : v > int_types[k].max) ||
	    (neg && int_types[k].min == 0 && v > 0))
		return bad(s, "the number is out of its type's range (uint64 N is the widest)");
	if (neg)
		leaf->i = (int64_t)(0 - v);
	else
		leaf->u = v;
	return 0;
}

/* ---- one scalar ---- */

static int keyword(struct parser *s, char *type)
{
	static const struct {
		const char *word;
		char type;
	} others[] = { { "boolean", 'b' },
		       { "double", 'd' },
		       { "string", 's' },
		       { "objectpath", 'o' },
		       { "signature", 'g' } };

	if (*s->p == '@') {
		*type = s->p[1];
		if (!*type || !strchr("bynqiuxtdsog", *type) || !strchr(" \t\n", s->p[2]))
			return bad(s, "a type that is not supported here");
		s->p += 2;
	}
	for (size_t i = 0; i < N_INT_TYPES; i++)
		if (eat_word(s, int_types[i].word))
			*type = int_types[i].type;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (eat_word(s, others[i].word))
			*type = others[i].type;
	blanks(s);
	return 0;
}

/* want: the type it must have, or 0. */
static int scalar(struct parser *s, char want, char *type)
{
	union cg_leaf leaf = { 0 };
	int r;

	blanks(s);
	*type = 0;
	r = keyword(s, type);
	if (r < 0)
		return r;
	if (!*type)
		*type = want;
	if (*s->p == '\'' || *s->p == '"') {
		*type = *type ? *type : 's';
		r = strchr("sog", *type) ? string(s, &leaf.s)
					 : bad(s, "a string where another type is wanted");
	} else if (eat_word(s, "true") || eat_word(s, "false")) {
		leaf.u = s->p[-2] == 'u'; /* the u of true, the s of false */
		*type = *type ? *type : 'b';
		r = *type == 'b' ? 0 : bad(s, "a boolean where another type is wanted");
	} else {
		r = number(s, type, &leaf);
	}
	if (r < 0)
		return r;
	if (want && *type != want)
		return bad(s, "elements of different types");
	return put(s, leaf);
}

/* ---- tuples and arrays ---- */

static int add_type(struct parser *s, size_t i, char type)
{
	if (i >= CG_VALUE_TYPES_MAX)
		return bad(s, "a tuple with too many members");
	s->out->types[i] = type;
	return 0;
}

static int tuple(struct parser *s)
{
	size_t i = 0;

	if (!eat(s, '('))
		return bad(s, "a tuple is wanted");
	while (!eat(s, ')')) {
		char type;
		int r;

		if (i && !eat(s, ','))
			return bad(s, "a comma is missing");
		if (i && eat(s, ')'))
			break;
		if (s->fixed && !s->out->types[i])
			return bad(s, "elements of different types");
		r = scalar(s, s->fixed ? s->out->types[i] : 0, &type);
		if (r == 0 && !s->fixed)
			r = add_type(s, i, type);
		if (r < 0)
			return r;
		i++;
	}
	if (i == 0)
		return bad(s, "an empty tuple");
	if (s->out->types[i])
		return bad(s, "elements of different types");
	s->fixed = true;
	return 0;
}

static int element(struct parser *s)
{
	char type;
	int r;

	blanks(s);
	if (s->out->tuple || (!s->fixed && *s->p == '(')) {
		s->out->tuple = true;
		return tuple(s);
	}
	r = scalar(s, s->fixed ? s->out->types[0] : 0, &type);
	if (r == 0 && !s->fixed)
		r = add_type(s, 0, type);
	s->fixed = true;
	return r;
}

static int array(struct parser *s)
{
	bool first = true;

	s->out->array = true;
	while (!eat(s, ']')) {
		int r;

		if (!first && !eat(s, ','))
			return bad(s, "a comma is missing");
		blanks(s);
		if (*s->p == '[')
			return bad(s, "an array of arrays is not supported here");
		r = element(s);
		if (r < 0)
			return r;
		first = false;
	}
	return s->fixed ? 0 : bad(s, "an empty array needs a type, such as @as []");
}

/* "@a(st) " before the whole value. What is no such type is left to the scalars. */
static int annotation(struct parser *s)
{
	struct cg_value *o = s->out;
	size_t i = 0;

	if (s->p[0] != '@' || (s->p[1] != 'a' && s->p[1] != '('))
		return 0;
	s->p++;
	o->array = *s->p == 'a';
	s->p += o->array;
	o->tuple = *s->p == '(';
	s->p += o->tuple;
	while (*s->p && strchr("bynqiuxtdsog", *s->p)) {
		int r = o->tuple || i == 0 ? add_type(s, i++, *s->p)
					   : bad(s, "a type that is not supported here");

		if (r < 0)
			return r;
		s->p++;
	}
	if (i == 0 || (o->tuple && *s->p++ != ')') || !*s->p || !strchr(" \t\n[(", *s->p))
		return bad(s, "a type that is not supported here");
	s->fixed = true;
	blanks(s);
	if (*s->p != (o->array ? '[' : '('))
		return bad(s, "not of that type");
	return 0;
}

/* b'text': bytes with a NUL at the end. */
static int bytes(struct parser *s)
{
	const char *text;
	int r;

	s->p++;
	r = string(s, &text);
	s->out->array = s->fixed = true;
	s->out->types[0] = 'y';
	for (size_t i = 0; r == 0; i++) {
		r = put(s, (union cg_leaf){ .u = (unsigned char)text[i] });
		if (!text[i])
			break;
	}
	return r;
}

int cg_value_parse(struct arena *a, const char *text, struct cg_value *out, const char **why,
		   size_t *at)
{
	struct parser s = { .a = a, .start = text, .p = text, .out = out };
	int r;

	*out = (struct cg_value){ 0 };
	blanks(&s);
	r = annotation(&s);
	if (r == 0 && eat(&s, '['))
		r = array(&s);
	else if (r == 0 && s.p[0] == 'b' && (s.p[1] == '\'' || s.p[1] == '"'))
		r = bytes(&s);
	else if (r == 0)
		r = element(&s);
	blanks(&s);
	if (r == 0 && *s.p)
		r = bad(&s, "something follows the value");
	*why = s.why;
	*at = (size_t)(s.p - s.start);
	return r;
}
