/* SPDX-License-Identifier: Apache-2.0 */
/* Where things lie in the guest's physical address space and among its ports and interrupts. */
#ifndef CTR_MICROVM_LAYOUT_H
#define CTR_MICROVM_LAYOUT_H

/* Below 1 MiB: what the kernel is told and what it needs before it has tables of its own. */
#define LAYOUT_GDT 0x500
#define LAYOUT_PVH_INFO 0x6000
#define LAYOUT_PVH_MODULES 0x6040
#define LAYOUT_PVH_MEMMAP 0x6100
#define LAYOUT_ZERO_PAGE 0x7000
#define LAYOUT_STACK 0x8ff0
#define LAYOUT_PAGE_TABLES 0x9000 /* six pages: 4 GiB, one to one */
#define LAYOUT_SETUP_DATA 0x10000
#define LAYOUT_CMDLINE 0x20000
#define LAYOUT_CMDLINE_MAX 2048 /* with its end; what x86 Linux keeps */
#define LAYOUT_LOW_END 0x9fc00
#define LAYOUT_ACPI 0xe0000 /* the RSDP first, so that a scan finds it too */
#define LAYOUT_ACPI_MAX 0x10000
#define LAYOUT_KERNEL_MIN 0x100000

/* Devices. */
#define LAYOUT_VIRTIO 0xd0000000UL /* slot i: + i * LAYOUT_VIRTIO_STEP */
#define LAYOUT_VIRTIO_STEP 0x1000UL
#define LAYOUT_VIRTIO_SIZE 0x200UL
#define LAYOUT_VIRTIO_GSI 5 /* slot i: + i */
#define LAYOUT_VIRTIO_SLOTS 16
#define LAYOUT_IOAPIC 0xfec00000UL
#define LAYOUT_LAPIC 0xfee00000UL
#define LAYOUT_KVM_IDENTITY 0xfffbc000UL
#define LAYOUT_KVM_TSS 0xfffbd000UL

/* Ports. */
#define LAYOUT_PORT_I8042 0x60
#define LAYOUT_PORT_SERIAL 0x3f8
#define LAYOUT_PORT_PANIC 0x505
#define LAYOUT_PORT_SLEEP 0x600 /* control, status, reset: a byte each */
#define LAYOUT_SERIAL_GSI 4

#endif
