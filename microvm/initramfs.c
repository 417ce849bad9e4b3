/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/initramfs.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "microvm/cpio.h"
#include "microvm/initramfs_modules.h"
#include "microvm/self_objects.h"
#include "microvm/vm_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/sysmacros.h>

/* Counted up when what is made of the same things changes. */
#define FORMAT "initramfs 1"

enum { OBJECT_MAX = 256 << 20, BLOCK = 512 };

static const char *const dirs[] = { "/dev", "/proc", "/sys", "/run", "/tmp", "/mnt", "/root" };
/* Where a dynamic loader looks without being told: the guest has no cache of other places. */
static const char *const lib_dirs[] = { "/lib64", "/lib" };

struct plan {
	const struct kernel *k;
	unsigned int features;
	int initrd; /* -1: none */
	const char *initrd_path;
	struct module_dir modules;
	struct self_objects *objects;
};

static void plan_free(struct plan *p)
{
	cleanup_close(&p->initrd);
	module_dir_close(&p->modules);
	free(p->objects);
}

static int plan_make(struct plan *p, const char *initrd, struct err *e)
{
	int r;

	if (initrd) {
		p->initrd = open(initrd, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (p->initrd < 0)
			return err_sys(e, errno, "initrd %s", initrd);
		p->initrd_path = initrd;
	}
	p->objects = malloc(sizeof(*p->objects));
	if (!p->objects)
		return err_sys(e, ENOMEM, "make the initramfs");
	r = self_objects_find(p->objects, e);
	if (r == 0 && p->k->modular)
		r = module_dir_open(&p->modules, p->k->release, e);
	return r;
}

static int key_of_file(int fd, const char *name, uint64_t *key, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "%s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s: not a regular file", name);
	*key = vm_cache_key_file(*key, &st);
	return 0;
}

static int key_of_object(const struct self_object *o, uint64_t *key, struct err *e)
{
	AUTO_CLOSE int fd = -1;

	*key = vm_cache_key(*key, o->path, strlen(o->path) + 1);
	*key = vm_cache_key(*key, o->name, strlen(o->name) + 1);
	if (o->build_id_len > 0) {
		*key = vm_cache_key(*key, o->build_id, o->build_id_len);
		return 0;
	}
	fd = open(o->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "%s", o->path);
	return key_of_file(fd, o->path, key, e);
}

static int plan_key(const struct plan *p, uint64_t *key, struct err *e)
{
	int r = 0;

	*key = vm_cache_key(VM_CACHE_KEY, FORMAT, sizeof(FORMAT));
	*key = vm_cache_key(*key, &p->features, p->k->modular ? sizeof(p->features) : 0);
	for (size_t i = 0; r == 0 && i < p->objects->n; i++)
		r = key_of_object(&p->objects->v[i], key, e);
	if (r == 0 && p->initrd >= 0)
		r = key_of_file(p->initrd, p->initrd_path, key, e);
	if (r == 0 && p->k->modular)
		r = module_dir_key(&p->modules, key, e);
	return r;
}

static int add_file(struct cpio *c, const char *from, const char *to, mode_t mode, struct err *e)
{
	AUTO_FREE char *data = NULL;
	size_t n = 0;
	int r = io_read_file(AT_FDCWD, from, OBJECT_MAX, &data, &n);

	if (r < 0)
		return err_sys(e, -r, "%s", from);
	return cpio_add(c, to, S_IFREG | mode, 0, data, n, e);
}

/* A shared object at its path, and by its name in the places that a loader knows. */
static int add_object(struct cpio *c, const struct self_object *o, struct err *e)
{
	const char *slash = strrchr(o->path, '/');
	int r = add_file(c, o->path, o->path, 0755, e);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(lib_dirs); i++) {
		AUTO_FREE char *link = str_printf("%s/%s", lib_dirs[i], o->name);

		if (!link)
			return err_sys(e, ENOMEM, "make the initramfs");
		if (strncmp(o->path, lib_dirs[i], (size_t)(slash - o->path)) == 0 &&
		    lib_dirs[i][slash - o->path] == '\0')
			continue;
		r = cpio_add(c, link, S_IFLNK | 0777, 0, o->path, strlen(o->path), e);
	}
	return r;
}

static int add_interp(struct cpio *c, const struct self_objects *s, struct err *e)
{
	if (!s->interp[0])
		return 0;
	for (size_t i = 1; i < s->n; i++) {
		AUTO_FREE char *in64 = str_printf("/lib64/%s", s->v[i].name);
		AUTO_FREE char *in32 = str_printf("/lib/%s", s->v[i].name);

		if (!in64 || !in32)
			return err_sys(e, ENOMEM, "make the initramfs");
		if (str_eq(s->v[i].path, s->interp) || str_eq(in64, s->interp) ||
		    str_eq(in32, s->interp))
			return 0; /* it is there as one of the objects */
	}
	return add_file(c, s->interp, s->interp, 0755, e);
}

static int add_self(struct cpio *c, const struct self_objects *s, struct err *e)
{
	int r = add_file(c, s->v[0].path, "/init", 0755, e);

	for (size_t i = 1; r == 0 && i < s->n; i++)
		r = add_object(c, &s->v[i], e);
	return r < 0 ? r : add_interp(c, s, e);
}

/* The user's comes first: what both have is ours. */
static int copy_initrd(const struct plan *p, int to, struct err *e)
{
	static const char zeros[BLOCK];
	off_t at = 0;
	ssize_t n;
	int r;

	do {
		n = sendfile(to, p->initrd, &at, 1 << 24);
		if (n < 0 && errno != EINTR)
			return err_sys(e, errno, "initrd %s", p->initrd_path);
	} while (n != 0);
	r = io_write_full(to, zeros, (size_t)((BLOCK - at % BLOCK) % BLOCK));
	return r < 0 ? err_sys(e, -r, "write the initramfs") : 0;
}

static int fill(const struct plan *p, int fd, struct err *e)
{
	AUTO_CPIO struct cpio c = CPIO_INIT(fd);
	int r = 0;

	if (p->initrd >= 0)
		r = copy_initrd(p, fd, e);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(dirs); i++)
		r = cpio_add(&c, dirs[i], S_IFDIR | 0755, 0, NULL, 0, e);
	if (r == 0)
		r = cpio_add(&c, "/dev/console", S_IFCHR | 0600, makedev(5, 1), NULL, 0, e);
	if (r == 0)
		r = add_self(&c, p->objects, e);
	if (r == 0 && p->k->modular)
		r = module_dir_pack(&p->modules, p->features, &c, e);
	return r < 0 ? r : cpio_end(&c, e);
}

/* An entry of the cache that was cut or overwritten is none. */
static bool whole(int fd)
{
	static const char trailer[] = "TRAILER!!!";
	char tail[2 * BLOCK];
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(tail) || st.st_size % BLOCK != 0 ||
	    pread(fd, tail, sizeof(tail), st.st_size - (off_t)sizeof(tail)) != sizeof(tail))
		return false;
	return memmem(tail, sizeof(tail), trailer, sizeof(trailer)) != NULL;
}

int initramfs_open(const struct kernel *k, unsigned int features, const char *initrd, int cache,
		   struct err *e)
{
	AUTO(plan_free)
	struct plan p = { .k = k, .features = features, .initrd = -1, .modules = MODULE_DIR_INIT };
	char name[VM_CACHE_NAME_MAX];
	AUTO_FREE char *temp = NULL;
	uint64_t key;
	int fd, r = plan_make(&p, initrd, e);

	if (r == 0)
		r = plan_key(&p, &key, e);
	if (r < 0)
		return r;
	vm_cache_name(name, "initramfs", key);
	fd = vm_cache_get(cache, name);
	if (fd >= 0 && whole(fd))
		return fd;
	if (fd >= 0) {
		close(fd);
		log_warn("cached initramfs %s is damaged, made again", name);
	}
	fd = vm_cache_begin(cache, &temp, e);
	if (fd < 0)
		return fd;
	r = fill(&p, fd, e);
	if (r < 0) {
		vm_cache_abort(cache, fd, temp);
		return r;
	}
	return vm_cache_commit(cache, fd, temp, name, e);
}
