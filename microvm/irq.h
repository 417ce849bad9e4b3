/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts and notifications that KVM moves between guest and eventfds without us. */
#ifndef CTR_MICROVM_IRQ_H
#define CTR_MICROVM_IRQ_H

#include "base/err.h"

#include <stdint.h>

/* Each write to the eventfd is one edge at interrupt line gsi of the VM behind vm. */
int irq_line(int vm, int eventfd, uint32_t gsi, struct err *e);

/* A 4-byte write of value to guest address addr counts up the eventfd instead of an exit. */
int irq_doorbell(int vm, int eventfd, uint64_t addr, uint32_t value, struct err *e);

#endif
