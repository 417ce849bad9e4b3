/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules across fields (runtime-spec config.md, config-linux.md): what a field table cannot see.
 * Called by spec_parse. The first broken rule is the error.
 */
#ifndef CTR_OCI_VALIDATE_H
#define CTR_OCI_VALIDATE_H

#include "base/err.h"
#include "oci/spec.h"

int validate_spec(const struct spec *s, struct err *e);
int validate_process(const struct spec_process *p, struct err *e);

/* The rules for a container ID (contract section 0): [A-Za-z0-9_+.-]+, no leading '.', <= 1024 bytes. */
int validate_id(const char *id, struct err *e);

#endif
