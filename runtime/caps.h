/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities of the payload: the five sets, in the two steps that a change of user asks for. */
#ifndef CTR_CAPS_H
#define CTR_CAPS_H

#include "base/err.h"
#include "oci/spec.h"

/* The highest capability that this kernel knows (CAP_LAST_CAP), cached. */
int caps_last(void);

/*
 * Step 1, still privileged: drops the bounding set to c->bounding (unset: to nothing) and keeps the
 * permitted set over the change of user (PR_SET_KEEPCAPS). c may be NULL: all sets empty. A
 * capability that the kernel does not know or the caller does not hold is a warning, as the
 * specification says.
 */
int caps_before_user(const struct spec_capabilities *c, struct err *e);

/* Step 2, after setresuid: effective, permitted, inheritable, ambient; keepcaps off. */
int caps_after_user(const struct spec_capabilities *c, struct err *e);

#endif
