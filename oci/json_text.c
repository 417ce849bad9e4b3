/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/json_text.h"

#include "base/cleanup.h"
#include "oci/json_edit.h"

#include <errno.h>

int json_text_member(struct json_out *j, const char *what, const char *text, size_t len,
		     const char *key, struct err *e)
{
	AUTO(arena_free) struct arena a = {};
	const struct json *member;
	struct json *v;
	int r = json_parse(&a, what, text, len, &v, e);

	if (r < 0)
		return r;
	member = v->type == JSON_OBJECT ? json_get(v, key) : NULL;
	if (!member)
		return err_set(e, EINVAL, "%s: no \"%s\"", what, key);
	r = json_edit_emit(j, member, e);
	return r == 0 && j->buf.failed ? err_sys(e, ENOMEM, "%s", what) : r;
}
