/* SPDX-License-Identifier: Apache-2.0 */
/* What the configurations that ctr writes itself are made of: spec_default.c, spec_clone*.c. */
#ifndef CTR_OCI_SPEC_DEFAULT_H
#define CTR_OCI_SPEC_DEFAULT_H

#include "oci/json_out.h"

/* linux.resources: no device but those that the runtime allows by itself. */
void spec_default_resources(struct json_out *j);

/* An element of linux.namespaces. */
void spec_default_namespace(struct json_out *j, const char *type);

/* Writes the member "seccomp" into an open object. */
void spec_clone_seccomp(struct json_out *j);

#endif
