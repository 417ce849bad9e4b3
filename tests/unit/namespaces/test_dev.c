/* SPDX-License-Identifier: Apache-2.0 */
#include "in_child.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "namespaces/dev.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

static const struct spec empty;

/* A tmpfs with root/ and outside/ at /mnt, in the mount namespace of the test's child. */
static int make_root(void)
{
	int root;

	CHECK(mount("tmpfs", "/mnt", "tmpfs", 0, NULL) == 0);
	CHECK(mkdir("/mnt/root", 0755) == 0 && mkdir("/mnt/outside", 0755) == 0);
	root = open("/mnt/root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	umask(0);
	return root;
}

static bool is_node(int root, const char *path, mode_t mode, dev_t dev)
{
	struct stat st;

	return fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mode == mode &&
	       st.st_rdev == dev;
}

static bool is_link(int root, const char *path, const char *text)
{
	char buf[64];
	ssize_t n = readlinkat(root, path, buf, sizeof(buf) - 1);

	return n >= 0 && (buf[n] = '\0', strcmp(buf, text) == 0);
}

static int body_defaults(void)
{
	int root = make_root();
	struct err e = { 0 };

	CHECK_OK(dev_setup(root, &empty, false, NULL, &e), &e);
	CHECK(is_node(root, "dev/null", S_IFCHR | 0666, makedev(1, 3)));
	CHECK(is_node(root, "dev/zero", S_IFCHR | 0666, makedev(1, 5)));
	CHECK(is_node(root, "dev/full", S_IFCHR | 0666, makedev(1, 7)));
	CHECK(is_node(root, "dev/random", S_IFCHR | 0666, makedev(1, 8)));
	CHECK(is_node(root, "dev/urandom", S_IFCHR | 0666, makedev(1, 9)));
	CHECK(is_node(root, "dev/tty", S_IFCHR | 0666, makedev(5, 0)));
	CHECK(is_link(root, "dev/fd", "/proc/self/fd"));
	CHECK(is_link(root, "dev/stderr", "/proc/self/fd/2"));
	CHECK(is_link(root, "dev/ptmx", "pts/ptmx"));
	/* once more: what is right stays */
	CHECK_OK(dev_setup(root, &empty, false, NULL, &e), &e);
	return 0;
}

/* What the image put there is not trusted. */
static int body_hostile(void)
{
	int root = make_root();
	struct err e = { 0 };

	CHECK(mkdirat(root, "dev", 0755) == 0);
	CHECK(symlinkat("/mnt/outside/null", root, "dev/null") == 0);
	CHECK(mknodat(root, "dev/zero", S_IFREG | 0666, 0) == 0);
	CHECK(mknodat(root, "dev/full", S_IFCHR | 0666, makedev(1, 1)) == 0);
	CHECK(symlinkat("/mnt/outside/ptmx", root, "dev/ptmx") == 0);
	CHECK_OK(dev_setup(root, &empty, false, NULL, &e), &e);
	CHECK(is_node(root, "dev/null", S_IFCHR | 0666, makedev(1, 3)));
	CHECK(is_node(root, "dev/zero", S_IFCHR | 0666, makedev(1, 5)));
	CHECK(is_node(root, "dev/full", S_IFCHR | 0666, makedev(1, 7)));
	CHECK(is_link(root, "dev/ptmx", "pts/ptmx"));
	CHECK(rmdir("/mnt/outside") == 0);
	return 0;
}

/* /dev of the image is a link: everything stays inside the root. */
static int body_dev_is_link(void)
{
	int root = make_root();
	struct err e = { 0 };

	CHECK(symlinkat("../../mnt/outside", root, "dev") == 0);
	CHECK_OK(dev_setup(root, &empty, false, NULL, &e), &e);
	CHECK(rmdir("/mnt/outside") == 0);
	CHECK(is_node(root, "mnt/outside/null", S_IFCHR | 0666, makedev(1, 3)));
	return 0;
}

static int body_spec_devices(void)
{
	struct spec_device v[] = {
		{ .path = (char *)"/dev/net/tun",
		  .type = 'c',
		  .major = 10,
		  .minor = 200,
		  .file_mode = { true, 0600 },
		  .uid = { true, 5 },
		  .gid = { true, 6 } },
		{ .path = (char *)"/opt/disk", .type = 'b', .major = 7, .minor = 3 },
		{ .path = (char *)"/dev/fifo", .type = 'p', .major = 0, .minor = 0 },
		{ .path = (char *)"/dev/null",
		  .type = 'c',
		  .major = 1,
		  .minor = 3,
		  .file_mode = { true, 0620 } },
	};
	struct spec s = { .linux_.devices = { v, ARRAY_SIZE(v) } };
	struct err e = { 0 };
	int root = make_root();
	struct stat st;

	CHECK_OK(dev_setup(root, &s, false, NULL, &e), &e);
	CHECK(is_node(root, "dev/net/tun", S_IFCHR | 0600, makedev(10, 200)));
	CHECK(fstatat(root, "dev/net/tun", &st, 0) == 0 && st.st_uid == 5 && st.st_gid == 6);
	CHECK(is_node(root, "opt/disk", S_IFBLK | 0666, makedev(7, 3)));
	CHECK(is_node(root, "dev/fifo", S_IFIFO | 0666, 0));
	CHECK(is_node(root, "dev/null", S_IFCHR | 0620, makedev(1, 3)));
	v[0].path = (char *)"/dev/..";
	CHECK_FAILS(dev_setup(root, &s, false, NULL, &e), EINVAL, &e, "linux.devices");
	return 0;
}

/* As in a user namespace: the host's nodes are bound. */
static int body_bound(void)
{
	struct spec_device wrong = {
		.path = (char *)"/dev/zero", .type = 'c', .major = 1, .minor = 3
	};
	struct spec s = { .linux_.devices = { &wrong, 1 } };
	int root = make_root(), fd;
	struct err e = { 0 };

	CHECK(mkdirat(root, "dev", 0755) == 0);
	CHECK(symlinkat("/mnt/outside/null", root, "dev/null") == 0);
	CHECK_OK(dev_setup(root, &empty, true, NULL, &e), &e);
	fd = openat(root, "dev/null", O_RDWR | O_NOFOLLOW);
	CHECK(fd >= 0 && write(fd, "x", 1) == 1);
	CHECK(is_node(root, "dev/urandom", S_IFCHR | 0666, makedev(1, 9)));
	CHECK(rmdir("/mnt/outside") == 0);
	/* a node of another kind than the spec says is not bound */
	CHECK_FAILS(dev_setup(root, &s, true, NULL, &e), ENODEV, &e, "/dev/zero");
	return 0;
}

/* What is mounted over a device's name must be that device, but for the default ones. */
static int body_mounted_over(void)
{
	struct spec_device v[] = {
		{ .path = (char *)"/dev/same", .type = 'c', .major = 1, .minor = 9 },
		{ .path = (char *)"/dev/random", .type = 'c', .major = 1, .minor = 8 },
		{ .path = (char *)"/dev/own", .type = 'c', .major = 1, .minor = 3 },
	};
	struct spec s = { .linux_.devices = { v, 2 } };
	int root = make_root();
	struct err e = { 0 };
	char at[64];

	CHECK(mkdirat(root, "dev", 0755) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		CHECK(mknodat(root, v[i].path + 1, S_IFREG | 0600, 0) == 0);
		snprintf(at, sizeof(at), "/mnt/root%s", v[i].path);
		CHECK(mount("/dev/urandom", at, NULL, MS_BIND, NULL) == 0);
	}
	CHECK_OK(dev_setup(root, &s, false, NULL, &e), &e);
	CHECK(is_node(root, "dev/random", S_IFCHR | 0666, makedev(1, 9)));
	s.linux_.devices.n = 3;
	CHECK_OK(dev_setup(root, &s, false, NULL, &e), &e);
	CHECK(is_node(root, "dev/own", S_IFCHR | 0666, makedev(1, 9)));
	return 0;
}

/* What a mount has that is neither the root nor one of ours stays, and what is mounted over too. */
static int body_foreign(void)
{
	static const char *const names[] = { "/dev/foo/dev", "/dev/foo/link", "/dev/foo/file",
					     "/dev/foo/dir" };
	struct spec_device v[ARRAY_SIZE(names)];
	struct spec s = { .linux_.devices = { v, ARRAY_SIZE(v) } };
	struct mount_made made = { .n = 1 };
	int root = make_root();
	struct err e = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		v[i] = (struct spec_device){
			.path = (char *)names[i], .type = 'c', .major = 1, .minor = 3
		};
	CHECK(mkdirat(root, "dev", 0755) == 0 && mkdirat(root, "dev/foo", 0755) == 0);
	CHECK(mount("/mnt/outside", "/mnt/root/dev/foo", NULL, MS_BIND, NULL) == 0);
	CHECK(mknodat(root, "dev/foo/dev", S_IFCHR | 0600, makedev(1, 5)) == 0);
	CHECK(symlinkat("file", root, "dev/foo/link") == 0);
	CHECK(mknodat(root, "dev/foo/file", S_IFREG | 0600, 0) == 0);
	CHECK(mkdirat(root, "dev/foo/dir", 0700) == 0);
	CHECK(mknodat(root, "dev/random", S_IFREG | 0600, 0) == 0);
	CHECK(mount("/dev/urandom", "/mnt/root/dev/random", NULL, MS_BIND, NULL) == 0);
	CHECK_OK(dev_setup(root, &s, false, NULL, &e), &e);
	CHECK(is_node(root, "dev/foo/dev", S_IFCHR | 0600, makedev(1, 5)));
	CHECK(is_link(root, "dev/foo/link", "file"));
	CHECK(is_node(root, "dev/foo/file", S_IFREG | 0600, 0));
	CHECK(is_node(root, "dev/foo/dir", S_IFDIR | 0700, 0));
	CHECK(is_node(root, "dev/random", S_IFCHR | 0666, makedev(1, 9)));
	/* a mount of our own is no other's */
	made.fd[0] = openat(root, "dev/foo", O_PATH | O_CLOEXEC);
	s.linux_.devices.n = 3;
	CHECK_OK(dev_setup(root, &s, false, &made, &e), &e);
	for (size_t i = 0; i < 3; i++)
		CHECK(is_node(root, names[i] + 1, S_IFCHR | 0666, makedev(1, 3)));
	return 0;
}

static int body_console(void)
{
	struct err e = { 0 };
	int root = make_root(), master = -1, slave = -1;
	struct stat a, b;

	CHECK_FAILS(dev_open_pty(root, &master, &slave, &e), ENOENT, &e, "/dev/pts");
	CHECK(mkdirat(root, "dev", 0755) == 0 && mkdirat(root, "dev/pts", 0755) == 0);
	CHECK_FAILS(dev_open_pty(root, &master, &slave, &e), ENODEV, &e, "not a devpts");
	CHECK(mount("devpts", "/mnt/root/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666") == 0);
	CHECK_OK(dev_open_pty(root, &master, &slave, &e), &e);
	CHECK(isatty(master) && isatty(slave));
	CHECK(fcntl(master, F_GETFD) & fcntl(slave, F_GETFD) & FD_CLOEXEC);
	/* a link in the place of the console leads nowhere */
	CHECK(symlinkat("/mnt/outside/console", root, "dev/console") == 0);
	CHECK_OK(dev_console(root, slave, false, &e), &e);
	CHECK(fstatat(root, "dev/console", &a, AT_SYMLINK_NOFOLLOW) == 0 && fstat(slave, &b) == 0);
	CHECK(S_ISCHR(a.st_mode) && a.st_rdev == b.st_rdev);
	CHECK(rmdir("/mnt/outside") == 0);
	CHECK_FAILS(dev_console(root, root, false, &e), ENOTTY, &e, "no pty slave");
	CHECK_FAILS(dev_console(root, master, false, &e), ENOTTY, &e, "no pty slave");
	/* a ptmx that was mounted over is not opened */
	CHECK(mount("/dev/null", "/mnt/root/dev/pts/ptmx", NULL, MS_BIND, NULL) == 0);
	CHECK_FAILS(dev_open_pty(root, &master, &slave, &e), EXDEV, &e, "ptmx");
	return 0;
}

/* A /dev of the host's: a link or directory called console stays, and none is made. */
static int body_console_foreign(void)
{
	struct err e = { 0 };
	int root = make_root(), master = -1, slave = -1;
	struct stat a, b;

	CHECK(mkdirat(root, "dev", 0755) == 0 && mkdirat(root, "dev/pts", 0755) == 0);
	CHECK(mount("devpts", "/mnt/root/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666") == 0);
	CHECK_OK(dev_open_pty(root, &master, &slave, &e), &e);
	CHECK_OK(dev_console(root, slave, true, &e), &e);
	CHECK(fstatat(root, "dev/console", &a, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT);
	CHECK(symlinkat("/outside", root, "dev/console") == 0);
	CHECK_OK(dev_console(root, slave, true, &e), &e);
	CHECK(is_link(root, "dev/console", "/outside"));
	CHECK(unlinkat(root, "dev/console", 0) == 0 && mkdirat(root, "dev/console", 0755) == 0);
	CHECK_OK(dev_console(root, slave, true, &e), &e);
	CHECK(unlinkat(root, "dev/console", AT_REMOVEDIR) == 0);
	CHECK(mknodat(root, "dev/console", S_IFREG | 0600, 0) == 0);
	CHECK_OK(dev_console(root, slave, true, &e), &e);
	CHECK(fstatat(root, "dev/console", &a, AT_SYMLINK_NOFOLLOW) == 0 && fstat(slave, &b) == 0);
	CHECK(S_ISCHR(a.st_mode) && a.st_rdev == b.st_rdev);
	return 0;
}

#define CHILD_TEST(name)                            \
	static void test_##name(void **state)       \
	{                                           \
		(void)state;                        \
		in_child(CLONE_NEWNS, body_##name); \
	}

CHILD_TEST(defaults)
CHILD_TEST(hostile)
CHILD_TEST(dev_is_link)
CHILD_TEST(spec_devices)
CHILD_TEST(bound)
CHILD_TEST(foreign)
CHILD_TEST(mounted_over)
CHILD_TEST(console)
CHILD_TEST(console_foreign)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),    cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_dev_is_link), cmocka_unit_test(test_spec_devices),
		cmocka_unit_test(test_bound),       cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_console),     cmocka_unit_test(test_console_foreign),
		cmocka_unit_test(test_mounted_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
