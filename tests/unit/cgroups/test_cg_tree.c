/* SPDX-License-Identifier: Apache-2.0 */
/* Trees of cgroups, made of plain directories: deeper than any path or number of descriptors. */
#include "cgroups/cg_internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define LEVELS 3000 /* more than descriptors, and longer than any path */

struct seen {
	int entered, left, stop_at;
};

static int count_enter(int fd, void *ctx)
{
	struct seen *s = ctx;

	assert_true(fcntl(fd, F_GETFD) >= 0);
	return ++s->entered == s->stop_at ? -EXFULL : 0;
}

static int count_leave(int parent, const char *name, void *ctx)
{
	struct seen *s = ctx;

	s->left++;
	return unlinkat(parent, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

static void make_deep(const char *top)
{
	AUTO_CLOSE int fd = -1;

	assert_int_equal(mkdir(top, 0755), 0);
	fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 1; i < LEVELS; i++) {
		int below;

		assert_int_equal(mkdirat(fd, "leaf", 0755), 0);
		assert_int_equal(mkdirat(fd, "d", 0755), 0);
		below = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(below >= 0);
		close(fd);
		fd = below;
	}
}

static void test_deep(void **state)
{
	const char *top = "deep";
	struct seen s = { .stop_at = 5 };
	struct cg_visit v = { .enter = count_enter, .ctx = &s };
	struct cg_pid_list l = { 0 }; /* what has no such list has no processes */
	struct seen gone = { 0 };

	(void)state;
	make_deep(top);
	assert_int_equal(cg_tree_walk(AT_FDCWD, top, &v), -EXFULL);
	assert_int_equal(s.entered, 5);
	assert_int_equal(cg_dir_pids(AT_FDCWD, top, &l), 0);
	assert_int_equal(l.n, 0);
	s = (struct seen){ 0 };
	v.leave = count_leave;
	assert_int_equal(cg_tree_walk(AT_FDCWD, top, &v), 0);
	assert_int_equal(s.entered, 2 * LEVELS - 1);
	assert_int_equal(s.left, 2 * LEVELS - 1);
	assert_int_equal(access(top, F_OK), -1);
	v.ctx = &gone;
	assert_int_equal(cg_tree_walk(AT_FDCWD, top, &v), 0);
	assert_int_equal(gone.entered + gone.left, 0);
	make_deep(top);
	assert_int_equal(cg_dir_remove(top), 0);
	assert_int_equal(access(top, F_OK), -1);
	assert_int_equal(cg_dir_remove(top), 0);
}

static char tmp[64];

static int set_up(void **state)
{
	(void)state;
	strcpy(tmp, "/tmp/test-cg-tree-XXXXXX");
	return mkdtemp(tmp) && chdir(tmp) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return chdir("/") == 0 && rmdir(tmp) == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_deep, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
