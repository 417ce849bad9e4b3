/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From "inside all namespaces, root and privileged" to execve: what process.* asks for, in the
 * order that each step's needs dictate (contract of the callers: what `create` must already refuse
 * is done in payload_settle). The init of a container and a process that exec adds go the same way.
 */
#ifndef CTR_PAYLOAD_H
#define CTR_PAYLOAD_H

#include "base/err.h"
#include "base/str.h"
#include "listen.h"
#include "oci/annotations.h"
#include "oci/spec.h"
#include "seccomp_notify.h"

#include <stdbool.h>

struct payload {
	const struct spec_process *process;
	const struct spec_personality *personality; /* or NULL */
	const struct spec_memory_policy *memory;    /* or NULL */
	const struct seccomp_prog *seccomp;         /* insns NULL: none */
	struct seccomp_receiver *receiver;          /* of a filter that notifies; or NULL */
	/* sync socket for what fails under the filter */
	int report;
	const struct landlock_rules *landlock; /* or NULL */
	bool keep_groups;    /* a user namespace whose setgroups is denied, or so annotated */
	bool limits_set;     /* the parent sets the rlimits when all is ready */
	bool cwd_must_exist; /* exec: what is not there is an error; create makes it */
	int preserve_fds;
	struct listen_fds listen; /* passed on before those */
	/* filled by payload_settle */
	struct str_list env;
	char *path;
};

/* The first fd that is not passed on. */
unsigned int payload_first_fd(const struct payload *p);

/*
 * LSM label, no_new_privs, scheduling, personality, memory policy, (without no_new_privs) seccomp,
 * capabilities, user, cwd; finds the program. Afterwards the process is the payload's user and
 * still executes ctr.
 */
int payload_settle(struct payload *p, struct err *e);

/*
 * Seccomp (with no_new_privs: as late as possible), fds, signals, execve. Returns on failure only.
 */
int payload_exec(struct payload *p, struct err *e);

#endif
