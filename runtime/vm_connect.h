/* SPDX-License-Identifier: Apache-2.0 */
/* Private to runtime/vm_ops.c and vm_exec.c. */
#ifndef CTR_VM_CONNECT_H
#define CTR_VM_CONNECT_H

#include "base/err.h"
#include "microvm/agent_client.h"

/*
 * A connection to the VMM process, on which everything is answered within ms (agent_client_open),
 * the connection included. what: the command, for errors. -ESRCH: nobody listens; -ETIMEDOUT.
 */
int vm_connect(int dir, const char *what, const char *id, int ms, struct agent_client *c,
	       struct err *e);

#endif
