/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a micro-VM needs of the host, opened by the parent before the jail: kernel, initramfs,
 * accelerator, and the configuration that its guest gets.
 */
#ifndef CTR_VM_PREPARE_H
#define CTR_VM_PREPARE_H

#include "create.h"
#include "microvm/kernel_find.h"
#include "microvm/vmm.h"
#include "namespaces/mount_plan.h"

struct machine {
	struct vm_config config; /* its kernel, initrd and kvm are owned */
	const struct vmm_ops *vmm;
	struct kernel kernel;
	struct arena arena;
	struct mount_plan plan; /* of the spec's mounts; the binds are the machine's volumes */
	char *cmdline;
	char *guest; /* config.json for the guest */
	size_t guest_len;
	int listen;  /* for commands */
	int disk_fd; /* OS clone with a disk: its mount */
};

/*
 * Everything; sets what create.h says of a machine. On failure vm_machine_free is due too. Errors
 * name what is missing and what brings it.
 */
int vm_machine_prepare(struct machine *m, struct create *c, struct err *e);
void vm_machine_free(struct machine *m);

#endif
