/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/spec.h"

#include "base/io.h"
#include "base/str.h"
#include "oci/spec_field.h"
#include "oci/validate.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

static const struct field root_rows[] = {
	{ "path", FIELD_STRING, .required = true, .offset = offsetof(struct spec_root, path) },
	{ "readonly", FIELD_BOOL, .offset = offsetof(struct spec_root, readonly) },
};
static const struct field_table root_table = { FIELD_TABLE(struct spec_root, root_rows) };

static const char *digits(const char *s)
{
	const char *p = s;

	while (isdigit((unsigned char)*p))
		p++;
	return p > s ? p : NULL;
}

/* MAJOR.MINOR.PATCH with an optional -pre-release or +build. Which version is not our business. */
static const char *semver(const char *s)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-";

	s = digits(s);
	for (int i = 0; i < 2 && s; i++)
		s = *s == '.' ? digits(s + 1) : NULL;
	if (s && *s && ((*s != '-' && *s != '+') || !s[1] || s[strspn(s, allowed)]))
		s = NULL;
	return s ? NULL : "not a version such as 1.0.2";
}

static const char *host_name(const char *s)
{
	return strlen(s) <= 64 ? NULL : "longer than 64 bytes";
}

static int read_linux(struct field_ctx *c, const struct json *v, void *dst)
{
	struct spec *s = dst;

	s->has_linux = true;
	return field_object(c, &spec_linux_table, v, &s->linux_);
}

#define AT(member) offsetof(struct spec, member)

static const struct field spec_rows[] = {
	{ "ociVersion", FIELD_STRING, .required = true, .check = semver,
	  .offset = AT(oci_version) },
	{ "root", FIELD_OBJECT_PTR, .sub = &root_table, .offset = AT(root) },
	{ "hostname", FIELD_STRING, .check = host_name, .offset = AT(hostname) },
	{ "domainname", FIELD_STRING, .check = host_name, .offset = AT(domainname) },
	{ "process", FIELD_OBJECT_PTR, .sub = &spec_process_table, .offset = AT(process) },
	{ "mounts", FIELD_LIST, .sub = &spec_mount_table, .offset = AT(mounts) },
	{ "hooks", FIELD_OBJECT, .sub = &spec_hooks_table, .offset = AT(hooks) },
	{ "annotations", FIELD_MAP, .offset = AT(annotations) },
	{ "linux", FIELD_CUSTOM, .custom = read_linux, .sub = &spec_linux_table },
	{ "vm", FIELD_OBJECT_PTR, .sub = &spec_vm_table, .offset = AT(vm) },
};
const struct field_table spec_table = { FIELD_TABLE(struct spec, spec_rows) };

void spec_free(struct spec *s)
{
	if (!s)
		return;
	arena_free(&s->arena);
	free(s);
}

static int begin(const char *what, size_t len, struct spec **out, struct err *e)
{
	if (len > SPEC_MAX_BYTES)
		return err_set(e, EFBIG, "%s: larger than %zu bytes", what, SPEC_MAX_BYTES);
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : err_sys(e, ENOMEM, "%s", what);
}

static int parse(const char *what, const char *text, size_t len, bool own_kernel,
		 struct spec **out, struct err *e)
{
	AUTO_SPEC struct spec *s = NULL;
	int r = begin(what, len, &s, e);

	if (r < 0)
		return r;
	s->own_kernel = own_kernel;
	r = field_document(&s->arena, what, text, len, &spec_table, s, e);
	if (r < 0)
		return r;
	r = validate_spec(s, e);
	if (r < 0)
		return err_wrap(e, "%s", what);
	*out = TAKE_PTR(s);
	return 0;
}

int spec_parse(const char *text, size_t len, struct spec **out, struct err *e)
{
	return parse("config.json", text, len, false, out, e);
}

int spec_parse_own(const char *text, size_t len, struct spec **out, struct err *e)
{
	return parse("config.json", text, len, true, out, e);
}

int spec_load(int bundle_fd, const char *name, bool own_kernel, struct spec **out, char **text,
	      size_t *len, struct err *e)
{
	AUTO_FREE char *data = NULL;
	size_t n = 0;
	int r = io_read_file(bundle_fd, name, SPEC_MAX_BYTES, &data, &n);

	if (r == -EFBIG)
		return err_set(e, EFBIG, "%s: larger than %zu bytes", name, SPEC_MAX_BYTES);
	if (r < 0)
		return err_sys(e, -r, "read %s", name);
	r = parse(name, data, n, own_kernel, out, e);
	if (r < 0)
		return r;
	if (len)
		*len = n;
	if (text)
		*text = TAKE_PTR(data);
	return 0;
}

int spec_parse_process(const char *text, size_t len, struct spec **out, struct err *e)
{
	AUTO_SPEC struct spec *s = NULL;
	int r = begin("process", len, &s, e);

	if (r < 0)
		return r;
	s->process = arena_alloc(&s->arena, sizeof(*s->process));
	if (!s->process)
		return err_sys(e, ENOMEM, "process");
	r = field_document(&s->arena, "process", text, len, &spec_process_table, s->process, e);
	if (r < 0)
		return r;
	r = validate_process(s->process, e);
	if (r < 0)
		return err_wrap(e, "process");
	*out = TAKE_PTR(s);
	return 0;
}

int spec_parse_resources(const char *text, size_t len, struct spec **out, struct err *e)
{
	AUTO_SPEC struct spec *s = NULL;
	struct spec_resources *res;
	int r = begin("resources", len, &s, e);

	if (r < 0)
		return r;
	res = arena_alloc(&s->arena, sizeof(*res));
	if (!res)
		return err_sys(e, ENOMEM, "resources");
	s->linux_.resources = res;
	s->has_linux = true;
	r = field_document(&s->arena, "resources", text, len, &spec_resources_table, res, e);
	if (r < 0)
		return r;
	*out = TAKE_PTR(s);
	return 0;
}

const char *spec_annotation(const struct spec *s, const char *key)
{
	for (size_t i = 0; i < s->annotations.n; i++)
		if (str_eq(s->annotations.v[i].key, key))
			return s->annotations.v[i].value;
	return NULL;
}
