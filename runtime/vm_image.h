/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm.image: a file system on the whole of a raw image, the machine's root file system. Nothing but
 * the container's programs runs in a guest of ctr, so it is theirs: it takes the place of
 * root.path, which is not served then. The guest's kernel mounts it; the host only looks whether
 * there is something that it can mount.
 */
#ifndef CTR_VM_IMAGE_H
#define CTR_VM_IMAGE_H

#include "base/err.h"

#include <stdbool.h>

/*
 * Opens the image, for reading only when read_only or when its file system (erofs) cannot be
 * written anyway; *ro tells. Two machines cannot have one image when one of them writes: the lock
 * lives as long as the descriptor and its copies. The descriptor, or -errno: "vm.image.path: ...".
 */
int vm_image_open(const char *path, bool read_only, bool *ro, struct err *e);

#endif
