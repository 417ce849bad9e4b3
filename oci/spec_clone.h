/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of spec_clone_text (spec_edit.h): its parts are two files. */
#ifndef CTR_OCI_SPEC_CLONE_H
#define CTR_OCI_SPEC_CLONE_H

#include "oci/json_out.h"

/* Writes the member "seccomp" into an open object. */
void spec_clone_seccomp(struct json_out *j);

#endif
