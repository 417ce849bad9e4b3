/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that this program is made of: itself, its interpreter, and the shared objects that it
 * names and these name in turn. What was loaded later by name is none of them.
 */
#ifndef CTR_SELF_OBJECTS_H
#define CTR_SELF_OBJECTS_H

#include "base/err.h"

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

enum { SELF_OBJECTS_MAX = 32, SELF_BUILD_ID_MAX = 64 };

struct self_object {
	char path[PATH_MAX]; /* where it lies: /proc/self/exe is the program */
	char name[256];      /* what it is asked for by; the program: "" */
	/* names its content; len 0: it has none */
	unsigned char build_id[SELF_BUILD_ID_MAX];
	size_t build_id_len;
};

struct self_objects {
	struct self_object v[SELF_OBJECTS_MAX]; /* the program is the first */
	size_t n;
	char interp[PATH_MAX]; /* "" for a static program */
};

/* -E2BIG when there are too many, -ENOENT names one that cannot be found. *out is large: malloc. */
int self_objects_find(struct self_objects *out, struct err *e);

#endif
