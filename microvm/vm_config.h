/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine looks like: plain values and descriptors that were opened before the jail.
 * Made of the specification by vm_config.c (pure), read by both VMMs (our own on KVM, QEMU);
 * neither sees the spec.
 */
#ifndef CTR_VM_CONFIG_H
#define CTR_VM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vm_accel { VM_ACCEL_AUTO, VM_ACCEL_KVM, VM_ACCEL_TCG };

enum { VM_MAX_VCPUS = 64, VM_MAX_DISKS = 8 };

/* The tag of the one share, and the name of the agent's console port. */
#define VM_SHARE_TAG "ctr"
#define VM_CTL_PORT "ctr.ctl"

struct vm_disk {
	int fd; /* raw image */
	bool ro;
	bool device; /* a block device, not a regular file */
};

struct vm_config {
	enum vm_accel accel;
	unsigned int vcpus;  /* 1..VM_MAX_VCPUS */
	uint64_t memory;     /* guest RAM in bytes, a multiple of 2 MiB */
	int kvm;             /* /dev/kvm, or -1 */
	int kernel;          /* an ELF vmlinux, or -1 */
	int initrd;          /* newc cpio, or -1 */
	const char *cmdline; /* of the kernel, without what a VMM adds for its own devices */
	int share;           /* directory that virtio-fs serves under VM_SHARE_TAG, or -1 */
	/*
	 * A directory below the share ("rootfs") whose mount nobody else changes while the guest
	 * runs: it is cached for long. NULL: everything is looked at again after a second.
	 */
	const char *share_exclusive;
	bool share_writeback; /* and nothing writable is shared with others: writes are held back */
	int share_proc;       /* /proc/self/fd of the machine's process; 0 or -1: /proc is there */
	struct vm_disk disks[VM_MAX_DISKS];
	size_t n_disks;
	int tap; /* a tap device with vnet headers, or -1 */
	uint8_t mac[6];
	bool serial;      /* --debug: on a 8250 too what the kernel prints before it has hvc0 */
	const char *qemu; /* path of qemu-system-x86_64 as seen inside the jail, or NULL */
	/* vm.hypervisor.parameters, checked: words for QEMU's command line */
	const char *const *qemu_params;
	size_t n_qemu_params;
};

#endif
