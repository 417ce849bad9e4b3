/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring.h"

#include "base/sys.h"
#include "process.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The right of the ring's owner to search it (security/keys; no header of the kernel's has it). */
#define USER_SEARCH 0x00080000u

/* The join does not tell the number of a ring that was ours before. */
#define RING KEY_SPEC_SESSION_KEYRING

/* A kernel or an outer seccomp profile without keyrings: there is nothing to separate. */
static bool not_to_be_had(int r)
{
	return r == -ENOSYS || r == -EPERM || r == -EACCES;
}

/*
 * A join by name finds only what the owner may search, which a new ring does not allow: who came
 * after init would get a second ring of that name.
 */
static int allow_search(void)
{
	char text[512];
	uint32_t perm;
	int r = sys_keyctl_describe(RING, text, sizeof(text));

	if (r < 0)
		return r;
	/* type;uid;gid;permissions;name */
	if (r > (int)sizeof(text) || sscanf(text, "%*[^;];%*[^;];%*[^;];%x;", &perm) != 1)
		return -EPROTO;
	return perm & USER_SEARCH ? 0 : sys_keyctl_setperm(RING, perm | USER_SEARCH);
}

static int join(const char *id, struct err *e)
{
	char name[300];
	int r;

	snprintf(name, sizeof(name), "_ses.%.255s", id);
	r = sys_keyctl_join(name);
	if (r >= 0)
		r = allow_search();
	if (r == -EDQUOT)
		return err_sys(e, EDQUOT, "join session keyring %s: its user has used up "
					  "kernel.keys.maxkeys or maxbytes", name);
	return r < 0 && !not_to_be_had(r) ? err_sys(e, -r, "join session keyring %s", name) : 0;
}

int keyring_leave(struct err *e)
{
	int r = sys_keyctl_join(NULL);

	return r < 0 && !not_to_be_had(r) ? err_sys(e, -r, "make a session keyring") : 0;
}

int keyring_join(const char *id, const char *label, struct err *e)
{
	int r = process_key_label(label, e);

	if (r == 0)
		r = join(id, e);
	return r == 0 && label ? process_key_label("", e) : r;
}
