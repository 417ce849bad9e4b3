/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ports by which a guest says that it ends: ACPI sleep and reset registers, the keyboard
 * controller's reset line, the panic device.
 */
#ifndef CTR_MICROVM_PLATFORM_H
#define CTR_MICROVM_PLATFORM_H

#include "microvm/bus.h"

enum platform_event { PLATFORM_POWER_OFF, PLATFORM_RESET, PLATFORM_PANIC };

struct platform_port {
	struct bus_dev bus; /* first */
	struct platform *platform;
};

struct platform {
	void (*event)(void *arg, enum platform_event ev); /* on the thread of the vCPU */
	void *arg;
	struct platform_port i8042, sleep, panic;
};

/* Fills p and adds its ports to the bus. 0 or -errno of bus_add. */
int platform_init(struct platform *p, struct bus *ports, void (*event)(void *, enum platform_event),
		  void *arg);

#endif
