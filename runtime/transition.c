/* SPDX-License-Identifier: Apache-2.0 */
#include "transition.h"

#include "base/cleanup.h"

#include <errno.h>

static const char *const command_names[] = {
	[CMD_START] = "start",   [CMD_EXEC] = "exec",     [CMD_KILL] = "kill",
	[CMD_DELETE] = "delete", [CMD_PAUSE] = "pause",   [CMD_RESUME] = "resume",
	[CMD_PS] = "ps",         [CMD_UPDATE] = "update", [CMD_EVENTS] = "events",
};

_Static_assert(ARRAY_SIZE(command_names) == CMD_COUNT, "a name for every command");

#define CREATING "container is still being created"
#define NOT_RUNNING "container not running"
#define NOT_PAUSED "container not paused"

/* NULL: allowed. */
static const char *const refused[CMD_COUNT][STATUS_COUNT] = {
	[CMD_START] = {
		[STATUS_CREATING] = CREATING,
		[STATUS_RUNNING] = "cannot start an already running container",
		[STATUS_PAUSED] = "cannot start an already running container (it is paused)",
		[STATUS_STOPPED] = "cannot start a container that has stopped",
	},
	[CMD_EXEC] = {
		[STATUS_CREATING] = CREATING,
		[STATUS_PAUSED] = "cannot exec in a paused container (use --ignore-paused to override)",
		[STATUS_STOPPED] = "cannot exec in a stopped container",
	},
	[CMD_KILL] = {
		[STATUS_CREATING] = CREATING,
		[STATUS_STOPPED] = NOT_RUNNING,
	},
	[CMD_DELETE] = {
		[STATUS_CREATING] = CREATING,
		[STATUS_RUNNING] = "not stopped",
		[STATUS_PAUSED] = "not stopped",
	},
	[CMD_PAUSE] = {
		[STATUS_CREATING] = CREATING,
		[STATUS_PAUSED] = "container paused: container not running",
		[STATUS_STOPPED] = NOT_RUNNING,
	},
	[CMD_RESUME] = {
		[STATUS_CREATING] = CREATING,
		[STATUS_CREATED] = NOT_PAUSED,
		[STATUS_RUNNING] = NOT_PAUSED,
		[STATUS_STOPPED] = NOT_PAUSED,
	},
	[CMD_PS] = {
		[STATUS_CREATING] = CREATING,
	},
	[CMD_UPDATE] = {
		[STATUS_CREATING] = CREATING,
		[STATUS_STOPPED] = NOT_RUNNING,
	},
	[CMD_EVENTS] = {
		[STATUS_CREATING] = CREATING,
		[STATUS_STOPPED] = NOT_RUNNING,
	},
};

int transition_check(enum command c, const char *id, enum status s, struct err *e)
{
	const char *why = refused[c][s];

	if (!why)
		return 0;
	if (c == CMD_DELETE && s != STATUS_CREATING)
		return err_set(e, EBUSY,
			       "delete %s: cannot delete container %s that is not stopped: %s", id,
			       id, status_names[s]);
	return err_set(e, s == STATUS_STOPPED ? ESRCH : EBUSY, "%s %s: %s", command_names[c], id,
		       why);
}
