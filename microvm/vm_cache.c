/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/vm_cache.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#define TEMP ".new-"

enum { DAY = 24 * 3600, KEEP = 30 * DAY };

/* Nobody but the owner may write what machines are made of. */
static bool own(const struct stat *st)
{
	return st->st_uid == geteuid() && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

static int open_dir(const char *path)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	return own(&st) ? TAKE_FD(fd) : -EPERM;
}

int vm_cache_open(void)
{
	const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char path[PATH_MAX];
	int n;

	if (geteuid() == 0) {
		n = snprintf(path, sizeof(path), "/var/cache/ctr");
	} else if (base && base[0] == '/') {
		n = snprintf(path, sizeof(path), "%s/ctr", base);
	} else if (home && home[0] == '/') {
		n = snprintf(path, sizeof(path), "%s/.cache", home);
		if (n < (int)sizeof(path))
			mkdir(path, 0700);
		n = snprintf(path, sizeof(path), "%s/.cache/ctr", home);
	} else {
		return -1;
	}
	if (n >= (int)sizeof(path))
		return -1;
	n = open_dir(path);
	return n < 0 ? -1 : n;
}

/*
 * FNV-1a with every byte: it names files that their owner made of files of its own; an adversary
 * who could make two names meet could as well write the entry.
 */
uint64_t vm_cache_key(uint64_t key, const void *data, size_t len)
{
	const unsigned char *p = data;

	while (len-- > 0)
		key = (key ^ *p++) * 0x100000001b3ULL;
	return key;
}

uint64_t vm_cache_key_file(uint64_t key, const struct stat *st)
{
	const uint64_t id[] = {
		st->st_dev,
		st->st_ino,
		(uint64_t)st->st_size,
		(uint64_t)st->st_mtim.tv_sec,
		(uint64_t)st->st_mtim.tv_nsec,
		(uint64_t)st->st_ctim.tv_sec,
		(uint64_t)st->st_ctim.tv_nsec,
	};

	return vm_cache_key(key, id, sizeof(id));
}

void vm_cache_name(char name[VM_CACHE_NAME_MAX], const char *prefix, uint64_t key)
{
	snprintf(name, VM_CACHE_NAME_MAX, "%s-%016" PRIx64, prefix, key);
}

int vm_cache_get(int cache, const char *name)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;

	if (cache < 0)
		return -ENOENT;
	fd = openat(cache, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || !own(&st))
		return -ENOENT;
	if (st.st_mtime < time(NULL) - DAY)
		futimens(fd, NULL); /* it is in use: prune() leaves it */
	return TAKE_FD(fd);
}

/* What nobody has used for a month, of older programs and kernels, and what a crash left. */
static void prune(int cache)
{
	AUTO_CLOSE int fd = openat(cache, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSEDIR DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	time_t now = time(NULL);
	struct dirent *ent;
	struct stat st;

	if (!d)
		return;
	fd = -1; /* the stream's */
	while ((ent = readdir(d))) {
		bool temp = str_after(ent->d_name, TEMP) != NULL;

		if (ent->d_name[0] == '.' && !temp)
			continue;
		if (fstatat(cache, ent->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && st.st_mtime < now - (temp ? DAY : KEEP))
			unlinkat(cache, ent->d_name, 0);
	}
}

int vm_cache_begin(int cache, char **temp, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	uint64_t random = 0;
	AUTO_FREE char *name = NULL;

	*temp = NULL;
	if (cache >= 0) {
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return err_sys(e, errno, "getrandom");
		name = str_printf(TEMP "%016" PRIx64, random);
		if (!name)
			return err_sys(e, ENOMEM, "name a cache entry");
		fd = openat(cache, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
		/* whatever the umask: a VMM in a user namespace is somebody else */
		if (fd >= 0 && fchmod(fd, 0444) == 0) {
			*temp = TAKE_PTR(name);
			return TAKE_FD(fd);
		}
	}
	fd = memfd_create("ctr-cache", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "memfd_create");
	return TAKE_FD(fd);
}

/* A descriptor of the same file that cannot write; the one that wrote it ends. */
static int reopen(int fd, struct err *e)
{
	char path[64];
	int ro;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	return ro < 0 ? err_sys(e, errno, "open %s", path) : ro;
}

int vm_cache_commit(int cache, int fd_taken, const char *temp, const char *name, struct err *e)
{
	AUTO_CLOSE int fd = fd_taken;

	/* synced, because the name outlives a crash that the data might not */
	if (temp && (fsync(fd) < 0 || renameat(cache, temp, cache, name) < 0))
		unlinkat(cache, temp, 0);
	if (temp)
		prune(cache);
	return reopen(fd, e);
}

void vm_cache_abort(int cache, int fd, const char *temp)
{
	if (temp)
		unlinkat(cache, temp, 0);
	if (fd >= 0)
		close(fd);
}
