/* SPDX-License-Identifier: Apache-2.0 */
/* The bundle's side of `ctr check`; the host's is check_host.c. */
#include "ctr_check.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/annotations.h"
#include "oci/names.h"
#include "workload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void __attribute__((format(printf, 3, 4)))
problem(struct ctr_check *k, const char *path, const char *fmt, ...)
{
	char reason[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	spec_check_add(&k->doc, path, reason);
}

bool check_clean(const struct ctr_check *k, const char *path)
{
	for (size_t i = 0; i < k->doc.n; i++) {
		const char *rest = str_after(k->doc.problems[i].path, path);

		if (rest && (!*rest || *rest == '.' || *rest == '['))
			return false;
	}
	return true;
}

/* ---- what modules refuse ---- */

/* "mounts[3].options[1]" to "mounts[].options"; a key in quotes is the end of it. */
static void field_of_path(const char *path, char *field, size_t size)
{
	size_t n = 0;

	for (const char *p = path; *p && n + 3 < size; p++) {
		if (*p == '[' && p[1] == '"')
			break;
		field[n++] = *p;
		if (*p != '[')
			continue;
		p += strcspn(p, "]");
		if (!*p)
			break;
		field[n++] = ']';
	}
	if (n >= 2 && field[n - 1] == ']')
		n -= 2;
	field[n] = '\0';
}

void check_refusal(struct ctr_check *k, int r, const struct err *e)
{
	const char *colon = strstr(e->msg, ": ");
	char path[512], field[512];

	snprintf(path, sizeof(path), "%.*s", colon ? (int)(colon - e->msg) : 0, e->msg);
	if (r == -EINVAL) {
		spec_check_add(&k->doc, path, colon ? colon + 2 : e->msg);
		return;
	}
	field_of_path(path, field, sizeof(field));
	/* The field alone would not say which of the user's keys is meant. */
	spec_check_add(&k->host, field, colon && !strchr(path, '"') ? colon + 2 : e->msg);
}

/* ---- the files that a bundle names ---- */

static void check_root(struct ctr_check *k, const struct spec *s, int bundle)
{
	struct stat st;

	if (!s->root || !s->root->path)
		return;
	if (fstatat(bundle, s->root->path, &st, 0) < 0)
		problem(k, "root.path", "%s: %s", s->root->path, strerrordesc_np(errno));
	else if (!S_ISDIR(st.st_mode))
		problem(k, "root.path", "%s: not a directory", s->root->path);
}

/* startContainer is looked up inside the container, where the file may come with a mount. */
static void check_hooks(struct ctr_check *k, const struct spec *s)
{
	for (int kind = 0; kind < HOOK_KINDS; kind++) {
		const struct spec_hook_list *l = &s->hooks.kind[kind];

		for (size_t i = 0; i < l->n && kind != HOOK_START_CONTAINER; i++) {
			char path[64];

			if (!l->v[i].path || access(l->v[i].path, X_OK) == 0)
				continue;
			snprintf(path, sizeof(path), "hooks.%s[%zu].path",
				 table_name(&names_hooks, kind), i);
			problem(k, path, "%s: %s", l->v[i].path, strerrordesc_np(errno));
		}
	}
}

static bool is_bind(const struct spec_mount *m)
{
	for (size_t i = 0; i < m->options.n; i++) {
		const struct mount_option *o = names_mount_option(m->options.v[i]);

		if (o && o->kind == MOPT_BIND)
			return true;
	}
	return m->type && str_eq(m->type, "bind");
}

/* Of a link that is not followed it does not matter where it leads. */
static int stat_flags(const struct spec_mount *m)
{
	for (size_t i = 0; i < m->options.n; i++) {
		const struct mount_option *o = names_mount_option(m->options.v[i]);

		if (o && o->kind == MOPT_LINKS && o->value != MOUNT_LINK_DEST)
			return AT_SYMLINK_NOFOLLOW;
	}
	return 0;
}

static void check_sources(struct ctr_check *k, const struct spec *s, int bundle)
{
	for (size_t i = 0; i < s->mounts.n; i++) {
		const struct spec_mount *m = &s->mounts.v[i];
		struct stat st;
		char path[64];

		if (!m->source || !is_bind(m) ||
		    fstatat(bundle, m->source, &st, stat_flags(m)) == 0)
			continue;
		snprintf(path, sizeof(path), "mounts[%zu].source", i);
		problem(k, path, "%s: %s", m->source, strerrordesc_np(errno));
	}
}

static void check_joined(struct ctr_check *k, const struct spec *s)
{
	for (int kind = 0; kind < NS_KINDS; kind++) {
		const struct spec_namespace *ns = &s->linux_.ns[kind];

		if (ns->path && access(ns->path, F_OK) < 0)
			problem(k, "linux.namespaces", "%s: %s: %s",
				table_name(&names_namespaces, kind), ns->path,
				strerrordesc_np(errno));
	}
}

static void check_machine(struct ctr_check *k, const struct spec *s)
{
	const struct {
		const char *path, *file;
	} rows[] = {
		{ "vm.kernel.path", s->vm ? s->vm->kernel_path : NULL },
		{ "vm.kernel.initrd", s->vm ? s->vm->initrd : NULL },
		{ "vm.hypervisor.path", s->vm ? s->vm->hypervisor_path : NULL },
		{ "vm.image.path", s->vm ? s->vm->image_path : NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].file && access(rows[i].file, R_OK) < 0)
			problem(k, rows[i].path, "%s: %s", rows[i].file, strerrordesc_np(errno));
}

/* ---- the fields ---- */

/* Those that are not only there because something below them is. */
static bool is_leaf(const struct spec_check *doc, size_t i)
{
	for (size_t n = 0; n < doc->n_fields; n++) {
		const char *rest = str_after(doc->fields[n], doc->fields[i]);

		if (rest && (*rest == '.' || *rest == '['))
			return false;
	}
	return true;
}

/* What is refused as a whole is refused in each of its parts. */
static const char *refusal_of(const struct spec_check *host, const char *field)
{
	for (size_t i = 0; i < host->n; i++) {
		const char *rest = str_after(field, host->problems[i].path);

		if (rest && (!*rest || *rest == '.' || *rest == '['))
			return host->problems[i].reason;
	}
	return NULL;
}

static int list_fields(struct ctr_check *k, struct err *e)
{
	k->fields = calloc(k->doc.n_fields + 1, sizeof(*k->fields));
	if (!k->fields)
		return err_sys(e, ENOMEM, "check");
	for (size_t i = 0; i < k->doc.n_fields; i++)
		if (is_leaf(&k->doc, i))
			k->fields[k->n++] = (struct ctr_check_field){
				.field = k->doc.fields[i],
				.reason = refusal_of(&k->host, k->doc.fields[i]),
			};
	return k->doc.failed || k->host.failed ? err_sys(e, ENOMEM, "check") : 0;
}

/* One at a time: reading ends at the first refusal. */
static void check_annotations(struct ctr_check *k, const struct spec *s)
{
	for (size_t i = 0; i < s->annotations.n; i++) {
		AUTO(arena_free) struct arena a = {};
		struct annotations notes = {};
		struct spec one = *s;
		struct err e = {};
		int r;

		one.annotations = (struct spec_map){ .v = &s->annotations.v[i], .n = 1 };
		r = annotations_read(&one, &a, &notes, &e);
		if (r == 0 && notes.unknown)
			r = err_set(&e, ENOTSUP,
				    "annotations[\"%s\"]: not known to this version of ctr, "
				    "without effect",
				    notes.unknown);
		if (r < 0)
			check_refusal(k, r, &e);
	}
}

static int check_spec(struct ctr_check *k, struct spec *s, int dir, const char *bundle,
		      struct err *e)
{
	const char *isolation = spec_annotation(s, "org.ctr.isolation");
	bool machine = s->own_kernel || (isolation ? str_eq(isolation, "vm") : s->vm != NULL);
	struct err refused = {};
	int r;

	if (isolation && !str_eq(isolation, "vm") && !str_eq(isolation, "container"))
		problem(k, "annotations[\"org.ctr.isolation\"]",
			"\"%s\" is neither \"container\" nor \"vm\"", isolation);
	check_annotations(k, s);
	check_root(k, s, dir);
	check_hooks(k, s);
	check_sources(k, s, dir);
	check_joined(k, s);
	check_machine(k, s);
	r = machine ? wl_microvm.check(s, &refused) : wl_container.check(s, &refused);
	/* A part that could not be read has been told of already. */
	if (r < 0 && !(r == -EINVAL && k->doc.n))
		check_refusal(k, r, &refused);
	/* What a container would need of this host, a machine has in its guest. */
	return machine ? 0 : check_host(k, s, bundle, e);
}

int ctr_check(const char *bundle, const char *config, bool vm, struct ctr_check *out,
	      struct err *e)
{
	AUTO_FREE char *path = realpath(bundle ? bundle : ".", NULL), *text = NULL;
	AUTO_SPEC struct spec *s = NULL;
	AUTO_CLOSE int dir = -1;
	size_t len = 0;
	int r;

	if (!config)
		config = "config.json";
	if (!path)
		return err_sys(e, errno, "bundle %s", bundle ? bundle : ".");
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, errno, "bundle %s", path);
	r = io_read_file(dir, config, SPEC_MAX_BYTES, &text, &len);
	if (r == -EFBIG)
		return err_set(e, EFBIG, "%s/%s: larger than %zu bytes", path, config,
			       SPEC_MAX_BYTES);
	if (r < 0)
		return err_sys(e, -r, "read %s/%s", path, config);
	out->doc.own_kernel = vm;
	r = spec_check(&out->doc, text, len, &s, e);
	if (r == 0 && s)
		r = check_spec(out, s, dir, path, e);
	return r < 0 ? r : list_fields(out, e);
}

void ctr_check_free(struct ctr_check *k)
{
	spec_check_free(&k->doc);
	spec_check_free(&k->host);
	free(k->fields);
	*k = (struct ctr_check){};
}
