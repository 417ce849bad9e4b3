/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/json_edit.h"

#include <errno.h>
#include <inttypes.h>

struct json *json_edit_new(struct arena *a, enum json_type type)
{
	struct json *v = arena_alloc(a, sizeof(*v));

	if (v)
		v->type = type;
	return v;
}

struct json *json_edit_string(struct arena *a, const char *s)
{
	struct json *v = json_edit_new(a, JSON_STRING);

	if (v)
		v->text = arena_strdup(a, s);
	return v && v->text ? v : NULL;
}

struct json *json_edit_number(struct arena *a, int64_t number)
{
	struct json *v = json_edit_new(a, JSON_NUMBER);

	if (v)
		v->text = arena_printf(a, "%" PRId64, number);
	return v && v->text ? v : NULL;
}

struct json *json_edit_bool(struct arena *a, bool value)
{
	struct json *v = json_edit_new(a, JSON_BOOL);

	if (v)
		v->boolean = value;
	return v;
}

/* The arrays are made anew: edits are few, and the arena takes the old ones back in the end. */
static bool grow(struct arena *a, struct json *v)
{
	struct json **items = arena_array(a, v->n + 1, sizeof(*items));
	const char **keys = NULL;

	if (!items)
		return false;
	if (v->type == JSON_OBJECT) {
		keys = arena_array(a, v->n + 1, sizeof(*keys));
		if (!keys)
			return false;
		if (v->n)
			memcpy(keys, v->keys, v->n * sizeof(*keys));
	}
	if (v->n)
		memcpy(items, v->items, v->n * sizeof(*items));
	v->items = items;
	v->keys = keys;
	return true;
}

struct json *json_edit_set(struct arena *a, struct json *object, const char *key,
			   struct json *value)
{
	const char *copy;

	if (!object || !value)
		return NULL;
	for (size_t i = 0; i < object->n; i++)
		if (str_eq(object->keys[i], key))
			return object->items[i] = value;
	copy = arena_strdup(a, key);
	if (!copy || !grow(a, object))
		return NULL;
	object->keys[object->n] = copy;
	object->items[object->n++] = value;
	return value;
}

struct json *json_edit_push(struct arena *a, struct json *array, struct json *value)
{
	if (!array || !value || !grow(a, array))
		return NULL;
	array->items[array->n++] = value;
	return value;
}

void json_edit_remove(struct json *array, size_t i)
{
	array->n--;
	memmove(array->items + i, array->items + i + 1, (array->n - i) * sizeof(*array->items));
}

struct json *json_edit_get(struct json *object, const char *key)
{
	for (size_t i = 0; i < object->n; i++)
		if (str_eq(object->keys[i], key))
			return object->items[i]->type == JSON_NULL ? NULL : object->items[i];
	return NULL;
}

bool json_edit_is_text(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s) {
		/* The least code point that needs that many bytes: shorter forms are the only ones.
		 */
		static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
		size_t n = *s < 0x80   ? 1
			   : *s < 0xc2 ? 0
			   : *s < 0xe0 ? 2
			   : *s < 0xf0 ? 3
			   : *s < 0xf5 ? 4
				       : 0;
		uint32_t c = n ? *s & (0xff >> (n > 1 ? n + 1 : 0)) : 0;

		if (!n)
			return false;
		for (size_t i = 1; i < n; i++) {
			if ((s[i] & 0xc0) != 0x80)
				return false;
			c = c << 6 | (s[i] & 0x3f);
		}
		if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return false;
		s += n;
	}
	return true;
}

/* Where in the tree the walk is: an array or object and the member to write next. */
struct place {
	const struct json *v;
	size_t next;
};

static bool is_open(enum json_type t)
{
	return t == JSON_ARRAY || t == JSON_OBJECT;
}

static void emit_leaf(struct json_out *j, const struct json *v)
{
	switch (v->type) {
	case JSON_BOOL:
		json_out_bool(j, v->boolean);
		break;
	case JSON_NUMBER:
		json_out_raw(j, v->text);
		break;
	case JSON_STRING:
		json_out_str(j, v->text);
		break;
	default:
		json_out_raw(j, "null");
	}
}

static void emit_open(struct json_out *j, const struct json *v)
{
	if (v->type == JSON_OBJECT)
		json_out_object(j);
	else
		json_out_array(j);
}

static void emit_close(struct json_out *j, const struct json *v)
{
	if (v->type == JSON_OBJECT)
		json_out_end_object(j);
	else
		json_out_end_array(j);
}

/* A loop with a bounded stack of places: nothing recurses on input. */
int json_edit_emit(struct json_out *j, const struct json *root, struct err *e)
{
	struct place stack[JSON_OUT_MAX_DEPTH - 1] = {};
	size_t depth = 0;
	const struct json *v = root;

	for (;;) {
		struct place *top;

		if (!is_open(v->type)) {
			emit_leaf(j, v);
		} else if (depth == sizeof(stack) / sizeof(stack[0])) {
			return err_set(e, EINVAL, "nested more than %zu deep", depth);
		} else {
			emit_open(j, v);
			stack[depth++] = (struct place){ .v = v };
		}
		while (depth && stack[depth - 1].next == stack[depth - 1].v->n)
			emit_close(j, stack[--depth].v);
		if (!depth)
			return 0;
		top = &stack[depth - 1];
		if (top->v->type == JSON_OBJECT)
			json_out_key(j, top->v->keys[top->next]);
		v = top->v->items[top->next++];
	}
}
