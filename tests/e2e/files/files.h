/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file tests: one static program that runs on this host's own file system, on a mount of the
 * file server, and inside a guest. See files.c.
 */
#ifndef FILES_H
#define FILES_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct test {
	const char *name;
	void (*run)(void);
	bool host; /* needs the other side of the mount */
};

/* NULL-terminated, one table a file. */
extern const struct test tests_names[], tests_data[], tests_meta[], tests_host[];

/* The same directory as the test's own, seen from the other side ("" when it is not known). */
extern char host_dir[4096];

void check_failed(const char *file, int line, const char *what, int err);
void test_skip(const char *why);

/* Ends the test. */
#define CHECK(cond)                                                     \
	do {                                                            \
		errno = 0;                                              \
		if (!(cond)) {                                          \
			check_failed(__FILE__, __LINE__, #cond, errno); \
			return;                                         \
		}                                                       \
	} while (0)

/* The call must fail, with this error. */
#define FAILS(err, call)                                                               \
	do {                                                                           \
		errno = 0;                                                             \
		if ((call) >= 0 || errno != (err)) {                                   \
			check_failed(__FILE__, __LINE__, #call " gives " #err, errno); \
			return;                                                        \
		}                                                                      \
	} while (0)

/* Small files, whole: 0 or -1. */
int put(const char *name, const char *text);
bool holds(const char *name, const char *text);
bool is_there(const char *name);
char *in_host(const char *name); /* the name on the other side; a static buffer */

/* Runs fn in a child as that user and group, with one more group (-1: none). Its exit status. */
int as_user(int uid, int gid, int extra, int (*fn)(void));

#endif
