/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The modules of a kernel: which of them are needed, and in which order they go in. Works on the
 * texts of /lib/modules/RELEASE/modules.dep and modules.builtin (modules.dep(5)).
 */
#ifndef CTR_KERNEL_MODULES_H
#define CTR_KERNEL_MODULES_H

#include "base/err.h"
#include "base/str.h"

enum kernel_module {
	KERNEL_MODULE_NONE,    /* neither file knows it */
	KERNEL_MODULE_BUILTIN, /* part of the kernel */
	KERNEL_MODULE_FILE,    /* a file to load */
};

/* How the kernel has module `name` ("virtio_mmio"; '-' and '_' are the same). Pure. */
enum kernel_module kernel_module_find(const char *dep, const char *builtin, const char *name);

/*
 * Adds to *out the paths (relative to the modules' directory) of module `name` and of what it
 * needs, each once, what is needed first; nothing when it is built in. Pure. -ENOENT: there is no
 * such module, or one that it needs has no line; -ELOOP: they need each other; -ENOMEM.
 */
int kernel_module_order(const char *dep, const char *builtin, const char *name,
			struct str_list *out, struct err *e);

/*
 * "virtio_mmio" of "kernel/drivers/virtio/virtio_mmio.ko.xz"; at most size - 1 bytes, '-' as '_'.
 * Returns what follows the ".ko" ("", ".xz"), or NULL when it is no module's path. Pure.
 */
const char *kernel_module_name(const char *path, char *name, size_t size);

#endif
