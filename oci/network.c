/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/network.h"

#include "oci/spec_field.h"

#include <errno.h>
#include <stdlib.h>

#define AT(member) offsetof(struct network_file, member)

static const struct field rows[] = {
	{ "name", FIELD_STRING, .required = true, .offset = AT(name) },
	{ "bridge", FIELD_STRING, .required = true, .offset = AT(bridge) },
	{ "subnet", FIELD_STRING, .offset = AT(subnet) },
	{ "gateway", FIELD_STRING, .offset = AT(gateway) },
	{ "subnet6", FIELD_STRING, .offset = AT(subnet6) },
	{ "gateway6", FIELD_STRING, .offset = AT(gateway6) },
	{ "mtu", FIELD_U32, .offset = AT(mtu) },
	{ "internal", FIELD_BOOL, .offset = AT(internal) },
	{ "automatic", FIELD_BOOL, .offset = AT(automatic) },
};
static const struct field_table table = { FIELD_TABLE(struct network_file, rows) };

static void put_text(struct json_out *j, const char *key, const char *s)
{
	if (s)
		json_out_kstr(j, key, s);
}

void network_out(struct json_out *j, const struct network_file *f)
{
	put_text(j, "name", f->name);
	put_text(j, "bridge", f->bridge);
	put_text(j, "subnet", f->subnet);
	put_text(j, "gateway", f->gateway);
	put_text(j, "subnet6", f->subnet6);
	put_text(j, "gateway6", f->gateway6);
	if (f->mtu)
		json_out_ku64(j, "mtu", f->mtu);
	json_out_kbool(j, "internal", f->internal);
	json_out_kbool(j, "automatic", f->automatic);
}

int network_parse(const char *text, size_t len, struct network_file **out, struct err *e)
{
	AUTO_NETWORK struct network_file *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return err_sys(e, ENOMEM, "network.json");
	r = field_document(&f->arena, "network.json", text, len, &table, f, e);
	if (r == 0)
		*out = TAKE_PTR(f);
	return r;
}

void network_free(struct network_file *f)
{
	if (!f)
		return;
	arena_free(&f->arena);
	free(f);
}
