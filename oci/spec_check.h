/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration looked at as a whole, for `ctr check`: every mistake instead of the first one,
 * and which fields of the specification it uses. create goes the quick way, spec_parse; both accept
 * and refuse the same documents with the same words.
 */
#ifndef CTR_OCI_SPEC_CHECK_H
#define CTR_OCI_SPEC_CHECK_H

#include "base/arena.h"
#include "base/err.h"
#include "oci/json.h"
#include "oci/spec.h"

#include <stdbool.h>
#include <stddef.h>

struct spec_problem {
	const char *path; /* "linux.devices[2].path"; "" for the document as a whole */
	const char *reason;
};

/* Zero-initialise; spec_check_free. */
struct spec_check {
	bool own_kernel; /* the caller's word, as with spec_parse_own */
	struct arena arena; /* owns the strings */
	struct spec_problem *problems;
	size_t n, cap;
	const char **fields; /* used in the document: "linux.devices[].path", each once */
	size_t n_fields, cap_fields;
	bool failed; /* no memory for some of it */
};

/* One more problem; a path that has one already gets no second. */
void spec_check_add(struct spec_check *k, const char *path, const char *reason);

bool spec_check_has_field(const struct spec_check *k, const char *field);

/*
 * Looks at text. *out is the spec as far as it could be read, also with problems: what is wrong is
 * absent or zero in it, also where the specification requires it. Text that is no JSON is one
 * problem and gives no spec. -ENOMEM and -EFBIG are the only errors.
 */
int spec_check(struct spec_check *k, const char *text, size_t len, struct spec **out,
	       struct err *e);

void spec_check_free(struct spec_check *k);

/* Calls fn with every field of the specification that ctr knows, in the order of its tables. */
void spec_each_field(void (*fn)(void *arg, const char *field), void *arg);

#endif
