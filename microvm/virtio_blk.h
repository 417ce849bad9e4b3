/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk (virtio 1.2, 5.2) whose sectors are those of a raw image. Never another format: what the
 * guest writes into the image must not change what the image is.
 */
#ifndef CTR_MICROVM_VIRTIO_BLK_H
#define CTR_MICROVM_VIRTIO_BLK_H

#include "microvm/virtio_dev.h"

/* fd: a regular file or block device, opened for writing unless ro. Borrowed. id: its serial. */
int virtio_blk_new(int fd, bool ro, const char *id, struct virtio_dev **out, struct err *e);

#endif
