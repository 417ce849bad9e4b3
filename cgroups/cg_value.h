/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed values of a D-Bus property, and GVariant's text form of them, in which annotations give
 * them: "uint64 5", "'text'", "true", "['a', 'b']", "@a(st) [('/dev/sda', 100)]".
 */
#ifndef CTR_CGROUPS_CG_VALUE_H
#define CTR_CGROUPS_CG_VALUE_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CG_VALUE_TYPES_MAX 16 /* members of a tuple */

/* Which member counts is told by the type: s for "sog", d for "d", i for "nix", u for the rest. */
union cg_leaf {
	uint64_t u;
	int64_t i;
	double d;
	const char *s;
};

/* A scalar, a tuple of scalars, or an array of either: as deep as systemd's unit properties go. */
struct cg_value {
	char types[CG_VALUE_TYPES_MAX + 1]; /* of one element, D-Bus letters: "t", "st" */
	bool array, tuple;
	union cg_leaf *v; /* one after the other, each element has strlen(types) of them */
	size_t n;         /* leaves */
};

/*
 * Strings and leaves come from the arena. 0; -ENOMEM; or -EINVAL with *why (a constant) and *at
 * (where in text).
 */
int cg_value_parse(struct arena *a, const char *text, struct cg_value *out, const char **why,
		   size_t *at);

#endif
