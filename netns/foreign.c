/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firewalld forgets at each reload what it was told for its run time only, and at each start too.
 * There is no process of ours to tell it again, so it is told for good as well; where that cannot
 * be written, the next container of the network tells it again.
 */
#include "netns/foreign.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "netns/addr.h"
#include "netns/run.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <stdio.h>

#define RUN_SECONDS 30
#define OUTPUT_MAX 65536
#define WORDS_MAX 12
#define LINE_MAX_ 128

static const struct {
	uint8_t nfproto;
	const char *family; /* of nf_tables, as iptables calls it */
	const char *program;
} tools[NET_FAMILIES] = {
	[NET_4] = { NFPROTO_IPV4, "4", "iptables" },
	[NET_6] = { NFPROTO_IPV6, "6", "ip6tables" },
};

/* ---- what is needed ---- */

static bool has_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (const char *s = text; (s = strstr(s, line)) != NULL; s += len)
		if ((s == text || s[-1] == '\n') && (s[len] == '\n' || !s[len]))
			return true;
	return false;
}

struct links {
	const struct net_conf *c;
	int family;
	struct str_buf there; /* lines of the rules that there are */
	struct str_buf *out;
};

struct uplinks {
	struct links *l;
	struct nl *other; /* a socket for questions while the first is read */
};

static void need(const struct links *l, const char *line)
{
	if (!has_line(l->there.s ? l->there.s : "", line) &&
	    !has_line(l->out->s ? l->out->s : "", line))
		str_buf_addf(l->out, "%s\n", line);
}

/* ---- firewalld ---- */

/* firewalld's rules for a link name it as the kernel keeps it, and the chain of its zone. */
struct zone {
	char link[IFNAMSIZ];
	bool any, trusted;
};

static int look_for_zone(const struct nlmsghdr *m, void *arg)
{
	static const char trusted[] = "_trusted";
	const void *body = mnl_nlmsg_get_payload(m);
	size_t len = mnl_nlmsg_get_payload_len(m);
	struct zone *z = arg;

	if (memmem(body, len, z->link, sizeof(z->link))) {
		z->any = true;
		z->trusted |= memmem(body, len, trusted, sizeof(trusted) - 1) != NULL;
	}
	return 0;
}

/*
 * A zone that somebody has chosen for the bridge stays. "trusted" may be what we told it before a
 * reboot: then it is to be written down again.
 */
static int find_zone(struct net_socks *s, const struct net_conf *c, const char *have,
		     struct str_buf *out, struct err *e)
{
	struct zone z = {};
	char line[LINE_MAX_];
	int r;

	if (!nft_chain_there(&s->filter, NFPROTO_INET, "firewalld", "filter_FORWARD"))
		return 0;
	memcpy(z.link, c->bridge, strnlen(c->bridge, IFNAMSIZ - 1));
	r = nft_rules_each(&s->filter, NFPROTO_INET, "firewalld", look_for_zone, &z);
	if (r < 0)
		return err_sys(e, -r, "network %s: read firewalld's rules", c->name);
	snprintf(line, sizeof(line), "firewalld %s", c->bridge);
	if (!z.any || (z.trusted && !has_line(have, line)))
		str_buf_addf(out, "%s\n", line);
	return 0;
}

/* ---- Docker ---- */

static void put_line(struct str_buf *b, int family, const char *in, const char *out)
{
	str_buf_addf(b, "%s%s%s -o %s -j ACCEPT", tools[family].family, *in ? " -i " : "", in, out);
}

static int note_rule(const struct nlmsghdr *m, void *arg)
{
	struct links *l = arg;
	struct foreign_rule rule;
	int r = foreign_read_rule(m, &rule);

	if (r < 0 || !rule.accept || !rule.out[0] || !str_eq(rule.chain, "DOCKER-USER"))
		return r;
	put_line(&l->there, l->family, rule.in, rule.out);
	str_buf_add(&l->there, "\n");
	return 0;
}

/* Not into other bridges: what is behind them is somebody else's, to be asked first. */
static int add_uplink(int index, const struct ip_net *a, void *arg)
{
	const struct uplinks *u = arg;
	struct links *l = u->l;
	AUTO(str_buf_free) struct str_buf line = {};
	struct link link;

	if ((a->ip.family == AF_INET ? NET_4 : NET_6) != l->family ||
	    link_get(u->other, NULL, index, &link) < 0 || str_eq(link.kind, "bridge") ||
	    str_eq(link.name, "lo"))
		return 0;
	put_line(&line, l->family, l->c->bridge, link.name);
	need(l, line.s ? line.s : "");
	return line.failed ? -ENOMEM : 0;
}

static int find_rules(struct net_socks *s, struct links *l, struct err *e)
{
	AUTO(str_buf_free) struct str_buf line = {};
	AUTO_NL struct nl other = {};
	int r = nl_open(&other, -1, e);

	if (r < 0)
		return r;
	r = nft_rules_each(&s->filter, tools[l->family].nfproto, "filter", note_rule, l);
	if (r < 0)
		return err_sys(e, -r, "network %s: read Docker's rules", l->c->name);
	/* What comes in is looked at by our own rules. */
	put_line(&line, l->family, "", l->c->bridge);
	need(l, line.s ? line.s : "");
	if (l->c->internal)
		return 0;
	r = addrs_each(&s->route, add_uplink, &(struct uplinks){ .l = l, .other = &other });
	return r < 0 ? err_sys(e, -r, "read the host's addresses") : 0;
}

int foreign_find(struct net_socks *s, const struct net_conf *c, const char *have,
		 struct str_buf *out, bool *blocked, struct err *e)
{
	struct links l = { .c = c, .out = out };
	int r = 0;

	*blocked = false;
	for (int f = 0; f < NET_FAMILIES && r == 0; f++) {
		if (!c->subnet[f].ip.family ||
		    nft_chain_policy(&s->filter, tools[f].nfproto, "filter", "FORWARD") != NF_DROP)
			continue;
		l.family = f;
		if (nft_chain_there(&s->filter, tools[f].nfproto, "filter", "DOCKER-USER"))
			r = find_rules(s, &l, e);
		else
			*blocked = true;
	}
	str_buf_free(&l.there);
	return r < 0 ? r : find_zone(s, c, have, out, e);
}

void foreign_note(const char *have, const char *more, struct str_buf *out)
{
	str_buf_add(out, have);
	for (const char *s = more, *end; *s; s = end + (*end == '\n')) {
		char line[LINE_MAX_];

		end = strchrnul(s, '\n');
		snprintf(line, sizeof(line), "%.*s", (int)(end - s), s);
		if (!has_line(have, line))
			str_buf_addf(out, "%s\n", line);
	}
}

/* ---- doing it ---- */

static int run_words(char *const *argv, struct err *e)
{
	static const char *const places[] = { "/usr/sbin", "/sbin", "/usr/bin", "/bin" };
	const char *bus = getenv("DBUS_SYSTEM_BUS_ADDRESS");
	AUTO_FREE char *address = bus ? str_printf("DBUS_SYSTEM_BUS_ADDRESS=%s", bus) : NULL;
	char *env[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *)"LC_ALL=C", address,
			NULL };
	struct run_result result = {};
	char path[64] = "";
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(path, sizeof(path), "%s/%s", places[i], argv[0]);
		if (access(path, X_OK) == 0)
			break;
	}
	r = run_program(&(struct run_request){ .path = path,
					       .argv = argv,
					       .envp = env,
					       .out_max = OUTPUT_MAX,
					       .seconds = RUN_SECONDS },
			&result, e);
	if (r == 0 && result.status != 0)
		r = err_set(e, EIO, "%s: %s", argv[0], result.err);
	run_result_free(&result);
	return r;
}

static int firewalld(bool add, char *bridge, struct err *e)
{
	char *const now[] = { "firewall-cmd",   "-q",
			      "--zone=trusted", add ? "--change-interface" : "--remove-interface",
			      bridge,           NULL };
	char *const ever[] = { "firewall-cmd",
			       "-q",
			       "--permanent",
			       "--zone=trusted",
			       add ? "--change-interface" : "--remove-interface",
			       bridge,
			       NULL };
	struct err kept;

	if (run_words(ever, &kept) < 0)
		log_warn(add ? "firewalld lets %s through until its next reload only: %s"
			     : "%s stays in firewalld's zone trusted: %s",
			 bridge, kept.msg);
	return run_words(now, e);
}

/* One line, done (add) or undone. */
static int run_line(char *line, bool add, struct err *e)
{
	char *argv[WORDS_MAX + 8] = {}, *save = NULL;
	size_t n = 0;
	char *first = strtok_r(line, " ", &save);

	if (!first)
		return 0;
	if (str_eq(first, "firewalld"))
		return firewalld(add, strtok_r(NULL, " ", &save), e);
	argv[n++] = (char *)(uintptr_t)tools[str_eq(first, "4") ? NET_4 : NET_6].program;
	argv[n++] = "-w";
	argv[n++] = "10";
	argv[n++] = add ? "-I" : "-D";
	argv[n++] = "DOCKER-USER";
	while (n < WORDS_MAX + 7 && (argv[n] = strtok_r(NULL, " ", &save)) != NULL)
		n++;
	return run_words(argv, e);
}

static int each_line(const char *lines, bool add, struct err *e)
{
	AUTO_FREE char *copy = strdup(lines);
	char *save = NULL;
	int r = copy ? 0 : err_sys(e, ENOMEM, "other firewalls");

	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line && (r == 0 || !add);
	     line = strtok_r(NULL, "\n", &save)) {
		struct err one;

		r = run_line(line, add, &one);
		if (r < 0 && add)
			*e = one;
		else if (r < 0)
			log_debug("%s", one.msg);
	}
	return r;
}

int foreign_add(const char *lines, struct err *e)
{
	return each_line(lines, true, e);
}

void foreign_remove(const char *lines)
{
	struct err e;

	each_line(lines, false, &e);
}
