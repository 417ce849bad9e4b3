/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory tree in place of resctrl: the kernel would fill a new group with files, here a test
 * does.
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "runtime/rdt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static char root[] = "/tmp/rdt-XXXXXX";
static int root_fd;

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(root))
		return -1;
	root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	char cmd[64];

	(void)state;
	close(root_fd);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", root);
	return system(cmd);
}

static void put(const char *path, const char *text)
{
	AUTO_CLOSE int fd = openat(root_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(io_write_full(fd, text, strlen(text)), 0);
}

static void holds(const char *path, const char *text)
{
	char buf[256];

	assert_true(io_read_small(root_fd, path, buf, sizeof(buf)) >= 0);
	assert_string_equal(buf, text);
}

static void group(const char *name)
{
	char path[64];

	assert_int_equal(mkdirat(root_fd, name, 0755), 0);
	snprintf(path, sizeof(path), "%s/schemata", name);
	put(path, "");
	snprintf(path, sizeof(path), "%s/tasks", name);
	put(path, "");
	snprintf(path, sizeof(path), "%s/mon_groups", name);
	assert_int_equal(mkdirat(root_fd, path, 0755), 0);
}

static void mount_point(void **state)
{
	AUTO_FREE char *plain =
		rdt_mount_point("24 1 0:22 / /sys rw - sysfs sysfs rw\n"
				"30 24 0:40 / /sys/fs/resctrl rw shared:5 - resctrl none rw,cdp\n");
	AUTO_FREE char *blank = rdt_mount_point("30 24 0:40 / /a\\040b\\134c rw - resctrl none rw");

	(void)state;
	assert_string_equal(plain, "/sys/fs/resctrl");
	assert_string_equal(blank, "/a b\\c");
	/* a part of it, another one's source, half a line */
	assert_null(rdt_mount_point("30 24 0:40 /group /mnt rw - resctrl none rw\n"));
	assert_null(rdt_mount_point("30 24 0:40 / /mnt rw - tmpfs resctrl rw\n"));
	assert_null(rdt_mount_point("30 24 - resctrl none rw\n"));
	assert_null(rdt_mount_point(""));
}

static void existing_group(void **state)
{
	const struct spec_intel_rdt s = { .clos_id = (char *)"gold", .enable_monitoring = true };
	AUTO(rdt_free) struct rdt x = {};
	struct err e = {};

	(void)state;
	group("gold");
	if (rdt_create(&s, "c1", root, &x, &e) < 0)
		fail_msg("%s", e.msg);
	assert_false(x.clos_made);
	assert_true(str_ends(x.clos, "/gold"));
	assert_true(str_ends(x.mon, "/gold/mon_groups/c1"));
	put("gold/mon_groups/c1/tasks", "");
	assert_int_equal(rdt_join(x.clos, x.mon, 4711, &e), 0);
	holds("gold/tasks", "4711");
	holds("gold/mon_groups/c1/tasks", "4711");
	/* the kernel's files do not stand in the way there */
	assert_int_equal(unlinkat(root_fd, "gold/mon_groups/c1/tasks", 0), 0);
	assert_int_equal(rdt_remove(NULL, x.mon, &e), 0);
	assert_int_equal(faccessat(root_fd, "gold/schemata", F_OK, 0), 0);
	assert_int_equal(faccessat(root_fd, "gold/mon_groups/c1", F_OK, 0), -1);
	assert_int_equal(rdt_remove(NULL, x.mon, &e), 0); /* gone already */
}

static void schemata(void **state)
{
	static char *lines[] = { (char *)"L2:0=f", NULL };
	struct spec_intel_rdt s = { .clos_id = (char *)"silver",
				    .l3_cache_schema = (char *)"L3:0=f;1=f" };
	struct rdt x = {};
	struct err e = {};

	(void)state;
	group("silver");
	/* others have made it: it has what is asked for, or is not used; it is never written */
	put("silver/schemata", "    MB:0=100;1=20\n    L3:0=0ff;1=00f\n");
	assert_int_equal(rdt_create(&s, "c1", root, &x, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "linux.intelRdt.l3CacheSchema: \"L3:0=f;1=f\" is not what"));
	s.l3_cache_schema = (char *)"MB:0=7\nL3:1=f";
	s.mem_bw_schema = (char *)"MB:1=20";
	assert_int_equal(rdt_create(&s, "c1", root, &x, &e), 0);
	assert_false(x.clos_made);
	assert_null(x.mon);
	rdt_free(&x);
	s.schemata = (struct spec_strings){ .v = lines, .n = 1 };
	assert_int_equal(rdt_create(&s, "c1", root, &x, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "linux.intelRdt.schemata[0]"));
	holds("silver/schemata", "    MB:0=100;1=20\n    L3:0=0ff;1=00f");
}

static void line_holds(void **state)
{
	static const char has[] = "L3CODE:0=1\n  L3:0=fffff;1=0000f\n    MB:0= 30;1=100\n";

	(void)state;
	assert_true(rdt_line_holds(has, "L3:0=fffff;1=f", 0));
	assert_true(rdt_line_holds(has, "L3:1=f;", 0));
	assert_true(rdt_line_holds(has, "MB:0=21", 10));
	assert_false(rdt_line_holds(has, "MB:0=21", 0));
	assert_false(rdt_line_holds(has, "MB:0=30;2=10", 10));
	assert_false(rdt_line_holds(has, "L3:0=ffff", 0));
	assert_false(rdt_line_holds(has, "L3:0", 0));
	assert_false(rdt_line_holds(has, "L2:0=1", 0));
	assert_false(rdt_line_holds("", "L3:0=1", 0));
}

/* "/" is the group that all are in: nothing is made, nothing is written, nothing is removed. */
static void default_group(void **state)
{
	struct spec_intel_rdt s = { .clos_id = (char *)"/" };
	AUTO(rdt_free) struct rdt x = {};
	struct err e = {};

	(void)state;
	assert_int_equal(rdt_create(&s, "c6", root, &x, &e), 0);
	assert_string_equal(x.clos, root);
	assert_false(x.clos_made);
	assert_int_equal(faccessat(root_fd, "c6", F_OK, 0), -1);
}

/* Without a name it is the container's, whatever it is for. */
static void named_after_the_container(void **state)
{
	struct spec_intel_rdt s = {};
	struct rdt x = {};
	struct err e = {};

	(void)state;
	assert_int_equal(rdt_create(&s, "c7", root, &x, &e), 0);
	assert_true(x.clos_made);
	assert_true(str_ends(x.clos, "/c7"));
	assert_int_equal(rdt_remove(x.clos, NULL, &e), 0);
	rdt_free(&x);
}

static void missing_group(void **state)
{
	const struct spec_intel_rdt s = { .clos_id = (char *)"none" };
	struct rdt x = {};
	struct err e = {};

	(void)state;
	assert_int_equal(rdt_create(&s, "c1", root, &x, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "linux.intelRdt.closID"));
	assert_int_equal(faccessat(root_fd, "none", F_OK, 0), -1);
}

/* The new group has no schemata here: what was made goes away again. */
static void refused_schema(void **state)
{
	static char *lines[] = { (char *)"L3:0=0", NULL };
	const struct spec_intel_rdt s = { .schemata = { .v = lines, .n = 1 } };
	struct rdt x = {};
	struct err e = {};

	(void)state;
	assert_int_equal(mkdirat(root_fd, "info", 0755), 0);
	put("info/last_cmd_status", "Mask out of range\n");
	assert_int_equal(rdt_create(&s, "c2", root, &x, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "linux.intelRdt.schemata[0]: write \"L3:0=0\""));
	assert_non_null(strstr(e.msg, "(Mask out of range)"));
	assert_int_equal(faccessat(root_fd, "c2", F_OK, 0), -1);
	assert_null(x.clos);
}

static void own_group(void **state)
{
	const struct spec_intel_rdt s = { .mem_bw_schema = (char *)"MB:0=20" };
	struct rdt x = {};
	struct err e = {};

	(void)state;
	/* a name of the container's that somebody has: not taken over */
	group("c3");
	assert_int_equal(rdt_create(&s, "c3", root, &x, &e), -EEXIST);
	assert_int_equal(faccessat(root_fd, "c3/tasks", F_OK, 0), 0);
	holds("c3/schemata", "");
	/* made for a container: ends with it */
	assert_int_equal(mkdirat(root_fd, "c4", 0755), 0);
	AUTO_FREE char *path = str_printf("%s/c4", root);
	assert_int_equal(rdt_remove(path, NULL, &e), 0);
	assert_int_equal(faccessat(root_fd, "c4", F_OK, 0), -1);
}

static void not_mounted(void **state)
{
	const struct spec_intel_rdt s = { .mem_bw_schema = (char *)"MB:0=20" };
	AUTO_FREE char *text = NULL, *there = NULL;
	struct rdt x = {};
	struct err e = {};
	size_t len;

	(void)state;
	assert_int_equal(io_read_file(AT_FDCWD, "/proc/self/mountinfo", 1 << 24, &text, &len), 0);
	there = rdt_mount_point(text);
	if (there)
		skip();
	assert_int_equal(rdt_create(&s, "c5", NULL, &x, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.msg, "linux.intelRdt: resctrl is not mounted"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mount_point),    cmocka_unit_test(existing_group),
		cmocka_unit_test(schemata),       cmocka_unit_test(missing_group),
		cmocka_unit_test(refused_schema), cmocka_unit_test(own_group),
		cmocka_unit_test(not_mounted),    cmocka_unit_test(line_holds),
		cmocka_unit_test(default_group),  cmocka_unit_test(named_after_the_container),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
