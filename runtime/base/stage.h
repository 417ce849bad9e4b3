/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of stages is how ctr does anything that takes several steps and may fail in the middle:
 * the table is the documentation of the order, each row owns the undo of what it made.
 */
#ifndef CTR_BASE_STAGE_H
#define CTR_BASE_STAGE_H

#include "base/err.h"

#include <stddef.h>

struct stage {
	const char *name;
	int (*run)(void *ctx, struct err *e); /* 0 or -errno with *e set */
	void (*undo)(void *ctx);              /* may be NULL; must cope with a half-done run */
};

/*
 * Runs the n stages of table in order. When one fails, the undo of that stage and of all before it
 * is called, last first, and the stage's -errno is returned. With --debug each stage is logged as
 * "WHO: NAME: time in microseconds".
 */
int stage_run(const char *who, const struct stage *table, size_t n, void *ctx, struct err *e);

/* Calls the undo of all n stages, last first: for a failure after the table has run to its end. */
void stage_undo(const struct stage *table, size_t n, void *ctx);

#endif
