/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: text that claims to be a state.json. What is read is written and read again: the same
 * text must come of it.
 */
#include "base/cleanup.h"
#include "base/str.h"
#include "oci/state.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void show(const struct state *s)
{
	for (int status = 0; status < STATUS_COUNT; status++) {
		AUTO(json_out_free) struct json_out j = { .indent = status % 2 ? 2 : 0 };

		state_out(&j, s, (enum status)status, "root");
		state_out_hook(&j, s, (enum status)status);
	}
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	AUTO_FREE char *text = malloc(size ? size : 1), *first = NULL, *second = NULL;
	AUTO_STATE struct state *s = NULL, *again = NULL;
	struct err e = {};
	size_t n = 0, m = 0;

	memcpy(text, data, size);
	if (state_parse(text, size, &s, &e) < 0) {
		if (!e.msg[0] || s)
			abort();
		return 0;
	}
	show(s);
	if (state_format(s, &first, &n, &e) < 0 || state_parse(first, n, &again, &e) < 0 ||
	    state_format(again, &second, &m, &e) < 0 || !str_eq(first, second))
		abort();
	return 0;
}
