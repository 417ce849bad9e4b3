/* SPDX-License-Identifier: Apache-2.0 */
/* The modules of a modular kernel, put into the guest's first file system. */
#ifndef CTR_INITRAMFS_MODULES_H
#define CTR_INITRAMFS_MODULES_H

#include "base/str.h"
#include "microvm/cpio.h"

#include <stdint.h>

/* The directory /lib/modules/RELEASE and what it knows. */
struct module_dir {
	int fd;
	char *path, *dep, *builtin;
};

#define MODULE_DIR_INIT  \
	{                \
		.fd = -1 \
	}

int module_dir_open(struct module_dir *d, const char *release, struct err *e);
void module_dir_close(struct module_dir *d);
#define AUTO_MODULE_DIR __attribute__((cleanup(module_dir_close)))

/* What identifies its content (enum initramfs_feature in features), for a cache's key. */
int module_dir_key(const struct module_dir *d, uint64_t *key, struct err *e);

/* Adds /ctr/mod/NAME.ko for each module that the features need, and the list of them. */
int module_dir_pack(const struct module_dir *d, unsigned int features, struct cpio *c,
		    struct err *e);

/*
 * How many of the n bytes of a module file are the module: without the signature that may stand
 * behind it. Pure.
 */
size_t module_unsigned_size(const uint8_t *p, size_t n);

#endif
