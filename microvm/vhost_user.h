/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device as a process behind QEMU: the back end's side of the vhost-user protocol (QEMU,
 * docs/interop/vhost-user.rst). QEMU has the registers and the interrupt, we have the queues:
 * guest memory is mapped from the descriptors that come with its messages, and the rings are walked
 * by virtq.c with the same checks as behind our own registers.
 *
 * QEMU runs without a capability of its own and may be in the guest's hands: every message is
 * checked as if the guest had sent it, and one that breaks a rule ends the device.
 */
#ifndef CTR_MICROVM_VHOST_USER_H
#define CTR_MICROVM_VHOST_USER_H

#include "microvm/virtio_dev.h"

/*
 * Serves dev (borrowed; one without watches, config writes and activate) on the calling thread to
 * the connected SOCK_STREAM socket until the other side closes it: 0. Or the first rule that was
 * broken, with *e.
 */
int vhost_user_serve(struct virtio_dev *dev, int sock, struct err *e);

#endif
