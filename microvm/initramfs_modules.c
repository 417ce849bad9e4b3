/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/initramfs_modules.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "microvm/initramfs.h"
#include "microvm/kernel_modules.h"
#include "microvm/unpack.h"
#include "microvm/vm_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>

enum { DEP_MAX = 16 << 20, MODULE_MAX = 64 << 20 };

/*
 * The console first: the guest speaks as soon as it can. What is not required is left out when the
 * kernel has none of it: what misses it then says so.
 */
static const struct {
	unsigned int features; /* any of these; 0: always */
	bool required;
	const char *name;
} wanted[] = {
	{ 0, true, "virtio_mmio" },
	{ 0, true, "virtio_console" },
	{ 0, true, "virtiofs" },
	{ 0, false, "virtio_rng" },
	{ INITRAMFS_DISK, true, "virtio_blk" },
	/* asked for by its name in the crypto interface, so no dependency names it */
	{ INITRAMFS_DISK, false, "crc32c_generic" },
	{ INITRAMFS_DISK, false, "ext4" },
	{ INITRAMFS_DISK, false, "erofs" },
	{ INITRAMFS_NET, true, "virtio_net" },
	{ INITRAMFS_OVERLAY, true, "overlay" },
};

static int read_text(struct module_dir *d, const char *name, char **out, struct err *e)
{
	int r = io_read_file(d->fd, name, DEP_MAX, out, NULL);

	return r < 0 ? err_sys(e, -r, "%s/%s", d->path, name) : 0;
}

int module_dir_open(struct module_dir *d, const char *release, struct err *e)
{
	int r;

	d->path = str_printf("/lib/modules/%s", release);
	if (!d->path)
		return err_sys(e, ENOMEM, "/lib/modules/%s", release);
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0)
		return err_sys(e, errno, "%s", d->path);
	r = read_text(d, "modules.dep", &d->dep, e);
	return r < 0 ? r : read_text(d, "modules.builtin", &d->builtin, e);
}

void module_dir_close(struct module_dir *d)
{
	cleanup_close(&d->fd);
	free(d->path);
	free(d->dep);
	free(d->builtin);
	*d = (struct module_dir)MODULE_DIR_INIT;
}

int module_dir_key(const struct module_dir *d, uint64_t *key, struct err *e)
{
	static const char *const files[] = { "modules.dep", "modules.builtin" };
	struct stat st;

	*key = vm_cache_key(*key, d->path, strlen(d->path) + 1);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (fstatat(d->fd, files[i], &st, 0) < 0)
			return err_sys(e, errno, "%s/%s", d->path, files[i]);
		*key = vm_cache_key_file(*key, &st);
	}
	return 0;
}

#define SIGNED "~Module signature appended~\n"
/* In front of the mark: twelve bytes, of which the last four are the signature's length. */
enum { SIGNATURE_INFO = 12, MARK = sizeof(SIGNED) - 1 };

size_t module_unsigned_size(const uint8_t *p, size_t n)
{
	const uint8_t *len;
	size_t sig;

	if (n < MARK + SIGNATURE_INFO || memcmp(p + n - MARK, SIGNED, MARK) != 0)
		return n;
	len = p + n - MARK - 4;
	sig = (size_t)len[0] << 24 | (size_t)len[1] << 16 | (size_t)len[2] << 8 | len[3];
	n -= MARK + SIGNATURE_INFO;
	return sig <= n ? n - sig : n;
}

static int unpack_module(char **data, size_t *n, struct err *e)
{
	int how = kernel_image_packing((const uint8_t *)*data, *n);
	AUTO_CLOSE int fd = -1;
	char *out;
	int r;

	if (how == KERNEL_PLAIN)
		return 0;
	if (how < 0)
		return err_set(e, ENOEXEC, "not a module, and not packed in a known way");
	fd = memfd_create("module", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "memfd_create");
	r = unpack((enum kernel_packing)how, (const uint8_t *)*data, *n, fd, MODULE_MAX, e);
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, errno, "read it");
	r = io_read_all(fd, MODULE_MAX, &out, n);
	if (r < 0)
		return err_sys(e, -r, "read it");
	free(*data);
	*data = out;
	return 0;
}

/* One file: packed and signed as it lies there, plain in the archive. */
static int pack_one(const struct module_dir *d, const char *path, struct cpio *c,
		    struct str_buf *list, struct err *e)
{
	AUTO_FREE char *data = NULL, *to = NULL;
	char name[64];
	size_t n = 0;
	int r = io_read_file(d->fd, path, MODULE_MAX, &data, &n);

	if (r < 0)
		return err_sys(e, -r, "%s/%s", d->path, path);
	r = unpack_module(&data, &n, e);
	if (r < 0)
		return err_wrap(e, "%s/%s", d->path, path);
	if (!kernel_module_name(path, name, sizeof(name)))
		return err_set(e, EINVAL, "%s/%s: not a module's name", d->path, path);
	to = str_printf("/ctr/mod/%s.ko", name);
	if (!to)
		return err_sys(e, ENOMEM, "pack modules");
	str_buf_addf(list, "%s\n", to);
	return cpio_add(c, to, S_IFREG | 0644, 0, data,
			module_unsigned_size((const uint8_t *)data, n), e);
}

static int order(const struct module_dir *d, unsigned int features, struct str_list *paths,
		 struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		int r;

		if (wanted[i].features && !(wanted[i].features & features))
			continue;
		if (!wanted[i].required &&
		    kernel_module_find(d->dep, d->builtin, wanted[i].name) == KERNEL_MODULE_NONE)
			continue;
		r = kernel_module_order(d->dep, d->builtin, wanted[i].name, paths, e);
		if (r < 0)
			return err_wrap(e, "%s", d->path);
	}
	return 0;
}

int module_dir_pack(const struct module_dir *d, unsigned int features, struct cpio *c,
		    struct err *e)
{
	AUTO(str_list_free) struct str_list paths = {};
	AUTO(str_buf_free) struct str_buf list = {};
	int r = order(d, features, &paths, e);

	for (size_t i = 0; r == 0 && i < paths.n; i++)
		r = pack_one(d, paths.v[i], c, &list, e);
	if (r < 0)
		return r;
	if (list.failed)
		return err_sys(e, ENOMEM, "pack modules");
	return cpio_add(c, INITRAMFS_MODULES, S_IFREG | 0644, 0, list.s ? list.s : "", list.len, e);
}
