/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy device (virtio 1.2, 5.4): what getrandom(2) gives, as much as fits into 64 KiB. */
#ifndef CTR_MICROVM_VIRTIO_RNG_H
#define CTR_MICROVM_VIRTIO_RNG_H

#include "microvm/virtio_dev.h"

int virtio_rng_new(struct virtio_dev **out, struct err *e);

#endif
