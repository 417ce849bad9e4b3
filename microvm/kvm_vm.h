/* SPDX-License-Identifier: Apache-2.0 */
/* A machine on KVM, made of the parts of this folder. Private to kvm.c and kvm_vm.c. */
#ifndef CTR_MICROVM_KVM_VM_H
#define CTR_MICROVM_KVM_VM_H

#include "microvm/boot.h"
#include "microvm/layout.h"
#include "microvm/platform.h"
#include "microvm/serial.h"
#include "microvm/vcpu.h"
#include "microvm/virtio_mmio.h"
#include "microvm/vm_config.h"

struct kvm_vm {
	const struct vm_config *config; /* while it is made */
	int vm;                         /* KVM's descriptor of it */
	int console_in;                 /* write end of what the kernel prints */
	int serial_out;                 /* the same, for the serial port */
	int ctl_in;                     /* our end of the agent's stream */
	int serial_irq;
	struct mem mem;
	struct boot boot;
	char cmdline[LAYOUT_CMDLINE_MAX];
	struct bus ports, mmio;
	struct platform platform;
	struct serial serial;
	struct loop io; /* all devices but the file server */
	struct loop fs; /* which may have to wait for the host's disks */
	struct virtio_mmio slots[LAYOUT_VIRTIO_SLOTS];
	unsigned int n_slots;
	struct vcpus vcpus;
	unsigned long long born; /* nanoseconds of CLOCK_MONOTONIC */
};

/*
 * Makes the machine, up to the point where kvm_vm_start has only threads to start. console_in,
 * serial_out, ctl_in and vcpus.ended are set by the caller. After a failure kvm_vm_free is still to
 * be called.
 */
int kvm_vm_make(struct kvm_vm *m, const struct vm_config *c, struct err *e);
int kvm_vm_start(struct kvm_vm *m, struct err *e);

/*
 * Ends the threads and releases all. false: a thread does not come back (it waits for the host's
 * disk), and all is left as it is.
 */
bool kvm_vm_free(struct kvm_vm *m);

#endif
