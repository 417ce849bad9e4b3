/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bundle looked at without making anything: all mistakes of its configuration, and for each field
 * that it uses whether this host can honour it.
 */
#ifndef CTR_CTR_CHECK_H
#define CTR_CTR_CHECK_H

#include "ctr.h"
#include "oci/spec_check.h"

struct ctr_check_field {
	const char *field;  /* "linux.resources.memory.limit", "mounts[].options" */
	const char *reason; /* NULL: honoured; otherwise why not here */
};

/* Zero-initialise; ctr_check_free. */
struct ctr_check {
	struct spec_check
		doc; /* .problems: all that is wrong with the configuration and the bundle */
	struct spec_check host;         /* .problems: what this host cannot honour, by field */
	struct ctr_check_field *fields; /* in the order of the specification's tables */
	size_t n;
};

/*
 * bundle NULL: the current directory; config NULL: config.json. vm: as a micro-VM, whatever the
 * configuration says. What cannot be read is an error.
 */
int ctr_check(const char *bundle, const char *config, bool vm, struct ctr_check *out,
	      struct err *e);
void ctr_check_free(struct ctr_check *k);

/* ---- between ctr_check.c and check_host.c ---- */

/* Adds what this host lacks for s (complete, or as far as it could be read) to k->host. */
int check_host(struct ctr_check *k, struct spec *s, const char *bundle, struct err *e);

/* True when nothing is wrong at or below the path so far. */
bool check_clean(const struct ctr_check *k, const char *path);

/* A refusal by one of the modules, "PATH: REASON": a mistake (-EINVAL) or a lack of the host. */
void check_refusal(struct ctr_check *k, int r, const struct err *e);

#endif
