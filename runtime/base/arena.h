/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that lives and dies together: a parsed document, a spec, a plan. Zero-initialise;
 * everything handed out is zeroed, aligned for any type, and freed by arena_free at once.
 */
#ifndef CTR_BASE_ARENA_H
#define CTR_BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *head;
};

void *arena_alloc(struct arena *a, size_t size);           /* NULL without memory */
void *arena_array(struct arena *a, size_t n, size_t size); /* NULL on overflow too */
char *arena_strdup(struct arena *a, const char *s);        /* NULL without memory */
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void arena_free(struct arena *a); /* idempotent */

#endif
