/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands on a container that is a micro-VM, by its VMM process: dir is the state directory, id
 * for errors. Which commands come here decides the caller (state.json's mode); locks are the
 * caller's too, and none is held while vm_exec or vm_events wait.
 */
#ifndef CTR_VM_OPS_H
#define CTR_VM_OPS_H

#include "base/err.h"
#include "cgroups/cg.h"
#include "ctr.h"
#include "oci/json_out.h"

#include <stdbool.h>
#include <stddef.h>

/* Name of the VMM process's socket in the state directory. */
#define VM_SOCKET "agent"

/* Listens there (0600): for agent_host_opts.listen. The fd or -errno. */
int vm_listen(int dir, struct err *e);

/*
 * Whether the guest may have our stdin. It is read ahead, before anything in the guest asks for it;
 * of a terminal that is shared with a shell, which goes on (detached, or a job in the background),
 * that would take what is typed for the shell.
 */
bool vm_stdin_is_ours(bool detached);

/*
 * exec as ctr_exec means it: pid file, console socket, pidfd socket, detach, terminal; the process
 * that they name is one of the host that lives as long as the guest's and passes signals on.
 */
int vm_exec(int dir, const char *id, const struct exec_opts *o, int *status, struct err *e);

/*
 * What only the guest can do while the machine is paused: -EBUSY at once, with the reason, where it
 * would be asked in vain.
 */
int vm_awake(enum status status, const char *what, const char *id, struct err *e);

/* To init or to all. -ETIMEDOUT: not answered within ms; e may be NULL. */
int vm_signal(int dir, const char *id, int sig, bool all, int ms, struct err *e);

/* Lines "PID PPID UID START TIME TTY CMD" of the guest; *text is malloc'ed. */
int vm_ps(int dir, const char *id, char **text, struct err *e);

/*
 * The same change (a linux.resources object) in the guest. The caller's lock is held meanwhile: it
 * takes less time than others wait for that.
 */
int vm_update(int dir, const char *id, const char *text, size_t len, struct err *e);

/* The object {"type":"stats",...} of events, from the guest; checked JSON. */
int vm_stats(int dir, const char *id, struct json_out *j, struct err *e);

/* As ctr_events. cg: of the machine, or NULL; while it is frozen no numbers come. */
int vm_events(int dir, const char *id, struct cg *cg, const struct events_opts *o, struct err *e);

#endif
