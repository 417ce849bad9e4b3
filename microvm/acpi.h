/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hardware-reduced ACPI tables of the machine: processors and interrupt controller (MADT),
 * virtio-mmio devices and, when it has one, the serial port (DSDT), how to power off and reset
 * (FADT). Hardware-reduced means that the kernel looks for no PIC, PIT, CMOS or PM timer.
 */
#ifndef CTR_MICROVM_ACPI_H
#define CTR_MICROVM_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct acpi {
	unsigned int vcpus;
	unsigned int virtio_slots; /* slot i as layout.h places it */
	bool serial;
};

/*
 * Writes the tables to buf, which the guest sees at address gpa. The RSDP comes first. The length
 * of all, or -ENOSPC.
 */
int acpi_build(const struct acpi *in, uint64_t gpa, uint8_t *buf, size_t cap);

#endif
