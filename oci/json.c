/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree is built from yajl's callbacks on one stack of values: a container notes where its
 * members begin and takes them off as one array when it closes. Nothing here recurses, and yajl
 * does not either.
 */
#include "oci/json.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

/* Below this many keys comparing all pairs is quicker than sorting. */
#define FEW_KEYS 12

struct frame {
	struct json *node;
	size_t base;     /* first own value on the stack */
	const char *key; /* of the member that is being read; NULL in an array */
};

struct parser {
	struct arena *arena;
	const char *what;
	struct err *e;
	const struct json_report *report; /* NULL: the first mistake ends it */
	int rc;                           /* what a callback refused, already in *e */
	struct json *root;
	struct frame frames[JSON_MAX_DEPTH];
	size_t depth;
	struct json **values;
	const char **keys; /* beside values */
	size_t n, cap, total;
};

const char *json_type_name(enum json_type type)
{
	static const char *const names[] = {
		[JSON_NULL] = "null",       [JSON_BOOL] = "a boolean", [JSON_NUMBER] = "a number",
		[JSON_STRING] = "a string", [JSON_ARRAY] = "an array", [JSON_OBJECT] = "an object",
	};

	return names[type];
}

/* ---- places ---- */

static void path_add(struct json_path *p, const char *s, size_t n)
{
	if (n > sizeof(p->s) - 1 - p->len)
		n = sizeof(p->s) - 1 - p->len;
	memcpy(p->s + p->len, s, n);
	p->len += n;
	p->s[p->len] = '\0';
}

static bool plain_key(const char *key)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	return *key && key[strspn(key, plain)] == '\0';
}

void json_path_key(struct json_path *p, const char *key)
{
	size_t n = strnlen(key, 65);
	bool cut = n > 64, plain = plain_key(key);

	if (plain && p->len)
		path_add(p, ".", 1);
	else if (!plain)
		path_add(p, "[\"", 2);
	path_add(p, key, cut ? 61 : n);
	if (cut)
		path_add(p, "...", 3);
	if (!plain)
		path_add(p, "\"]", 2);
}

void json_path_index(struct json_path *p, size_t index)
{
	char buf[32];
	int n = snprintf(buf, sizeof(buf), "[%zu]", index);

	path_add(p, buf, (size_t)n);
}

/* Where the parser is now; with key, that member of the innermost object. */
static void place(const struct parser *p, const char *key, struct json_path *path)
{
	for (size_t i = 0; i < p->depth; i++) {
		const struct frame *f = &p->frames[i];
		size_t end = i + 1 < p->depth ? p->frames[i + 1].base - 1 : p->n;

		if (i + 1 == p->depth && key)
			json_path_key(path, key);
		else if (f->node->type == JSON_ARRAY)
			json_path_index(path, end - f->base);
		else if (f->key)
			json_path_key(path, f->key);
	}
}

static int refuse(struct parser *p, int code, const char *key, const char *reason)
{
	struct json_path path = { 0 };

	place(p, key, &path);
	if (path.len)
		p->rc = err_set(p->e, code, "%s: %s: %s", p->what, path.s, reason);
	else
		p->rc = err_set(p->e, code, "%s: %s", p->what, reason);
	return 0; /* tells yajl to stop */
}

/* For what does not keep the rest from being read. */
static int complain(struct parser *p, const char *key, const char *reason)
{
	struct json_path path = { 0 };

	if (!p->report)
		return refuse(p, EINVAL, key, reason);
	place(p, key, &path);
	p->report->fn(p->report->arg, path.s, reason);
	return 1;
}

static int no_memory(struct parser *p)
{
	p->rc = err_sys(p->e, ENOMEM, "%s", p->what);
	return 0;
}

/* ---- strings ---- */

/* The length of the UTF-8 sequence at s, 0 when there is none: no overlong forms, no surrogates. */
static size_t utf8_len(const unsigned char *s, size_t left)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	n = s[0] >= 0xf0 && s[0] < 0xf8 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc0 ? 2 : 0;
	if (s[0] >= 0xf8 || n == 0 || n > left)
		return 0;
	c = s[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : n;
}

static bool utf8_valid(const unsigned char *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t k = utf8_len(s + i, n - i);

		if (!k)
			return false;
		i += k;
	}
	return true;
}

/* A copy in the arena, or NULL with the refusal set. */
static const char *take_string(struct parser *p, const unsigned char *s, size_t n)
{
	const char *copy;

	if (memchr(s, '\0', n))
		return complain(p, NULL, "string with a NUL character") ? "" : NULL;
	if (!utf8_valid(s, n))
		return complain(p, NULL, "invalid UTF-8") ? "" : NULL;
	copy = arena_strndup(p->arena, (const char *)s, n);
	if (!copy)
		no_memory(p);
	return copy;
}

/* ---- values ---- */

static bool grow(struct parser *p)
{
	size_t cap = p->cap ? p->cap * 2 : 256;
	void *v;

	if (p->n < p->cap)
		return true;
	v = realloc(p->values, cap * sizeof(*p->values));
	if (!v)
		return false;
	p->values = v;
	v = realloc(p->keys, cap * sizeof(*p->keys));
	if (!v)
		return false;
	p->keys = v;
	p->cap = cap;
	return true;
}

static struct json *add(struct parser *p, enum json_type type)
{
	struct json *v;

	if (++p->total > JSON_MAX_VALUES) {
		refuse(p, EFBIG, NULL, "too many values in the document");
		return NULL;
	}
	v = arena_alloc(p->arena, sizeof(*v));
	if (!v || !grow(p)) {
		no_memory(p);
		return NULL;
	}
	v->type = type;
	if (p->depth == 0) {
		p->root = v;
	} else {
		p->values[p->n] = v;
		p->keys[p->n] = p->frames[p->depth - 1].key;
		p->n++;
	}
	return v;
}

static int on_null(void *ctx)
{
	return add(ctx, JSON_NULL) != NULL;
}

static int on_bool(void *ctx, int value)
{
	struct json *v = add(ctx, JSON_BOOL);

	if (v)
		v->boolean = value;
	return v != NULL;
}

static int on_number(void *ctx, const char *s, size_t n)
{
	struct parser *p = ctx;
	struct json *v = add(p, JSON_NUMBER);

	if (!v)
		return 0;
	v->text = arena_strndup(p->arena, s, n);
	return v->text ? 1 : no_memory(p);
}

static int on_string(void *ctx, const unsigned char *s, size_t n)
{
	struct parser *p = ctx;
	const char *text = take_string(p, s, n);
	struct json *v = text ? add(p, JSON_STRING) : NULL;

	if (v)
		v->text = text;
	return v != NULL;
}

static int on_key(void *ctx, const unsigned char *s, size_t n)
{
	struct parser *p = ctx;
	struct frame *f = &p->frames[p->depth - 1];

	f->key = NULL; /* what is wrong with a key is wrong with its object */
	f->key = take_string(p, s, n);
	if (f->key && n && !*f->key)
		f->key = "\xef\xbf\xbd"; /* it was complained about: not an empty one */
	return f->key != NULL;
}

static int open_container(struct parser *p, enum json_type type)
{
	struct json *v;

	if (p->depth == JSON_MAX_DEPTH)
		return refuse(p, EINVAL, NULL, "nested too deeply");
	v = add(p, type);
	if (!v)
		return 0;
	p->frames[p->depth++] = (struct frame){ .node = v, .base = p->n };
	return 1;
}

static int on_object(void *ctx)
{
	return open_container(ctx, JSON_OBJECT);
}

static int on_array(void *ctx)
{
	return open_container(ctx, JSON_ARRAY);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A key that occurs twice among the n, or NULL. sorted is room for n pointers when n > FEW_KEYS. */
static const char *duplicate(const char **keys, size_t n, const char **sorted)
{
	if (n <= FEW_KEYS) {
		for (size_t i = 1; i < n; i++)
			for (size_t k = 0; k < i; k++)
				if (keys[i][0] == keys[k][0] && strcmp(keys[i], keys[k]) == 0)
					return keys[i];
		return NULL;
	}
	memcpy(sorted, keys, n * sizeof(*keys));
	qsort(sorted, n, sizeof(*sorted), by_text);
	for (size_t i = 1; i < n; i++)
		if (strcmp(sorted[i - 1], sorted[i]) == 0)
			return sorted[i];
	return NULL;
}

static int check_keys(struct parser *p, const struct json *o)
{
	AUTO_FREE const char **sorted = NULL;
	const char *twice;

	if (o->n > FEW_KEYS) {
		sorted = calloc(o->n, sizeof(*sorted));
		if (!sorted)
			return no_memory(p);
	}
	twice = duplicate(o->keys, o->n, sorted);
	return twice ? complain(p, twice, "duplicate key") : 1;
}

static int on_close(void *ctx)
{
	struct parser *p = ctx;
	struct frame *f = &p->frames[p->depth - 1];
	struct json *v = f->node;

	v->n = p->n - f->base;
	if (v->n) {
		v->items = arena_array(p->arena, v->n, sizeof(*v->items));
		if (!v->items)
			return no_memory(p);
		memcpy(v->items, p->values + f->base, v->n * sizeof(*v->items));
	}
	if (v->n && v->type == JSON_OBJECT) {
		v->keys = arena_array(p->arena, v->n, sizeof(*v->keys));
		if (!v->keys)
			return no_memory(p);
		memcpy(v->keys, p->keys + f->base, v->n * sizeof(*v->keys));
		if (!check_keys(p, v))
			return 0;
	}
	p->n = f->base;
	p->depth--;
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_bool,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_map_key = on_key,
	.yajl_start_map = on_object,
	.yajl_end_map = on_close,
	.yajl_start_array = on_array,
	.yajl_end_array = on_close,
};

/* ---- the document ---- */

static int syntax(struct parser *p, const char *text, size_t at, const char *reason)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < at; i++) {
		column++;
		if (text[i] == '\n') {
			line++;
			column = 1;
		}
	}
	return err_set(p->e, EINVAL, "%s:%zu:%zu: %s", p->what, line, column, reason);
}

/* at: where in the text the parser stopped. */
static int yajl_failed(struct parser *p, yajl_handle h, yajl_status status, const char *text,
		       size_t len, size_t at)
{
	unsigned char *msg;
	int r;

	if (status == yajl_status_client_canceled)
		return p->rc;
	msg = yajl_get_error(h, 0, (const unsigned char *)text, len);
	if (!msg)
		return err_sys(p->e, ENOMEM, "%s", p->what);
	msg[strcspn((char *)msg, "\n")] = '\0';
	r = syntax(p, text, at, (char *)msg);
	yajl_free_error(h, msg);
	return r;
}

static int hex4(const char *s)
{
	int v = 0;

	for (int i = 0; i < 4; i++) {
		int c = s[i] | 0x20;

		v = v << 4 | (c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return v;
}

/*
 * yajl turns half of a surrogate pair into a question mark. A name that silently becomes another
 * one has no place here. The text has passed the parser: every escape in it is complete.
 */
static int check_surrogates(struct parser *p, const char *text, size_t len)
{
	const char *end = text + len, *s = text;

	while ((s = memchr(s, '\\', (size_t)(end - s)))) {
		int c = s[1] == 'u' ? hex4(s + 2) : 0;
		bool pair = c >= 0xd800 && c < 0xdc00 && s[6] == '\\' && s[7] == 'u' &&
			    hex4(s + 8) >= 0xdc00 && hex4(s + 8) < 0xe000;

		if (c >= 0xd800 && c < 0xe000 && !pair)
			return syntax(p, text, (size_t)(s - text), "half of a surrogate pair");
		s += pair ? 12 : s[1] == 'u' ? 6 : 2;
	}
	return 0;
}

/* Behind the document, which ends at `at`, is nothing. */
static int check_end(struct parser *p, const char *text, size_t at, size_t len)
{
	while (at < len && strchr(" \t\r\n", text[at]) && text[at])
		at++;
	return at < len ? syntax(p, text, at, "parse error: trailing garbage") : 0;
}

static void cleanup_yajl(yajl_handle *h)
{
	if (*h)
		yajl_free(*h);
}

int json_parse_all(struct arena *a, const char *what, const char *text, size_t len,
		   const struct json_report *report, struct json **out, struct err *e)
{
	struct parser p = { .arena = a, .what = what, .e = e, .report = report, .rc = -EINVAL };
	AUTO(cleanup_yajl) yajl_handle h = yajl_alloc(&callbacks, NULL, &p);
	yajl_status status;
	size_t at = len; /* yajl_complete_parse counts in a text of its own */
	size_t rest;
	int r;

	/* What comes behind is looked at here: yajl lets half a word pass. */
	if (!h || !yajl_config(h, yajl_allow_trailing_garbage, 1))
		return err_sys(e, ENOMEM, "%s", what);
	status = yajl_parse(h, (const unsigned char *)text, len);
	rest = yajl_get_bytes_consumed(h);
	if (status == yajl_status_ok)
		status = yajl_complete_parse(h);
	else if (yajl_get_bytes_consumed(h) > 0)
		at = yajl_get_bytes_consumed(h) - 1; /* it counts the character that stopped it */
	if (status != yajl_status_ok)
		r = yajl_failed(&p, h, status, text, len, at);
	else
		r = check_end(&p, text, rest, len);
	if (r == 0)
		r = check_surrogates(&p, text, len);
	free(p.values);
	free(p.keys);
	if (r < 0)
		return r;
	*out = p.root;
	return 0;
}

int json_parse(struct arena *a, const char *what, const char *text, size_t len, struct json **out,
	       struct err *e)
{
	return json_parse_all(a, what, text, len, NULL, out, e);
}

const struct json *json_get(const struct json *o, const char *key)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->keys[i][0] == key[0] && strcmp(o->keys[i], key) == 0)
			return o->items[i]->type == JSON_NULL ? NULL : o->items[i];
	return NULL;
}
