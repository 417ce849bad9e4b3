/* SPDX-License-Identifier: Apache-2.0 */
/* linux.sysctl, through a verified procfs. */
#ifndef CTR_NAMESPACES_SYSCTL_H
#define CTR_NAMESPACES_SYSCTL_H

#include "base/err.h"
#include "namespaces/ns.h"
#include "oci/spec.h"

/*
 * In ctr's own namespaces, before any is joined: -EINVAL for a sysctl of a namespace that is given
 * by its path and is our own, because the host's value would be changed. 0 or -errno with *e set.
 */
int sysctl_check_joined(const struct spec_map *m, const struct ns_plan *ns, struct err *e);

/*
 * Writes each pair; names in dot or slash form ("net.ipv4.ip_forward"). Nothing at all when the map
 * is empty.
 */
int sysctl_apply(const struct spec_map *m, struct err *e);

/*
 * "net.ipv4.conf.eth0/1.forwarding" -> "net/ipv4/conf/eth0.1/forwarding"; malloc'ed, NULL without
 * memory. Pure.
 */
char *sysctl_path(const char *name);

#endif
