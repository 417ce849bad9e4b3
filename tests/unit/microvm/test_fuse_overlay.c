/* SPDX-License-Identifier: Apache-2.0 */
/* The server over an overlay, which is what engines and the clone make of images. */
#include "fuse_rig.h"

#include "tests/unit/namespaces/in_child.h"

static int make_overlay(void)
{
	char data[512];

	CHECK(mkdir(at("ov"), 0755) == 0 && mkdir(at("rootfs"), 0755) == 0);
	CHECK(mount("t", at("ov"), "tmpfs", 0, NULL) == 0);
	CHECK(mkdir(at("ov/upper"), 0755) == 0 && mkdir(at("ov/work"), 0755) == 0);
	CHECK(mkdir(at("ov/lower"), 0755) == 0 && mkdir(at("ov/lower/a"), 0755) == 0);
	CHECK(mkdir(at("ov/lower/a/b"), 0755) == 0 && mkdir(at("ov/lower/a/b/c"), 0755) == 0);
	snprintf(data, sizeof(data),
		 "lowerdir=%s/root/ov/lower,upperdir=%s/root/ov/upper,workdir=%s/root/ov/work",
		 rig.top, rig.top, rig.top);
	CHECK(mount("o", at("rootfs"), "overlay", 0, data) == 0);
	return 0;
}

/*
 * What is written in a directory makes a copy of all above it. Their time of birth is another one
 * then, and they are the same directories: a guest that is given another node for a name unmounts
 * what is mounted below it.
 */
static int copied_body(void)
{
	const struct fuse_opts o = { .proc_fd = -1, .max_fds = 24 };
	struct fuse_open_in in = { .flags = O_RDONLY | O_DIRECTORY };
	struct fuse_getattr_in get = {};
	uint64_t rootfs, a, b, c, d;
	struct err e = {};
	char name[32];

	rig.root = open(at(""), O_PATH | O_DIRECTORY | O_CLOEXEC);
	CHECK(make_overlay() == 0);
	CHECK_OK(fuse_server_new(rig.root, &o, &rig.s, &e), &e);
	CHECK_OK(fuse_server_enter(rig.s, &e), &e);
	CHECK(init(~0U) == 0);
	rootfs = lookup(1, "rootfs");
	a = lookup(rootfs, "a");
	b = lookup(a, "b");
	c = lookup(b, "c");
	CHECK(a && b && c && CALL(FUSE_OPENDIR, c, in) == 0);
	for (int i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "rootfs/file-%d", i);
		file(name, "");
		CHECK(lookup(rootfs, name + strlen("rootfs/")));
	}
	file("rootfs/a/b/c/new", "text");
	d = lookup(rootfs, "a");
	CHECK(d == a && lookup(a, "b") == b && lookup(b, "c") == c);
	CHECK(CALL(FUSE_GETATTR, a, get) == 0 && CALL(FUSE_GETATTR, b, get) == 0);
	fuse_server_free(rig.s);
	rig.s = NULL;
	return umount(at("rootfs")) < 0 || umount(at("ov")) < 0;
}

static void test_copied_up(void **state)
{
	(void)state;
	in_child(CLONE_NEWNS, copied_body);
}

/*
 * Linux takes any error of a look-up but ENOMEM for "the name is gone", and unmounts what is
 * mounted there.
 */
static void test_no_room_for_a_name(void **state)
{
	const struct fuse_opts o = { .proc_fd = -1, .max_fds = 24 };
	struct fuse_mkdir_in in = { .mode = 0755 };
	uint64_t f, fh;
	int n = 0, r = 0;
	char name[32];

	(void)state;
	start(&o);
	assert_int_equal(CALL_NAME(FUSE_MKDIR, 1, in, "dir"), 0);
	while (n < 100 && r == 0) {
		snprintf(name, sizeof(name), "file-%d", n++);
		file(name, "");
		f = lookup(1, name);
		r = f ? open_flags(f, O_RDONLY, &fh) : -ENFILE;
	}
	assert_int_equal(r, -ENFILE);
	r = JUST_NAME(FUSE_LOOKUP, 1, "dir");
	assert_true(r == 0 || r == -ENOMEM);
	file("more", "");
	assert_int_equal(JUST_NAME(FUSE_LOOKUP, 1, "more"), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(test_copied_up),
		RIG_TEST(test_no_room_for_a_name),
	};

	return cmocka_run_group_tests_name("fuse_overlay", tests, NULL, NULL);
}
