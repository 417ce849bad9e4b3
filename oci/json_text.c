/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/json_text.h"

#include "base/cleanup.h"
#include "oci/json_edit.h"

#include <errno.h>

int json_text_copy(struct json_out *j, const char *what, const char *text, size_t len,
		   struct err *e)
{
	AUTO(arena_free) struct arena a = {};
	struct json *v;
	int r = json_parse(&a, what, text, len, &v, e);

	if (r == 0)
		r = json_edit_emit(j, v, e);
	if (r == 0 && j->buf.failed)
		r = err_sys(e, ENOMEM, "%s", what);
	return r;
}
