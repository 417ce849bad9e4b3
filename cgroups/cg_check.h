/* SPDX-License-Identifier: Apache-2.0 */
/* For `ctr check`: what this host's cgroups can hold, without making any. */
#ifndef CTR_CGROUPS_CG_CHECK_H
#define CTR_CGROUPS_CG_CHECK_H

#include "base/err.h"
#include "cgroups/cg.h"
#include "oci/spec.h"

/*
 * Whether the resources can be planned for this host: 0, or -EINVAL for a value that makes no sense
 * or -ENOTSUP for a setting that the host has no file or controller for, each with its JSON path.
 */
int cg_check(const struct cg_host *h, const struct spec_resources *r, struct err *e);

#endif
