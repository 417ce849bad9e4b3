/* SPDX-License-Identifier: Apache-2.0 */
/* Records, each a letter, its value and a NUL: what the letters mean is one table for both ways. */
#include "vm_exec_opts.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

enum kind { WORD, LIST, SWITCH };

static const struct field {
	char letter;
	enum kind kind;
	size_t at;
} fields[] = {
#define AT(member) offsetof(struct exec_opts, member)
	{ 'a', LIST, AT(args) },
	{ 'e', LIST, AT(env) },
	{ 'c', WORD, AT(cwd) },
	{ 'u', WORD, AT(user) },
	{ 'g', LIST, AT(additional_gids) },
	{ 'C', LIST, AT(caps) },
	{ 'G', LIST, AT(cgroups) },
	{ 'l', WORD, AT(process_label) },
	{ 'p', WORD, AT(apparmor) },
	{ 't', SWITCH, AT(tty) },
	{ 'n', SWITCH, AT(no_new_privs) },
	{ 'i', SWITCH, AT(ignore_paused) },
#undef AT
};

enum { PROCESS = 'P', SIZE = 's' };

static void record(struct str_buf *b, char letter, const char *value)
{
	str_buf_addn(b, &letter, 1);
	str_buf_addn(b, value, strlen(value) + 1);
}

static void put_field(struct str_buf *b, const struct field *f, const struct exec_opts *o)
{
	const void *p = (const char *)o + f->at;

	if (f->kind == SWITCH && *(const bool *)p)
		record(b, f->letter, "");
	if (f->kind == WORD && *(const char *const *)p)
		record(b, f->letter, *(const char *const *)p);
	if (f->kind == LIST) {
		const struct spec_strings *l = p;

		for (size_t i = 0; i < l->n; i++)
			record(b, f->letter, l->v[i]);
	}
}

int vm_exec_opts_put(const struct exec_opts *o, const char *process, struct str_buf *out,
		     struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		put_field(out, &fields[i], o);
	if (process)
		record(out, PROCESS, process);
	if (o->console_size) {
		char size[48];

		snprintf(size, sizeof(size), "%llux%llu",
			 (unsigned long long)o->console_size->height,
			 (unsigned long long)o->console_size->width);
		record(out, SIZE, size);
	}
	return out->failed ? err_sys(e, ENOMEM, "exec: the words for the guest") : 0;
}

static const struct field *find(char letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (fields[i].letter == letter)
			return &fields[i];
	return NULL;
}

static size_t count(const char *text, size_t len, char letter)
{
	size_t n = 0;

	for (const char *p = text; p < text + len; p += strlen(p) + 1)
		n += *p == letter;
	return n;
}

static int get_field(const struct field *f, const char *text, size_t len, const char *value,
		     struct arena *a, struct exec_opts *o)
{
	void *p = (char *)o + f->at;

	if (f->kind == SWITCH)
		*(bool *)p = true;
	if (f->kind == WORD) {
		*(const char **)p = arena_strdup(a, value);
		if (!*(const char **)p)
			return -ENOMEM;
	}
	if (f->kind == LIST) {
		struct spec_strings *l = p;

		if (!l->v)
			l->v = arena_array(a, count(text, len, f->letter) + 1, sizeof(*l->v));
		if (!l->v || !(l->v[l->n] = arena_strdup(a, value)))
			return -ENOMEM;
		l->n++;
	}
	return 0;
}

static int get_size(const char *value, struct arena *a, struct exec_opts *o)
{
	struct spec_console_size *size = arena_alloc(a, sizeof(*size));
	unsigned int height, width;

	if (!size)
		return -ENOMEM;
	if (sscanf(value, "%5ux%5u", &height, &width) != 2)
		return -EPROTO;
	*size = (struct spec_console_size){ .height = height, .width = width };
	o->console_size = size;
	return 0;
}

int vm_exec_opts_get(const char *text, size_t len, struct arena *a, struct exec_opts *o,
		     const char **process, struct err *e)
{
	int r = len && text[len - 1] ? -EPROTO : 0;

	*o = (struct exec_opts){};
	*process = NULL;
	for (const char *p = text; r == 0 && p < text + len; p += strlen(p) + 1) {
		const struct field *f = find(*p);

		if (f) {
			r = get_field(f, text, len, p + 1, a, o);
		} else if (*p == PROCESS) {
			*process = arena_strdup(a, p + 1);
			r = *process ? 0 : -ENOMEM;
		} else if (*p == SIZE) {
			r = get_size(p + 1, a, o);
		} else {
			r = -EPROTO;
		}
	}
	return r < 0 ? err_sys(e, -r, "exec: the words of the host") : 0;
}
