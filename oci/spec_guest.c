/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/spec_guest.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "oci/json_edit.h"

#include <errno.h>

/* What the host's cgroup around the machine does: it has the processors and the disks. */
bool spec_guest_unified_of_host(const char *key)
{
	return str_after(key, "cpuset.") || str_after(key, "io.");
}

struct edit {
	struct arena *a;
	const struct spec_guest_in *in;
	struct err *e;
};

static void drop_at(struct json *object, size_t i)
{
	for (object->n--; i < object->n; i++) {
		object->items[i] = object->items[i + 1];
		object->keys[i] = object->keys[i + 1];
	}
}

static void drop(struct json *object, const char *key)
{
	for (size_t i = 0; object && object->type == JSON_OBJECT && i < object->n; i++)
		if (str_eq(object->keys[i], key)) {
			drop_at(object, i);
			return;
		}
}

static void drop_all(struct json *object, const char *const *keys)
{
	for (; *keys; keys++)
		drop(object, *keys);
}

/* Keeps the members of an object that are wanted. */
static void filter(struct json *object, bool (*wanted)(const char *key))
{
	size_t i = 0;

	while (object && object->type == JSON_OBJECT && i < object->n)
		if (wanted(object->keys[i]))
			i++;
		else
			drop_at(object, i);
}

static bool hook_of_guest(const char *key)
{
	return str_eq(key, "startContainer");
}

/* Whoever reads them in a hook's state finds all but those that ask for something of the host. */
static bool annotation_of_guest(const char *key)
{
	if (!str_after(key, "run.oci.") && !str_after(key, "org.ctr.") &&
	    !str_after(key, "org.systemd.") && !str_after(key, "org.criu."))
		return true;
	return str_eq(key, "run.oci.seccomp_fail_unknown_syscall") ||
	       str_eq(key, "run.oci.seccomp_bpf_data") || str_eq(key, "org.ctr.landlock");
}

static bool unified_of_guest(const char *key)
{
	return !spec_guest_unified_of_host(key);
}

static int no_memory(struct edit *x)
{
	return err_sys(x->e, ENOMEM, "the guest's configuration");
}

static bool is_type(const struct json *ns, const char *type)
{
	const struct json *v = json_get(ns, "type");

	return v && v->type == JSON_STRING && str_eq(v->text, type);
}

static int add_namespace(struct edit *x, struct json *list, const char *type)
{
	struct json *ns = json_edit_new(x->a, JSON_OBJECT);

	if (!ns || !json_edit_set(x->a, ns, "type", json_edit_string(x->a, type)) ||
	    !json_edit_push(x->a, list, ns))
		return no_memory(x);
	return 0;
}

static int namespaces(struct edit *x, struct json *linux_)
{
	struct json *list = json_edit_get(linux_, "namespaces");
	const struct json *offsets = json_get(linux_, "timeOffsets");
	bool mount = false, time = !offsets || offsets->type != JSON_OBJECT || !offsets->n;
	int r;

	if (!list)
		list = json_edit_set(x->a, linux_, "namespaces", json_edit_new(x->a, JSON_ARRAY));
	if (!list)
		return no_memory(x);
	for (size_t i = 0; i < list->n;) {
		if (is_type(list->items[i], "user")) {
			json_edit_remove(list, i);
			continue;
		}
		mount |= is_type(list->items[i], "mount");
		time |= is_type(list->items[i], "time");
		drop(list->items[i++], "path");
	}
	r = mount ? 0 : add_namespace(x, list, "mount");
	/* Only a namespace has offsets: the guest as a whole has none. */
	return r < 0 || time ? r : add_namespace(x, list, "time");
}

/*
 * Processor time is limited on both sides: around the machine, whose threads use it too, and in the
 * guest, where it is seen and counted. The numbers of processors and disks are the host's.
 */
static void edit_resources(struct json *r)
{
	static const char *const cpu[] = { "cpus", "mems", "realtimeRuntime", "realtimePeriod",
					   NULL };

	if (!r)
		return;
	drop(r, "blockIO");
	drop_all(json_edit_get(r, "cpu"), cpu);
	filter(json_edit_get(r, "unified"), unified_of_guest);
}

static int edit_linux(struct edit *x, struct json *doc)
{
	static const char *const hosts[] = { "cgroupsPath",  "uidMappings",
					     "gidMappings",  "intelRdt",
					     "memoryPolicy", "netDevices",
					     "mountLabel",   NULL };
	struct json *l = json_edit_get(doc, "linux");

	if (!l)
		l = json_edit_set(x->a, doc, "linux", json_edit_new(x->a, JSON_OBJECT));
	if (!l)
		return no_memory(x);
	drop_all(l, hosts);
	edit_resources(json_edit_get(l, "resources"));
	return namespaces(x, l);
}

static int edit_mounts(struct edit *x, struct json *doc)
{
	struct json *list = json_edit_get(doc, "mounts");

	for (size_t i = 0; i < x->in->n_sources; i++) {
		if (!x->in->sources[i])
			continue;
		if (!list || i >= list->n)
			return err_set(x->e, EINVAL, "mounts[%zu]: there is no such mount", i);
		if (!json_edit_set(x->a, list->items[i], "source",
				   json_edit_string(x->a, x->in->sources[i])))
			return no_memory(x);
	}
	return 0;
}

static int edit(struct edit *x, struct json *doc)
{
	static const char *const process[] = { "apparmorProfile", "selinuxLabel", "execCPUAffinity",
					       NULL };
	struct json *root = json_edit_get(doc, "root");
	int r;

	if (!root)
		root = json_edit_set(x->a, doc, "root", json_edit_new(x->a, JSON_OBJECT));
	if (!root || !json_edit_set(x->a, root, "path", json_edit_string(x->a, x->in->rootfs)))
		return no_memory(x);
	drop(doc, "vm");
	drop_all(json_edit_get(doc, "process"), process);
	filter(json_edit_get(doc, "hooks"), hook_of_guest);
	filter(json_edit_get(doc, "annotations"), annotation_of_guest);
	r = edit_linux(x, doc);
	if (r == 0)
		r = edit_mounts(x, doc);
	if (r == 0 && x->in->bundle &&
	    !json_edit_set(x->a, doc, SPEC_GUEST_BUNDLE, json_edit_string(x->a, x->in->bundle)))
		return no_memory(x);
	return r;
}

static int emit(struct edit *x, const struct json *doc, char **out, size_t *len)
{
	AUTO(json_out_free) struct json_out j = {};
	int r = json_edit_emit(&j, doc, x->e);

	if (r < 0)
		return r;
	if (j.buf.failed)
		return no_memory(x);
	*len = j.buf.len;
	*out = TAKE_PTR(j.buf.s);
	return 0;
}

int spec_guest_resources(const char *text, size_t n, char **out, size_t *len, struct err *e)
{
	AUTO(arena_free) struct arena a = {};
	struct edit x = { .a = &a, .e = e };
	struct json *doc;
	int r = json_parse(&a, "resources", text, n, &doc, e);

	if (r < 0)
		return r;
	edit_resources(doc);
	return emit(&x, doc, out, len);
}

int spec_guest(const struct spec_guest_in *in, char **out, size_t *len, struct err *e)
{
	AUTO(arena_free) struct arena a = {};
	struct edit x = { .a = &a, .in = in, .e = e };
	struct json *doc;
	int r = json_parse(&a, "config.json", in->text, in->len, &doc, e);

	if (r == 0 && doc->type != JSON_OBJECT)
		r = err_set(e, EINVAL, "config.json: not an object");
	if (r == 0)
		r = edit(&x, doc);
	return r == 0 ? emit(&x, doc, out, len) : r;
}
