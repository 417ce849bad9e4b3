/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console device with two ports (virtio 1.2, 5.3): port 0 is hvc0, whose output goes to a pipe
 * and is lost when nobody reads; port 1 has a name and is a stream socket, both ways, where each
 * side waits for the other.
 */
#ifndef CTR_MICROVM_VIRTIO_CONSOLE_H
#define CTR_MICROVM_VIRTIO_CONSOLE_H

#include "microvm/virtio_dev.h"

/*
 * console: write end of a pipe, non-blocking. port: a stream socket, non-blocking. Both are taken
 * over, also on failure. name is borrowed for ever.
 */
int virtio_console_new(int console, int port, const char *name, struct virtio_dev **out,
		       struct err *e);

#endif
