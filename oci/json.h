/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON text to a tree, and field tables that walk the tree into structs. The only file that knows
 * the parser library is json.c. Nothing above oci/ sees this header.
 *
 * Refused, with the path of the place: depth beyond JSON_MAX_DEPTH, more than JSON_MAX_VALUES
 * values, duplicate keys, invalid UTF-8, a NUL inside a string or key. Refused with line and
 * column: what is not JSON, text after the end, half a surrogate pair.
 */
#ifndef CTR_OCI_JSON_H
#define CTR_OCI_JSON_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define JSON_MAX_DEPTH 64
#define JSON_MAX_VALUES ((size_t)1 << 20) /* bounds the memory that a document can cost */

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
	enum json_type type;
	bool boolean;
	const char *text;    /* JSON_STRING: the value; JSON_NUMBER: as written */
	struct json **items; /* array elements or object values */
	const char **keys;   /* object keys, beside items */
	size_t n;
};

/*
 * Parses text into a tree that lives in the arena. what names the document in errors
 * ("config.json"). -EINVAL for a bad document, -EFBIG beyond JSON_MAX_VALUES, -ENOMEM.
 */
int json_parse(struct arena *a, const char *what, const char *text, size_t len, struct json **out,
	       struct err *e);

/* Who is told of each mistake: where it is ("linux.devices[2].path", "" for the whole), and why. */
struct json_report {
	void (*fn)(void *arg, const char *path, const char *reason);
	void *arg;
};

/*
 * The same, for who wants to hear of all mistakes: duplicate keys and strings with a NUL or invalid
 * UTF-8 are reported and reading goes on (with the first of two members, with an empty string).
 */
int json_parse_all(struct arena *a, const char *what, const char *text, size_t len,
		   const struct json_report *report, struct json **out, struct err *e);

/* The member of an object, or NULL (also for a JSON null: the specification treats both as absent).
 */
const struct json *json_get(const struct json *o, const char *key);

/* "a string", "an object": for errors. */
const char *json_type_name(enum json_type type);

/*
 * A place in a document as text: linux.devices[2].path, annotations["com.example.x"].
 * Zero-initialise. Long keys and long paths are cut, so that an error still has room for its
 * reason.
 */
struct json_path {
	char s[512];
	size_t len;
};

void json_path_key(struct json_path *p, const char *key);
void json_path_index(struct json_path *p, size_t index);

#endif
