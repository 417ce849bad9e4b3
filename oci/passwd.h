/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /etc/passwd and /etc/group as text: bounded plain parsing, never NSS, which would load modules of
 * whatever root file system is looked at. Lines that are not well formed are passed over.
 */
#ifndef CTR_OCI_PASSWD_H
#define CTR_OCI_PASSWD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Strings point into the text and are not terminated. */
struct passwd_entry {
	const char *name, *home, *shell;
	size_t name_len, home_len, shell_len;
	uid_t uid;
	gid_t gid;
};

bool passwd_by_name(const char *text, const char *name, struct passwd_entry *out);
bool passwd_by_uid(const char *text, uid_t uid, struct passwd_entry *out);

bool group_by_name(const char *text, const char *name, gid_t *out);

/*
 * The groups that have the user (len bytes of name) as a member: up to max of them go to out.
 * Returns how many there are, which may be more than max.
 */
size_t group_of_member(const char *text, const char *name, size_t len, gid_t *out, size_t max);

#endif
