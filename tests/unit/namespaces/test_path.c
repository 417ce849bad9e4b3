/* SPDX-License-Identifier: Apache-2.0 */
#include "in_child.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "namespaces/path.h"

#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/stat.h>

static char top[64];
static int root = -1;

/* top/root is the root, top/outside what must stay untouched. */
static int setup(void **state)
{
	char path[128];

	(void)state;
	strcpy(top, "/tmp/ctr-path-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	snprintf(path, sizeof(path), "%s/outside", top);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/root", top);
	mkdir(path, 0755);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root < 0 ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	close(root);
	return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void assert_outside_empty(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/outside", top);
	/* rmdir works on an empty directory only. */
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void test_resolve_stays_inside(void **state)
{
	struct stat st, want;
	int fd;

	(void)state;
	assert_int_equal(mkdirat(root, "etc", 0755), 0);
	assert_int_equal(symlinkat("/etc", root, "abs"), 0);
	assert_int_equal(symlinkat("../../../../etc", root, "up"), 0);
	assert_int_equal(fstatat(root, "etc", &want, 0), 0);
	for (size_t i = 0; i < 4; i++) {
		static const char *const paths[] = { "/etc", "abs", "/up", "/../../etc/../etc" };

		fd = path_resolve(root, paths[i], &st);
		assert_true(fd >= 0);
		assert_true(st.st_ino == want.st_ino && st.st_dev == want.st_dev);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		close(fd);
	}
	assert_int_equal(path_resolve(root, "/missing", NULL), -ENOENT);
	assert_int_equal(path_resolve(root, "", NULL), -ENOENT);
	assert_int_equal(path_open(root, "/etc", O_WRONLY), -EISDIR);
}

static void test_magic_links_refused(void **state)
{
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_true(proc >= 0);
	assert_int_equal(path_resolve(proc, "self/root", NULL), -ELOOP);
	assert_int_equal(path_open(proc, "self/fd/0", O_RDONLY), -ELOOP);
	close(proc);
}

static void test_make(void **state)
{
	struct err e = { 0 };
	struct stat st;
	int fd;

	(void)state;
	fd = path_make(root, "/a/b/c", true, 0755, &e);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	close(fd);
	fd = path_make(root, "a/./b//d/file", false, 0755, &e);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(S_ISREG(st.st_mode) && st.st_size == 0);
	close(fd);
	/* once more: what exists is taken */
	fd = path_make(root, "/a/b/d/file", false, 0755, &e);
	assert_true(fd >= 0);
	close(fd);
	fd = path_make(root, "/", true, 0755, &e);
	assert_true(fd >= 0);
	close(fd);
	fd = path_make(root, "/new/", true, 0755, &e);
	assert_true(fd >= 0);
	close(fd);
}

static void test_make_errors(void **state)
{
	char longname[400];
	struct err e = { 0 };

	(void)state;
	memset(longname, 'x', sizeof(longname) - 1);
	longname[sizeof(longname) - 1] = '\0';
	assert_int_equal(path_make(root, "/a/b/d/file", true, 0755, &e), -ENOTDIR);
	assert_non_null(strstr(e.msg, "/a/b/d/file"));
	assert_int_equal(path_make(root, "/a/b", false, 0755, &e), -EISDIR);
	assert_int_equal(path_make(root, "/a/b/d/file/below", true, 0755, &e), -ENOTDIR);
	assert_int_equal(path_make(root, longname, true, 0755, &e), -ENAMETOOLONG);
	assert_int_equal(path_make(root, "/nope/../x", true, 0755, &e), -EINVAL);
	assert_int_equal(symlinkat("loop", root, "loop"), 0);
	assert_int_equal(path_make(root, "/loop/x", true, 0755, &e), -ELOOP);
}

static void test_make_through_dangling_links(void **state)
{
	struct err e = { 0 };
	char text[128];
	int fd;

	(void)state;
	snprintf(text, sizeof(text), "%s/outside/x", top);
	assert_int_equal(symlinkat(text, root, "evil"), 0);
	fd = path_make(root, "/evil/y", true, 0755, &e);
	assert_true(fd >= 0);
	close(fd);
	assert_outside_empty();
	/* it was made inside, below the link's text */
	assert_int_equal(faccessat(root, text + 1, F_OK, 0), 0);

	assert_int_equal(mkdirat(root, "var", 0755), 0);
	assert_int_equal(symlinkat("../run", root, "var/run"), 0);
	fd = path_make(root, "/var/run/lock/f", false, 0755, &e);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(faccessat(root, "run/lock/f", F_OK, 0), 0);

	assert_int_equal(symlinkat("one", root, "two"), 0);
	assert_int_equal(symlinkat("two", root, "one"), 0);
	assert_int_equal(path_make(root, "one", false, 0755, &e), -ELOOP);
}

/* Exchanges a directory and a link to the outside for as long as it lives. */
static pid_t start_racer(void)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			renameat2(root, "race", root, "swap", RENAME_EXCHANGE);
	return pid;
}

static void test_race(void **state)
{
	char text[128], path[64];
	struct err e = { 0 };
	int made = 0;
	pid_t pid;

	(void)state;
	snprintf(text, sizeof(text), "%s/outside", top);
	assert_int_equal(mkdirat(root, "race", 0755), 0);
	assert_int_equal(symlinkat(text, root, "swap"), 0);
	pid = start_racer();
	assert_true(pid > 0);
	for (int i = 0; i < 4000; i++) {
		int fd;

		snprintf(path, sizeof(path), "/race/%d/x", i);
		fd = path_make(root, path, i & 1, 0755, &e);
		if (fd >= 0) {
			made++;
			close(fd);
		}
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_outside_empty();
	assert_true(made > 0);
}

static void test_procfs(void **state)
{
	struct err e = { 0 };
	int proc = path_procfs(&e), fd;

	(void)state;
	assert_true(proc >= 0);
	fd = path_procfs_open(proc, "self/status", O_RDONLY, &e);
	assert_true(fd >= 0);
	close(fd);
	fd = path_procfs_open(proc, "sys/kernel/ostype", O_RDONLY, &e);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(path_procfs_open(proc, "self/root", O_PATH | O_DIRECTORY, &e), -ELOOP);
	assert_int_equal(path_procfs_open(proc, "self/fd/0", O_RDONLY, &e), -ELOOP);
	assert_int_equal(path_procfs_open(proc, "mounts", O_RDONLY, &e), -ELOOP);
	assert_int_equal(path_procfs_open(proc, "../etc/passwd", O_RDONLY, &e), -EXDEV);
	assert_int_equal(path_procfs_open(proc, "sys/kernel/nothing", O_RDONLY, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "/proc/sys/kernel/nothing"));
	close(proc);
}

static int body_procfs_covered(void)
{
	struct err e = { 0 };
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	/* A file of the procfs in place that was mounted over is never used. */
	CHECK(mount("/dev/null", "/proc/sys/kernel/ostype", NULL, MS_BIND, NULL) == 0);
	CHECK(path_procfs_open(proc, "sys/kernel/ostype", O_RDONLY, &e) == -EXDEV);
	close(proc);
	/* Nor is a /proc that is no procfs; the detached one does not care. */
	CHECK(mount("tmpfs", "/proc", "tmpfs", 0, NULL) == 0);
	proc = path_procfs(&e);
	CHECK(proc >= 0);
	CHECK_OK(path_procfs_open(proc, "self/status", O_RDONLY, &e), &e);
	return 0;
}

static void test_procfs_covered(void **state)
{
	(void)state;
	in_child(CLONE_NEWNS, body_procfs_covered);
}

static void test_make_nofollow(void **state)
{
	struct stat st;
	bool existed;
	int fd;

	(void)state;
	assert_int_equal(mkdirat(root, "n", 0755), 0);
	assert_int_equal(symlinkat("../../outside/x", root, "n/link"), 0);
	assert_int_equal(symlinkat("/n", root, "way"), 0);
	fd = path_make_nofollow(root, "/way/link", false, 0755, &st, &existed);
	assert_true(fd >= 0 && existed && S_ISLNK(st.st_mode));
	close(fd);
	/* what is missing is made, the way there followed inside the root */
	fd = path_make_nofollow(root, "/way/new/file", false, 0755, &st, &existed);
	assert_true(fd >= 0 && !existed && S_ISREG(st.st_mode));
	close(fd);
	assert_int_equal(faccessat(root, "n/new/file", F_OK, 0), 0);
	fd = path_make_nofollow(root, "dir", true, 0755, &st, &existed);
	assert_true(fd >= 0 && !existed && S_ISDIR(st.st_mode));
	close(fd);
	assert_int_equal(path_make_nofollow(root, "/n/..", true, 0755, &st, &existed), -EINVAL);
	assert_outside_empty();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resolve_stays_inside),
		cmocka_unit_test(test_magic_links_refused),
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_make_errors),
		cmocka_unit_test(test_make_through_dangling_links),
		cmocka_unit_test(test_make_nofollow),
		cmocka_unit_test(test_race),
		cmocka_unit_test(test_procfs),
		cmocka_unit_test(test_procfs_covered),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
