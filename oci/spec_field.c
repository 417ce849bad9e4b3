/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/spec_field.h"

#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* How much of a value is shown in an error. */
#define SHOWN 80

/* Every list of spec.h has this shape. */
struct any_list {
	void *v;
	size_t n;
};

/* ---- where the walk is ---- */

void field_enter_key(struct field_ctx *c, const char *key)
{
	c->path[c->depth++] = (struct field_step){ .key = key };
}

void field_enter_index(struct field_ctx *c, size_t index)
{
	c->path[c->depth++] = (struct field_step){ .index = index };
}

static void enter_any(struct field_ctx *c, const char *key)
{
	c->path[c->depth++] = (struct field_step){ .key = key, .any = true };
}

void field_leave(struct field_ctx *c)
{
	c->depth--;
}

/* The field as the specification knows it, whatever the element or the key. */
static void tell_present(struct field_ctx *c)
{
	struct str_buf b = {};

	for (size_t i = 0; i < c->depth; i++) {
		const struct field_step *step = &c->path[i];

		if (step->key)
			str_buf_addf(&b, "%s%s", i ? "." : "", step->any ? "*" : step->key);
		else
			str_buf_add(&b, "[]");
	}
	if (!b.failed)
		c->watch->present(c->watch->problem.arg, b.s);
	str_buf_free(&b);
}

static int vproblem(struct field_ctx *c, const char *field, const char *fmt, va_list ap)
{
	struct json_path path = { 0 };
	char reason[1024];

	vsnprintf(reason, sizeof(reason), fmt, ap);
	for (size_t i = 0; i < c->depth; i++) {
		if (c->path[i].key)
			json_path_key(&path, c->path[i].key);
		else
			json_path_index(&path, c->path[i].index);
	}
	if (field)
		json_path_key(&path, field);
	if (c->watch)
		c->watch->problem.fn(c->watch->problem.arg, path.s, reason);
	if (!path.len)
		return err_set(c->e, EINVAL, "%s: %s", c->what, reason);
	return err_set(c->e, EINVAL, "%s: %s: %s", c->what, path.s, reason);
}

int field_error(struct field_ctx *c, const char *field, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vproblem(c, field, fmt, ap);
	va_end(ap);
	return r;
}

int field_go_on(struct field_ctx *c, size_t depth, int r)
{
	if (r != -EINVAL || !c->watch)
		return r;
	c->depth = depth;
	return 0;
}

int field_note(struct field_ctx *c, const char *field, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vproblem(c, field, fmt, ap);
	va_end(ap);
	return field_go_on(c, c->depth, r);
}

int field_no_memory(struct field_ctx *c)
{
	return err_sys(c->e, ENOMEM, "%s", c->what);
}

int field_expect(struct field_ctx *c, const struct json *v, enum json_type type)
{
	if (v->type == type)
		return 0;
	return field_error(c, NULL, "must be %s, not %s", json_type_name(type),
			   json_type_name(v->type));
}

/* ---- strings ---- */

static int check_text(struct field_ctx *c, const struct field *f, const char *text)
{
	const char *reason = f->check ? f->check(text) : NULL;

	if (reason && *text)
		return field_error(c, NULL, "%s: \"%.*s\"", reason, SHOWN, text);
	return reason ? field_error(c, NULL, "%s", reason) : 0;
}

static int read_string(struct field_ctx *c, const struct field *f, const struct json *v, void *dst)
{
	int r = field_expect(c, v, JSON_STRING);

	if (r < 0)
		return r;
	if (!*v->text && !f->required)
		return 0;
	if (!*v->text)
		return field_error(c, NULL, "must not be empty");
	*(char **)dst = (char *)v->text;
	return check_text(c, f, v->text);
}

static int read_char(struct field_ctx *c, const struct field *f, const struct json *v, void *dst)
{
	int r = field_expect(c, v, JSON_STRING);

	if (r < 0)
		return r;
	if (!*v->text && !f->required)
		return 0;
	if (strlen(v->text) != 1 || !strchr(f->chars, *v->text))
		return field_error(c, NULL, "must be one of the letters %s: \"%.*s\"", f->chars,
				   SHOWN, v->text);
	*(char *)dst = *v->text;
	return 0;
}

/* ---- booleans and numbers ---- */

static int read_bool(struct field_ctx *c, const struct field *f, const struct json *v, void *dst)
{
	int r = field_expect(c, v, JSON_BOOL);

	(void)f;
	*(bool *)dst = v->boolean;
	return r;
}

static int read_opt_bool(struct field_ctx *c, const struct field *f, const struct json *v,
			 void *dst)
{
	struct opt_bool *o = dst;

	o->set = true;
	return read_bool(c, f, v, &o->v);
}

/* What a number of this kind can be, narrowed by the row. */
static void range_of(const struct field *f, int64_t *min, uint64_t *max)
{
	bool narrowed = f->min || f->max;

	switch (f->kind) {
	case FIELD_INT:
		*min = narrowed ? f->min : INT32_MIN;
		*max = narrowed ? f->max : INT32_MAX;
		break;
	case FIELD_U32:
	case FIELD_U32S:
		*min = f->min;
		*max = f->max ? f->max : UINT32_MAX;
		break;
	case FIELD_I64:
	case FIELD_OPT_I64:
		*min = narrowed ? f->min : INT64_MIN;
		*max = f->max ? f->max : INT64_MAX;
		break;
	default:
		*min = f->min;
		*max = f->max ? f->max : UINT64_MAX;
		break;
	}
}

/* The number as two's complement: the row's range tells how to read it. */
static int read_number(struct field_ctx *c, const struct field *f, const struct json *v,
		       uint64_t *out)
{
	int64_t min, negative;
	uint64_t max;
	int r = field_expect(c, v, JSON_NUMBER);

	if (r < 0)
		return r;
	if (v->text[strspn(v->text, "-0123456789")])
		return field_error(c, NULL, "must be an integer: %.*s", SHOWN, v->text);
	range_of(f, &min, &max);
	if (v->text[0] == '-') {
		r = str_to_i64(v->text, min < 0 ? min : 0, 0, &negative);
		*out = r < 0 ? 0 : (uint64_t)negative;
	} else {
		r = str_to_u64(v->text, max, out);
	}
	if (r == 0 && min > 0 && *out < (uint64_t)min)
		r = -ERANGE;
	if (r < 0)
		return field_error(c, NULL, "out of range %lld to %llu: %.*s", (long long)min,
				   (unsigned long long)max, SHOWN, v->text);
	return 0;
}

static int read_32(struct field_ctx *c, const struct field *f, const struct json *v, void *dst)
{
	uint64_t n = 0;
	int r = read_number(c, f, v, &n);

	*(uint32_t *)dst = (uint32_t)n;
	return r;
}

static int read_64(struct field_ctx *c, const struct field *f, const struct json *v, void *dst)
{
	return read_number(c, f, v, dst);
}

static int read_opt_i64(struct field_ctx *c, const struct field *f, const struct json *v, void *dst)
{
	struct opt_i64 *o = dst;
	uint64_t n = 0;
	int r = read_number(c, f, v, &n);

	*o = (struct opt_i64){ .set = true, .v = (int64_t)n };
	return r;
}

static int read_opt_u64(struct field_ctx *c, const struct field *f, const struct json *v, void *dst)
{
	struct opt_u64 *o = dst;

	o->set = true;
	return read_number(c, f, v, &o->v);
}

/* ---- names ---- */

static int name_value(struct field_ctx *c, const struct field *f, const struct json *v,
		      int64_t *out)
{
	int r = field_expect(c, v, JSON_STRING);

	if (r < 0)
		return r;
	if (!table_value(f->names, v->text, out))
		return field_error(c, NULL, "unknown %s \"%.*s\"", f->names->what, SHOWN, v->text);
	return 0;
}

/* As with any other text. */
static bool not_given(const struct field *f, const struct json *v)
{
	return v->type == JSON_STRING && !*v->text && !f->required;
}

static int read_name(struct field_ctx *c, const struct field *f, const struct json *v, void *dst)
{
	int64_t n = -1; /* stays when the walk goes on: no name has it */
	int r;

	if (not_given(f, v))
		return 0;
	r = name_value(c, f, v, &n);
	*(int *)dst = (int)n;
	return r;
}

static int read_name64(struct field_ctx *c, const struct field *f, const struct json *v, void *dst)
{
	int64_t n = 0;
	int r;

	if (not_given(f, v))
		return 0;
	r = name_value(c, f, v, &n);
	*(uint64_t *)dst = (uint64_t)n;
	return r;
}

static int read_names(struct field_ctx *c, const struct field *f, const struct json *v, bool bits,
		      uint64_t *out)
{
	int r = field_expect(c, v, JSON_ARRAY);

	if (r < 0)
		return r;
	for (size_t i = 0; i < v->n; i++) {
		size_t depth = c->depth;
		int64_t n = 0;

		field_enter_index(c, i);
		r = name_value(c, f, v->items[i], &n);
		if (r == 0)
			*out |= bits ? UINT64_C(1) << n : (uint64_t)n;
		else if (field_go_on(c, depth, r) < 0)
			return r;
		c->depth = depth;
	}
	return 0;
}

static int read_flags(struct field_ctx *c, const struct field *f, const struct json *v, void *dst)
{
	return read_names(c, f, v, false, dst);
}

static int read_opt_flags(struct field_ctx *c, const struct field *f, const struct json *v,
			  void *dst)
{
	struct opt_u64 *o = dst;

	o->set = true;
	return read_names(c, f, v, false, &o->v);
}

static int read_mask(struct field_ctx *c, const struct field *f, const struct json *v, void *dst)
{
	struct opt_u64 *o = dst;

	o->set = true;
	return read_names(c, f, v, true, &o->v);
}

/* ---- lists ---- */

/* Room for n elements of size bytes and one more, which stays zero. */
static int make_list(struct field_ctx *c, const struct field *f, size_t n, size_t size,
		     struct any_list *l)
{
	if (n < f->min_items)
		return field_error(c, NULL, "must have at least %zu element%s", f->min_items,
				   f->min_items == 1 ? "" : "s");
	if (n == 0)
		return 0;
	l->v = arena_array(c->arena, n + 1, size);
	if (!l->v)
		return field_no_memory(c);
	return 0;
}

static int read_strings(struct field_ctx *c, const struct field *f, const struct json *v, void *dst)
{
	struct spec_strings *l = dst;
	int64_t ignored;
	int r = field_expect(c, v, JSON_ARRAY) ?: make_list(c, f, v->n, sizeof(char *), dst);

	if (r < 0)
		return r;
	for (size_t i = 0; i < v->n; i++) {
		size_t depth = c->depth;

		field_enter_index(c, i);
		r = f->names ? name_value(c, f, v->items[i], &ignored)
			     : field_expect(c, v->items[i], JSON_STRING);
		r = field_go_on(c, depth, r ?: check_text(c, f, v->items[i]->text));
		if (r < 0)
			return r;
		c->depth = depth;
		l->v[l->n++] = v->items[i]->type == JSON_STRING ? (char *)v->items[i]->text : "";
	}
	return 0;
}

static int read_u32s(struct field_ctx *c, const struct field *f, const struct json *v, void *dst)
{
	struct any_list *l = dst;
	int r = field_expect(c, v, JSON_ARRAY) ?: make_list(c, f, v->n, sizeof(uint32_t), l);

	if (r < 0)
		return r;
	for (size_t i = 0; i < v->n; i++) {
		size_t depth = c->depth;

		field_enter_index(c, i);
		r = field_go_on(c, depth, read_32(c, f, v->items[i], (uint32_t *)l->v + i));
		if (r < 0)
			return r;
		c->depth = depth;
		l->n++;
	}
	return 0;
}

static int read_map(struct field_ctx *c, const struct field *f, const struct json *v, void *dst)
{
	struct spec_map *m = dst;
	int r = field_expect(c, v, JSON_OBJECT) ?: make_list(c, f, v->n, sizeof(*m->v), dst);

	if (r < 0)
		return r;
	for (size_t i = 0; i < v->n; i++) {
		const struct json *item = v->items[i];
		size_t depth = c->depth;

		if (item->type == JSON_NULL)
			continue;
		enter_any(c, v->keys[i]);
		r = *v->keys[i] ? check_text(c, f, v->keys[i])
				: field_error(c, NULL, "the key must not be empty");
		r = r ?: field_expect(c, item, JSON_STRING);
		if (r == 0)
			m->v[m->n++] = (struct spec_pair){ (char *)v->keys[i], (char *)item->text };
		else if (field_go_on(c, depth, r) < 0)
			return r;
		c->depth = depth;
	}
	return 0;
}

/* ---- objects ---- */

static int read_object(struct field_ctx *c, const struct field *f, const struct json *v, void *dst)
{
	return field_object(c, f->sub, v, dst);
}

static int read_object_ptr(struct field_ctx *c, const struct field *f, const struct json *v,
			   void *dst)
{
	int r = field_expect(c, v, JSON_OBJECT);
	void *obj;

	if (r < 0)
		return r;
	obj = arena_alloc(c->arena, f->sub->size);
	if (!obj)
		return field_no_memory(c);
	*(void **)dst = obj;
	return field_object(c, f->sub, v, obj);
}

static int read_list(struct field_ctx *c, const struct field *f, const struct json *v, void *dst)
{
	struct any_list *l = dst;
	int r = field_expect(c, v, JSON_ARRAY) ?: make_list(c, f, v->n, f->sub->size, l);

	if (r < 0)
		return r;
	for (size_t i = 0; i < v->n; i++) {
		size_t depth = c->depth;

		field_enter_index(c, i);
		r = field_object(c, f->sub, v->items[i], (char *)l->v + i * f->sub->size);
		r = field_go_on(c, depth, r);
		if (r < 0)
			return r;
		c->depth = depth;
		l->n++;
	}
	return 0;
}

static int read_keyed(struct field_ctx *c, const struct field *f, const struct json *v, void *dst)
{
	struct any_list *l = dst;
	int r = field_expect(c, v, JSON_OBJECT) ?: make_list(c, f, v->n, f->sub->size, l);

	if (r < 0)
		return r;
	for (size_t i = 0; i < v->n; i++) {
		char *obj = (char *)l->v + l->n * f->sub->size;
		size_t depth = c->depth;

		if (v->items[i]->type == JSON_NULL)
			continue;
		enter_any(c, v->keys[i]);
		*(const char **)obj = v->keys[i];
		r = check_text(c, f, v->keys[i]) ?: field_object(c, f->sub, v->items[i], obj);
		r = field_go_on(c, depth, r);
		if (r < 0)
			return r;
		c->depth = depth;
		l->n++;
	}
	return 0;
}

static int read_custom(struct field_ctx *c, const struct field *f, const struct json *v, void *dst)
{
	return f->custom(c, v, dst);
}

static int (*const readers[])(struct field_ctx *c, const struct field *f, const struct json *v,
			      void *dst) = {
	[FIELD_STRING] = read_string,
	[FIELD_CHAR] = read_char,
	[FIELD_BOOL] = read_bool,
	[FIELD_OPT_BOOL] = read_opt_bool,
	[FIELD_INT] = read_32,
	[FIELD_U32] = read_32,
	[FIELD_I64] = read_64,
	[FIELD_U64] = read_64,
	[FIELD_OPT_I64] = read_opt_i64,
	[FIELD_OPT_U64] = read_opt_u64,
	[FIELD_NAME] = read_name,
	[FIELD_NAME64] = read_name64,
	[FIELD_FLAGS] = read_flags,
	[FIELD_OPT_FLAGS] = read_opt_flags,
	[FIELD_MASK] = read_mask,
	[FIELD_STRINGS] = read_strings,
	[FIELD_U32S] = read_u32s,
	[FIELD_MAP] = read_map,
	[FIELD_OBJECT] = read_object,
	[FIELD_OBJECT_PTR] = read_object_ptr,
	[FIELD_LIST] = read_list,
	[FIELD_KEYED] = read_keyed,
	[FIELD_CUSTOM] = read_custom,
};
_Static_assert(ARRAY_SIZE(readers) == FIELD_KINDS, "a field kind without a reader");

static int read_row(struct field_ctx *c, const struct field *f, const struct json *o, void *obj)
{
	const struct json *v = json_get(o, f->name);
	int r;

	if (!v && f->required)
		return field_error(c, f->name, "required field is missing");
	if (!v)
		return 0;
	field_enter_key(c, f->name);
	if (c->watch && c->watch->present)
		tell_present(c);
	r = readers[f->kind](c, f, v, (char *)obj + f->offset);
	if (r < 0)
		return r;
	field_leave(c);
	return 0;
}

int field_object(struct field_ctx *c, const struct field_table *t, const struct json *o, void *obj)
{
	size_t depth = c->depth;
	bool bad = false;
	int r = field_expect(c, o, JSON_OBJECT);

	if (r < 0)
		return r;
	for (size_t i = 0; i < t->n; i++) {
		r = read_row(c, &t->rows[i], o, obj);
		bad |= r < 0;
		r = field_go_on(c, depth, r);
		if (r < 0)
			return r;
	}
	return t->finish && !bad ? field_go_on(c, depth, t->finish(c, obj)) : 0;
}

int field_document_watch(struct arena *a, const char *what, const char *text, size_t len,
			 const struct field_table *t, void *obj, const struct field_watch *watch,
			 struct err *e)
{
	struct field_ctx c = { .arena = a, .what = what, .e = e, .watch = watch };
	struct json *root = NULL;
	int r = json_parse_all(a, what, text, len, watch ? &watch->problem : NULL, &root, e);

	return r < 0 ? r : field_go_on(&c, 0, field_object(&c, t, root, obj));
}

int field_document(struct arena *a, const char *what, const char *text, size_t len,
		   const struct field_table *t, void *obj, struct err *e)
{
	return field_document_watch(a, what, text, len, t, obj, NULL, e);
}
