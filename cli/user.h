/* SPDX-License-Identifier: Apache-2.0 */
/* `run --user`: names to numbers, by the passwd and group files of the root that the program will
 * see. */
#ifndef CTR_CLI_USER_H
#define CTR_CLI_USER_H

#include "runtime/ctr.h"

/* What struct spec_edit borrows from. Zero-initialise; user_free. */
struct user_lookup {
	struct spec_edit_user found;
	char text[32]; /* "UID:GID" */
};

/* Looks ed->user up and replaces it, and ed->groups, by numbers. -errno with *e set. */
int user_lookup(const struct create_opts *o, struct spec_edit *ed, struct user_lookup *u,
		struct err *e);

void user_free(struct user_lookup *u);

#endif
