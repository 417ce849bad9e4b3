/* SPDX-License-Identifier: Apache-2.0 */
/* ctr as PID 1 of a micro-VM: the guest's agent over the runtime's own operations. */
#ifndef CTR_GUEST_H
#define CTR_GUEST_H

#include <stdbool.h>

/* True in the initramfs that ctr makes: PID 1, and the marker GUEST_MARKER is there. */
bool guest_wanted(void);
#define GUEST_MARKER "/ctr/guest"

/* Boots the guest and serves it until the machine is reset. */
_Noreturn void guest_main(void);

#endif
