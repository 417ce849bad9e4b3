/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/cni_json.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <errno.h>
#include <netinet/in.h>

static const char *const versions[] = { "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0" };
#define FIRST_WITH_CHECK 2

static int version_index(const char *v)
{
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		if (str_eq(versions[i], v))
			return (int)i;
	return -1;
}

bool cni_has_check(const struct cni_list *l)
{
	return version_index(l->version) >= FIRST_WITH_CHECK;
}

/* A string that has to be there and not be empty, or NULL. */
static const char *text_of(const struct json *o, const char *key)
{
	const struct json *v = json_get(o, key);

	return v && v->type == JSON_STRING && *v->text ? v->text : NULL;
}

const char *cni_plugin_type(const struct cni_list *l, size_t i)
{
	return text_of(l->plugins->items[i], "type");
}

/* ---- configurations ---- */

static int check_plugin(const struct json *p, size_t i, const char *what, struct err *e)
{
	const char *type = p->type == JSON_OBJECT ? text_of(p, "type") : NULL;
	const struct json *caps = p->type == JSON_OBJECT ? json_get(p, "capabilities") : NULL;

	if (!type)
		return err_set(e, EINVAL, "%s: plugins[%zu]: no \"type\"", what, i);
	/* It becomes a file name. */
	if (strchr(type, '/') || str_eq(type, ".") || str_eq(type, ".."))
		return err_set(e, EINVAL, "%s: plugins[%zu].type: not a program's name: %s", what,
			       i, type);
	if (caps && caps->type != JSON_OBJECT)
		return err_set(e, EINVAL, "%s: plugins[%zu].capabilities: not an object", what, i);
	return 0;
}

/* A single plugin's configuration is a list with one element. */
static struct json *plugins_of(struct arena *a, struct json *doc)
{
	struct json *l = json_edit_get(doc, "plugins");

	if (l)
		return l;
	l = json_edit_new(a, JSON_ARRAY);
	return l && json_edit_push(a, l, doc) ? l : NULL;
}

static int read_list(struct arena *a, const char *what, struct json *doc, struct cni_list *l,
		     struct err *e)
{
	const struct json *off;
	int r = 0;

	if (doc->type != JSON_OBJECT)
		return err_set(e, EINVAL, "%s: not an object", what);
	*l = (struct cni_list){ .name = text_of(doc, "name"),
				.version = text_of(doc, "cniVersion") };
	if (!l->name)
		return err_set(e, EINVAL, "%s: no \"name\"", what);
	if (!l->version || version_index(l->version) < 0)
		return err_set(e, EOPNOTSUPP,
			       "%s: cniVersion %s is not supported: 0.3.0 to 1.1.0 are", what,
			       l->version ? l->version : "(none given)");
	off = json_get(doc, "disableCheck");
	l->disable_check = off && off->type == JSON_BOOL && off->boolean;
	l->plugins = plugins_of(a, doc);
	if (!l->plugins)
		return err_sys(e, ENOMEM, "%s", what);
	if (l->plugins->type != JSON_ARRAY || !l->plugins->n)
		return err_set(e, EINVAL, "%s: plugins: not a list of plugins", what);
	for (size_t i = 0; i < l->plugins->n && r == 0; i++)
		r = check_plugin(l->plugins->items[i], i, what, e);
	return r;
}

int cni_list_parse(struct arena *a, const char *what, const char *text, size_t len,
		   struct cni_list *out, struct err *e)
{
	struct cni_list l;
	struct json *doc;
	int r = json_parse(a, what, text, len, &doc, e);

	if (r == 0)
		r = read_list(a, what, doc, &l, e);
	if (r == 0)
		*out = l;
	return r;
}

/* ---- what plugins read ---- */

static struct json *one_port(struct arena *a, const struct ip_port *p, uint32_t k)
{
	struct json *o = json_edit_new(a, JSON_OBJECT);
	const char *proto = p->proto == IPPROTO_UDP ? "udp" : "tcp";
	char text[IP_TEXT];

	if (!json_edit_set(a, o, "hostPort", json_edit_number(a, p->host + k)) ||
	    !json_edit_set(a, o, "containerPort", json_edit_number(a, p->container + k)) ||
	    !json_edit_set(a, o, "protocol", json_edit_string(a, proto)))
		return NULL;
	if (p->ip.family &&
	    !json_edit_set(a, o, "hostIP", json_edit_string(a, ip_text(&p->ip, text))))
		return NULL;
	return o;
}

/* At once: a range may have all ports. */
static struct json *port_mappings(struct arena *a, const struct cni_request *q)
{
	struct json *v = json_edit_new(a, JSON_ARRAY);
	size_t total = 0;

	for (size_t i = 0; i < q->n_ports; i++)
		total += q->ports[i].count;
	if (v)
		v->items = arena_array(a, total + 1, sizeof(*v->items));
	if (!v || !v->items)
		return NULL;
	for (size_t i = 0; i < q->n_ports; i++)
		for (uint32_t k = 0; k < q->ports[i].count; k++) {
			v->items[v->n] = one_port(a, &q->ports[i], k);
			if (!v->items[v->n++])
				return NULL;
		}
	return v;
}

struct json *cni_runtime(struct arena *a, const struct cni_request *q)
{
	struct json *o = json_edit_new(a, JSON_OBJECT), *ips = NULL;
	char text[IP_TEXT];
	bool ok = o;

	if (ok && q->n_ports)
		ok = json_edit_set(a, o, "portMappings", port_mappings(a, q));
	if (ok && q->mac)
		ok = json_edit_set(a, o, "mac", json_edit_string(a, q->mac));
	for (size_t i = 0; i < ARRAY_SIZE(q->ip) && ok; i++) {
		if (!q->ip[i].family)
			continue;
		if (!ips)
			ips = json_edit_set(a, o, "ips", json_edit_new(a, JSON_ARRAY));
		ok = json_edit_push(a, ips, json_edit_string(a, ip_text(&q->ip[i], text)));
	}
	return ok ? o : NULL;
}

static bool port_number(const struct json *o, const char *key, uint16_t *out)
{
	const struct json *v = json_get(o, key);
	uint64_t n;

	if (!v || v->type != JSON_NUMBER || str_to_u64(v->text, UINT16_MAX, &n) < 0)
		return false;
	*out = (uint16_t)n;
	return true;
}

static bool read_port(const struct json *o, struct ip_port *p)
{
	const char *proto, *ip;

	if (o->type != JSON_OBJECT)
		return false;
	proto = text_of(o, "protocol");
	ip = text_of(o, "hostIP");
	*p = (struct ip_port){ .count = 1,
			       .proto = str_eq(proto, "udp") ? IPPROTO_UDP : IPPROTO_TCP };
	return proto && port_number(o, "hostPort", &p->host) &&
	       port_number(o, "containerPort", &p->container) && (!ip || ip_parse(ip, &p->ip) == 0);
}

int cni_runtime_ports(struct arena *a, const struct json *runtime, struct ip_port **out, size_t *n,
		      struct err *e)
{
	const struct json *v = json_get(runtime, "portMappings");
	struct ip_port *p;

	if (!v || v->type != JSON_ARRAY) {
		*n = 0;
		return 0;
	}
	p = arena_array(a, v->n + 1, sizeof(*p));
	if (!p)
		return err_sys(e, ENOMEM, CNI_FILE);
	for (size_t i = 0; i < v->n; i++)
		if (!read_port(v->items[i], &p[i]))
			return err_set(e, EINVAL, CNI_FILE ": portMappings[%zu]: not a port", i);
	*out = p;
	*n = v->n;
	return 0;
}

static bool takes(const struct json *plugin, const char *capability)
{
	const struct json *caps = json_get(plugin, "capabilities");
	const struct json *v = caps ? json_get(caps, capability) : NULL;

	return v && v->type == JSON_BOOL && v->boolean;
}

static const char *asked_by(const char *capability)
{
	if (str_eq(capability, "portMappings"))
		return "published ports";
	return str_eq(capability, "mac") ? "a hardware address of one's own" : "a wanted address";
}

int cni_check_capabilities(const struct cni_list *l, const struct json *runtime, struct err *e)
{
	for (size_t k = 0; k < runtime->n; k++) {
		bool taken = false;

		for (size_t i = 0; i < l->plugins->n; i++)
			taken |= takes(l->plugins->items[i], runtime->keys[k]);
		if (!taken)
			return err_set(
				e, EOPNOTSUPP,
				"network cni:%s: %s: no plugin of it has the capability \"%s\"",
				l->name, asked_by(runtime->keys[k]), runtime->keys[k]);
	}
	return 0;
}

/* A plugin's own part without what is for the runtime. */
static struct json *own_part(struct arena *a, const struct json *plugin)
{
	struct json *o = json_edit_new(a, JSON_OBJECT);

	for (size_t i = 0; i < plugin->n && o; i++)
		if (!str_eq(plugin->keys[i], "capabilities") &&
		    !json_edit_set(a, o, plugin->keys[i], plugin->items[i]))
			o = NULL;
	return o;
}

int cni_input(struct arena *a, const struct cni_list *l, size_t i, const struct json *runtime,
	      struct json *prev, char **out, size_t *len, struct err *e)
{
	AUTO(json_out_free) struct json_out j = {};
	const struct json *plugin = l->plugins->items[i];
	struct json *o = own_part(a, plugin), *mine = NULL;
	bool ok = json_edit_set(a, o, "name", json_edit_string(a, l->name)) &&
		  json_edit_set(a, o, "cniVersion", json_edit_string(a, l->version));
	int r;

	for (size_t k = 0; k < runtime->n && ok; k++) {
		if (!takes(plugin, runtime->keys[k]))
			continue;
		if (!mine)
			mine = json_edit_set(a, o, "runtimeConfig", json_edit_new(a, JSON_OBJECT));
		ok = json_edit_set(a, mine, runtime->keys[k], runtime->items[k]);
	}
	if (ok && prev)
		ok = json_edit_set(a, o, "prevResult", prev);
	if (!ok)
		return err_sys(e, ENOMEM, "CNI plugin %s", cni_plugin_type(l, i));
	r = json_edit_emit(&j, o, e);
	if (r < 0)
		return err_wrap(e, "CNI plugin %s", cni_plugin_type(l, i));
	if (j.buf.failed)
		return err_sys(e, ENOMEM, "CNI plugin %s", cni_plugin_type(l, i));
	*len = j.buf.len;
	*out = TAKE_PTR(j.buf.s);
	return 0;
}

/* ---- the cache ---- */

int cni_cache_format(struct arena *a, const struct cni_cache *c, char **out, size_t *len,
		     struct err *e)
{
	AUTO(json_out_free) struct json_out j = {};
	struct json *o = json_edit_new(a, JSON_OBJECT), *list = json_edit_new(a, JSON_OBJECT);
	bool ok =
		json_edit_set(a, list, "cniVersion", json_edit_string(a, c->list.version)) &&
		json_edit_set(a, list, "name", json_edit_string(a, c->list.name)) &&
		json_edit_set(a, list, "disableCheck", json_edit_bool(a, c->list.disable_check)) &&
		json_edit_set(a, list, "plugins", c->list.plugins) &&
		json_edit_set(a, o, "ifname", json_edit_string(a, c->ifname)) &&
		json_edit_set(a, o, "path", json_edit_string(a, c->path)) &&
		json_edit_set(a, o, "list", list) && json_edit_set(a, o, "runtime", c->runtime) &&
		(!c->result || json_edit_set(a, o, "result", c->result));
	int r = ok ? json_edit_emit(&j, o, e) : err_sys(e, ENOMEM, CNI_FILE);

	if (r < 0)
		return r;
	if (j.buf.failed)
		return err_sys(e, ENOMEM, CNI_FILE);
	*len = j.buf.len;
	*out = TAKE_PTR(j.buf.s);
	return 0;
}

int cni_cache_parse(struct arena *a, const char *text, size_t len, struct cni_cache *out,
		    struct err *e)
{
	struct cni_cache c = {};
	struct json *doc, *list;
	int r = json_parse(a, CNI_FILE, text, len, &doc, e);

	if (r == 0 && doc->type != JSON_OBJECT)
		r = err_set(e, EINVAL, CNI_FILE ": not an object");
	if (r < 0)
		return r;
	list = json_edit_get(doc, "list");
	c.ifname = text_of(doc, "ifname");
	c.path = text_of(doc, "path");
	c.runtime = json_edit_get(doc, "runtime");
	c.result = json_edit_get(doc, "result");
	if (!c.ifname || !c.path || !list || !c.runtime || c.runtime->type != JSON_OBJECT ||
	    (c.result && c.result->type != JSON_OBJECT))
		return err_set(e, EINVAL, CNI_FILE ": not what ctr writes");
	r = read_list(a, CNI_FILE, list, &c.list, e);
	if (r == 0)
		*out = c;
	return r;
}
