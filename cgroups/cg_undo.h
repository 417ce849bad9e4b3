/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cgroup files said before they were written, so that an update that is refused half-way
 * leaves nothing behind. Files with a line for each device, interface or resource are put back line
 * by line.
 */
#ifndef CTR_CGROUPS_CG_UNDO_H
#define CTR_CGROUPS_CG_UNDO_H

#include <stddef.h>

struct cg_undo_one {
	char *path;  /* of the file */
	char *value; /* NULL: cannot be put back */
};

/* Zero-initialise; cg_undo_free. */
struct cg_undo {
	struct cg_undo_one *v;
	size_t n, cap;
};

/*
 * Remembers what `value`, which is about to be written to dir/file, will change. 0 (also for a file
 * that is not there) or -ENOMEM.
 */
int cg_undo_save(struct cg_undo *u, const char *dir, const char *file, const char *value);

/* Forgets the last one: it was not written. */
void cg_undo_drop(struct cg_undo *u);

/* Writes everything back, the last first: values that bound one another go back the way they came.
 */
void cg_undo_run(const struct cg_undo *u);
void cg_undo_free(struct cg_undo *u);

/*
 * What must be written to a file that reads `now` to take back a write of `value`; malloc'ed. NULL
 * when nothing can, or without memory. Pure.
 */
char *cg_undo_text(const char *file, const char *now, const char *value);

#endif
