/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void vfill(struct err *e, enum err_kind kind, int code, const char *fmt, va_list ap)
{
	e->code = code;
	e->kind = kind;
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	/* One error is one line: what came from outside (names, hook output) may hold anything. */
	str_clean(e->msg, strlen(e->msg), ' ');
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -code;
	va_start(ap, fmt);
	vfill(e, ERR_PLAIN, code, fmt, ap);
	va_end(ap);
	return -code;
}

int err_sys(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	if (!e)
		return -code;
	va_start(ap, fmt);
	vfill(e, ERR_PLAIN, code, fmt, ap);
	va_end(ap);
	n = strlen(e->msg);
	snprintf(e->msg + n, sizeof(e->msg) - n, ": %s", strerrordesc_np(code) ?: "unknown error");
	return -code;
}

int err_kind(struct err *e, enum err_kind kind, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -code;
	va_start(ap, fmt);
	vfill(e, kind, code, fmt, ap);
	va_end(ap);
	return -code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char old[ERR_MSG_MAX];
	va_list ap;
	size_t n;

	if (!e)
		return -EINVAL;
	memcpy(old, e->msg, sizeof(old));
	va_start(ap, fmt);
	vfill(e, e->kind, e->code, fmt, ap);
	va_end(ap);
	n = strlen(e->msg);
	snprintf(e->msg + n, sizeof(e->msg) - n, ": %s", old);
	return -e->code;
}
