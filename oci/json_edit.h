/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes to a parsed document, and the document as text again. What is not touched stays: unknown
 * members, order, numbers as they were written. All functions that make something take it from the
 * arena of the document and return NULL without memory; NULL is passed through, so that calls can
 * be nested and checked once.
 */
#ifndef CTR_OCI_JSON_EDIT_H
#define CTR_OCI_JSON_EDIT_H

#include "oci/json.h"
#include "oci/json_out.h"

#include <stdint.h>

struct json *json_edit_new(struct arena *a, enum json_type type);
struct json *json_edit_string(struct arena *a, const char *s);
struct json *json_edit_number(struct arena *a, int64_t v);
struct json *json_edit_bool(struct arena *a, bool v);

/* Sets member key, replacing one of that name at its place. Returns value. */
struct json *json_edit_set(struct arena *a, struct json *object, const char *key,
			   struct json *value);

/* Appends an element. Returns value. */
struct json *json_edit_push(struct arena *a, struct json *array, struct json *value);

/* Removes element i. */
void json_edit_remove(struct json *array, size_t i);

/* The member, which can be changed; NULL when it is absent or null. */
struct json *json_edit_get(struct json *object, const char *key);

/* True when s can be a JSON string as it is: valid UTF-8. */
bool json_edit_is_text(const char *s);

/* Writes the tree as a value. -EINVAL with *e set when it is nested too deeply for json_out. */
int json_edit_emit(struct json_out *j, const struct json *v, struct err *e);

#endif
