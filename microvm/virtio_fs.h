/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file system device (virtio 1.2, 5.11): a queue for what must not wait behind others (FORGET)
 * and one for requests, both answered by our own file server (fuse_server.h).
 *
 * A request may take as long as the host's disk: the device is to have a loop of its own, so that
 * nobody but who asks for files waits. One thread is enough: the guest caches what it may, and the
 * server needs no locks.
 */
#ifndef CTR_MICROVM_VIRTIO_FS_H
#define CTR_MICROVM_VIRTIO_FS_H

#include "microvm/virtio_dev.h"
#include "microvm/vm_config.h"

/* Serves c->share, which stays the caller's, as VM_SHARE_TAG. */
int virtio_fs_new(const struct vm_config *c, struct virtio_dev **out, struct err *e);

#endif
