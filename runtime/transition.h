/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which command is allowed in which state of a container: one table, and the texts that callers
 * match on.
 */
#ifndef CTR_TRANSITION_H
#define CTR_TRANSITION_H

#include "base/err.h"
#include "oci/state.h"

enum command {
	CMD_START,
	CMD_EXEC,
	CMD_KILL,
	CMD_DELETE,
	CMD_PAUSE,
	CMD_RESUME,
	CMD_PS,
	CMD_UPDATE,
	CMD_EVENTS,
	CMD_COUNT
};

/*
 * 0 when allowed; otherwise -errno and the reason: "start ID: cannot start an already running
 * container".
 */
int transition_check(enum command c, const char *id, enum status s, struct err *e);

#endif
