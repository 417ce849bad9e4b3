/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which process exec shall run: from --process FILE, or the container's own with the options
 * applied.
 */
#ifndef CTR_EXEC_SPEC_H
#define CTR_EXEC_SPEC_H

#include "base/err.h"
#include "ctr.h"
#include "oci/annotations.h"
#include "oci/spec.h"

struct exec_spec {
	struct spec *container;  /* the kept configuration */
	struct spec *file;       /* of --process, or NULL */
	struct spec_process own; /* a copy of the container's, changed; when there is no file */
	struct spec_capabilities caps;
	const struct spec_process *process; /* what to run */
	const struct spec_personality *personality;
	const struct spec_memory_policy *memory;
	struct annotations notes; /* the container's */
};

/* dir: the state directory. Errors name the option. */
int exec_spec_make(struct exec_spec *x, int dir, const struct exec_opts *o, struct err *e);
void exec_spec_free(struct exec_spec *x);

#endif
