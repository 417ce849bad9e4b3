/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include "base/cleanup.h"

#include <errno.h>

struct network_cmd_opts {
	struct network_create_opts create;
	int mtu;
	bool quiet;
};

#define AT(field) .at = offsetof(struct network_cmd_opts, field)

static const struct opt opts[] = {
	{ "subnet", 0, OPT_STRING, AT(create.subnet), "ADDRESS/LENGTH",
	  "create: its IPv4 subnet (default: one that is free; none: no IPv4)" },
	{ "gateway", 0, OPT_STRING, AT(create.gateway), "ADDRESS",
	  "create: the host's address in it (default: the first)" },
	{ "ipv6", 0, OPT_STRING, AT(create.subnet6), "ADDRESS/LENGTH",
	  "create: its IPv6 subnet (default without --subnet: one that is free)" },
	{ "gateway6", 0, OPT_STRING, AT(create.gateway6), "ADDRESS",
	  "create: the host's IPv6 address in it (default: the first)" },
	{ "mtu", 0, OPT_COUNT, AT(mtu), "BYTES", "create: largest packet" },
	{ "internal", 0, OPT_FLAG, AT(create.internal),
	  .help = "create: its containers reach each other and nothing else" },
	{ "bridge", 0, OPT_STRING, AT(create.bridge), "NAME",
	  "create: the name of the host's link (default: ctr0, ctr1, ...)" },
	{ "quiet", 'q', OPT_FLAG, AT(quiet), .help = "list: names only" },
	{},
};

/* Which command an option belongs to is said, not guessed. */
static bool for_create(const struct network_cmd_opts *o)
{
	const struct network_create_opts *c = &o->create;

	return c->subnet || c->gateway || c->subnet6 || c->gateway6 || c->bridge || c->internal ||
	       o->mtu;
}

static int create(const struct ctr_global *g, struct network_cmd_opts *o, const char *name,
		  struct err *e)
{
	o->create.mtu = (uint32_t)o->mtu;
	return ctr_network_create(g, name, &o->create, e);
}

static int list(const struct ctr_global *g, struct network_cmd_opts *o, const char *name,
		struct err *e)
{
	AUTO(str_buf_free) struct str_buf b = {};
	AUTO_FREE struct ctr_network_row *v = NULL;
	size_t n = 0;
	int r = ctr_network_list(g, &v, &n, e);

	(void)name;
	if (r < 0)
		return r;
	if (!o->quiet)
		str_buf_addf(&b, "%-16s %-8s %-20s %-24s %-10s %s\n", "NAME", "BRIDGE", "SUBNET",
			     "IPV6", "CONTAINERS", "INTERNAL");
	for (size_t i = 0; i < n; i++) {
		if (o->quiet)
			str_buf_addf(&b, "%s\n", v[i].name);
		else
			str_buf_addf(&b, "%-16s %-8s %-20s %-24s %-10zu %s\n", v[i].name,
				     v[i].bridge, v[i].subnet[0] ? v[i].subnet : "-",
				     v[i].subnet6[0] ? v[i].subnet6 : "-", v[i].containers,
				     v[i].internal ? "yes" : "no");
	}
	return cmd_print(&b, e);
}

static int inspect(const struct ctr_global *g, struct network_cmd_opts *o, const char *name,
		   struct err *e)
{
	AUTO(json_out_free) struct json_out j = { .indent = 2 };
	int r = name ? ctr_network_inspect(g, name, &j, e) : ctr_network_inspect_all(g, &j, e);

	(void)o;
	return r < 0 ? r : cmd_print_json(&j, e);
}

static int remove_one(const struct ctr_global *g, struct network_cmd_opts *o, const char *name,
		      struct err *e)
{
	(void)o;
	return ctr_network_remove(g, name, e);
}

static int check(const struct ctr_global *g, struct network_cmd_opts *o, const char *id,
		 struct err *e)
{
	(void)o;
	return ctr_network_check(g, id, e);
}

static const struct {
	const char *name;
	size_t min, max; /* words behind it */
	int (*run)(const struct ctr_global *g, struct network_cmd_opts *o, const char *name,
		   struct err *e);
} verbs[] = {
	{ "create", 1, 1, create },     { "list", 0, 0, list },   { "inspect", 0, 1, inspect },
	{ "remove", 1, 1, remove_one }, { "check", 1, 1, check },
};

static int run(const struct ctr_global *g, void *opt, const struct opt_words *w, int *status,
	       struct err *e)
{
	struct network_cmd_opts *o = opt;

	(void)status;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (!str_eq(w->v[0], verbs[i].name))
			continue;
		if (w->n - 1 < verbs[i].min)
			return err_kind(e, ERR_USAGE, EINVAL, "network %s: a name is missing",
					verbs[i].name);
		if (w->n - 1 > verbs[i].max)
			return err_kind(e, ERR_USAGE, EINVAL,
					"network %s: an argument too many: %s", verbs[i].name,
					w->v[verbs[i].max + 1]);
		if (for_create(o) && verbs[i].run != create)
			return err_kind(e, ERR_USAGE, EINVAL,
					"network %s: only create takes this option", verbs[i].name);
		if (o->quiet && verbs[i].run != list)
			return err_kind(e, ERR_USAGE, EINVAL, "network %s: only list takes --quiet",
					verbs[i].name);
		return verbs[i].run(g, o, w->n > 1 ? w->v[1] : NULL, e);
	}
	return err_kind(e, ERR_USAGE, EINVAL,
			"network: neither create, list, inspect, remove nor check: %s", w->v[0]);
}

const struct cmd cmd_network = {
	.name = "network",
	.words = "create|list|inspect|remove|check [NAME]",
	.summary = "networks of containers: make, show, remove and check them",
	.more = "Containers of one network reach each other, by ID too; those of two do not.\n"
		"The network \"bridge\" is there without being made.\n"
		"check takes a container: whether its network is still as it was made.",
	.opts = opts,
	.opts_size = sizeof(struct network_cmd_opts),
	.min = 1,
	.max = 2,
	.run = run,
};
