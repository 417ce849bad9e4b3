/* SPDX-License-Identifier: Apache-2.0 */
/* What the container's init does and asks of its parent, whatever the workload; and the answer. */
#ifndef CTR_INIT_ASK_H
#define CTR_INIT_ASK_H

#include "create.h"
#include "sync.h"

/* The descriptor that the parent answers with, or -errno. */
int init_ask(struct create *c, enum sync_type what, int32_t value, const char *text, struct err *e);

/* open_source of rootfs.h and vm_jail.h; arg is the struct create. */
int init_ask_source(void *arg, const char *source, unsigned int flags, struct err *e);

/* The parent's side of it. */
int init_serve_source(const struct sync_msg *m, struct err *e);

/*
 * prestart and createRuntime run in the parent, createContainer here; all see the prepared, not yet
 * entered root.
 */
int init_hooks(struct create *c, struct err *e);

/*
 * Waits until the links of the container's network are there, when linux.sysctl has something to
 * say about them: a setting of eth0 finds it, and what switches IPv6 off is not in the way of its
 * addresses.
 */
int init_network(struct create *c, struct err *e);

/*
 * Reports over reply that nothing but the program is left of the start. Not with run: waits until
 * `start` has removed the start socket; -EPIPE when that was killed before: the container ends.
 */
int init_started(struct create *c, int reply, struct err *e);

/*
 * process.terminal, its master for --console-socket (closed here) or the parent. root_fd: the
 * container's root, whose pty it is, bound at /dev/console in its own mount namespace; -1: a pty of
 * the host's (a micro-VM). foreign_dev: as for dev_console (namespaces/dev.h).
 */
int init_terminal(struct create *c, int root_fd, bool foreign_dev, struct err *e);

#endif
