/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hostile guest may try: broken requests, ways out of the tree, numbers that are too large.
 * That well-formed requests do what they should is what tests/e2e/files.bats shows, with a real
 * kernel as the client.
 */
#include "fuse_rig.h"

#include <sys/xattr.h>

/* ---- the request itself ---- */

static void test_headers(void **state)
{
	struct fuse_getattr_in in = {};
	size_t len = request(FUSE_GETATTR, 1, &in, sizeof(in), NULL, 0);
	struct fuse_in_header *h = (void *)rig.request;

	(void)state;
	assert_int_equal(result(len), 0);
	assert_int_equal(rig.len, sizeof(struct fuse_attr_out));
	/* not even a header: nobody to answer */
	for (size_t n = 0; n < sizeof(*h); n++)
		assert_int_equal(raw(n), 0);
	/* the length that it claims is not the length that it has */
	h->len = (uint32_t)len - 1;
	assert_int_equal(result(len), -EINVAL);
	h->len = UINT32_MAX;
	assert_int_equal(result(len), -EINVAL);
	h->len = 0;
	assert_int_equal(result(len), -EINVAL);
	/* arguments cut off */
	for (size_t n = sizeof(*h); n < len; n++) {
		h->len = (uint32_t)n;
		assert_int_equal(result(n), -EINVAL);
	}
	/* no room for an answer: none, or one that is too short for what was asked */
	h->len = (uint32_t)len;
	rig.room = sizeof(struct fuse_out_header) - 1;
	assert_int_equal(raw(len), 0);
	rig.room = sizeof(struct fuse_out_header) + sizeof(struct fuse_attr_out) - 1;
	assert_int_equal(result(len), -EINVAL);
}

static void test_opcodes(void **state)
{
	static const uint32_t refused[] = { 0,
					    7,
					    FUSE_GETLK,
					    FUSE_SETLK,
					    FUSE_SETLKW,
					    FUSE_ACCESS,
					    FUSE_BMAP,
					    FUSE_POLL,
					    FUSE_SETUPMAPPING,
					    FUSE_REMOVEMAPPING,
					    52,
					    1000,
					    CUSE_INIT,
					    UINT32_MAX };
	char args[128] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_equal(call(refused[i], 1, args, sizeof(args), NULL, 0), -ENOSYS);
	assert_int_equal(call(FUSE_IOCTL, 1, args, sizeof(struct fuse_ioctl_in), NULL, 0), -ENOTTY);
	/* no answer to these, not even to broken ones */
	assert_int_equal(raw(request(FUSE_FORGET, 1, args, 8, NULL, 0)), 0);
	assert_int_equal(raw(request(FUSE_FORGET, 1, args, 1, NULL, 0)), 0);
	assert_int_equal(raw(request(FUSE_INTERRUPT, 1, args, 8, NULL, 0)), 0);
	assert_int_equal(raw(request(FUSE_BATCH_FORGET, 1, args, 8, NULL, 0)), 0);
}

static void test_before_init(void **state)
{
	struct fuse_init_in in = { .major = 7, .minor = 30 };
	struct fuse_getattr_in get = {};

	(void)state;
	fuse_server_reset(rig.s);
	assert_int_equal(CALL(FUSE_GETATTR, 1, get), -ENOTCONN);
	assert_int_equal(CALL(FUSE_INIT, 0, in), -EPROTO);
	assert_int_equal(CALL(FUSE_GETATTR, 1, get), -ENOTCONN);
	/* a later major version is told ours and asks again */
	in.major = 8;
	assert_int_equal(CALL(FUSE_INIT, 0, in), 0);
	assert_int_equal(((struct fuse_init_out *)payload())->major, 7);
	assert_int_equal(CALL(FUSE_GETATTR, 1, get), -ENOTCONN);
	assert_int_equal(init(0), 0);
	assert_int_equal(CALL(FUSE_GETATTR, 1, get), 0);
	assert_int_equal(call(FUSE_DESTROY, 0, NULL, 0, NULL, 0), 0);
	assert_int_equal(CALL(FUSE_GETATTR, 1, get), -ENOTCONN);
}

/* A request in pieces of one byte, three, … is the same request. */
static void test_pieces(void **state)
{
	static const size_t pieces[] = { 1, 3, 7, 16, 40, 41, 500 };
	struct fuse_mkdir_in in = { .mode = 0755 };
	uint64_t node, fh;
	char name[16];

	(void)state;
	file("f", "0123456789");
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		rig.piece = pieces[i];
		snprintf(name, sizeof(name), "d%zu", i);
		assert_int_equal(CALL_NAME(FUSE_MKDIR, 1, in, name), 0);
		assert_true(is_there(name));
		node = lookup(1, "f");
		assert_int_equal(open_flags(node, O_RDWR, &fh), 0);
		assert_int_equal(write_at(node, fh, 3, "abc"), 0);
		assert_int_equal(read_at(node, fh, 1, 20), 0);
		assert_int_equal(rig.len, 9);
		assert_memory_equal(payload(), "12abc6789", 9);
	}
}

/* ---- ways out ---- */

static void test_bad_names(void **state)
{
	static const char *const bad[] = { "", ".", "..", "/", "a/b", "../outside", "/etc", "a/" };
	struct fuse_mkdir_in mkdir_in = { .mode = 0755 };
	struct fuse_mknod_in mknod_in = { .mode = S_IFREG | 0644 };
	struct fuse_create_in create_in = { .mode = 0644, .flags = O_RDWR };
	struct fuse_link_in link_in = {};
	char longest[300];

	(void)state;
	file("f", "");
	link_in.oldnodeid = lookup(1, "f");
	mkdir(at("a"), 0755);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *n = bad[i];

		assert_int_equal(JUST_NAME(FUSE_LOOKUP, 1, n), -EINVAL);
		assert_int_equal(JUST_NAME(FUSE_UNLINK, 1, n), -EINVAL);
		assert_int_equal(JUST_NAME(FUSE_RMDIR, 1, n), -EINVAL);
		assert_int_equal(CALL_NAME(FUSE_MKDIR, 1, mkdir_in, n), -EINVAL);
		assert_int_equal(CALL_NAME(FUSE_MKNOD, 1, mknod_in, n), -EINVAL);
		assert_int_equal(CALL_NAME(FUSE_CREATE, 1, create_in, n), -EINVAL);
		assert_int_equal(CALL_NAME(FUSE_LINK, 1, link_in, n), -EINVAL);
		assert_int_equal(call(FUSE_SYMLINK, 1, n, strlen(n) + 1, "t", 2), -EINVAL);
	}
	memset(longest, 'n', sizeof(longest));
	longest[256] = '\0';
	assert_int_equal(JUST_NAME(FUSE_LOOKUP, 1, longest), -ENAMETOOLONG);
	/* without an end, with something behind it, two where one is wanted */
	assert_int_equal(call(FUSE_LOOKUP, 1, NULL, 0, "name", 4), -EINVAL);
	assert_int_equal(call(FUSE_LOOKUP, 1, NULL, 0, "f\0x", 3), -EINVAL);
	assert_int_equal(call(FUSE_LOOKUP, 1, NULL, 0, "f\0\0", 3), -EINVAL);
	assert_int_equal(call(FUSE_SYMLINK, 1, NULL, 0, "name", 5), -EINVAL);
}

static void test_bad_renames(void **state)
{
	struct fuse_rename2_in in = { .newdir = 1 };

	(void)state;
	file("f", "");
	assert_int_equal(call(FUSE_RENAME2, 1, &in, sizeof(in), "f\0../g", 7), -EINVAL);
	assert_int_equal(call(FUSE_RENAME2, 1, &in, sizeof(in), "..\0g", 5), -EINVAL);
	assert_int_equal(call(FUSE_RENAME2, 1, &in, sizeof(in), "f", 2), -EINVAL);
	in.flags = 8;
	assert_int_equal(call(FUSE_RENAME2, 1, &in, sizeof(in), "f\0g", 4), -EINVAL);
	in.flags = 0;
	in.newdir = 77;
	assert_int_equal(call(FUSE_RENAME2, 1, &in, sizeof(in), "f\0g", 4), -ESTALE);
	in.newdir = lookup(1, "f");
	assert_int_equal(call(FUSE_RENAME2, 1, &in, sizeof(in), "f\0g", 4), -ENOTDIR);
	assert_true(is_there("f") && !is_there("g"));
}

/* Somebody who shares the tree puts a link where the guest has looked up a directory. */
static void test_swapped_link(void **state)
{
	struct fuse_create_in in = { .mode = 0644, .flags = O_RDWR | O_CREAT };
	struct fuse_open_in open_in = {};
	uint64_t dir, link, fh;
	char from[512];

	(void)state;
	mkdir(at("d"), 0755);
	dir = lookup(1, "d");
	snprintf(from, sizeof(from), "%s", at("d"));
	assert_int_equal(rename(from, at("gone")), 0);
	assert_int_equal(symlink("../outside", at("d")), 0);
	assert_int_equal(CALL_NAME(FUSE_CREATE, dir, in, "x"), 0);
	assert_true(is_there("gone/x") && !is_there("../outside/x"));
	/* the link is a link, and nothing is behind it */
	link = lookup(1, "d");
	assert_true(link && link != dir);
	assert_true(S_ISLNK(((struct fuse_entry_out *)payload())->attr.mode));
	assert_int_equal(CALL_NAME(FUSE_CREATE, link, in, "x"), -ENOTDIR);
	assert_int_equal(JUST_NAME(FUSE_LOOKUP, link, "x"), -ENOTDIR);
	assert_int_equal(open_flags(link, O_RDONLY, &fh), -ENXIO);
	assert_int_equal(CALL(FUSE_OPENDIR, link, open_in), -ENOTDIR);
	/* creating where a link is neither follows nor opens it */
	assert_int_equal(symlink("../outside/y", at("l")), 0);
	assert_int_equal(CALL_NAME(FUSE_CREATE, 1, in, "l"), -ENXIO);
	assert_false(is_there("../outside/y"));
	assert_int_equal(call(FUSE_READLINK, lookup(1, "l"), NULL, 0, NULL, 0), 0);
	assert_int_equal(rig.len, strlen("../outside/y"));
}

/* A fifo would block, a device would do what devices do: the host opens neither. */
static void test_special_files(void **state)
{
	struct fuse_create_in in = { .mode = 0644, .flags = O_RDWR | O_CREAT };
	struct fuse_setattr_in trunc = { .valid = FATTR_SIZE };
	uint64_t fh, node;

	(void)state;
	assert_int_equal(mkfifo(at("fifo"), 0666), 0);
	node = lookup(1, "fifo");
	assert_int_equal(open_flags(node, O_RDONLY, &fh), -ENXIO);
	assert_int_equal(open_flags(node, O_WRONLY, &fh), -ENXIO);
	assert_int_equal(CALL_NAME(FUSE_CREATE, 1, in, "fifo"), -ENXIO);
	assert_int_equal(CALL(FUSE_SETATTR, node, trunc), -EINVAL);
	assert_int_equal(open_flags(1, O_RDONLY, &fh), -EISDIR);
	assert_int_equal(CALL(FUSE_SETATTR, 1, trunc), -EISDIR);
	in.flags |= O_EXCL;
	assert_int_equal(CALL_NAME(FUSE_CREATE, 1, in, "fifo"), -EEXIST);
}

static void test_devices(void **state)
{
	struct fuse_mknod_in in = { .mode = S_IFCHR | 0666, .rdev = 0x103 };

	(void)state;
	assert_int_equal(CALL_NAME(FUSE_MKNOD, 1, in, "null"), -EPERM);
	in.mode = S_IFBLK | 0666;
	assert_int_equal(CALL_NAME(FUSE_MKNOD, 1, in, "null"), -EPERM);
	in.rdev = 0;
	assert_int_equal(CALL_NAME(FUSE_MKNOD, 1, in, "null"), -EPERM);
	in.mode = S_IFDIR | 0755;
	assert_int_equal(CALL_NAME(FUSE_MKNOD, 1, in, "null"), -EINVAL);
	in.mode = 0644;
	assert_int_equal(CALL_NAME(FUSE_MKNOD, 1, in, "null"), -EINVAL);
	assert_false(is_there("null"));
}

/* ---- ids ---- */

static void test_stale_nodes(void **state)
{
	static const uint64_t ids[] = { 0, 2, 65, 100000, 1ULL << 32 | 1, UINT32_MAX, UINT64_MAX };
	struct fuse_getattr_in get = {};
	struct fuse_forget_in forget = { .nlookup = 3 };
	uint64_t node, again;

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		assert_int_equal(CALL(FUSE_GETATTR, ids[i], get), -ESTALE);
	file("f", "");
	node = lookup(1, "f");
	assert_true(node && lookup(1, "f") == node && lookup(1, "f") == node);
	forget.nlookup = 2;
	raw(request(FUSE_FORGET, node, &forget, sizeof(forget), NULL, 0));
	assert_int_equal(CALL(FUSE_GETATTR, node, get), 0);
	/* more than there are */
	forget.nlookup = UINT64_MAX;
	raw(request(FUSE_FORGET, node, &forget, sizeof(forget), NULL, 0));
	assert_int_equal(CALL(FUSE_GETATTR, node, get), -ESTALE);
	again = lookup(1, "f");
	assert_true(again && again != node);
	/* the root stays */
	raw(request(FUSE_FORGET, 1, &forget, sizeof(forget), NULL, 0));
	assert_int_equal(CALL(FUSE_GETATTR, 1, get), 0);
}

static void test_batch_forget(void **state)
{
	struct {
		struct fuse_batch_forget_in in;
		struct fuse_forget_one one[3];
	} b = { .in = { .count = UINT32_MAX } };
	struct fuse_getattr_in get = {};
	size_t before = open_fds();

	(void)state;
	for (int i = 0; i < 3; i++) {
		char name[2] = { (char)('a' + i), '\0' };

		file(name, "");
		b.one[i] = (struct fuse_forget_one){ .nodeid = lookup(1, name), .nlookup = 1 };
	}
	assert_int_equal(open_fds(), before + 3);
	assert_int_equal(raw(request(FUSE_BATCH_FORGET, 0, &b, sizeof(b), NULL, 0)), 0);
	assert_int_equal(open_fds(), before);
	assert_int_equal(CALL(FUSE_GETATTR, b.one[1].nodeid, get), -ESTALE);
}

static void test_handles(void **state)
{
	struct fuse_release_in rel = {};
	struct fuse_open_in open_in = {};
	uint64_t f, g, fh, dh;

	(void)state;
	file("f", "text");
	file("g", "other");
	f = lookup(1, "f");
	g = lookup(1, "g");
	assert_int_equal(open_flags(f, O_RDONLY, &fh), 0);
	assert_int_equal(CALL(FUSE_OPENDIR, 1, open_in), 0);
	dh = ((struct fuse_open_out *)payload())->fh;
	assert_int_equal(read_at(f, fh, 0, 100), 0);
	assert_int_equal(rig.len, 4);
	/* not open, of another file, of a directory, not for writing */
	assert_int_equal(read_at(f, 0, 0, 100), -EBADF);
	assert_int_equal(read_at(f, 999, 0, 100), -EBADF);
	assert_int_equal(read_at(f, UINT64_MAX, 0, 100), -EBADF);
	assert_int_equal(read_at(f, fh | 1ULL << 32, 0, 100), -EBADF);
	assert_int_equal(read_at(g, fh, 0, 100), -EBADF);
	assert_int_equal(read_at(1, dh, 0, 100), -EBADF);
	assert_int_equal(write_at(f, fh, 0, "x"), -EBADF);
	rel.fh = dh;
	assert_int_equal(CALL(FUSE_RELEASE, 1, rel), -EBADF);
	assert_int_equal(CALL(FUSE_RELEASEDIR, 1, rel), 0);
	rel.fh = fh;
	assert_int_equal(CALL(FUSE_RELEASE, f, rel), 0);
	assert_int_equal(CALL(FUSE_RELEASE, f, rel), -EBADF);
	assert_int_equal(read_at(f, fh, 0, 100), -EBADF);
}

/* ---- numbers ---- */

static void test_huge_numbers(void **state)
{
	struct fuse_write_in w = { .size = UINT32_MAX };
	struct fuse_setattr_in set = { .valid = FATTR_SIZE, .size = UINT64_MAX };
	struct fuse_getxattr_in get = { .size = UINT32_MAX };
	struct fuse_fallocate_in fa = { .offset = UINT64_MAX, .length = 1 };
	struct fuse_lseek_in seek = { .whence = 99 };
	struct fuse_setxattr_in sx = { .size = UINT32_MAX };
	uint64_t f, fh;

	(void)state;
	file("f", "text");
	f = lookup(1, "f");
	assert_int_equal(open_flags(f, O_RDWR, &fh), 0);
	w.fh = fa.fh = seek.fh = fh;
	/* more than there is room for: as much as there is */
	assert_int_equal(read_at(f, fh, 0, UINT32_MAX), 0);
	assert_int_equal(rig.len, 4);
	rig.room = sizeof(struct fuse_out_header) + 2;
	assert_int_equal(read_at(f, fh, 0, UINT32_MAX), 0);
	assert_int_equal(rig.len, 2);
	rig.room = sizeof(rig.answer);
	assert_int_equal(read_at(f, fh, UINT64_MAX, 10), -EINVAL);
	assert_int_equal(call(FUSE_WRITE, f, &w, sizeof(w), "x", 1), -EINVAL);
	w.size = 1;
	w.offset = UINT64_MAX;
	assert_int_equal(call(FUSE_WRITE, f, &w, sizeof(w), "x", 1), -EFBIG);
	assert_int_equal(call(FUSE_WRITE, f, &w, sizeof(w), "xy", 2), -EINVAL);
	assert_int_equal(CALL(FUSE_SETATTR, f, set), -EFBIG);
	assert_int_equal(CALL(FUSE_FALLOCATE, f, fa), -EFBIG);
	assert_int_equal(CALL(FUSE_LSEEK, f, seek), -EINVAL);
	assert_int_equal(call(FUSE_SETXATTR, f, &sx, sizeof(sx), "user.x\0v", 8), -EINVAL);
	assert_int_equal(CALL_NAME(FUSE_GETXATTR, f, get, "user.none"), -ENODATA);
	assert_true(CALL(FUSE_LISTXATTR, f, get) == 0);
	/* arguments that are longer than any could be */
	assert_int_equal(call(FUSE_LOOKUP, 1, rig.answer, 100000, NULL, 0), -E2BIG);
}

static void test_bad_values(void **state)
{
	struct fuse_setattr_in set = { .valid = FATTR_UID, .uid = UINT32_MAX };
	uint64_t f;

	(void)state;
	file("f", "");
	f = lookup(1, "f");
	assert_int_equal(CALL(FUSE_SETATTR, f, set), -EINVAL);
	set = (struct fuse_setattr_in){ .valid = FATTR_MTIME, .mtimensec = 1000000000 };
	assert_int_equal(CALL(FUSE_SETATTR, f, set), -EINVAL);
	/* UTIME_NOW by its number */
	set.mtimensec = (1 << 30) - 1;
	assert_int_equal(CALL(FUSE_SETATTR, f, set), -EINVAL);
}

static void test_xattr_names(void **state)
{
	static const char *const hidden[] = { "trusted.overlay.opaque",
					      "security.selinux",
					      "security.ima",
					      "system.nfs4_acl",
					      "userx",
					      "btrfs.x" };
	struct fuse_setxattr_in set = { .size = 1 };
	struct fuse_getxattr_in get = { .size = 100 };
	char tail[64];
	uint64_t f;

	(void)state;
	file("f", "");
	f = lookup(1, "f");
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		int n = snprintf(tail, sizeof(tail), "%s", hidden[i]) + 1;

		assert_int_equal(call(FUSE_SETXATTR, f, &set, sizeof(set), tail, (size_t)n + 1),
				 -EOPNOTSUPP);
		assert_int_equal(CALL_NAME(FUSE_GETXATTR, f, get, hidden[i]), -EOPNOTSUPP);
		assert_int_equal(JUST_NAME(FUSE_REMOVEXATTR, f, hidden[i]), -EOPNOTSUPP);
	}
	assert_int_equal(CALL_NAME(FUSE_GETXATTR, f, get, ""), -ERANGE);
	/* what the host has is not listed either */
	if (setxattr(at("f"), "trusted.secret", "x", 1, 0) < 0)
		return;
	assert_int_equal(CALL(FUSE_LISTXATTR, f, get), 0);
	assert_int_equal(rig.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(test_headers),      RIG_TEST(test_opcodes),
		RIG_TEST(test_before_init),  RIG_TEST(test_pieces),
		RIG_TEST(test_bad_names),    RIG_TEST(test_bad_renames),
		RIG_TEST(test_swapped_link), RIG_TEST(test_special_files),
		RIG_TEST(test_devices),      RIG_TEST(test_stale_nodes),
		RIG_TEST(test_batch_forget), RIG_TEST(test_handles),
		RIG_TEST(test_huge_numbers), RIG_TEST(test_bad_values),
		RIG_TEST(test_xattr_names),
	};

	return cmocka_run_group_tests_name("fuse_server", tests, NULL, NULL);
}
