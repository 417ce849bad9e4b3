/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes JSON. Output is byte for byte under our control (list and state are matched by callers as
 * raw strings), so this is a small emitter over a string buffer: strings are escaped, invalid UTF-8
 * becomes U+FFFD, commas and indentation are kept by it.
 */
#ifndef CTR_OCI_JSON_OUT_H
#define CTR_OCI_JSON_OUT_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define JSON_OUT_MAX_DEPTH 68 /* all that json.h reads, in an object of ours */

struct json_out {
	struct str_buf buf;
	int indent; /* spaces a level; 0: all on one line without blanks */
	int depth;
	bool first[JSON_OUT_MAX_DEPTH];
	bool after_key;
};

/*
 * Zero-initialise with .indent set. A failed allocation shows as buf.failed. Free with
 * json_out_free.
 */
void json_out_object(struct json_out *j); /* { */
void json_out_end_object(struct json_out *j);
void json_out_array(struct json_out *j); /* [ */
void json_out_end_array(struct json_out *j);
void json_out_key(struct json_out *j, const char *key);
void json_out_str(struct json_out *j, const char *s); /* NULL gives null */
void json_out_i64(struct json_out *j, int64_t v);
void json_out_u64(struct json_out *j, uint64_t v);
void json_out_bool(struct json_out *j, bool v);
void json_out_raw(struct json_out *j, const char *json); /* a ready JSON value */
void json_out_free(struct json_out *j);

/* key and value in one */
void json_out_kstr(struct json_out *j, const char *key, const char *s);
void json_out_ki64(struct json_out *j, const char *key, int64_t v);
void json_out_ku64(struct json_out *j, const char *key, uint64_t v);
void json_out_kbool(struct json_out *j, const char *key, bool v);

#endif
