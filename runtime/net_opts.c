/* SPDX-License-Identifier: Apache-2.0 */
#include "net_opts.h"

#include "base/cleanup.h"
#include "net_store.h"
#include "netns/port.h"

#include <errno.h>
#include <stdio.h>

/* What has a word of its own; the rest is the name of a network. */
static const struct {
	const char *word;
	bool prefix; /* something follows */
	enum network_mode mode;
} words[] = {
	{ "none", false, NETWORK_NONE },   { "host", false, NETWORK_HOST },
	{ "pasta", false, NETWORK_PASTA }, { "container:", true, NETWORK_CONTAINER },
	{ "ns:", true, NETWORK_PATH },     { "cni:", true, NETWORK_CNI },
};

static int choose(const char *text, bool rootless, struct network_plan *p, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const char *rest = str_after(text, words[i].word);

		if (!rest || (!words[i].prefix && *rest))
			continue;
		if (words[i].prefix && !*rest)
			return err_set(e, EINVAL, "--network: what is behind %s is missing",
				       words[i].word);
		p->mode = words[i].mode;
		p->name = rest;
		if (p->mode == NETWORK_PATH && rest[0] != '/')
			return err_set(e, EINVAL, "--network: not an absolute path: %s", rest);
		return 0;
	}
	p->mode = NETWORK_OURS;
	p->name = text;
	if (rootless && str_eq(text, NET_DEFAULT)) {
		p->mode = NETWORK_PASTA;
		return 0;
	}
	if (rootless)
		return err_set(
			e, EPERM,
			"--network: %s: only root has networks of its own; without root there "
			"are pasta, none, host, container:ID and ns:PATH",
			text);
	return network_check_name(text, e) < 0 ? err_wrap(e, "--network") : 0;
}

static int parse_ip(const char *option, const char *text, uint8_t family, struct ip *out,
		    struct err *e)
{
	if (!text)
		return 0;
	if (ip_parse(text, out) < 0 || out->family != family)
		return err_set(e, EINVAL, "%s: not an IPv%d address: %s", option,
			       family == AF_INET ? 4 : 6, text);
	return 0;
}

static int parse_mac(const char *text, uint8_t mac[LINK_ETHER], struct err *e)
{
	unsigned int v[LINK_ETHER];
	int used = 0;

	if (!text)
		return 0;
	/* sscanf alone would take "0x" for a number. */
	if (strlen(text) != 17 || strspn(text, "0123456789abcdefABCDEF:") != 17 ||
	    sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5],
		   &used) != LINK_ETHER ||
	    text[used])
		return err_set(e, EINVAL, "--mac: not six bytes with colons: %s", text);
	for (size_t i = 0; i < LINK_ETHER; i++)
		mac[i] = (uint8_t)v[i];
	if (mac[0] & 1)
		return err_set(e, EINVAL, "--mac: the address of a group, not of a link: %s", text);
	if (!(mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]))
		return err_set(e, EINVAL, "--mac: the address of nobody: %s", text);
	return 0;
}

static int parse_ports(const struct spec_strings *l, struct network_plan *p, struct err *e)
{
	uint16_t port;

	if (l->n == 0)
		return 0;
	p->ports = calloc(l->n, sizeof(*p->ports));
	if (!p->ports)
		return err_sys(e, ENOMEM, "--publish");
	for (size_t i = 0; i < l->n; i++) {
		int r = port_parse(l->v[i], &p->ports[i], e);

		if (r < 0)
			return r;
		for (size_t k = 0; k < i; k++)
			if (port_overlap(&p->ports[k], &p->ports[i], &port))
				return err_set(e, EINVAL, "--publish: port %u is given twice: %s",
					       port, l->v[i]);
	}
	p->n_ports = l->n;
	return 0;
}

static int check_dns(const struct spec_strings *l, struct err *e)
{
	struct ip ip;

	for (size_t i = 0; i < l->n; i++)
		if (ip_parse(l->v[i], &ip) < 0)
			return err_set(e, EINVAL, "--dns: not an address: %s", l->v[i]);
	return 0;
}

/* What needs a link of the container's own. */
static int check_use(const struct network_opts *o, const struct network_plan *p, struct err *e)
{
	const struct {
		const char *option;
		bool given;
		bool dns;  /* needs files only */
		bool ours; /* needs a link that we have made */
	} uses[] = {
		{ "--publish", o->publish.n > 0, false, false },
		{ "--ip", o->ip, false, false },
		{ "--ip6", o->ip6, false, false },
		{ "--mac", o->mac, false, false },
		{ "--net-rate", o->rate, false, true },
		{ "--dns", o->dns.n > 0, true, false },
	};
	bool link = p->mode == NETWORK_OURS || p->mode == NETWORK_CNI || p->mode == NETWORK_PASTA;

	for (size_t i = 0; i < ARRAY_SIZE(uses); i++) {
		bool works = uses[i].dns    ? link || p->mode == NETWORK_PATH
			     : uses[i].ours ? p->mode == NETWORK_OURS
					    : link;

		if (!uses[i].given || works)
			continue;
		if (p->mode == NETWORK_KEEP)
			return err_set(e, EINVAL, "%s: needs --network", uses[i].option);
		return err_set(e, EINVAL, "%s: has no effect with --network %s", uses[i].option,
			       o->network);
	}
	return 0;
}

static int fill(const struct network_opts *o, bool clone, bool rootless, struct network_plan *p,
		struct err *e)
{
	const char *network = o->network ? o->network : clone ? NET_DEFAULT : NULL;
	int r = network ? choose(network, rootless, p, e) : 0;

	if (r == 0)
		r = check_use(o, p, e);
	if (r == 0)
		r = parse_ip("--ip", o->ip, AF_INET, &p->ip[NET_4], e);
	if (r == 0)
		r = parse_ip("--ip6", o->ip6, AF_INET6, &p->ip[NET_6], e);
	if (r == 0)
		r = parse_mac(o->mac, p->mac, e);
	if (r == 0 && o->rate && tc_parse_rate(o->rate, &p->rate, e) < 0)
		r = err_wrap(e, "--net-rate");
	if (r == 0)
		r = parse_ports(&o->publish, p, e);
	return r < 0 ? r : check_dns(&o->dns, e);
}

int network_plan(const struct network_opts *o, bool clone, bool rootless, struct network_plan *out,
		 struct err *e)
{
	struct network_plan p = { .dns = &o->dns, .mac_text = o->mac };
	int r = fill(o, clone, rootless, &p, e);

	if (r < 0)
		network_plan_free(&p);
	else
		*out = p;
	return r;
}

void network_plan_free(struct network_plan *p)
{
	free(p->ports);
	*p = (struct network_plan){};
}
