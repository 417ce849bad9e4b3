/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/passwd.h"

#include "base/str.h"

#include <stdio.h>

#define PASSWD_FIELDS 7
#define GROUP_FIELDS 4

struct field {
	const char *s;
	size_t len;
};

/*
 * Splits the line at *text into exactly want fields and moves *text behind it. False at the end of
 * the text; *ok tells whether the line has that form.
 */
static bool next_line(const char **text, struct field *f, size_t want, bool *ok)
{
	const char *line = *text, *end;
	size_t n = 0;

	if (!*line)
		return false;
	end = strchrnul(line, '\n');
	*text = *end ? end + 1 : end;
	for (const char *s = line;; n++) {
		const char *colon = memchr(s, ':', (size_t)(end - s));
		const char *stop = colon ? colon : end;

		if (n < want)
			f[n] = (struct field){ s, (size_t)(stop - s) };
		if (!colon)
			break;
		s = colon + 1;
	}
	*ok = n + 1 == want && f[0].len > 0;
	return true;
}

static bool field_id(const struct field *f, uint32_t *out)
{
	char digits[11];
	uint64_t v;

	if (f->len == 0 || f->len >= sizeof(digits))
		return false;
	snprintf(digits, sizeof(digits), "%.*s", (int)f->len, f->s);
	/* (uid_t)-1 means "leave it" to the kernel: never an ID. */
	if (str_to_u64(digits, UINT32_MAX - 1, &v) < 0)
		return false;
	*out = (uint32_t)v;
	return true;
}

static bool field_eq(const struct field *f, const char *s, size_t len)
{
	return f->len == len && memcmp(f->s, s, len) == 0;
}

static bool find_user(const char *text, const char *name, uid_t uid, struct passwd_entry *out)
{
	struct field f[PASSWD_FIELDS] = {};
	bool ok;

	while (next_line(&text, f, PASSWD_FIELDS, &ok)) {
		uint32_t u, g;

		if (!ok || !field_id(&f[2], &u) || !field_id(&f[3], &g))
			continue;
		if (name ? !field_eq(&f[0], name, strlen(name)) : u != uid)
			continue;
		*out = (struct passwd_entry){
			.name = f[0].s,
			.name_len = f[0].len,
			.home = f[5].s,
			.home_len = f[5].len,
			.shell = f[6].s,
			.shell_len = f[6].len,
			.uid = u,
			.gid = g,
		};
		return true;
	}
	return false;
}

bool passwd_by_name(const char *text, const char *name, struct passwd_entry *out)
{
	return find_user(text, name, 0, out);
}

bool passwd_by_uid(const char *text, uid_t uid, struct passwd_entry *out)
{
	return find_user(text, NULL, uid, out);
}

bool group_by_name(const char *text, const char *name, gid_t *out)
{
	struct field f[GROUP_FIELDS] = {};
	bool ok;

	while (next_line(&text, f, GROUP_FIELDS, &ok))
		if (ok && field_eq(&f[0], name, strlen(name)) && field_id(&f[2], out))
			return true;
	return false;
}

static bool has_member(const struct field *members, const char *name, size_t len)
{
	const char *s = members->s, *end = s + members->len;

	for (;;) {
		const char *comma = memchr(s, ',', (size_t)(end - s));
		const char *stop = comma ? comma : end;

		if ((size_t)(stop - s) == len && memcmp(s, name, len) == 0)
			return true;
		if (!comma)
			return false;
		s = comma + 1;
	}
}

size_t group_of_member(const char *text, const char *name, size_t len, gid_t *out, size_t max)
{
	struct field f[GROUP_FIELDS] = {};
	size_t n = 0;
	bool ok;

	while (len && next_line(&text, f, GROUP_FIELDS, &ok)) {
		gid_t gid;

		if (!ok || !has_member(&f[3], name, len) || !field_id(&f[2], &gid))
			continue;
		if (n < max)
			out[n] = gid;
		n++;
	}
	return n;
}
