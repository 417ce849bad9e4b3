/* SPDX-License-Identifier: Apache-2.0 */
/* JSON of a stranger, made ours: parsed within the limits of json.h and written anew. */
#ifndef CTR_OCI_JSON_TEXT_H
#define CTR_OCI_JSON_TEXT_H

#include "base/err.h"
#include "oci/json_out.h"

#include <stddef.h>

/* what names the text in errors. -EINVAL for what is no JSON. */
int json_text_copy(struct json_out *j, const char *what, const char *text, size_t len,
		   struct err *e);

#endif
