/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ID LINK MAC IPV4 IPV6 HOSTNAME LIMITED [PORT...], separated by blanks, "-" for what is not there.
 * Every container that starts reads the lines of all the others: that is why they are so simple.
 */
#include "net_members.h"

#include "base/cleanup.h"
#include "netns/port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

bool member_name_ok(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= 253 && name[0] != '-' && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") ==
		       len;
}

static void put_ip(struct str_buf *out, const struct ip *ip)
{
	char buf[IP_TEXT];

	str_buf_addf(out, " %s", ip->family ? ip_text(ip, buf) : "-");
}

void members_format(const struct members *l, struct str_buf *out)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct member *m = &l->v[i];
		const uint8_t *a = m->net.mac;
		char buf[PORT_TEXT];

		str_buf_addf(out, "%s %s %02x:%02x:%02x:%02x:%02x:%02x", m->id, m->net.veth, a[0],
			     a[1], a[2], a[3], a[4], a[5]);
		for (int f = 0; f < NET_FAMILIES; f++)
			put_ip(out, &m->net.ip[f]);
		str_buf_addf(out, " %s %s", m->hostname ? m->hostname : "-",
			     m->limited ? "limited" : "-");
		for (size_t k = 0; k < m->net.n_ports; k++)
			str_buf_addf(out, " %s", port_text(&m->net.ports[k], buf));
		str_buf_add(out, "\n");
	}
}

static int parse_ip(const char *s, uint8_t family, struct ip *out)
{
	if (str_eq(s, "-"))
		return 0;
	return ip_parse(s, out) == 0 && out->family == family ? 0 : -EINVAL;
}

static int parse_mac(const char *s, uint8_t mac[LINK_ETHER])
{
	unsigned int v[LINK_ETHER];
	int used = 0;

	if (sscanf(s, "%2x:%2x:%2x:%2x:%2x:%2x%n", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5],
		   &used) != LINK_ETHER ||
	    s[used])
		return -EINVAL;
	for (size_t i = 0; i < LINK_ETHER; i++)
		mac[i] = (uint8_t)v[i];
	return 0;
}

static int parse_ports(char **save, struct member *m)
{
	for (char *s; (s = strtok_r(NULL, " ", save)) != NULL;) {
		struct ip_port *v = reallocarray(m->ports, m->net.n_ports + 1, sizeof(*v));

		if (!v)
			return -ENOMEM;
		m->net.ports = m->ports = v;
		if (port_parse(s, &v[m->net.n_ports], NULL) < 0)
			return -EINVAL;
		m->net.n_ports++;
	}
	return 0;
}

static int parse_line(char *line, struct member *m)
{
	enum { ID, LINK, MAC, IP4, IP6, HOSTNAME, LIMITED, WORDS };
	char *save = NULL, *w[WORDS];
	int r;

	for (int i = 0; i < WORDS; i++) {
		w[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!w[i])
			return -EINVAL;
	}
	if (strlen(w[LINK]) >= IFNAMSIZ)
		return -EINVAL;
	strcpy(m->net.veth, w[LINK]);
	m->limited = str_eq(w[LIMITED], "limited");
	r = parse_mac(w[MAC], m->net.mac);
	if (r == 0)
		r = parse_ip(w[IP4], AF_INET, &m->net.ip[NET_4]);
	if (r == 0)
		r = parse_ip(w[IP6], AF_INET6, &m->net.ip[NET_6]);
	if (r == 0)
		r = parse_ports(&save, m);
	if (r < 0)
		return r;
	m->id = strdup(w[ID]);
	if (member_name_ok(w[HOSTNAME]))
		m->hostname = strdup(w[HOSTNAME]);
	return m->id && (m->hostname || !member_name_ok(w[HOSTNAME])) ? 0 : -ENOMEM;
}

int members_parse(const char *text, struct members *out, struct err *e)
{
	AUTO_FREE char *copy = strdup(text);
	AUTO_MEMBERS struct members l = {};
	char *save = NULL;
	int r = copy ? 0 : -ENOMEM;

	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line && r == 0;
	     line = strtok_r(NULL, "\n", &save)) {
		struct member *m = members_add(&l);

		r = m ? parse_line(line, m) : -ENOMEM;
	}
	if (r == -EINVAL)
		return err_set(e, EINVAL, "members: line %zu is not one of ours", l.n);
	if (r < 0)
		return err_sys(e, -r, "members");
	*out = l;
	l = (struct members){};
	return 0;
}

struct member *members_find(const struct members *l, const char *id)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i].id, id))
			return &l->v[i];
	return NULL;
}

struct member *members_add(struct members *l)
{
	struct member *v = reallocarray(l->v, l->n + 1, sizeof(*v));

	if (!v)
		return NULL;
	l->v = v;
	v[l->n] = (struct member){};
	return &v[l->n++];
}

static void clear(struct member *m)
{
	free(m->id);
	free(m->hostname);
	free(m->ports);
}

void members_remove(struct members *l, struct member *m)
{
	size_t i = (size_t)(m - l->v);

	clear(m);
	memmove(m, m + 1, (l->n - i - 1) * sizeof(*m));
	l->n--;
}

int member_fill(struct member *m, const char *id, const char *hostname,
		const struct net_member *net)
{
	m->net = *net;
	m->id = strdup(id);
	m->hostname = hostname && member_name_ok(hostname) ? strdup(hostname) : NULL;
	m->ports = calloc(net->n_ports ? net->n_ports : 1, sizeof(*m->ports));
	m->net.ports = m->ports;
	if (!m->id || !m->ports || (hostname && member_name_ok(hostname) && !m->hostname))
		return -ENOMEM;
	if (net->n_ports)
		memcpy(m->ports, net->ports, net->n_ports * sizeof(*m->ports));
	return 0;
}

void member_ifb(const struct net_member *m, char name[IFNAMSIZ])
{
	/* The link is ctrN_X: no other has its name with another letter in the middle. */
	char *mark;

	snprintf(name, IFNAMSIZ, "%s", m->veth);
	mark = strrchr(name, '_');
	if (mark)
		*mark = '^';
}

void members_free(struct members *l)
{
	for (size_t i = 0; i < l->n; i++)
		clear(&l->v[i]);
	free(l->v);
	*l = (struct members){};
}
