/* SPDX-License-Identifier: Apache-2.0 */
/* Directories below /run: what texts say, a tree of files, its cache, and the making. */
#include "namespaces/run_dirs.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct run_dirs_names names = {
	.passwd = "root:x:0:0::/:\nredis:x:102:110::/:\npostgres:x:101:104::/:\n",
	.group = "root:x:0:\nredis:x:110:\nadm:x:4:\n",
};

/* "PATH MODE UID GID" of each, with a comma between. */
static char *list(const struct run_dirs *d)
{
	static char buf[4096];
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < d->n; i++)
		at += (size_t)snprintf(buf + at, sizeof(buf) - at, "%s%s %o %u %u", i ? ", " : "",
				       d->v[i].path, d->v[i].mode, d->v[i].uid, d->v[i].gid);
	return buf;
}

static void tmpfiles(void **state)
{
	static const char text[] = "# comment\n"
				   "d /run/postgresql 2775 postgres adm - -\n"
				   "d /run/postgresql 0700 root root - -\n"
				   "D! /var/run/a/b\n"
				   "d\t/run/plain/ - - -\n"
				   "d /run/numbers ~1777 7 8\n"
				   "d /run/redis 755 redis\n"
				   "d /var/log/x 0755 root root\n"
				   "d /run/nobody 0755 nosuch root\n"
				   "d /run/mode 0999 root root\n"
				   "d /run/%b 0755\n"
				   "d /run/../etc/evil 0755\n"
				   "d /run//x 0755\n"
				   "d /run/. 0755\n"
				   "d /run/ 0755\n"
				   "d /run\n"
				   "d \"/run/quoted\"\n"
				   "f /run/file 0644\n"
				   "d+ /run/unknown\n"
				   "d /run/systemd/seats 0755 root root\n"
				   "d /run/systemd\n"
				   "d /run/systemdx\n"
				   "d\n\n";
	AUTO(run_dirs_free) struct run_dirs d = {};

	(void)state;
	assert_int_equal(run_dirs_tmpfiles(&d, text, &names), 0);
	assert_string_equal(list(&d), "postgresql 2775 101 4, a/b 755 0 0, plain 755 0 0, "
				      "numbers 1777 7 8, redis 755 102 0, systemdx 755 0 0");
}

static void units(void **state)
{
	static const char *const texts[] = {
		"[Unit]\nRuntimeDirectory=wrong\n[Service]\nUser=redis\n"
		"RuntimeDirectory=redis redis/sub\n RuntimeDirectoryMode=2755 \n[Install]\nUser=x\n",
		"[Service]\nRuntimeDirectory=sshd\nRuntimeDirectoryMode=0755\n",
		"[Service]\nRuntimeDirectory=gone\nRuntimeDirectory=\nRuntimeDirectory=two\n"
		"User=postgres\nGroup=adm\n",
		"[Service]\nRuntimeDirectory=a-%i b\n",
		"[Service]\nUser=nosuch\nRuntimeDirectory=none\n",
		"[Service]\nRuntimeDirectoryMode=x\nRuntimeDirectory=none\n",
		"[Service]\nRuntimeDirectory=../x /abs . systemd/journal\n",
		"RuntimeDirectory=before\n",
		"",
	};
	AUTO(run_dirs_free) struct run_dirs d = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(run_dirs_unit(&d, texts[i], &names), 0);
	assert_string_equal(list(&d), "redis 2755 102 110, redis/sub 2755 102 110, sshd 755 0 0, "
				      "two 755 101 4, b 755 0 0");
}

/* ---- files ---- */

static char base[64];
static int base_fd = -1;

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(base, sizeof(base), "%s/rundXXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	if (!mkdtemp(base))
		return -1;
	base_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	close(base_fd);
	return nftw(base, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *path, const char *text)
{
	char dir[256];

	for (const char *s = strchr(path, '/'); s; s = strchr(s + 1, '/')) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(s - path), path);
		assert_true(mkdirat(base_fd, dir, 0755) == 0 || errno == EEXIST);
	}
	AUTO_CLOSE int fd = openat(base_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(io_write_full(fd, text, strlen(text)), 0);
}

static void tree(void **state)
{
	AUTO(run_dirs_free) struct run_dirs d = {}, none = {};
	struct err e;

	(void)state;
	assert_int_equal(run_dirs_scan(base_fd, &none, &e), 0);
	assert_int_equal(none.n, 0);
	put("etc/passwd", names.passwd);
	put("etc/group", names.group);
	put("etc/tmpfiles.d/b.conf", "d /run/x 0711\n");
	put("usr/lib/tmpfiles.d/a.conf", "d /run/x 0700\nd /run/y\n");
	put("usr/lib/tmpfiles.d/a.txt", "d /run/not\n");
	put("usr/lib/systemd/system/redis.service",
	    "[Service]\nUser=redis\nRuntimeDirectory=redis\n");
	assert_int_equal(
		symlinkat("redis.service", base_fd, "usr/lib/systemd/system/alias.service"), 0);
	assert_int_equal(mkdirat(base_fd, "usr/lib/systemd/system/dir.service", 0755), 0);
	assert_int_equal(symlinkat("usr/lib", base_fd, "lib"), 0);
	assert_int_equal(run_dirs_scan(base_fd, &d, &e), 0);
	assert_string_equal(list(&d), "x 711 0 0, y 755 0 0, redis 755 102 110");
}

/* This machine's, whatever they are: the cache says the same, and a broken one is no harm. */
static void cache(void **state)
{
	AUTO(run_dirs_free) struct run_dirs a = {}, b = {}, c = {};
	AUTO_FREE char *first = NULL, *text = NULL;
	struct err e;

	(void)state;
	assert_int_equal(run_dirs_load(base_fd, &a, &e), 0);
	first = strdup(list(&a));
	assert_int_equal(run_dirs_load(base_fd, &b, &e), 0);
	assert_string_equal(list(&b), first);
	assert_int_equal(io_read_file(base_fd, "run-dirs", 1 << 20, &text, NULL), 0);
	assert_non_null(str_after(text, "ctr run-dirs 1\nf "));
	put("run-dirs", "ctr run-dirs 1\nd 755 0 0 only-here\n");
	assert_int_equal(run_dirs_load(base_fd, &c, &e), 0);
	assert_string_equal(list(&c), "only-here 755 0 0");
}

static void bad_caches(void **state)
{
	static const char *const bad[] = {
		"",
		"ctr run-dirs 0\nd 755 0 0 stale\n",
		"ctr run-dirs 1\nd 755 0 stale\n",
		"ctr run-dirs 1\nd 755 0 0 stale\nf 1.000000000 /etc/passwd\n",
		"ctr run-dirs 1\nd 755 0 0 stale\nf 5\n",
		"ctr run-dirs 1\nd 755 0 0 stale\nx\n",
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO(run_dirs_free) struct run_dirs d = {};

		put("run-dirs", bad[i]);
		assert_int_equal(run_dirs_load(base_fd, &d, &e), 0);
		assert_null(strstr(list(&d), "stale"));
	}
}

static void made(void **state)
{
	struct run_dir v[] = {
		{ (char *)"a", 02775, geteuid(), getegid() },
		{ (char *)"b/c/d", 0700, geteuid(), getegid() },
		{ (char *)"b", 0700, geteuid(), getegid() },
		{ (char *)"link/x", 0700, geteuid(), getegid() },
	};
	struct run_dirs d = { v, 3 };
	struct stat st;
	struct err e;

	(void)state;
	umask(077);
	assert_int_equal(run_dirs_make(base_fd, &d, &e), 0);
	assert_int_equal(run_dirs_make(base_fd, &d, &e), 0);
	assert_int_equal(fstatat(base_fd, "a", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 02775);
	assert_int_equal(fstatat(base_fd, "b", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(fstatat(base_fd, "b/c/d", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(symlinkat("/tmp", base_fd, "link"), 0);
	d.n = 4;
	assert_true(run_dirs_make(base_fd, &d, &e) < 0);
	assert_non_null(strstr(e.msg, "/run/link/x"));
	umask(022);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tmpfiles),
		cmocka_unit_test(units),
		cmocka_unit_test_setup_teardown(tree, setup, teardown),
		cmocka_unit_test_setup_teardown(cache, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_caches, setup, teardown),
		cmocka_unit_test_setup_teardown(made, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
