/* SPDX-License-Identifier: Apache-2.0 */
/* The payload's terminal, made in the child: for a container's init and for exec. */
#ifndef CTR_TERMINAL_H
#define CTR_TERMINAL_H

#include "base/err.h"
#include "oci/spec.h"

#include <stdbool.h>

struct terminal_opts {
	int root_fd;       /* of the container; -1: a pty of the host's own (a micro-VM) */
	bool bind_console; /* put it at /dev/console (init does, exec does not) */
	bool foreign_dev;  /* with it: /dev is not the container's own, see dev_console */
	int console_sock;  /* where the master goes (contract: one message), or -1: */
	int sync_sock;     /* ... to our own parent, as SYNC_MASTER */
	const struct spec_process *process;
};

/*
 * Opens a pty (of the container's own devpts), gives its master away and makes its slave the
 * controlling terminal and stdio of the caller, which must be a session leader. Nothing when
 * process.terminal is false.
 */
int terminal_setup(const struct terminal_opts *o, struct err *e);

#endif
