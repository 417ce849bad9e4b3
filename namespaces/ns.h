/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of namespaces, and how one process gets into those that it shall have. */
#ifndef CTR_NAMESPACES_NS_H
#define CTR_NAMESPACES_NS_H

#include "base/err.h"
#include "oci/spec.h"

#include <stdint.h>

struct ns_desc {
	const char *name;    /* the specification's: "network" */
	const char *proc;    /* below /proc/PID/ns: "net" */
	uint64_t clone_flag; /* CLONE_NEWNET */
};

extern const struct ns_desc ns_table[NS_KINDS];

/* Which namespaces a process makes and which it joins. fd[k] >= 0: join; bit in new_flags: make. */
struct ns_plan {
	uint64_t new_flags; /* CLONE_NEW* */
	int fd[NS_KINDS];   /* owned; -1 when not joined */
};

#define NS_PLAN_INIT                                     \
	{                                                \
		.fd = { -1, -1, -1, -1, -1, -1, -1, -1 } \
	}

/* From the spec: opens each path (checked to be a namespace of that kind). */
int ns_plan_spec(const struct spec_linux *l, struct ns_plan *p, struct err *e);

/*
 * Whether the namespace that is joined is the one that we are in. A kind that is not joined: 0.
 * 1, 0 or -errno.
 */
int ns_is_own(const struct ns_plan *p, enum ns_kind k);

/*
 * Joins all fds of the plan: those that the caller's rights allow first, the user namespace, the
 * rest.
 */
int ns_join(struct ns_plan *p, struct err *e);

void ns_plan_close(struct ns_plan *p);

#define AUTO_NS_PLAN __attribute__((cleanup(ns_plan_close)))

#endif
