/* SPDX-License-Identifier: Apache-2.0 */
/* CNI's documents: configurations read, plugins' input made, their answers read. Pure. */
#ifndef CTR_NETNS_CNI_JSON_H
#define CTR_NETNS_CNI_JSON_H

#include "netns/cni.h"
#include "oci/json_edit.h"

struct cni_list {
	const char *name, *version;
	bool disable_check;
	struct json *plugins; /* an array of objects, each with a "type" */
};

/*
 * A .conflist, or a .conf with one plugin. what names the file in errors. Everything lives in the
 * arena. -EINVAL; -EOPNOTSUPP for a cniVersion that is not spoken here.
 */
int cni_list_parse(struct arena *a, const char *what, const char *text, size_t len,
		   struct cni_list *out, struct err *e);

const char *cni_plugin_type(const struct cni_list *l, size_t i);

/* True for the versions that know CHECK, and DEL with the result. */
bool cni_has_check(const struct cni_list *l);

/* The capabilities that the request needs, as an object {name: value}. NULL without memory. */
struct json *cni_runtime(struct arena *a, const struct cni_request *q);

/* The ports in such an object, as cni_runtime wrote them. -EINVAL with *e for others. */
int cni_runtime_ports(struct arena *a, const struct json *runtime, struct ip_port **out, size_t *n,
		      struct err *e);

/* -EOPNOTSUPP when the runtime object has something that no plugin takes. */
int cni_check_capabilities(const struct cni_list *l, const struct json *runtime, struct err *e);

/*
 * What plugin i reads: its part of the configuration with name, version, what it takes of the
 * runtime object, and prev (NULL: none). Malloc'ed.
 */
int cni_input(struct arena *a, const struct cni_list *l, size_t i, const struct json *runtime,
	      struct json *prev, char **out, size_t *len, struct err *e);

/* The answer of a plugin that did what it should. plugin names it in errors. */
int cni_answer(struct arena *a, const char *plugin, const char *text, size_t len, struct json **out,
	       struct err *e);

/*
 * Why a plugin failed, as one line: its own message when that is what it wrote, or the end of what
 * it wrote otherwise. Always -EIO.
 */
int cni_failure(const char *plugin, const char *text, size_t len, const char *err_text,
		struct err *e);

/* The result of the last plugin, for the interface ifname. */
int cni_result_read(struct arena *a, const struct json *result, const char *ifname,
		    struct cni_result *out, struct err *e);

/* cni.json, and back. */
struct cni_cache {
	const char *ifname, *path; /* path: of the plugins */
	struct cni_list list;
	struct json *runtime, *result; /* result: NULL before ADD is done */
};

int cni_cache_format(struct arena *a, const struct cni_cache *c, char **out, size_t *len,
		     struct err *e);
int cni_cache_parse(struct arena *a, const char *text, size_t len, struct cni_cache *out,
		    struct err *e);

#endif
