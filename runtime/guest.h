/* SPDX-License-Identifier: Apache-2.0 */
/* ctr as PID 1 of a micro-VM: the guest's agent over the runtime's own operations. */
#ifndef CTR_GUEST_H
#define CTR_GUEST_H

#include "base/err.h"

#include <stdbool.h>

/* True for PID 1 of the initramfs that ctr makes (argv[0] is /init, the root is in memory). */
bool guest_wanted(const char *argv0);

/* Boots the guest and serves it until the machine is reset. */
_Noreturn void guest_main(void);

/*
 * The agent without a machine, for tests: over a connected stream socket, with all it keeps below
 * dir (short: it makes sockets there), until init has ended or the peer hangs up. Takes port. The
 * caller's children become its; containers run on this host.
 */
int guest_serve(int port, const char *dir, struct err *e);

#endif
