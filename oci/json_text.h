/* SPDX-License-Identifier: Apache-2.0 */
/* JSON of a stranger, made ours: parsed within the limits of json.h and written anew. */
#ifndef CTR_OCI_JSON_TEXT_H
#define CTR_OCI_JSON_TEXT_H

#include "base/err.h"
#include "oci/json_out.h"

#include <stddef.h>

/*
 * The member key of the object that the text is, as a value. what names the text in errors. -EINVAL
 * for what is no JSON, and when there is no such member.
 */
int json_text_member(struct json_out *j, const char *what, const char *text, size_t len,
		     const char *key, struct err *e);

#endif
