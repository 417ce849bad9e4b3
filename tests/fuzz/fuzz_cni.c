/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: text of a CNI configuration, of a plugin's answer, of cni.json, and of leases. */
#include "base/cleanup.h"
#include "base/str.h"
#include "netns/cni_json.h"
#include "netns/ipam.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void need_error(const struct err *e)
{
	if (!e->msg[0] || strchr(e->msg, '\n'))
		abort();
}

static void list(const char *text, size_t len)
{
	AUTO(arena_free) struct arena a = {};
	struct json *runtime = cni_runtime(&a, &(struct cni_request){ .mac = "m" });
	struct err e = {};
	struct cni_list l;

	if (cni_list_parse(&a, "x.conf", text, len, &l, &e) < 0) {
		need_error(&e);
		return;
	}
	if (cni_check_capabilities(&l, runtime, &e) < 0)
		need_error(&e);
	for (size_t i = 0; i < l.plugins->n; i++) {
		AUTO_FREE char *in = NULL;
		size_t n;

		if (cni_input(&a, &l, i, runtime, NULL, &in, &n, &e) < 0)
			need_error(&e);
	}
}

static void answer(const char *text, size_t len)
{
	AUTO(arena_free) struct arena a = {};
	struct cni_result res;
	struct json *v;
	struct err e = {};

	cni_failure("p", text, len, text, &e);
	need_error(&e);
	e = (struct err){};
	if (cni_answer(&a, "p", text, len, &v, &e) < 0 ||
	    cni_result_read(&a, v, "eth0", &res, &e) < 0)
		need_error(&e);
}

static void cache(const char *text, size_t len)
{
	AUTO(arena_free) struct arena a = {};
	AUTO_FREE char *again = NULL;
	struct cni_cache c;
	struct err e = {};
	size_t n;

	if (cni_cache_parse(&a, text, len, &c, &e) < 0 ||
	    cni_cache_format(&a, &c, &again, &n, &e) < 0)
		need_error(&e);
	else if (cni_cache_parse(&a, again, n, &c, &e) < 0)
		abort();
}

static void leases(const char *text)
{
	AUTO(ipam_free) struct ipam_leases l = {}, m = {};
	AUTO_FREE char *again = NULL;
	struct err e = {};
	size_t n;

	if (ipam_parse(text, &l, &e) < 0)
		need_error(&e);
	else if (ipam_format(&l, &again, &n, &e) < 0 || ipam_parse(again, &m, &e) < 0 || m.n != l.n)
		abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	AUTO_FREE char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	list(text, size);
	answer(text, size);
	cache(text, size);
	leases(text);
	return 0;
}
