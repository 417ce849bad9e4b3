/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors that a user may read. Set once, where they happen, with the object's name and the errno;
 * wrapped only to add what the origin could not know; reported once, by cli/. No allocation, so an
 * error survives ENOMEM and crosses the sync socket as it is.
 *
 * Functions return 0 or -errno; the err functions return the -errno, so that
 * `return err_sys(e, errno, "open: %s", path);` is the usual form.
 */
#ifndef CTR_BASE_ERR_H
#define CTR_BASE_ERR_H

#include <stdarg.h>

#define ERR_MSG_MAX 2032

enum err_kind {
	ERR_PLAIN = 0,
	ERR_NOT_FOUND_PROGRAM, /* the program to run does not exist: exit 127 in front-end use */
	ERR_CANNOT_EXECUTE,    /* it exists and cannot be executed: exit 126 in front-end use */
	ERR_NO_CONTAINER,      /* the container does not exist */
	ERR_USAGE,             /* a wrong command line */
};

struct err {
	int code; /* errno, positive; 0 when no error is set */
	enum err_kind kind;
	char msg[ERR_MSG_MAX]; /* always terminated; one line */
};

/* Sets *e to "FMT" with code (a positive errno) and returns -code. e may be NULL. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same, ": strerror(code)" added. */
int err_sys(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same as err_set, with a kind that decides the exit code. */
int err_kind(struct err *e, enum err_kind kind, int code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Puts "FMT: " in front of the message; keeps code and kind. Returns -e->code. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
