/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules across fields (runtime-spec config.md, config-linux.md): what a field table cannot see.
 * Called by spec_parse. The first broken rule is the error, as "PATH: REASON".
 *
 * Pure: a rule that needs a look at the system (is this network namespace the host's? does this
 * kernel have that?) belongs to the runtime. With spec.own_kernel, a "vm" object, or the annotation
 * org.ctr.isolation=vm, the container has a kernel of its own, and what asks for a namespace needs
 * none; but for the mappings of ids, which are the host's.
 */
#ifndef CTR_OCI_VALIDATE_H
#define CTR_OCI_VALIDATE_H

#include "base/err.h"
#include "oci/json.h"
#include "oci/spec.h"

int validate_spec(const struct spec *s, struct err *e);

/*
 * All broken rules go to report; s may be half read (spec_check.h). no_namespaces: the list of
 * namespaces was among what could not be read. -ENOMEM is the only error then.
 */
int validate_spec_all(const struct spec *s, const struct json_report *report, bool no_namespaces,
		      struct err *e);

/* The rules for a process alone; paths begin at the process ("args[0]"). */
int validate_process(const struct spec_process *p, struct err *e);

/* The rules for a container ID (contract section 0): [A-Za-z0-9_+.-]+, no leading '.', <= 1024
 * bytes. */
int validate_id(const char *id, struct err *e);

/*
 * The path below /proc/sys of a sysctl key, in either form: "net.ipv4.conf.eth0/100.mtu" and
 * "net/ipv4/conf/eth0.100/mtu" both give "net/ipv4/conf/eth0.100/mtu". -EINVAL for what is no
 * such path (empty parts, "." and ".." as parts), -ENAMETOOLONG beyond size.
 */
int validate_sysctl_path(const char *key, char *out, size_t size);

/*
 * The kind of namespace (enum ns_kind) that has its own value of the sysctl at that path
 * ("net/ipv4/ip_forward"), or -1: the host's is the only one.
 */
int validate_sysctl_owner(const char *path);

#endif
