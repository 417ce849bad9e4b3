/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of vhost-user on their socket (QEMU, docs/interop/vhost-user.rst, "Message"). */
#ifndef CTR_MICROVM_VHOST_USER_MSG_H
#define CTR_MICROVM_VHOST_USER_MSG_H

#include "microvm/mem.h"

#include <linux/vhost_types.h>

enum { VHOST_MAX_FDS = 8, VHOST_NEED_REPLY = 8 /* flag of a header */ };

struct vhost_header {
	uint32_t request, flags, size;
};

struct vhost_region {
	uint64_t gpa, size, uva, offset;
};

struct vhost_table {
	uint32_t n, padding;
	struct vhost_region v[MEM_REGIONS];
};

union vhost_payload {
	uint64_t u64;
	struct vhost_vring_state state;
	struct vhost_vring_addr addr;
	struct vhost_table table;
};

struct vhost_message {
	struct vhost_header h;
	union vhost_payload p;
	int fds[VHOST_MAX_FDS];
	size_t n_fds;
};

/*
 * The next message: 1, 0 at the end of the stream, or -EPROTO with what is wrong with it in *what.
 * In each case m->fds are the caller's, to be dropped.
 */
int vhost_msg_read(int sock, struct vhost_message *m, const char **what);

/* Sends the first size bytes of m->p as the answer to m. 0 or -EPROTO: it was not taken. */
int vhost_msg_reply(int sock, struct vhost_message *m, uint32_t size);

void vhost_msg_drop(struct vhost_message *m); /* closes the descriptors that nobody has taken */

#endif
