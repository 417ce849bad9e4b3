/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_CLI_DURATION_H
#define CTR_CLI_DURATION_H

#include <stdint.h>

/*
 * A length of time as callers written in Go spell it: one or more decimal numbers, each with its
 * unit, "5s", "1m30s", "1.5h", "500ms", "20us" (or µs), "7ns". Nanoseconds. No sign; "0" needs no
 * unit. 0, -EINVAL or -ERANGE. Pure.
 */
int duration_parse(const char *s, int64_t *ns);

#endif
