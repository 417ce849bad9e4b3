/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/str.h"
#include "oci/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <cmocka.h>

struct doc {
	struct arena arena;
	struct json *root;
	struct err e;
};

static int parse_n(struct doc *d, const char *text, size_t len)
{
	memset(d, 0, sizeof(*d));
	return json_parse(&d->arena, "x.json", text, len, &d->root, &d->e);
}

static int parse(struct doc *d, const char *text)
{
	return parse_n(d, text, strlen(text));
}

/* Refused with exactly this message. */
static void refused(const char *text, const char *message)
{
	struct doc d;

	assert_int_equal(parse(&d, text), -EINVAL);
	assert_string_equal(d.e.msg, message);
	assert_null(d.root);
	arena_free(&d.arena);
}

static void values(void **state)
{
	struct doc d;
	const struct json *a;

	(void)state;
	assert_int_equal(
		parse(&d, "{\"a\": [null, true, false, -1.50e3, \"x\\ty\\u00e9\", {}, []]}"), 0);
	assert_int_equal(d.root->type, JSON_OBJECT);
	a = json_get(d.root, "a");
	assert_non_null(a);
	assert_int_equal(a->n, 7);
	assert_int_equal(a->items[0]->type, JSON_NULL);
	assert_true(a->items[1]->type == JSON_BOOL && a->items[1]->boolean);
	assert_true(a->items[2]->type == JSON_BOOL && !a->items[2]->boolean);
	assert_int_equal(a->items[3]->type, JSON_NUMBER);
	assert_string_equal(a->items[3]->text, "-1.50e3");
	assert_string_equal(a->items[4]->text, "x\ty\xc3\xa9");
	assert_true(a->items[5]->type == JSON_OBJECT && a->items[5]->n == 0);
	assert_true(a->items[6]->type == JSON_ARRAY && a->items[6]->n == 0);
	arena_free(&d.arena);
}

static void members(void **state)
{
	struct doc d;

	(void)state;
	assert_int_equal(parse(&d, "{\"a\": null, \"b\": 1, \"\": 2}"), 0);
	assert_null(json_get(d.root, "a"));
	assert_null(json_get(d.root, "c"));
	assert_string_equal(json_get(d.root, "b")->text, "1");
	assert_string_equal(json_get(d.root, "")->text, "2");
	arena_free(&d.arena);
}

static void numbers_keep_their_text(void **state)
{
	struct doc d;

	(void)state;
	assert_int_equal(parse(&d, "[123456789012345678901234567890, 0.1, -0]"), 0);
	assert_string_equal(d.root->items[0]->text, "123456789012345678901234567890");
	assert_string_equal(d.root->items[1]->text, "0.1");
	assert_string_equal(d.root->items[2]->text, "-0");
	arena_free(&d.arena);
}

static void unicode(void **state)
{
	struct doc d;

	(void)state;
	assert_int_equal(
		parse(&d,
		      "[\"\\ud83d\\ude00\", \"\xf0\x9f\x98\x80\", \"\\\\ud800\", \"\\\"\\ud83d\\ude00\"]"),
		0);
	assert_string_equal(d.root->items[0]->text, "\xf0\x9f\x98\x80");
	assert_string_equal(d.root->items[1]->text, "\xf0\x9f\x98\x80");
	assert_string_equal(d.root->items[2]->text, "\\ud800");
	arena_free(&d.arena);
	refused("[\"a\\ud83d\"]", "x.json:1:4: half of a surrogate pair");
	refused("[\"\\ud83d\\u0041\"]", "x.json:1:3: half of a surrogate pair");
	refused("[1, \"\xf4\x90\x80\x80\"]", "x.json: [1]: invalid UTF-8");
	refused("[\"\xe0\x80\xaf\"]", "x.json: [0]: invalid UTF-8");
}

/* The place is the last character of the token that the parser could not use. */
static void syntax(void **state)
{
	(void)state;
	refused("{\n  \"a\": 1,\n  \"b\" 2\n}",
		"x.json:3:7: parse error: object key and value must be separated by a colon (':')");
	refused("[1,]", "x.json:1:4: parse error: unallowed token at this point in JSON text");
	refused("[1] x", "x.json:1:5: parse error: trailing garbage");
	refused("[1] {", "x.json:1:5: parse error: trailing garbage");
	/* what would be the beginning of something */
	refused("[1] \"abc", "x.json:1:5: parse error: trailing garbage");
	refused("[1]\n tru", "x.json:2:2: parse error: trailing garbage");
	refused("{} -", "x.json:1:4: parse error: trailing garbage");
	refused("\"a\"\"b\\ud961", "x.json:1:4: parse error: trailing garbage");
	refused("  ", "x.json:1:3: parse error: premature EOF");
	refused("[1", "x.json:1:3: parse error: premature EOF");
}

static void duplicates(void **state)
{
	(void)state;
	refused("{\"a\": {\"b\": [{\"c\": 1, \"d\": 2, \"c\": 3}]}}",
		"x.json: a.b[0].c: duplicate key");
	refused("{\"\": 1, \"\": 2}", "x.json: [\"\"]: duplicate key");
	refused("[[], [{\"a.b\": 1, \"a.b\": 2}]]", "x.json: [1][0][\"a.b\"]: duplicate key");
}

/* n members "k0" ..., the last once more when asked. */
static char *many_keys(size_t n, bool twice)
{
	struct str_buf b = { 0 };

	str_buf_add(&b, "{");
	for (size_t i = 0; i < n; i++)
		str_buf_addf(&b, "%s\"k%zu\":1", i ? "," : "", i);
	if (twice)
		str_buf_addf(&b, ",\"k%zu\":1", n / 2);
	str_buf_add(&b, "}");
	return b.s;
}

/* Comparing all pairs of 200000 keys would take minutes. */
static void duplicates_among_many(void **state)
{
	AUTO_FREE char *good = many_keys(200000, false), *bad = many_keys(200000, true);
	struct timespec a, b;
	struct doc d;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_int_equal(parse(&d, good), 0);
	assert_int_equal(d.root->n, 200000);
	arena_free(&d.arena);
	refused(bad, "x.json: k100000: duplicate key");
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true(b.tv_sec - a.tv_sec < 10);
}

static char *nested(size_t depth)
{
	char *s = malloc(2 * depth + 1);

	memset(s, '[', depth);
	memset(s + depth, ']', depth);
	s[2 * depth] = '\0';
	return s;
}

static void depth(void **state)
{
	AUTO_FREE char *most = nested(JSON_MAX_DEPTH), *more = nested(JSON_MAX_DEPTH + 1);
	AUTO_FREE char *huge = nested(1000000);
	struct doc d;

	(void)state;
	assert_int_equal(parse(&d, most), 0);
	arena_free(&d.arena);
	assert_int_equal(parse(&d, more), -EINVAL);
	assert_true(str_ends(d.e.msg, "[0][0]: nested too deeply"));
	arena_free(&d.arena);
	assert_int_equal(parse(&d, huge), -EINVAL);
	arena_free(&d.arena);
}

static void too_many_values(void **state)
{
	size_t n = JSON_MAX_VALUES; /* and the array itself: one too many */
	AUTO_FREE char *s = malloc(2 * n + 2);
	struct doc d;

	(void)state;
	for (size_t i = 0; i < n; i++)
		memcpy(s + 2 * i, i ? ",1" : "[1", 2);
	memcpy(s + 2 * n, "]", 2);
	assert_int_equal(parse(&d, s), -EFBIG);
	assert_string_equal(d.e.msg, "x.json: [1048575]: too many values in the document");
	arena_free(&d.arena);
	memcpy(s + 2 * n - 2, "]", 2);
	assert_int_equal(parse(&d, s), 0);
	assert_int_equal(d.root->n, n - 1);
	arena_free(&d.arena);
}

/* Whatever is cut off or overwritten: a clean refusal or a valid document, never a crash. */
static void mangled(void **state)
{
	static const char text[] =
		"{\"a\": [1, -2.5e+7, \"x\\u00e9\\\\\", {\"b\": null}], \"c\": true}";
	struct doc d;

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		char copy[sizeof(text)];

		assert_int_equal(parse_n(&d, text, i), -EINVAL);
		arena_free(&d.arena);
		for (int c = 0; c < 256; c++) {
			int r;

			memcpy(copy, text, sizeof(text));
			copy[i] = (char)c;
			r = parse_n(&d, copy, sizeof(copy) - 1);
			assert_true(r == 0 ? d.root != NULL : r == -EINVAL && *d.e.msg);
			arena_free(&d.arena);
		}
	}
}

static void paths(void **state)
{
	struct json_path p = { 0 };
	char key[200];

	(void)state;
	json_path_key(&p, "linux");
	json_path_key(&p, "devices");
	json_path_index(&p, 12);
	json_path_key(&p, "a b");
	json_path_key(&p, "x-y_9");
	assert_string_equal(p.s, "linux.devices[12][\"a b\"].x-y_9");
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	p = (struct json_path){ 0 };
	json_path_key(&p, key);
	assert_int_equal(p.len, 64);
	assert_true(str_ends(p.s, "k..."));
	for (int i = 0; i < 20; i++)
		json_path_key(&p, key);
	assert_int_equal(p.len, sizeof(p.s) - 1);
	assert_int_equal(strlen(p.s), p.len);
}

static void type_names(void **state)
{
	(void)state;
	assert_string_equal(json_type_name(JSON_NULL), "null");
	assert_string_equal(json_type_name(JSON_BOOL), "a boolean");
	assert_string_equal(json_type_name(JSON_NUMBER), "a number");
	assert_string_equal(json_type_name(JSON_STRING), "a string");
	assert_string_equal(json_type_name(JSON_ARRAY), "an array");
	assert_string_equal(json_type_name(JSON_OBJECT), "an object");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(members),
		cmocka_unit_test(numbers_keep_their_text),
		cmocka_unit_test(unicode),
		cmocka_unit_test(syntax),
		cmocka_unit_test(duplicates),
		cmocka_unit_test(duplicates_among_many),
		cmocka_unit_test(depth),
		cmocka_unit_test(too_many_values),
		cmocka_unit_test(mangled),
		cmocka_unit_test(paths),
		cmocka_unit_test(type_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
