/* SPDX-License-Identifier: Apache-2.0 */
/* `--network`: the network namespace and the files that go with it. */
#include "oci/spec_edit.h"

#include "base/cleanup.h"
#include "oci/json_edit.h"

#include <errno.h>

/* The member of that type, made when it is absent; NULL: no memory, or something else is there. */
static struct json *member(struct arena *a, struct json *o, const char *key, enum json_type type)
{
	struct json *v = o ? json_edit_get(o, key) : NULL;

	if (!o || (v && v->type != type))
		return NULL;
	return v ? v : json_edit_set(a, o, key, json_edit_new(a, type));
}

static bool text_is(const struct json *o, const char *key, const char *text)
{
	const struct json *v = o->type == JSON_OBJECT ? json_get(o, key) : NULL;

	return v && v->type == JSON_STRING && str_eq(v->text, text);
}

static int set_namespace(struct arena *a, struct json *root, const struct spec_edit_net *n)
{
	struct json *list =
		member(a, member(a, root, "linux", JSON_OBJECT), "namespaces", JSON_ARRAY);
	struct json *own = json_edit_new(a, JSON_OBJECT);

	if (!list || !own)
		return -ENOMEM;
	for (size_t i = list->n; i-- > 0;)
		if (text_is(list->items[i], "type", "network"))
			json_edit_remove(list, i);
	if (n->host)
		return 0;
	if (!json_edit_set(a, own, "type", json_edit_string(a, "network")) ||
	    (n->path && !json_edit_set(a, own, "path", json_edit_string(a, n->path))))
		return -ENOMEM;
	return json_edit_push(a, list, own) ? 0 : -ENOMEM;
}

static int add_mount(struct arena *a, struct json *mounts, const char *source,
		     const struct spec_edit_mount *m)
{
	static const char *const words[] = { "bind", "rprivate", "nosuid", "nodev", "noexec" };
	struct json *o = json_edit_new(a, JSON_OBJECT), *options = json_edit_new(a, JSON_ARRAY);
	const char *path = arena_printf(a, "%s/%s", source, m->name);

	for (size_t i = 0; i < mounts->n; i++)
		if (text_is(mounts->items[i], "destination", m->destination))
			return m->option ? -EEXIST : 0;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!json_edit_push(a, options, json_edit_string(a, words[i])))
			return -ENOMEM;
	if (!path || !json_edit_set(a, o, "destination", json_edit_string(a, m->destination)) ||
	    !json_edit_set(a, o, "type", json_edit_string(a, "bind")) ||
	    !json_edit_set(a, o, "source", json_edit_string(a, path)) ||
	    !json_edit_set(a, o, "options", options))
		return -ENOMEM;
	return json_edit_push(a, mounts, o) ? 0 : -ENOMEM;
}

int spec_edit_network(struct arena *a, struct json *root, const struct spec_edit_net *n,
		      struct err *e)
{
	struct json *mounts = member(a, root, "mounts", JSON_ARRAY);
	int r = 0;

	if (n->set)
		r = set_namespace(a, root, n);
	for (size_t i = 0; i < n->n_mounts && r == 0; i++) {
		r = mounts ? add_mount(a, mounts, n->source, &n->mounts[i]) : -ENOMEM;
		if (r == -EEXIST)
			return err_set(e, EINVAL, "%s: the configuration has a mount at %s",
				       n->mounts[i].option, n->mounts[i].destination);
	}
	return r < 0 ? err_set(e, EINVAL,
			       "--network: config.json cannot be adjusted: linux.namespaces "
			       "or mounts is not a list, or no memory")
		     : 0;
}
