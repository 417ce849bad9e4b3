/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/seccomp_cache.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "runtime/ctr.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf_common.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#define CACHE_MAGIC 0x31304d4350435443ULL /* "CTCPCM01", little endian; also tells the byte order */
#define CACHE_FILE_MAX ((off_t)32 << 20)
#define CACHE_NAME_MAX 32

struct cache_head {
	uint64_t magic;
	uint64_t hash; /* of all that follows */
	uint32_t key_len;
	uint32_t n_insns;
};

/*
 * FNV-1a, taken eight bytes at a step: it names files and finds damage; that an entry is the right
 * one is decided by comparing the key.
 */
static uint64_t hash_bytes(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t word;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = (h ^ word) * 0x100000001b3ULL;
		h ^= h >> 29;
	}
	for (; len > 0; p++, len--)
		h = (h ^ *p) * 0x100000001b3ULL;
	return h;
}

#define HASH_START 0xcbf29ce484222325ULL

static void entry_name(const struct str_buf *key, char name[CACHE_NAME_MAX])
{
	snprintf(name, CACHE_NAME_MAX, "%016" PRIx64 ".bpf",
		 hash_bytes(HASH_START, key->s, key->len));
}

static void put_u64(struct str_buf *b, uint64_t v)
{
	str_buf_addn(b, (const char *)&v, sizeof(v));
}

static void put_opt(struct str_buf *b, const struct opt_u64 *o)
{
	put_u64(b, o->set);
	put_u64(b, o->set ? o->v : 0);
}

/* With the terminating NUL, so that no two lists give the same bytes. */
static void put_str(struct str_buf *b, const char *s)
{
	str_buf_addn(b, s, strlen(s) + 1);
}

static void put_strings(struct str_buf *b, const struct spec_strings *l)
{
	put_u64(b, l->n);
	for (size_t i = 0; i < l->n; i++)
		put_str(b, l->v[i]);
}

static void put_syscall(struct str_buf *b, const struct spec_syscall *c)
{
	put_strings(b, &c->names);
	put_u64(b, c->action);
	put_opt(b, &c->errno_ret);
	put_u64(b, c->args.n);
	for (size_t i = 0; i < c->args.n; i++) {
		const struct spec_syscall_arg *a = &c->args.v[i];

		put_u64(b, (uint64_t)a->op << 32 | a->index);
		put_u64(b, a->value);
		put_u64(b, a->value_two);
	}
}

int seccomp_cache_key(const struct spec_seccomp *s, struct str_buf *b)
{
	struct utsname u;

	if (uname(&u) < 0)
		return -errno;
	put_str(b, ctr_version);
	put_str(b, ctr_commit);
	put_str(b, seccomp_library_version());
	put_str(b, u.machine);
	put_str(b, u.release);
	put_u64(b, s->default_action);
	put_opt(b, &s->default_errno_ret);
	put_opt(b, &s->flags);
	put_strings(b, &s->architectures);
	put_u64(b, s->syscalls.n);
	for (size_t i = 0; i < s->syscalls.n; i++)
		put_syscall(b, &s->syscalls.v[i]);
	return b->failed ? -ENOMEM : 0;
}

/* Opens the entry when nobody else can have written it. Its size in *size. */
static int open_entry(int cache_fd, const struct str_buf *key, size_t *size)
{
	char name[CACHE_NAME_MAX];
	struct stat st;

	entry_name(key, name);

	AUTO_CLOSE int fd =
		openat(cache_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
		return -EPERM;
	if (st.st_size < (off_t)sizeof(struct cache_head) || st.st_size > CACHE_FILE_MAX)
		return -EINVAL;
	*size = (size_t)st.st_size;
	return TAKE_FD(fd);
}

static bool entry_fits(const char *buf, size_t size, const struct str_buf *key)
{
	struct cache_head h;

	memcpy(&h, buf, sizeof(h));
	return h.magic == CACHE_MAGIC && h.key_len == key->len && h.n_insns > 0 &&
	       h.n_insns <= BPF_MAXINSNS &&
	       size == sizeof(h) + key->len + h.n_insns * sizeof(struct sock_filter) &&
	       memcmp(buf + sizeof(h), key->s, key->len) == 0 &&
	       h.hash == hash_bytes(HASH_START, buf + sizeof(h), size - sizeof(h));
}

int seccomp_cache_get(int cache_fd, const struct str_buf *key, struct seccomp_prog *out)
{
	AUTO_FREE char *buf = NULL;
	size_t size = 0, skip = sizeof(struct cache_head) + key->len;
	AUTO_CLOSE int fd = open_entry(cache_fd, key, &size);
	ssize_t n;

	if (fd < 0)
		return fd;
	buf = malloc(size);
	if (!buf)
		return -ENOMEM;
	n = io_read_full(fd, buf, size);
	if (n < 0)
		return (int)n;
	if ((size_t)n != size || !entry_fits(buf, size, key))
		return -EINVAL;
	memmove(buf, buf + skip, size - skip);
	out->n = (size - skip) / sizeof(struct sock_filter);
	out->insns = (struct sock_filter *)TAKE_PTR(buf);
	return 0;
}

/* Counts the entries; the name of the oldest in oldest. */
static size_t count_entries(DIR *dir, char oldest[NAME_MAX + 1])
{
	struct timespec when = {};
	struct dirent *d;
	size_t n = 0;

	rewinddir(dir);
	while ((d = readdir(dir))) {
		struct stat st;

		if (str_eq(d->d_name, ".") || str_eq(d->d_name, "..") ||
		    fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (n++ == 0 || st.st_mtim.tv_sec < when.tv_sec ||
		    (st.st_mtim.tv_sec == when.tv_sec && st.st_mtim.tv_nsec < when.tv_nsec)) {
			when = st.st_mtim;
			strcpy(oldest, d->d_name);
		}
	}
	return n;
}

/* Half-written files of a caller that was killed count as entries, so they go as well in time. */
static void trim(int cache_fd)
{
	int fd = openat(cache_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSEDIR DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	char oldest[NAME_MAX + 1];

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (count_entries(dir, oldest) > SECCOMP_CACHE_MAX)
		if (unlinkat(cache_fd, oldest, 0) < 0)
			return;
}

int seccomp_cache_put(int cache_fd, const struct str_buf *key, const struct seccomp_prog *p)
{
	struct cache_head h = {
		.magic = CACHE_MAGIC,
		.key_len = (uint32_t)key->len,
		.n_insns = (uint32_t)p->n,
	};
	char name[CACHE_NAME_MAX];
	struct str_buf b = {};
	int r = -ENOMEM;

	str_buf_addn(&b, (const char *)&h, sizeof(h));
	str_buf_addn(&b, key->s, key->len);
	str_buf_addn(&b, (const char *)p->insns, p->n * sizeof(*p->insns));
	if (!b.failed) {
		h.hash = hash_bytes(HASH_START, b.s + sizeof(h), b.len - sizeof(h));
		memcpy(b.s, &h, sizeof(h));
		entry_name(key, name);
		r = io_write_atomic(cache_fd, name, b.s, b.len, 0600);
	}
	str_buf_free(&b);
	if (r == 0)
		trim(cache_fd);
	return r;
}
