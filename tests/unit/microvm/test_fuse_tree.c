/* SPDX-License-Identifier: Apache-2.0 */
/* What the server keeps: nodes, descriptors and their bounds; mounts, ids, read-only trees. */
#include "fuse_rig.h"

#include "tests/unit/namespaces/in_child.h"
#include "microvm/fuse_priv.h"

/* ---- pure ---- */

static void test_negotiation(void **state)
{
	struct fuse_init_in in = { .major = 7, .minor = 32, .max_readahead = 4096, .flags = ~0U };
	struct fuse_init_out out;

	(void)state;
	assert_int_equal(fuse_init_negotiate(false, &in, &out), 0);
	assert_int_equal(out.minor, 32);
	assert_int_equal(out.max_readahead, 4096);
	assert_int_equal(out.max_pages, 256);
	assert_int_equal(out.max_write, 1 << 20);
	assert_true(out.flags & FUSE_SUBMOUNTS && out.flags & FUSE_HANDLE_KILLPRIV_V2);
	assert_false(out.flags & (FUSE_WRITEBACK_CACHE | FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS |
				  FUSE_EXPORT_SUPPORT | FUSE_INIT_EXT));
	assert_int_equal(fuse_init_negotiate(true, &in, &out), 0);
	assert_true(out.flags & FUSE_WRITEBACK_CACHE);
	/* nothing that was not offered */
	in.flags = FUSE_ASYNC_READ;
	in.minor = 45;
	assert_int_equal(fuse_init_negotiate(true, &in, &out), 0);
	assert_int_equal(out.flags, FUSE_ASYNC_READ);
	assert_int_equal(out.minor, 38);
	assert_int_equal(out.max_pages, 0);
	assert_int_equal(out.max_write, 32 * 4096);
}

static void test_attributes(void **state)
{
	struct statx x = { .stx_mode = S_IFCHR | 0644,
			   .stx_ino = 0x123456789abcULL,
			   .stx_size = 5ULL << 30,
			   .stx_mtime = { .tv_sec = -5, .tv_nsec = 7 },
			   .stx_rdev_major = 0xabc,
			   .stx_rdev_minor = 0x12345 };
	struct fuse_attr a;

	(void)state;
	fuse_attr_fill(&a, &x, true);
	assert_true(a.ino == 0x123456789abcULL && a.size == 5ULL << 30);
	assert_true((int64_t)a.mtime == -5 && a.mtimensec == 7);
	assert_int_equal(a.rdev, 0x123abc45);
	assert_int_equal(a.flags, FUSE_ATTR_SUBMOUNT);
	assert_int_equal(fuse_name_check("..."), 0);
	assert_int_equal(fuse_name_check(".."), -EINVAL);
}

/* ---- reading directories ---- */

static int list(uint64_t fh, uint32_t op, uint64_t off, uint32_t size)
{
	struct fuse_read_in in = { .fh = fh, .offset = off, .size = size };

	return CALL(op, 1, in);
}

static uint64_t open_root(void)
{
	struct fuse_open_in in = {};

	assert_int_equal(CALL(FUSE_OPENDIR, 1, in), 0);
	return ((struct fuse_open_out *)payload())->fh;
}

enum { FILES = 300 };

static void make_files(void)
{
	char name[32];

	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		file(name, "");
	}
}

/* From the start in buffers of that size: how many entries; the last offset in *off. */
static int count(uint64_t fh, uint32_t size, uint64_t *off)
{
	int n = 0;

	*off = 0;
	for (;;) {
		assert_int_equal(list(fh, FUSE_READDIR, *off, size), 0);
		if (!rig.len)
			return n;
		for (size_t p = 0; p < rig.len; n++) {
			const struct fuse_dirent *d = (void *)((char *)payload() + p);

			p += FUSE_DIRENT_SIZE(d);
			assert_true(p <= rig.len && p <= size);
			*off = d->off;
		}
	}
}

static void test_readdir(void **state)
{
	uint64_t fh[12], off, first;

	(void)state;
	make_files();
	/* more directories than there are buffers, turn by turn */
	for (int i = 0; i < 12; i++)
		fh[i] = open_root();
	for (int i = 0; i < 12; i++)
		assert_int_equal(count(fh[i], i % 2 ? 4096 : 200, &off), FILES + 2);
	assert_int_equal(list(fh[0], FUSE_READDIR, 0, 200), 0);
	first = ((struct fuse_dirent *)payload())->off;
	for (int i = 1; i < 12; i++)
		assert_int_equal(list(fh[i], FUSE_READDIR, 0, 200), 0);
	/* on from the first entry, whose buffer others have used since */
	assert_int_equal(list(fh[0], FUSE_READDIR, first, 4096), 0);
	assert_true(rig.len > 0);
	/* not even one fits */
	assert_int_equal(list(fh[0], FUSE_READDIR, 0, 10), 0);
	assert_int_equal(rig.len, 0);
	assert_int_equal(list(fh[0], FUSE_READDIR, 1ULL << 63, 4096) <= 0, 1);
}

/* Each entry is a reference of the guest's; what does not fit is none. */
static void test_readdirplus(void **state)
{
	struct fuse_forget_in forget = { .nlookup = 1 };
	size_t before = open_fds();
	uint64_t fh = open_root();
	int n = 0;

	(void)state;
	make_files();
	assert_int_equal(list(fh, FUSE_READDIRPLUS, 0, 4096), 0);
	for (size_t p = 0; p < rig.len; n++) {
		const struct fuse_direntplus *d = (void *)((char *)payload() + p);

		p += FUSE_DIRENTPLUS_SIZE(d);
		if (d->dirent.name[0] == '.')
			assert_true(d->entry_out.nodeid == 0);
		else
			assert_true(d->entry_out.attr.ino == d->dirent.ino);
	}
	assert_true(n > 10 && n < 30);
	assert_int_equal(open_fds(), before + 1 + (size_t)n - 2);
	for (uint64_t id = 2; id < 64; id++)
		raw(request(FUSE_FORGET, id, &forget, sizeof(forget), NULL, 0));
	assert_int_equal(open_fds(), before + 1);
}

/* ---- bounds ---- */

static void test_few_descriptors(void **state)
{
	const struct fuse_opts o = { .proc_fd = -1, .max_fds = 24 };
	struct fuse_rename2_in ren = { .newdir = 1 };
	struct fuse_getattr_in get = {};
	size_t before = open_fds();
	uint64_t ids[FILES], fh;
	char name[32];

	(void)state;
	start(&o);
	make_files();
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		ids[i] = lookup(1, name);
		assert_true(ids[i]);
		assert_true(open_fds() <= before + 24);
	}
	for (int i = 0; i < FILES; i++) {
		assert_int_equal(CALL(FUSE_GETATTR, ids[i], get), 0);
		snprintf(name, sizeof(name), "file-%d", i);
		assert_true(lookup(1, name) == ids[i]);
	}
	assert_true(open_fds() <= before + 24);
	/* the guest's own renaming and removing is followed, whether it is open or not */
	assert_int_equal(call(FUSE_RENAME2, 1, &ren, sizeof(ren), "file-0\0new", 11), 0);
	assert_int_equal(open_flags(ids[1], O_RDONLY, &fh), 0);
	assert_int_equal(JUST_NAME(FUSE_UNLINK, 1, "file-1"), 0);
	for (int i = 2; i < FILES; i++)
		assert_int_equal(CALL(FUSE_GETATTR, ids[i], get), 0);
	assert_int_equal(CALL(FUSE_GETATTR, ids[0], get), 0);
	assert_int_equal(CALL(FUSE_GETATTR, ids[1], get), 0);
	assert_int_equal(((struct fuse_attr_out *)payload())->attr.nlink, 0);
	/* another file under the name of one that was closed is not it */
	assert_int_equal(unlink(at("file-2")), 0);
	file("file-2", "another");
	for (int i = 3; i < FILES; i++)
		assert_int_equal(CALL(FUSE_GETATTR, ids[i], get), 0);
	assert_true(lookup(1, "file-2") && lookup(1, "file-2") != ids[2]);
}

static void test_deep_and_closed(void **state)
{
	const struct fuse_opts o = { .proc_fd = -1, .max_fds = 24 };
	struct fuse_mkdir_in in = { .mode = 0755 };
	struct fuse_getattr_in get = {};
	uint64_t ids[100] = { 1 };

	(void)state;
	start(&o);
	for (int i = 1; i < 100; i++) {
		assert_int_equal(CALL_NAME(FUSE_MKDIR, ids[i - 1], in, "d"), 0);
		ids[i] = ((struct fuse_entry_out *)payload())->nodeid;
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(CALL(FUSE_GETATTR, ids[i], get), 0);
	for (int i = 99; i > 0; i -= 7)
		assert_int_equal(CALL(FUSE_GETATTR, ids[i], get), 0);
}

static void test_handles_are_bounded(void **state)
{
	const struct fuse_opts o = { .proc_fd = -1, .max_fds = 24 };
	size_t before = open_fds();
	uint64_t f, fh;
	int n = 0, r = 0;

	(void)state;
	start(&o);
	file("f", "");
	f = lookup(1, "f");
	while (n < 100 && r == 0) {
		r = open_flags(f, O_RDONLY, &fh);
		n++;
	}
	assert_int_equal(r, -ENFILE);
	assert_true(open_fds() <= before + 24);
	fuse_server_reset(rig.s);
	assert_int_equal(open_fds(), before);
}

static void test_few_inodes(void **state)
{
	const struct fuse_opts o = { .proc_fd = -1, .max_inodes = 64 };
	struct fuse_forget_in forget = { .nlookup = 1 };
	uint64_t id, last = 0;
	char name[32];
	int n = 0, r;

	(void)state;
	start(&o);
	make_files();
	for (;; n++) {
		snprintf(name, sizeof(name), "file-%d", n);
		r = JUST_NAME(FUSE_LOOKUP, 1, name);
		if (r < 0)
			break;
		last = ((struct fuse_entry_out *)payload())->nodeid;
	}
	assert_int_equal(r, -ENOMEM);
	assert_int_equal(n, 63);
	raw(request(FUSE_FORGET, last, &forget, sizeof(forget), NULL, 0));
	id = lookup(1, name);
	assert_true(id && id != last);
}

/* Names move between directories while nodes come and go: no node is lost, none is used again. */
static void test_moves(void **state)
{
	struct fuse_rename_in ren = {};
	struct fuse_forget_in forget = { .nlookup = 1 };
	struct fuse_getattr_in get = {};
	uint64_t a, b, f;

	(void)state;
	mkdir(at("a"), 0755);
	mkdir(at("a/b"), 0755);
	file("a/b/f", "");
	a = lookup(1, "a");
	b = lookup(a, "b");
	f = lookup(b, "f");
	/* the parents are forgotten first, as a hostile guest may */
	raw(request(FUSE_FORGET, a, &forget, sizeof(forget), NULL, 0));
	assert_int_equal(CALL(FUSE_GETATTR, a, get), -ESTALE);
	assert_int_equal(CALL(FUSE_GETATTR, f, get), 0);
	ren.newdir = 1;
	assert_int_equal(call(FUSE_RENAME, b, &ren, sizeof(ren), "f\0g", 4), 0);
	assert_int_equal(CALL(FUSE_GETATTR, f, get), 0);
	raw(request(FUSE_FORGET, b, &forget, sizeof(forget), NULL, 0));
	assert_int_equal(CALL(FUSE_GETATTR, f, get), 0);
	/* the host turns the tree upside down: b is above a now */
	a = lookup(1, "a");
	b = lookup(a, "b");
	assert_true(lookup(b, "c") == 0);
	{
		char from[512];

		snprintf(from, sizeof(from), "%s", at("a/b"));
		assert_int_equal(rename(from, at("b")), 0);
		snprintf(from, sizeof(from), "%s", at("a"));
		assert_int_equal(rename(from, at("b/a")), 0);
	}
	assert_true(lookup(b, "a") == a);
	assert_int_equal(CALL(FUSE_GETATTR, a, get), 0);
	assert_true(lookup(1, "b") == b);
	forget.nlookup = 10;
	raw(request(FUSE_FORGET, b, &forget, sizeof(forget), NULL, 0));
	assert_int_equal(CALL(FUSE_GETATTR, a, get), 0);
	raw(request(FUSE_FORGET, a, &forget, sizeof(forget), NULL, 0));
	assert_int_equal(CALL(FUSE_GETATTR, a, get), -ESTALE);
}

/* ---- read-only ---- */

static void test_read_only(void **state)
{
	const struct fuse_opts o = { .proc_fd = -1, .read_only = true };
	static const uint32_t ops[] = { FUSE_SETATTR,   FUSE_SYMLINK,     FUSE_MKNOD,
					FUSE_MKDIR,     FUSE_UNLINK,      FUSE_RMDIR,
					FUSE_RENAME,    FUSE_LINK,        FUSE_WRITE,
					FUSE_SETXATTR,  FUSE_REMOVEXATTR, FUSE_CREATE,
					FUSE_FALLOCATE, FUSE_RENAME2,     FUSE_COPY_FILE_RANGE,
					FUSE_TMPFILE };
	char args[256] = "";
	uint64_t f, fh;

	(void)state;
	file("f", "text");
	start(&o);
	f = lookup(1, "f");
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		assert_int_equal(call(ops[i], 1, args, sizeof(args), NULL, 0), -EROFS);
	assert_int_equal(open_flags(f, O_WRONLY, &fh), -EROFS);
	assert_int_equal(open_flags(f, O_RDWR, &fh), -EROFS);
	assert_int_equal(open_flags(f, O_RDONLY | O_TRUNC, &fh), -EROFS);
	assert_int_equal(open_flags(f, O_ACCMODE, &fh), -EROFS);
	assert_int_equal(open_flags(f, O_RDONLY, &fh), 0);
	assert_int_equal(read_at(f, fh, 0, 10), 0);
	assert_int_equal(rig.len, 4);
}

/* ---- ids ---- */

static int create_as(uid_t uid, gid_t gid, const char *name)
{
	struct fuse_create_in in = { .mode = S_IFREG | 0666, .flags = O_RDWR, .umask = 027 };
	int r;

	rig.uid = uid;
	rig.gid = gid;
	r = CALL_NAME(FUSE_CREATE, 1, in, name);
	rig.uid = geteuid();
	rig.gid = getegid();
	return r;
}

static void test_owner(void **state)
{
	struct stat st;

	(void)state;
	need_root();
	assert_int_equal(create_as(1000, 1001, "f"), 0);
	assert_int_equal(stat(at("f"), &st), 0);
	assert_true(st.st_uid == 1000 && st.st_gid == 1001 && (st.st_mode & 0777) == 0640);
	/* and back to who the server is */
	assert_int_equal(create_as(0, 0, "g"), 0);
	assert_int_equal(stat(at("g"), &st), 0);
	assert_true(st.st_uid == 0 && st.st_gid == 0);
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return ok;
}

static int unmapped_body(void)
{
	const struct fuse_opts o = { .proc_fd = -1 };
	struct err e = {};

	CHECK(write_file("/proc/self/setgroups", "deny"));
	CHECK(write_file("/proc/self/uid_map", "0 0 1"));
	CHECK(write_file("/proc/self/gid_map", "0 0 1"));
	CHECK_OK(fuse_server_new(rig.root, &o, &rig.s, &e), &e);
	CHECK_OK(fuse_server_enter(rig.s, &e), &e);
	CHECK(init(~0U) == 0);
	CHECK(create_as(0, 0, "mapped") == 0);
	CHECK(create_as(1000, 0, "unmapped") == -EOVERFLOW);
	CHECK(create_as(0, 1000, "unmapped") == -EOVERFLOW);
	CHECK(!is_there("unmapped"));
	return create_as(0, 0, "again") != 0;
}

static void test_unmapped_owner(void **state)
{
	(void)state;
	in_child(CLONE_NEWUSER, unmapped_body);
}

/* ---- mounts ---- */

static int mounts_body(void)
{
	const struct fuse_opts o = { .proc_fd = -1, .exclusive = "rootfs" };
	const struct fuse_entry_out *out = payload();
	struct fuse_getattr_in get = {};
	struct err e = {};
	uint64_t rootfs, volume;

	/* in this mount namespace */
	rig.root = open(at(""), O_PATH | O_DIRECTORY | O_CLOEXEC);
	CHECK(mkdir(at("rootfs"), 0755) == 0 && mkdir(at("volume"), 0755) == 0);
	CHECK(mount("t", at("rootfs"), "tmpfs", 0, NULL) == 0);
	CHECK(mount("t", at("volume"), "tmpfs", MS_RDONLY, NULL) == 0);
	file("rootfs/f", "text");
	CHECK_OK(fuse_server_new(rig.root, &o, &rig.s, &e), &e);
	CHECK_OK(fuse_server_enter(rig.s, &e), &e);
	CHECK(init(~0U) == 0);
	rootfs = lookup(1, "rootfs");
	CHECK(rootfs && out->attr.flags == FUSE_ATTR_SUBMOUNT && out->attr_valid > 1000);
	CHECK(CALL(FUSE_GETATTR, rootfs, get) == 0);
	CHECK(((struct fuse_attr_out *)payload())->attr.flags == FUSE_ATTR_SUBMOUNT);
	CHECK(lookup(rootfs, "f") && out->attr.flags == 0 && out->entry_valid > 1000);
	/* that a file is not there is never remembered for long */
	CHECK(lookup(rootfs, "none") == 0 && out->entry_valid == 1);
	volume = lookup(1, "volume");
	CHECK(volume && out->attr.flags == FUSE_ATTR_SUBMOUNT && out->attr_valid == 1);
	{
		struct fuse_mkdir_in in = { .mode = 0755 };

		CHECK(CALL_NAME(FUSE_MKDIR, volume, in, "d") == -EROFS);
		CHECK(CALL_NAME(FUSE_MKDIR, rootfs, in, "d") == 0);
		CHECK(JUST_NAME(FUSE_RMDIR, 1, "volume") == -EBUSY);
	}
	fuse_server_free(rig.s);
	rig.s = NULL;
	return umount(at("rootfs")) < 0 || umount(at("volume")) < 0;
}

static void test_mounts(void **state)
{
	(void)state;
	in_child(CLONE_NEWNS, mounts_body);
}

/* What is open is the same, whatever the host does to its name and how much else is looked up. */
static void test_open_stays(void **state)
{
	const struct fuse_opts o = { .proc_fd = -1, .max_fds = 24 };
	struct fuse_getattr_in get = {};
	uint64_t id, fh;
	char name[32], from[512];

	(void)state;
	start(&o);
	make_files();
	id = lookup(1, "file-0");
	assert_int_equal(open_flags(id, O_RDONLY, &fh), 0);
	for (int i = 1; i < FILES; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		assert_true(lookup(1, name));
	}
	snprintf(from, sizeof(from), "%s", at("file-0"));
	assert_int_equal(rename(from, at("elsewhere")), 0);
	assert_int_equal(CALL(FUSE_GETATTR, id, get), 0);
}

static void forget_one(uint64_t id)
{
	struct fuse_forget_in forget = { .nlookup = 1 };

	raw(request(FUSE_FORGET, id, &forget, sizeof(forget), NULL, 0));
}

/*
 * A directory that the guest has forgotten waits for its child, which goes while room is made for
 * the directory itself. (With the address sanitizer: nothing that is freed is used.)
 */
static void test_forgotten_in_between(void **state)
{
	const struct fuse_opts o = { .proc_fd = -1, .max_fds = 24 };
	struct fuse_rename_in ren = { .newdir = 1 };
	uint64_t a, p, x;
	char name[32];

	(void)state;
	start(&o);
	make_files();
	mkdir(at("a"), 0755);
	mkdir(at("a/p"), 0755);
	mkdir(at("a/p/x"), 0755);
	file("a/p/x/y", "");
	a = lookup(1, "a");
	p = lookup(a, "p");
	x = lookup(p, "x");
	assert_true(lookup(x, "y"));
	forget_one(x);
	assert_int_equal(call(FUSE_RENAME, p, &ren, sizeof(ren), "x\0z", 4), 0);
	forget_one(p);
	assert_int_equal(JUST_NAME(FUSE_RMDIR, a, "p"), 0);
	forget_one(a);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		assert_true(lookup(1, name));
		assert_int_equal(JUST_NAME(FUSE_UNLINK, 1, "a"), -EISDIR);
	}
	assert_int_equal(JUST_NAME(FUSE_RMDIR, 1, "a"), 0);
}

/* ---- what the guest may keep of a file that others change ---- */

static void test_unchanged(void **state)
{
	struct statx x = { .stx_size = 5, .stx_mtime.tv_sec = 100, .stx_ctime.tv_sec = 100 }, y;
	struct fuse_seen seen = {};

	(void)state;
	/* never seen; too young to tell; then known */
	assert_false(fuse_attr_unchanged(&seen, &x, 101));
	assert_false(fuse_attr_unchanged(&seen, &x, 130));
	assert_false(fuse_attr_unchanged(&seen, &x, 131));
	assert_true(fuse_attr_unchanged(&seen, &x, 132));
	assert_true(fuse_attr_unchanged(&seen, &x, 133));
	for (int i = 0; i < 4; i++) {
		y = x;
		y.stx_size += i == 0;
		y.stx_mtime.tv_nsec += i == 1;
		y.stx_ctime.tv_nsec += i == 2;
		y.stx_ctime.tv_sec -= i == 3;
		assert_false(fuse_attr_unchanged(&seen, &y, 200));
		assert_true(fuse_attr_unchanged(&seen, &y, 200));
		assert_false(fuse_attr_unchanged(&seen, &x, 200));
	}
	/* a clock that was set back: nothing is known before it has caught up */
	assert_true(fuse_attr_unchanged(&seen, &x, 50));
	assert_false(fuse_attr_unchanged(&seen, &x, 50));
}

static uint32_t open_flags_of(uint64_t node)
{
	struct fuse_open_in in = { .flags = O_RDONLY };

	assert_int_equal(CALL(FUSE_OPEN, node, in), 0);
	/* the directory of the test is not on a network's file system */
	assert_true(((struct fuse_open_out *)payload())->open_flags & FOPEN_NOFLUSH);
	return ((struct fuse_open_out *)payload())->open_flags & ~(uint32_t)FOPEN_NOFLUSH;
}

static void test_cache_is_kept(void **state)
{
	struct fuse_node *n;
	uint64_t node;

	(void)state;
	file("f", "text");
	node = lookup(1, "f");
	assert_int_equal(open_flags_of(node), 0);
	assert_int_equal(open_flags_of(node), 0);
	/* as if half a minute had passed */
	assert_true(fuse_node_open(rig.s, node, &n) >= 0);
	n->seen.settled = true;
	assert_int_equal(open_flags_of(node), FOPEN_KEEP_CACHE);
	n->seen.settled = true;
	/* as long as before */
	file("f", "next");
	assert_int_equal(open_flags_of(node), 0);
	assert_int_equal(open_flags_of(node), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_negotiation),
		cmocka_unit_test(test_attributes),
		RIG_TEST(test_readdir),
		RIG_TEST(test_readdirplus),
		RIG_TEST(test_few_descriptors),
		RIG_TEST(test_deep_and_closed),
		RIG_TEST(test_handles_are_bounded),
		RIG_TEST(test_few_inodes),
		RIG_TEST(test_open_stays),
		RIG_TEST(test_forgotten_in_between),
		RIG_TEST(test_moves),
		RIG_TEST(test_read_only),
		RIG_TEST(test_owner),
		RIG_TEST(test_unmapped_owner),
		RIG_TEST(test_mounts),
		cmocka_unit_test(test_unchanged),
		RIG_TEST(test_cache_is_kept),
	};

	return cmocka_run_group_tests_name("fuse_tree", tests, NULL, NULL);
}
