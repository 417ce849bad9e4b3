/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine that runs, as the host's half of the agent sees it: the same for our own VMM
 * (threads of this process) and for QEMU (child processes). Whoever starts one has a loop of
 * its own and polls these descriptors; nothing here blocks except vmm_stop, which has a
 * deadline.
 */
#ifndef CTR_VMM_H
#define CTR_VMM_H

#include "base/err.h"
#include "microvm/vm_config.h"

enum vm_end {
	/* the guest reset or powered off: how an agent that has reported ends it */
	VM_END_RESET,
	VM_END_PANIC,   /* the kernel said so */
	VM_END_CRASH,   /* triple fault, an exit that KVM cannot handle, QEMU died */
	VM_END_STOPPED, /* vmm_stop */
};

struct vmm_ops;

struct vmm {
	const struct vmm_ops *ops;
	void *data;  /* the implementation's own */
	int ctl;     /* SOCK_STREAM, non-blocking: the bytes of the guest's port VM_CTL_PORT */
	int console; /* read end, non-blocking: what the guest kernel prints */
	int ended;   /* becomes readable when the machine has ended */
};

struct vmm_ops {
	const char *name; /* "kvm", "qemu" */
	int (*start)(const struct vm_config *c, struct vmm *v, struct err *e);
	/* After ended is readable. *text is owned by v, or NULL. */
	enum vm_end (*end)(struct vmm *v, const char **text);
	int (*pause)(struct vmm *v, bool on, struct err *e);
	/*
	 * With --debug: writes to the log how far the machine came in which time, and its exits
	 * by reason. when: what has just happened ("hello"). May be NULL.
	 */
	void (*report)(struct vmm *v, const char *when);
	/* Ends the machine if it runs and releases everything; idempotent. */
	void (*stop)(struct vmm *v);
};

extern const struct vmm_ops vmm_kvm;  /* microvm/kvm*.c */
extern const struct vmm_ops vmm_qemu; /* microvm/qemu*.c */

#endif
