/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU as a VMM: its command line (qemu_args.c, pure) and its processes (qemu.c). The machine is
 * "microvm", QEMU's smallest: virtio over memory-mapped registers, no firmware devices, described
 * by ACPI tables that our kernels and Debian's read alike.
 */
#ifndef CTR_MICROVM_QEMU_H
#define CTR_MICROVM_QEMU_H

#include "base/err.h"
#include "base/str.h"
#include "microvm/vm_config.h"

/* The numbers under which QEMU finds what it inherits; -1: it has none. */
struct qemu_fds {
	int ctl;     /* socket: the agent's port */
	int console; /* socket: the kernel's console */
	int serial;  /* socket: the same console before virtio is up */
	int fs;      /* connected vhost-user socket of the file server */
};

/*
 * The translator's time stamp counter is the host's. A guest cannot find out how fast it runs (the
 * machine has nothing to compare it with), so it is told: the frequency in kHz, from a sample taken
 * at least a millisecond ago (it waits for the rest of that).
 */
struct tsc_sample {
	uint64_t tsc, ns;
};
void qemu_tsc_sample(struct tsc_sample *s);
unsigned int qemu_tsc_khz(const struct tsc_sample *since);

/*
 * The words of the command line, argv[0] first. tsc_khz: 0 when the guest finds it by itself.
 * kernel, initrd and disks are named by the descriptors of the configuration, which QEMU inherits
 * under the same numbers. -ENOMEM with *e.
 */
int qemu_args(const struct vm_config *c, const struct qemu_fds *f, unsigned int tsc_khz,
	      struct str_list *out, struct err *e);

/*
 * vm.hypervisor.parameters: only what describes the virtual processor may be said, nothing that
 * opens a file, a socket or a device of the host. -EINVAL: "vm.hypervisor.parameters[i]: ...".
 */
int qemu_check_parameters(const char *const *v, size_t n, struct err *e);

#endif
