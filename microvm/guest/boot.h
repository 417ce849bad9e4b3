/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the kernel's hand-over to a machine in which containers run: file systems, modules, the
 * agent's port, the share. For PID 1 of the guest only: each of these changes the machine.
 */
#ifndef CTR_GUEST_BOOT_H
#define CTR_GUEST_BOOT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Paths of modules, one a line, in the order in which they are loaded. May be missing. */
#define GUEST_MODULES "/ctr/modules"

/* Is this the first process of an initramfs? */
bool guest_is_init(const char *argv0);

/*
 * A root that pivot_root can leave (the initramfs itself cannot be), /proc, /sys, cgroup v2 with
 * all controllers, /dev with pts, shm and mqueue, a tmpfs on /run; modules; loopback is up.
 */
int guest_boot(struct err *e);

/* Opens the port VM_CTL_PORT, waiting for it to appear (by the kernel's own events). The fd. */
int guest_port(struct err *e);

/* Mounts the first disk at AGENT_IMAGE. */
int guest_image(bool read_only, struct err *e);

/* Mounts the share VM_SHARE_TAG at AGENT_SHARE. */
int guest_share(struct err *e);

void guest_set_time(uint64_t ns);
void guest_add_entropy(const uint8_t *bytes, size_t len);

/* What ends the guest, to every console that the kernel has, however early. */
void guest_last_words(const char *text);

/*
 * Everything to the disks and the host, and the image's file system marked as clean (where
 * something still writes to it, its journal is enough). Before EXIT is told: the host may end the
 * machine at any moment after it.
 */
void guest_sync(void);

/* guest_sync, then the machine is reset. */
_Noreturn void guest_reset(void);

#endif
