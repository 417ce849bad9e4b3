/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file server over a fresh directory, and a guest that sends it requests: well-formed ones by
 * call(), broken ones by raw(). Each test has a rig of its own (rig_setup, rig_teardown).
 */
#ifndef CTR_TESTS_FUSE_RIG_H
#define CTR_TESTS_FUSE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "microvm/fuse_server.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct rig {
	char top[64]; /* the tree is top/root; top/outside must stay untouched */
	int root;
	struct fuse_server *s;
	uid_t uid;
	gid_t gid;
	size_t piece; /* requests and answers are cut into pieces of so many bytes (0: not) */
	size_t room;  /* for the answer, with its header */
	uint32_t minor;
	size_t len; /* of the answer's payload */
	char request[1 << 18], answer[1 << 18];
};

static struct rig rig;

static inline char *at(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/root/%s", rig.top, name);
	return path;
}

static inline unsigned int cut(char *buf, size_t len, struct iovec *v, unsigned int max)
{
	unsigned int n = 0;

	while (len) {
		size_t part = rig.piece && n + 1 < max && rig.piece < len ? rig.piece : len;

		v[n++] = (struct iovec){ buf, part };
		buf += part;
		len -= part;
	}
	return n;
}

/* Whatever bytes are in rig.request: what was written to rig.answer. */
static inline size_t raw(size_t len)
{
	static struct iovec in[1024], out[1024];
	unsigned int n_in = cut(rig.request, len, in, 1024);
	unsigned int n_out = cut(rig.answer, rig.room, out, 1024);

	memset(rig.answer, 0xee, sizeof(rig.answer));
	return fuse_server_handle(rig.s, in, n_in, out, n_out);
}

/* A request with its header in place: its whole length. */
static inline size_t request(uint32_t op, uint64_t node, const void *arg, size_t arg_len,
			     const void *tail, size_t tail_len)
{
	struct fuse_in_header h = {
		.len = (uint32_t)(sizeof(h) + arg_len + tail_len),
		.opcode = op,
		.unique = 0x1122334455667788,
		.nodeid = node,
		.uid = rig.uid,
		.gid = rig.gid,
		.pid = 1,
	};

	memcpy(rig.request, &h, sizeof(h));
	if (arg_len)
		memcpy(rig.request + sizeof(h), arg, arg_len);
	if (tail_len)
		memcpy(rig.request + sizeof(h) + arg_len, tail, tail_len);
	return h.len;
}

/* The result of what is in rig.request: 0 (payload() is rig.len long) or -errno. */
static inline int result(size_t len)
{
	struct fuse_out_header h;
	size_t n = raw(len);

	assert_true(n >= sizeof(h));
	memcpy(&h, rig.answer, sizeof(h));
	assert_int_equal(h.len, n);
	assert_true(h.unique == 0x1122334455667788);
	assert_true(h.error <= 0 && h.error > -1000);
	if (h.error)
		assert_int_equal(n, sizeof(h));
	rig.len = n - sizeof(h);
	return h.error;
}

static inline void *payload(void)
{
	return rig.answer + sizeof(struct fuse_out_header);
}

static inline int call(uint32_t op, uint64_t node, const void *arg, size_t arg_len,
		       const void *tail, size_t tail_len)
{
	return result(request(op, node, arg, arg_len, tail, tail_len));
}

#define CALL(op, node, arg) call(op, node, &(arg), sizeof(arg), NULL, 0)
#define CALL_NAME(op, node, arg, name) call(op, node, &(arg), sizeof(arg), name, strlen(name) + 1)
#define JUST_NAME(op, node, name) call(op, node, NULL, 0, name, strlen(name) + 1)

static inline int init(uint32_t flags)
{
	struct fuse_init_in in = {
		.major = 7, .minor = 38, .max_readahead = 131072, .flags = flags
	};

	return CALL(FUSE_INIT, 0, in);
}

/* The node that a name stands for, 0 for none; the entry is the payload. */
static inline uint64_t lookup(uint64_t dir, const char *name)
{
	struct fuse_entry_out *out = payload();

	if (JUST_NAME(FUSE_LOOKUP, dir, name) < 0)
		return 0;
	assert_int_equal(rig.len, sizeof(*out));
	return out->nodeid;
}

static inline int open_flags(uint64_t node, uint32_t flags, uint64_t *fh)
{
	struct fuse_open_in in = { .flags = flags };
	int r = CALL(FUSE_OPEN, node, in);

	*fh = r == 0 ? ((struct fuse_open_out *)payload())->fh : 0;
	return r;
}

static inline int read_at(uint64_t node, uint64_t fh, uint64_t off, uint32_t size)
{
	struct fuse_read_in in = { .fh = fh, .offset = off, .size = size };

	return CALL(FUSE_READ, node, in);
}

static inline int write_at(uint64_t node, uint64_t fh, uint64_t off, const char *text)
{
	struct fuse_write_in in = { .fh = fh, .offset = off, .size = (uint32_t)strlen(text) };

	return call(FUSE_WRITE, node, &in, sizeof(in), text, strlen(text));
}

static inline void file(const char *name, const char *text)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static inline bool is_there(const char *name)
{
	struct stat st;

	return lstat(at(name), &st) == 0;
}

static inline size_t open_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static inline void start(const struct fuse_opts *o)
{
	struct err e = {};

	fuse_server_free(rig.s);
	rig.s = NULL;
	if (fuse_server_new(rig.root, o, &rig.s, &e) < 0 || fuse_server_enter(rig.s, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(init(~0U), 0);
}

static inline int rig_setup(void **state)
{
	const struct fuse_opts o = { .proc_fd = -1 };
	char path[128];

	(void)state;
	memset(&rig, 0, sizeof(rig));
	rig.room = sizeof(rig.answer);
	rig.uid = geteuid();
	rig.gid = getegid();
	strcpy(rig.top, "/tmp/ctr-fuse-XXXXXX");
	if (!mkdtemp(rig.top))
		return -1;
	snprintf(path, sizeof(path), "%s/outside", rig.top);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/root", rig.top);
	mkdir(path, 0755);
	rig.root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	start(&o);
	return rig.root < 0 ? -1 : 0;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

static inline int rig_teardown(void **state)
{
	(void)state;
	fuse_server_free(rig.s);
	close(rig.root);
	return nftw(rig.top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define RIG_TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

#endif
