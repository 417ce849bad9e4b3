/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/spec_check.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "oci/spec_field.h"
#include "oci/validate.h"

#include <errno.h>
#include <stdlib.h>

#define WHAT "config.json"

/* Room for one more element of size bytes in *v. */
static bool grow(void *v, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : 64;
	void *p;

	if (n < *cap)
		return true;
	p = realloc(*(void **)v, more * size);
	if (!p)
		return false;
	*(void **)v = p;
	*cap = more;
	return true;
}

void spec_check_add(struct spec_check *k, const char *path, const char *reason)
{
	struct spec_problem *p;

	for (size_t i = 0; i < k->n; i++)
		if (str_eq(k->problems[i].path, path))
			return;
	if (!grow(&k->problems, k->n, &k->cap, sizeof(*k->problems))) {
		k->failed = true;
		return;
	}
	p = &k->problems[k->n];
	p->path = arena_strdup(&k->arena, path);
	p->reason = arena_strdup(&k->arena, reason);
	k->failed |= !p->path || !p->reason;
	k->n += p->path && p->reason;
}

bool spec_check_has_field(const struct spec_check *k, const char *field)
{
	for (size_t i = 0; i < k->n_fields; i++)
		if (str_eq(k->fields[i], field))
			return true;
	return false;
}

static void on_problem(void *arg, const char *path, const char *reason)
{
	spec_check_add(arg, path, reason);
}

static void on_present(void *arg, const char *field)
{
	struct spec_check *k = arg;
	const char *copy;

	if (spec_check_has_field(k, field))
		return;
	copy = arena_strdup(&k->arena, field);
	if (!copy || !grow(&k->fields, k->n_fields, &k->cap_fields, sizeof(*k->fields)))
		k->failed = true;
	else
		k->fields[k->n_fields++] = copy;
}

static bool namespaces_unread(const struct spec_check *k)
{
	for (size_t i = 0; i < k->n; i++)
		if (str_eq(k->problems[i].path, "linux") ||
		    str_after(k->problems[i].path, "linux.namespaces"))
			return true;
	return false;
}

int spec_check(struct spec_check *k, const char *text, size_t len, struct spec **out, struct err *e)
{
	const struct field_watch watch = {
		.problem = { .fn = on_problem, .arg = k },
		.present = on_present,
	};
	AUTO_SPEC struct spec *s = NULL;
	size_t before = k->n;
	int r;

	if (len > SPEC_MAX_BYTES)
		return err_set(e, EFBIG, WHAT ": larger than %zu bytes", SPEC_MAX_BYTES);
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_sys(e, ENOMEM, WHAT);
	s->own_kernel = k->own_kernel;
	r = field_document_watch(&s->arena, WHAT, text, len, &spec_table, s, &watch, e);
	if (r == -EINVAL && k->n == before)
		spec_check_add(k, "", str_after(e->msg, WHAT) ? e->msg : "not a configuration");
	if (r == -EINVAL)
		return 0;
	if (r == 0)
		r = validate_spec_all(s, &watch.problem, namespaces_unread(k), e);
	if (r < 0)
		return r;
	if (k->failed)
		return err_sys(e, ENOMEM, WHAT);
	*out = TAKE_PTR(s);
	return 0;
}

void spec_check_free(struct spec_check *k)
{
	arena_free(&k->arena);
	free(k->problems);
	free(k->fields);
	*k = (struct spec_check){};
}

static void each(const struct field_table *t, char *path, size_t at, size_t size,
		 void (*fn)(void *arg, const char *field), void *arg)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct field *f = &t->rows[i];
		bool list = f->kind == FIELD_LIST || f->each;
		const char *below = list ? "[]" : f->kind == FIELD_KEYED ? ".*" : "";
		size_t n = at;

		n += (size_t)snprintf(path + n, size - n, "%s%s", at ? "." : "", f->name);
		fn(arg, path);
		if (!f->sub)
			continue;
		n += (size_t)snprintf(path + n, size - n, "%s", below);
		each(f->sub, path, n, size, fn, arg);
	}
}

void spec_each_field(void (*fn)(void *arg, const char *field), void *arg)
{
	char path[256];

	each(&spec_table, path, 0, sizeof(path), fn, arg);
}
