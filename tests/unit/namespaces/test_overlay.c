/* SPDX-License-Identifier: Apache-2.0 */
#include "in_child.h"

#include "base/cleanup.h"
#include "namespaces/overlay.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static char dir[64], disk[80];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/ctr-overlay-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(disk, sizeof(disk), "%s/disk", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(disk);
	return rmdir(dir);
}

static int write_file(int at, const char *path, const char *text)
{
	AUTO_CLOSE int fd = openat(at, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static size_t count_mounts(void)
{
	AUTO_FCLOSE FILE *f = fopen("/proc/self/mountinfo", "re");
	size_t n = 0;
	int c;

	while ((c = fgetc(f)) != EOF)
		n += c == '\n';
	return n;
}

/* A writable view of "/" that the host does not see. */
static int check_root(int root)
{
	struct stat a, b;

	CHECK(faccessat(root, "etc/passwd", F_OK, 0) == 0);
	CHECK(stat("/", &a) == 0 && fstat(root, &b) == 0);
	CHECK(a.st_mode == b.st_mode && a.st_uid == b.st_uid);
	CHECK(write_file(root, "etc/ctr-test-file", "mine"));
	CHECK(access("/etc/ctr-test-file", F_OK) < 0 && errno == ENOENT);
	CHECK(unlinkat(root, "etc/passwd", 0) == 0);
	CHECK(access("/etc/passwd", F_OK) == 0);
	/* what the clone replaces by its own is empty, not the host's */
	CHECK(faccessat(root, "proc/self", F_OK, 0) < 0);
	return 0;
}

static int body_tmpfs(void)
{
	size_t before = count_mounts();
	struct err e = { 0 };
	struct statfs fs;
	int root = -1;

	CHECK_OK(overlay_root(-1, 32 << 20, NULL, &root, &e), &e);
	CHECK(count_mounts() == before);
	if (check_root(root))
		return 1;
	CHECK(fstatfs(root, &fs) == 0);
	CHECK((uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize == 32 << 20);
	/* a directory of the lower layer can be renamed */
	CHECK(renameat(root, "etc/apt", root, "etc/apt2") == 0 || errno == ENOENT ||
	      errno == EXDEV);
	return 0;
}

static int body_below(void)
{
	char below[80], rel[96];
	struct err e = { 0 };
	int root = -1;

	/* a file system below "/": a bind of an ordinary one serves */
	snprintf(below, sizeof(below), "%s/sub", "/var/tmp");
	mkdir(below, 0755);
	CHECK(mount("/usr/share", below, NULL, MS_BIND, NULL) == 0);
	CHECK_OK(overlay_root(-1, 0, NULL, &root, &e), &e);
	snprintf(rel, sizeof(rel), "%s/ctr-test", below + 1);
	CHECK(write_file(root, rel, "x"));
	CHECK(access("/usr/share/ctr-test", F_OK) < 0);
	CHECK(faccessat(root, rel, F_OK, 0) == 0);
	snprintf(rel, sizeof(rel), "%s/doc", below + 1);
	CHECK(faccessat(root, rel, F_OK, 0) == 0);
	return 0;
}

/* What the host has read-only is there, and read-only. */
static int body_below_read_only(void)
{
	struct err e = { 0 };
	int root = -1;

	CHECK(mkdir("/var/tmp/sub", 0755) == 0 || errno == EEXIST);
	CHECK(mount("/usr/share", "/var/tmp/sub", NULL, MS_BIND, NULL) == 0);
	CHECK(mount(NULL, "/var/tmp/sub", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
	CHECK_OK(overlay_root(-1, 0, NULL, &root, &e), &e);
	CHECK(faccessat(root, "var/tmp/sub/doc", F_OK, 0) == 0);
	CHECK(!write_file(root, "var/tmp/sub/ctr-test", "x") && errno == EROFS);
	/* one step up all is the clone's own */
	CHECK(write_file(root, "var/tmp/ctr-test-up", "x"));
	CHECK(access("/var/tmp/ctr-test-up", F_OK) < 0);
	return 0;
}

static int body_disk(void)
{
	struct err e = { 0 };
	int loop = -1, other = -1, root = -1;
	struct stat st;

	CHECK_OK(overlay_disk_open(disk, 64 << 20, &loop, &e), &e);
	CHECK(stat(disk, &st) == 0 && st.st_size == 64 << 20);
	CHECK(st.st_blocks * 512 < st.st_size / 2);
	CHECK_FAILS(overlay_disk_open(disk, 0, &other, &e), EBUSY, &e, "in use");
	CHECK_OK(overlay_root(loop, 0, NULL, &root, &e), &e);
	close(loop);
	if (check_root(root))
		return 1;
	/* the mount holds the device, the device the file and its lock */
	CHECK_FAILS(overlay_disk_open(disk, 0, &other, &e), EBUSY, &e, "in use");
	return 0;
}

/* After everything of the child before has gone: the same content again. */
static int body_disk_again(void)
{
	struct err e = { 0 };
	int loop = -1, root = -1, r = -EBUSY;

	/* the kernel ends the mount and its loop device after the process: wait for the lock, which
	 * is an event */
	{
		AUTO_CLOSE int fd = open(disk, O_RDWR | O_CLOEXEC);

		CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0);
	}
	for (int i = 0; i < 2000 && r == -EBUSY; i++) {
		r = overlay_disk_open(disk, 0, &loop, &e);
		if (r == -EBUSY)
			sched_yield();
	}
	CHECK_OK(r, &e);
	CHECK_OK(overlay_root(loop, 0, NULL, &root, &e), &e);
	CHECK(faccessat(root, "etc/ctr-test-file", F_OK, 0) == 0);
	CHECK(faccessat(root, "etc/passwd", F_OK, 0) < 0);
	return 0;
}

/* Inside another container "/" is an overlay itself, which is not one of the file systems looked
 * for. */
static void need_plain_root(void)
{
	struct statfs fs;

	if (statfs("/usr/share", &fs) < 0 || fs.f_type == OVERLAYFS_SUPER_MAGIC) {
		print_message("skipped: the root is an overlay\n");
		skip();
	}
}

static bool have_loop(void)
{
	return access("/dev/loop-control", R_OK | W_OK) == 0 &&
	       access("/sbin/mkfs.ext4", X_OK) == 0;
}

static void test_tmpfs(void **state)
{
	(void)state;
	in_child(CLONE_NEWNS, body_tmpfs);
}

static void test_below(void **state)
{
	(void)state;
	need_plain_root();
	in_child(CLONE_NEWNS, body_below);
	in_child(CLONE_NEWNS, body_below_read_only);
	rmdir("/var/tmp/sub");
}

static void test_disk(void **state)
{
	(void)state;
	if (!have_loop()) {
		print_message("skipped: no loop devices or no mkfs.ext4\n");
		skip();
	}
	in_child(CLONE_NEWNS, body_disk);
	in_child(CLONE_NEWNS, body_disk_again);
}

static void test_disk_refused(void **state)
{
	struct err e = { 0 };
	char path[128];
	int loop = -1;

	(void)state;
	snprintf(path, sizeof(path), "%s/letter", dir);
	assert_true(write_file(AT_FDCWD, path, "dear reader"));
	assert_int_equal(overlay_disk_open(path, 64 << 20, &loop, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "no ext4 disk"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(overlay_disk_open(path, 1 << 20, &loop, &e), -EINVAL);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(overlay_disk_open(dir, 0, &loop, &e), -EISDIR);
	assert_int_equal(overlay_disk_open("/nonexistent/x", 0, &loop, &e), -ENOENT);
	assert_int_equal(loop, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tmpfs),
		cmocka_unit_test(test_below),
		cmocka_unit_test(test_disk_refused),
		cmocka_unit_test(test_disk),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
