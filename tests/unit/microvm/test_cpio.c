/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "microvm/cpio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

static int make(void)
{
	int fd = memfd_create("cpio", 0); /* cpio(1) reads it */
	AUTO_CPIO struct cpio c = CPIO_INIT(fd);
	struct err e = {};

	assert_true(fd >= 0);
	assert_int_equal(cpio_add(&c, "/dev", S_IFDIR | 0755, 0, NULL, 0, &e), 0);
	assert_int_equal(cpio_add(&c, "/dev/console", S_IFCHR | 0600, makedev(5, 1), NULL, 0, &e),
			 0);
	assert_int_equal(cpio_add(&c, "/lib/x/y/lib.so", S_IFREG | 0755, 0, "12345", 5, &e), 0);
	assert_int_equal(cpio_add(&c, "/lib/x/other", S_IFREG | 0644, 0, "", 0, &e), 0);
	assert_int_equal(cpio_add(&c, "/lib/link", S_IFLNK | 0777, 0, "x/y/lib.so", 10, &e), 0);
	assert_int_equal(cpio_add(&c, "/dev", S_IFDIR | 0755, 0, NULL, 0, &e), 0);
	assert_int_equal(cpio_end(&c, &e), 0);
	assert_int_equal(c.at % 512, 0);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), c.at);
	return fd;
}

/* cpio(1) is the other opinion about the format. */
static void read_back(void **state)
{
	AUTO_CLOSE int fd = make();
	char cmd[100], out[2048];
	size_t n;
	FILE *p;

	(void)state;
	snprintf(cmd, sizeof(cmd), "LC_ALL=C TZ=UTC cpio -tvn --quiet </proc/%d/fd/%d 2>&1",
		 getpid(), fd);
	p = popen(cmd, "r");
	assert_non_null(p);
	n = fread(out, 1, sizeof(out) - 1, p);
	out[n] = '\0';
	assert_int_equal(pclose(p), 0);
	assert_string_equal(
		out,
		"drwxr-xr-x   2 0        0               0 Jan  1  1970 dev\n"
		"crw-------   1 0        0          5,   1 Jan  1  1970 dev/console\n"
		"drwxr-xr-x   2 0        0               0 Jan  1  1970 lib\n"
		"drwxr-xr-x   2 0        0               0 Jan  1  1970 lib/x\n"
		"drwxr-xr-x   2 0        0               0 Jan  1  1970 lib/x/y\n"
		"-rwxr-xr-x   1 0        0               5 Jan  1  1970 lib/x/y/lib.so\n"
		"-rw-r--r--   1 0        0               0 Jan  1  1970 lib/x/other\n"
		"lrwxrwxrwx   1 0        0              10 Jan  1  1970 lib/link -> x/y/lib.so\n");
}

static void same_bytes_each_time(void **state)
{
	AUTO_CLOSE int a = make(), b = make();
	AUTO_FREE char *ta = NULL, *tb = NULL;
	size_t na = 0, nb = 0;

	(void)state;
	assert_int_equal(lseek(a, 0, SEEK_SET), 0);
	assert_int_equal(lseek(b, 0, SEEK_SET), 0);
	assert_int_equal(io_read_all(a, 1 << 20, &ta, &na), 0);
	assert_int_equal(io_read_all(b, 1 << 20, &tb, &nb), 0);
	assert_int_equal(na, nb);
	assert_memory_equal(ta, tb, na);
}

static void refused(void **state)
{
	static const char *const bad[] = {
		"", "/", "x", "/x/", "/x//y", "/x/../y", "/x/..", "/./x"
	};
	AUTO_CLOSE int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	AUTO_CPIO struct cpio c = CPIO_INIT(fd);
	struct err e = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(cpio_add(&c, bad[i], S_IFREG | 0644, 0, "", 0, &e), -EINVAL);
	assert_int_equal(cpio_add(&c, "/x", S_IFREG | 0644, 0, "", 0, &e), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_back),
		cmocka_unit_test(same_bytes_each_time),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
