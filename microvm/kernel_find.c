/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/kernel_find.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "microvm/kernel_image.h"
#include "microvm/kernel_modules.h"
#include "microvm/unpack.h"
#include "microvm/vm_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define HINT "make guest-kernel builds one, the package linux-image-cloud-amd64 brings one"

/* Without these the guest can neither be spoken to nor see its files. */
static const char *const needed[] = { "virtio_mmio", "virtio_console", "virtiofs" };
/* The same in /boot/config-RELEASE, for a kernel whose modules' directory is not here. */
static const char *const needed_config[] = { "VIRTIO_MMIO", "VIRTIO_CONSOLE", "VIRTIO_FS" };

enum { CONFIG_MAX = 4 << 20, DEP_MAX = 16 << 20 };

/* 0: it has virtio; 1: nothing tells. *modular: as modules. */
static int virtio_of_modules(const char *release, bool *modular, struct err *e)
{
	AUTO_FREE char *dir = str_printf("/lib/modules/%s", release);
	AUTO_FREE char *dep = NULL, *builtin = NULL;
	AUTO_CLOSE int fd = -1;

	*modular = false;
	if (!dir)
		return err_sys(e, ENOMEM, "look at %s", release);
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || io_read_file(fd, "modules.dep", DEP_MAX, &dep, NULL) < 0 ||
	    io_read_file(fd, "modules.builtin", DEP_MAX, &builtin, NULL) < 0)
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		enum kernel_module m = kernel_module_find(dep, builtin, needed[i]);

		if (m == KERNEL_MODULE_NONE)
			return err_set(e, ENOTSUP, "it has no virtio: %s knows no %s", dir,
				       needed[i]);
		*modular |= m == KERNEL_MODULE_FILE;
	}
	return 0;
}

static int virtio_of_config(const char *release, struct err *e)
{
	AUTO_FREE char *path = str_printf("/boot/config-%s", release);
	AUTO_FREE char *text = NULL;

	if (!path)
		return err_sys(e, ENOMEM, "look at %s", release);
	if (io_read_file(AT_FDCWD, path, CONFIG_MAX, &text, NULL) < 0)
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(needed_config); i++) {
		char line[64];
		const char *at;
		size_t n = (size_t)snprintf(line, sizeof(line), "\nCONFIG_%s=", needed_config[i]);

		at = strstr(text, line);
		if (!at)
			return err_set(e, ENOTSUP, "it has no virtio: CONFIG_%s is not set in %s",
				       needed_config[i], path);
		if (at[n] == 'm')
			return err_set(e, ENOENT,
				       "its virtio drivers are modules, and there is no "
				       "/lib/modules/%s/modules.dep",
				       release);
	}
	return 0;
}

/* What can be known of it without running it: the rest shows when it boots. */
static int check_virtio(struct kernel *k, struct err *e)
{
	int r;

	k->modular = false;
	if (!k->release[0])
		return 0;
	r = virtio_of_modules(k->release, &k->modular, e);
	if (r > 0)
		r = virtio_of_config(k->release, e);
	return r > 0 ? 0 : r;
}

/* An ELF file names its release nowhere near its start; in /boot its own name does. */
static void release_of_name(struct kernel *k)
{
	const char *base = strrchr(k->path, '/'), *rel;

	rel = str_after(base ? base + 1 : k->path, "vmlinux-");
	if (!rel)
		rel = str_after(base ? base + 1 : k->path, "vmlinuz-");
	if (rel && rel[0] != '.' && strlen(rel) < sizeof(k->release))
		memcpy(k->release, rel, strlen(rel) + 1);
}

static int parse_fd(int fd, uint64_t size, struct kernel_image *img, struct err *e)
{
	AUTO_FREE uint8_t *head = malloc(KERNEL_HEAD);
	ssize_t n;

	if (!head)
		return err_sys(e, ENOMEM, "read it");
	n = io_read_full(fd, head, KERNEL_HEAD);
	if (n < 0)
		return err_sys(e, (int)-n, "read it");
	return kernel_image_parse(head, (size_t)n, size, img, e);
}

/* The unpacked file must be a vmlinux, whole. */
static int check_unpacked(int fd, struct err *e)
{
	struct kernel_image img;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, errno, "read it");
	r = parse_fd(fd, (uint64_t)st.st_size, &img, e);
	if (r < 0)
		return err_wrap(e, "unpacked");
	if (img.format != KERNEL_ELF)
		return err_set(e, ENOEXEC, "corrupt: a bzImage inside a bzImage");
	return lseek(fd, 0, SEEK_SET) < 0 ? err_sys(e, errno, "read it") : 0;
}

/* The payload's last four bytes are the size of what comes out (gzip ends so by itself). */
static int unpack_payload(const uint8_t *p, size_t n, int to, struct err *e)
{
	int how = kernel_image_packing(p, n);
	uint64_t size;
	int r;

	if (how < 0)
		return err_set(e, ENOEXEC,
			       "corrupt: its payload is not packed in any way that Linux knows");
	if (how == KERNEL_PLAIN)
		return unpack(KERNEL_PLAIN, p, n, to, n, e);
	size = (uint64_t)(p[n - 4] | p[n - 3] << 8 | p[n - 2] << 16) | (uint64_t)p[n - 1] << 24;
	if (size > KERNEL_MAX)
		return err_set(e, ENOEXEC, "corrupt: it says that it unpacks to %llu MiB",
			       (unsigned long long)size >> 20);
	r = unpack((enum kernel_packing)how, p, n, to, size, e);
	if (r < 0)
		return r;
	if (lseek(to, 0, SEEK_CUR) != (off_t)size)
		return err_set(e, ENOEXEC, "corrupt: less comes out of it than it says");
	return 0;
}

static int unpack_fd(int fd, const struct kernel_image *img, int to, struct err *e)
{
	AUTO_FREE uint8_t *p = malloc(img->payload_len);
	ssize_t n;

	if (!p)
		return err_sys(e, ENOMEM, "read it");
	if (lseek(fd, (off_t)img->payload, SEEK_SET) < 0)
		return err_sys(e, errno, "read it");
	n = io_read_full(fd, p, img->payload_len);
	if (n < 0)
		return err_sys(e, (int)-n, "read it");
	if ((uint64_t)n != img->payload_len)
		return err_set(e, ENOEXEC, "truncated while it was read");
	return unpack_payload(p, (size_t)n, to, e);
}

/* The vmlinux of a bzImage: of the cache, or unpacked. */
static int unpacked(int fd, const struct stat *st, const struct kernel_image *img, int cache,
		    struct err *e)
{
	char name[VM_CACHE_NAME_MAX];
	AUTO_FREE char *temp = NULL;
	struct err why = {};
	int to, r;

	vm_cache_name(name, "vmlinux", vm_cache_key_file(VM_CACHE_KEY, st));
	to = vm_cache_get(cache, name);
	if (to >= 0) {
		if (check_unpacked(to, &why) == 0)
			return to;
		close(to);
		log_warn("cached kernel %s is damaged, made again: %s", name, why.msg);
	}
	to = vm_cache_begin(cache, &temp, e);
	if (to < 0)
		return to;
	r = unpack_fd(fd, img, to, e);
	if (r == 0)
		r = check_unpacked(to, e);
	if (r < 0) {
		vm_cache_abort(cache, to, temp);
		return r;
	}
	return vm_cache_commit(cache, to, temp, name, e);
}

static int open_one(const char *path, int cache, struct kernel *out, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	AUTO_KERNEL struct kernel k = KERNEL_INIT;
	struct kernel_image img;
	struct stat st;
	int r;

	if (fd < 0)
		return err_sys(e, errno, "kernel %s", path);
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "kernel %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, S_ISDIR(st.st_mode) ? EISDIR : ENOEXEC,
			       "kernel %s: not a regular file", path);
	if ((size_t)snprintf(k.path, sizeof(k.path), "%s", path) >= sizeof(k.path))
		return err_sys(e, ENAMETOOLONG, "kernel %s", path);
	r = parse_fd(fd, (uint64_t)st.st_size, &img, e);
	if (r < 0)
		return err_wrap(e, "kernel %s", path);
	memcpy(k.release, img.release, sizeof(k.release));
	if (img.format == KERNEL_ELF)
		release_of_name(&k);
	r = check_virtio(&k, e);
	if (r < 0)
		return err_wrap(e, "kernel %s", path);
	if (img.format == KERNEL_ELF) {
		k.fd = TAKE_FD(fd);
	} else {
		k.fd = unpacked(fd, &st, &img, cache, e);
		if (k.fd < 0)
			return err_wrap(e, "kernel %s", path);
	}
	*out = k;
	k.fd = -1;
	return 0;
}

/*
 * Where this program lies, to find what was built or installed with it. A program that runs as its
 * own sealed copy in memory knows the way only from how it was called.
 */
static int own_dir(char dir[PATH_MAX])
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	AUTO_FREE char *real = NULL;
	char *slash;

	if (n < 0)
		return -errno;
	path[n] = '\0';
	if (path[0] != '/' || str_after(path, "/memfd:") || str_ends(path, " (deleted)")) {
		const char *name = program_invocation_name, *search = getenv("PATH");

		if (strchr(name, '/')) {
			real = realpath(name, NULL);
		} else {
			while (search && *search && !real) {
				n = (ssize_t)strcspn(search, ":");
				snprintf(path, sizeof(path), "%.*s/%s", (int)n, search, name);
				if (n > 0 && access(path, X_OK) == 0)
					real = realpath(path, NULL);
				search += n + (search[n] == ':');
			}
		}
		if (!real)
			return -ENOENT;
		snprintf(path, sizeof(path), "%s", real);
	}
	slash = strrchr(path, '/');
	*slash = '\0';
	memcpy(dir, path, strlen(path) + 1);
	return 0;
}

static int is_vmlinuz(const struct dirent *d)
{
	return str_after(d->d_name, "vmlinuz-") != NULL;
}

static int newest_first(const struct dirent **a, const struct dirent **b)
{
	return strverscmp((*b)->d_name, (*a)->d_name);
}

/* The newest of /boot that can be used; why not, of the newest that cannot. */
static int open_boot(int cache, struct kernel *k, struct err *why)
{
	struct dirent **names = NULL;
	int n = scandir("/boot", &names, is_vmlinuz, newest_first), r = -ENOENT;

	for (int i = 0; i < n; i++) {
		char path[PATH_MAX];
		struct err e = {};

		snprintf(path, sizeof(path), "/boot/%s", names[i]->d_name);
		if (r < 0) {
			r = open_one(path, cache, k, &e);
			if (r < 0)
				log_debug("%s", e.msg);
			if (r < 0 && !why->code)
				*why = e;
		}
		free(names[i]);
	}
	free(names);
	return r;
}

int kernel_open(const char *path, int cache, struct kernel *k, struct err *e)
{
	char places[3][PATH_MAX + 32] = { "/usr/lib/ctr/vmlinux" };
	char dir[PATH_MAX];
	size_t n = 1;
	struct err why = {};

	if (path)
		return open_one(path, cache, k, e);
	if (own_dir(dir) == 0) {
		snprintf(places[n++], sizeof(places[0]), "%s/../lib/ctr/vmlinux", dir);
		snprintf(places[n++], sizeof(places[0]), "%s/guest/vmlinux", dir);
	}
	/* What was put there for ctr must be right: another is not taken in its stead. */
	for (size_t i = 0; i < n; i++)
		if (access(places[i], F_OK) == 0)
			return open_one(places[i], cache, k, e);
	if (open_boot(cache, k, &why) == 0)
		return 0;
	if (why.code)
		return err_set(e, ENOENT, "no kernel for the guest: %s; " HINT, why.msg);
	return err_set(e, ENOENT,
		       "no kernel for the guest: looked for %s%s%s%s%s, /boot/vmlinuz-*; " HINT,
		       places[0], n > 1 ? ", " : "", places[1], n > 2 ? ", " : "", places[2]);
}

void kernel_close(struct kernel *k)
{
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
}
