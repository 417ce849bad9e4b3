/* SPDX-License-Identifier: Apache-2.0 */
/* What plugins answer. Whatever they write ends in a result or in one clear error. */
#include "netns/cni_json.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define SAID_MAX 512

static const char *text_of(const struct json *o, const char *key)
{
	const struct json *v = json_get(o, key);

	return v && v->type == JSON_STRING ? v->text : NULL;
}

int cni_answer(struct arena *a, const char *plugin, const char *text, size_t len, struct json **out,
	       struct err *e)
{
	AUTO_FREE char *what = str_printf("CNI plugin %s: its answer", plugin);
	struct json *v;
	int r;

	if (!what)
		return err_sys(e, ENOMEM, "CNI plugin %s", plugin);
	if (!len)
		return err_set(e, EBADMSG, "%s is empty", what);
	r = json_parse(a, what, text, len, &v, e);
	if (r < 0)
		return r;
	if (v->type != JSON_OBJECT)
		return err_set(e, EBADMSG, "%s is %s, not an object", what,
			       json_type_name(v->type));
	*out = v;
	return 0;
}

/* The end of it as one line: whatever controls a terminal becomes a blank. */
static void one_line(const char *s, char out[SAID_MAX])
{
	size_t len = strlen(s), n = 0;

	for (const char *p = len >= SAID_MAX ? s + len - SAID_MAX + 1 : s; *p; p++) {
		bool blank = isspace((unsigned char)*p) || iscntrl((unsigned char)*p);

		if (!blank)
			out[n++] = *p;
		else if (n && out[n - 1] != ' ')
			out[n++] = ' ';
	}
	while (n && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
}

int cni_failure(const char *plugin, const char *text, size_t len, const char *err_text,
		struct err *e)
{
	AUTO(arena_free) struct arena a = {};
	char said[SAID_MAX], more[SAID_MAX] = "";
	const char *msg = NULL, *details = NULL;
	struct json *v;
	struct err ignored;

	if (len && json_parse(&a, "answer", text, len, &v, &ignored) == 0 &&
	    v->type == JSON_OBJECT) {
		msg = text_of(v, "msg");
		details = text_of(v, "details");
	}
	if (details)
		one_line(details, more);
	one_line(msg ? msg : *err_text ? err_text : len ? text : "", said);
	if (!said[0])
		return err_set(e, EIO, "CNI plugin %s failed and did not say why", plugin);
	return err_set(e, EIO, "CNI plugin %s: %s%s%s", plugin, said, more[0] ? ": " : "", more);
}

/* ---- the result ---- */

static int bad(struct err *e, const char *where, size_t i, const char *why)
{
	return err_set(e, EBADMSG, "CNI result: %s[%zu]: %s", where, i, why);
}

/* An address is the container's when its interface is in a sandbox, or when it says nothing. */
static bool in_container(const struct json *interfaces, const struct json *address)
{
	const struct json *index = json_get(address, "interface");
	const char *sandbox;
	uint64_t i;

	if (!index || !interfaces)
		return true;
	if (index->type != JSON_NUMBER || str_to_u64(index->text, INT32_MAX, &i) < 0 ||
	    i >= interfaces->n || interfaces->items[i]->type != JSON_OBJECT)
		return false;
	sandbox = text_of(interfaces->items[i], "sandbox");
	return sandbox && *sandbox;
}

static int read_ips(struct arena *a, const struct json *result, struct cni_result *out,
		    struct err *e)
{
	const struct json *ips = json_get(result, "ips"), *in = json_get(result, "interfaces");

	if (!ips)
		return 0;
	if (ips->type != JSON_ARRAY)
		return err_set(e, EBADMSG, "CNI result: ips: not a list");
	out->ips = arena_array(a, ips->n + 1, sizeof(*out->ips));
	if (!out->ips)
		return err_sys(e, ENOMEM, "CNI result");
	for (size_t i = 0; i < ips->n; i++) {
		const struct json *v = ips->items[i];
		struct cni_address *x = &out->ips[out->n_ips];
		const char *address = v->type == JSON_OBJECT ? text_of(v, "address") : NULL;
		const char *gateway = address ? text_of(v, "gateway") : NULL;

		if (!address || ip_net_parse(address, &x->ip) < 0)
			return bad(e, "ips", i, "no address with the length of its subnet");
		if (gateway && *gateway && ip_parse(gateway, &x->gateway) < 0)
			return bad(e, "ips", i, "gateway: not an address");
		if (in_container(in, v))
			out->n_ips++;
		else
			*x = (struct cni_address){};
	}
	return 0;
}

static int read_mac(const struct json *result, const char *ifname, struct cni_result *out,
		    struct err *e)
{
	const struct json *in = json_get(result, "interfaces");

	if (!in)
		return 0;
	if (in->type != JSON_ARRAY)
		return err_set(e, EBADMSG, "CNI result: interfaces: not a list");
	for (size_t i = 0; i < in->n; i++) {
		const struct json *v = in->items[i];
		const char *name = v->type == JSON_OBJECT ? text_of(v, "name") : NULL, *sandbox;

		if (!name)
			return bad(e, "interfaces", i, "no name");
		sandbox = text_of(v, "sandbox");
		if (sandbox && *sandbox && str_eq(name, ifname))
			out->mac = text_of(v, "mac");
	}
	return 0;
}

static int read_strings(struct arena *a, const struct json *dns, const char *key, const char ***out,
			size_t *n, struct err *e)
{
	const struct json *v = json_get(dns, key);

	if (!v)
		return 0;
	if (v->type != JSON_ARRAY)
		return err_set(e, EBADMSG, "CNI result: dns.%s: not a list", key);
	*out = arena_array(a, v->n + 1, sizeof(**out));
	if (!*out)
		return err_sys(e, ENOMEM, "CNI result");
	for (size_t i = 0; i < v->n; i++) {
		if (v->items[i]->type != JSON_STRING || strpbrk(v->items[i]->text, "\r\n"))
			return err_set(e, EBADMSG, "CNI result: dns.%s[%zu]: not a word", key, i);
		(*out)[(*n)++] = v->items[i]->text;
	}
	return 0;
}

int cni_result_read(struct arena *a, const struct json *result, const char *ifname,
		    struct cni_result *out, struct err *e)
{
	const struct json *dns = json_get(result, "dns");
	struct cni_result v = {};
	int r = read_ips(a, result, &v, e);

	if (r == 0)
		r = read_mac(result, ifname, &v, e);
	if (r == 0 && dns && dns->type != JSON_OBJECT)
		r = err_set(e, EBADMSG, "CNI result: dns: not an object");
	if (r == 0 && dns) {
		r = read_strings(a, dns, "nameservers", &v.nameservers, &v.n_nameservers, e);
		if (r == 0)
			r = read_strings(a, dns, "search", &v.search, &v.n_search, e);
		if (r == 0)
			r = read_strings(a, dns, "options", &v.options, &v.n_options, e);
		v.domain = text_of(dns, "domain");
		if (v.domain && (!*v.domain || strpbrk(v.domain, "\r\n \t")))
			v.domain = NULL;
	}
	if (r == 0)
		*out = v;
	return r;
}
