/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports: their text, and whether somebody has them already. */
#ifndef CTR_NETNS_PORT_H
#define CTR_NETNS_PORT_H

#include "base/err.h"
#include "netns/ip.h"

#define PORT_TEXT 80

/*
 * [IP:]HOST:CONTAINER[/tcp|/udp]; HOST and CONTAINER are a port or a range A-B of the same length;
 * an IPv6 address stands in brackets. Without IP it is of both families, 0.0.0.0 is all of IPv4
 * and [::] all of IPv6. Pure. 0, or -EINVAL with *e.
 */
int port_parse(const char *text, struct ip_port *out, struct err *e);

/* The same text back: "[::1]:8000-8009:80-89/udp". Returns buf. */
const char *port_text(const struct ip_port *p, char buf[PORT_TEXT]);

/* Whether both want a port of the same protocol and address; *port is the first. Pure. */
bool port_overlap(const struct ip_port *a, const struct ip_port *b, uint16_t *port);

/*
 * Whether programs of the host leave the ports free, in the caller's network namespace. 0, or
 * -EADDRINUSE with an *e that names the program as far as the caller may see it, or
 * -EADDRNOTAVAIL: the host has no such address.
 */
int port_check(const struct ip_port *p, struct err *e);

#endif
