/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/json_out.h"

#include <stdio.h>

static void newline(struct json_out *j)
{
	if (!j->indent)
		return;
	str_buf_add(&j->buf, "\n");
	for (int i = 0; i < j->depth * j->indent; i++)
		str_buf_addn(&j->buf, " ", 1);
}

/* What stands in front of every value or key: a comma unless it is the first, and its own line. */
static void before(struct json_out *j)
{
	if (j->after_key) {
		j->after_key = false;
		return;
	}
	if (j->depth == 0)
		return;
	if (!j->first[j->depth - 1])
		str_buf_addn(&j->buf, ",", 1);
	j->first[j->depth - 1] = false;
	newline(j);
}

static void enter(struct json_out *j, const char *bracket)
{
	before(j);
	str_buf_add(&j->buf, bracket);
	if (j->depth == JSON_OUT_MAX_DEPTH) {
		j->buf.failed = true;
		return;
	}
	j->first[j->depth++] = true;
}

static void leave(struct json_out *j, const char *bracket)
{
	if (j->depth == 0) {
		j->buf.failed = true;
		return;
	}
	if (!j->first[--j->depth])
		newline(j);
	str_buf_add(&j->buf, bracket);
}

void json_out_object(struct json_out *j)
{
	enter(j, "{");
}

void json_out_end_object(struct json_out *j)
{
	leave(j, "}");
}

void json_out_array(struct json_out *j)
{
	enter(j, "[");
}

void json_out_end_array(struct json_out *j)
{
	leave(j, "]");
}

/* The length of the valid UTF-8 sequence at s (terminated string), or 0. */
static size_t sequence(const unsigned char *s)
{
	unsigned char least = 0x80, most = 0xbf;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	/* The second byte's range excludes overlong forms, surrogates and what is beyond U+10FFFF.
	 */
	if (s[0] == 0xe0)
		least = 0xa0;
	else if (s[0] == 0xed)
		most = 0x9f;
	else if (s[0] == 0xf0)
		least = 0x90;
	else if (s[0] == 0xf4)
		most = 0x8f;
	if (s[1] < least || s[1] > most)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* Writes what needs care at s and returns how many bytes of s that was. */
static size_t escape(struct str_buf *b, const unsigned char *s)
{
	static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";
	size_t n = sequence(s);

	if (n > 1) {
		str_buf_addn(b, (const char *)s, n);
		return n;
	}
	if (n == 0) {
		str_buf_add(b, "\xef\xbf\xbd");
		return 1;
	}
	for (const char *p = shorts; *p; p += 2) {
		if (*p == (char)*s) {
			str_buf_addn(b, "\\", 1);
			str_buf_addn(b, p + 1, 1);
			return 1;
		}
	}
	str_buf_addf(b, "\\u%04x", *s);
	return 1;
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void quote(struct str_buf *b, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	str_buf_addn(b, "\"", 1);
	while (*s) {
		size_t n = 0;

		while (is_plain(s[n]))
			n++;
		if (n)
			str_buf_addn(b, (const char *)s, n);
		s += n;
		if (*s)
			s += escape(b, s);
	}
	str_buf_addn(b, "\"", 1);
}

void json_out_key(struct json_out *j, const char *key)
{
	before(j);
	quote(&j->buf, key);
	str_buf_add(&j->buf, j->indent ? ": " : ":");
	j->after_key = true;
}

void json_out_str(struct json_out *j, const char *s)
{
	before(j);
	if (s)
		quote(&j->buf, s);
	else
		str_buf_add(&j->buf, "null");
}

void json_out_i64(struct json_out *j, int64_t v)
{
	before(j);
	str_buf_addf(&j->buf, "%lld", (long long)v);
}

void json_out_u64(struct json_out *j, uint64_t v)
{
	before(j);
	str_buf_addf(&j->buf, "%llu", (unsigned long long)v);
}

void json_out_bool(struct json_out *j, bool v)
{
	before(j);
	str_buf_add(&j->buf, v ? "true" : "false");
}

void json_out_raw(struct json_out *j, const char *json)
{
	before(j);
	str_buf_add(&j->buf, json);
}

void json_out_free(struct json_out *j)
{
	str_buf_free(&j->buf);
}

void json_out_kstr(struct json_out *j, const char *key, const char *s)
{
	json_out_key(j, key);
	json_out_str(j, s);
}

void json_out_ki64(struct json_out *j, const char *key, int64_t v)
{
	json_out_key(j, key);
	json_out_i64(j, v);
}

void json_out_ku64(struct json_out *j, const char *key, uint64_t v)
{
	json_out_key(j, key);
	json_out_u64(j, v);
}

void json_out_kbool(struct json_out *j, const char *key, bool v)
{
	json_out_key(j, key);
	json_out_bool(j, v);
}
