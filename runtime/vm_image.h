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
#include "microvm/vm_config.h"

#include <stdbool.h>
#include <stdint.h>

enum { VM_IMAGE_SUPER = 1024 };

struct vm_image {
	uint64_t size; /* bytes that the file system says it has */
	bool writable; /* its kind is (ext4), or is not (erofs) */
	bool recover;  /* its journal is to be replayed first, which is a write */
};

/*
 * super: the bytes from offset 1024 of an image on. -EINVAL: no ext2-4 and no erofs, or with a size
 * that there is not. Pure; the bytes are a guest's.
 */
int vm_image_parse(const uint8_t super[VM_IMAGE_SUPER], struct vm_image *i);

/*
 * Opens the image, for reading only when read_only or when its file system (erofs) cannot be
 * written anyway: out->ro tells; out->fd is the caller's. Two machines cannot have one image when
 * one of them writes: the lock lives as long as the descriptor and its copies. 0, or -errno with
 * "vm.image.path: ..."; *out is then as it was.
 */
int vm_image_open(const char *path, bool read_only, struct vm_disk *out, struct err *e);

#endif
