/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "oci/json.h"
#include "oci/json_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void everything(struct json_out *j)
{
	json_out_object(j);
	json_out_kstr(j, "a", "x");
	json_out_ki64(j, "b", INT64_MIN);
	json_out_ku64(j, "c", UINT64_MAX);
	json_out_kbool(j, "d", true);
	json_out_kstr(j, "e", NULL);
	json_out_key(j, "f");
	json_out_array(j);
	json_out_i64(j, 1);
	json_out_array(j);
	json_out_end_array(j);
	json_out_object(j);
	json_out_kbool(j, "g", false);
	json_out_end_object(j);
	json_out_raw(j, "{}");
	json_out_end_array(j);
	json_out_key(j, "h");
	json_out_object(j);
	json_out_end_object(j);
	json_out_end_object(j);
}

static void compact(void **state)
{
	AUTO(json_out_free) struct json_out j = { 0 };

	(void)state;
	everything(&j);
	assert_false(j.buf.failed);
	assert_string_equal(j.buf.s,
			    "{\"a\":\"x\",\"b\":-9223372036854775808,\"c\":18446744073709551615,"
			    "\"d\":true,\"e\":null,\"f\":[1,[],{\"g\":false},{}],\"h\":{}}");
}

static void indented(void **state)
{
	AUTO(json_out_free) struct json_out j = { .indent = 2 };

	(void)state;
	everything(&j);
	assert_string_equal(j.buf.s, "{\n"
				     "  \"a\": \"x\",\n"
				     "  \"b\": -9223372036854775808,\n"
				     "  \"c\": 18446744073709551615,\n"
				     "  \"d\": true,\n"
				     "  \"e\": null,\n"
				     "  \"f\": [\n"
				     "    1,\n"
				     "    [],\n"
				     "    {\n"
				     "      \"g\": false\n"
				     "    },\n"
				     "    {}\n"
				     "  ],\n"
				     "  \"h\": {}\n"
				     "}");
}

static void string(const char *in, const char *out)
{
	AUTO(json_out_free) struct json_out j = { 0 };

	json_out_str(&j, in);
	assert_string_equal(j.buf.s, out);
}

static void strings(void **state)
{
	(void)state;
	string("", "\"\"");
	string("a\"b\\c/d", "\"a\\\"b\\\\c/d\"");
	string("\b\f\n\r\t\x01\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\"");
	string("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
}

#define BAD "\xef\xbf\xbd"

static void invalid_utf8(void **state)
{
	(void)state;
	string("a\xff"
	       "b",
	       "\"a" BAD "b\"");
	string("\xc3", "\"" BAD "\"");
	string("\xc0\xaf", "\"" BAD BAD "\"");
	string("\xe0\x80\xaf", "\"" BAD BAD BAD "\"");
	string("\xed\xa0\x80", "\"" BAD BAD BAD "\"");
	string("\xf4\x90\x80\x80", "\"" BAD BAD BAD BAD "\"");
	string("\xe2\x82", "\"" BAD BAD "\"");
	string("\x80", "\"" BAD "\"");
	string("\xed\x9f\xbf\xf4\x8f\xbf\xbf", "\"\xed\x9f\xbf\xf4\x8f\xbf\xbf\"");
}

/* Every byte at every place: what comes out is JSON that our own parser takes. */
static void any_bytes_parse(void **state)
{
	(void)state;
	for (int a = 1; a < 256; a++) {
		for (int b = 0; b < 256; b++) {
			char text[] = { (char)a, (char)b, 'x', '\0' };
			AUTO(json_out_free) struct json_out j = { 0 };
			struct arena arena = { 0 };
			struct json *root = NULL;
			struct err e = { 0 };

			json_out_array(&j);
			json_out_str(&j, text);
			json_out_end_array(&j);
			assert_int_equal(json_parse(&arena, "x", j.buf.s, j.buf.len, &root, &e), 0);
			arena_free(&arena);
		}
	}
}

static void keys_are_escaped(void **state)
{
	AUTO(json_out_free) struct json_out j = { 0 };

	(void)state;
	json_out_object(&j);
	json_out_kstr(&j, "a\"\n", "b");
	json_out_end_object(&j);
	assert_string_equal(j.buf.s, "{\"a\\\"\\n\":\"b\"}");
}

static void too_deep_fails(void **state)
{
	AUTO(json_out_free) struct json_out j = { 0 };

	(void)state;
	for (int i = 0; i < JSON_OUT_MAX_DEPTH; i++)
		json_out_array(&j);
	assert_false(j.buf.failed);
	json_out_array(&j);
	assert_true(j.buf.failed);
}

static void unbalanced_fails(void **state)
{
	AUTO(json_out_free) struct json_out j = { 0 };

	(void)state;
	json_out_end_object(&j);
	assert_true(j.buf.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compact),         cmocka_unit_test(indented),
		cmocka_unit_test(strings),         cmocka_unit_test(invalid_utf8),
		cmocka_unit_test(any_bytes_parse), cmocka_unit_test(keys_are_escaped),
		cmocka_unit_test(too_deep_fails),  cmocka_unit_test(unbalanced_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
