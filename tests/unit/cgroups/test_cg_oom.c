/* SPDX-License-Identifier: Apache-2.0 */
/* Memory shortages, counted in files that the test writes; only a removed cgroup is a real one. */
#include "cgroups/cg_internal.h"
#include "cgroups/cg_stat.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* What a file of a v2 cgroup that has been removed meanwhile is. */
static int gone_file(void)
{
	struct cg_host host;
	struct err e;
	char p[256];
	int fd;

	assert_int_equal(cg_host_probe(&host, &e), 0);
	if (geteuid() != 0 || !cg_host_v2(&host)) {
		print_message("needs root and cgroup v2\n");
		skip();
	}
	snprintf(p, sizeof(p), "%s/test-gone-%d", cg_host_v2(&host)->mount, (int)getpid());
	if (mkdir(p, 0755) < 0) {
		print_message("mkdir %s: %s\n", p, strerrordesc_np(errno));
		skip();
	}
	strcat(p, "/cgroup.events");
	fd = open(p, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	*strrchr(p, '/') = '\0';
	assert_int_equal(rmdir(p), 0);
	return fd;
}

static void put_kills(const char *file, int n)
{
	FILE *f = fopen(file, "we");

	assert_non_null(f);
	fprintf(f, "low 0\noom %d\noom_kill %d\n", n, n);
	fclose(f);
}

static void remove_oom_dirs(void)
{
	unlink("a/c/memory.events");
	rmdir("a/c");
	unlink("a/memory.events");
	rmdir("a");
}

/* The cgroup above counts for all below it: when ours is gone, what of that is ours? */
static void test_oom_above(void **state)
{
	AUTO_CLOSE int gone = gone_file();
	char tmp[] = "/tmp/test-oom-XXXXXX";
	struct cg_host h = { .layout = CG_LAYOUT_V2, .n = 1, .hier[0] = { .v2 = true } };
	AUTO_CG struct cg *cg = NULL;
	struct cg_oom o;
	struct err e;

	(void)state;
	assert_true(mkdtemp(tmp) && chdir(tmp) == 0);
	strcpy(h.hier[0].mount, tmp);
	assert_true(mkdir("a", 0755) == 0 && mkdir("a/c", 0755) == 0);
	put_kills("a/memory.events", 5);
	put_kills("a/c/memory.events", 1);
	assert_int_equal(cg_open_on(&h, "/a/c", &cg, &e), 0);
	assert_int_equal(cg_oom_open(cg, &o, &e), 0);
	assert_true(o.above_fd >= 0);
	put_kills("a/memory.events", 7); /* a neighbour's */
	assert_int_equal(cg_oom_count(&o), 0);
	put_kills("a/memory.events", 9);
	put_kills("a/c/memory.events", 3);
	assert_int_equal(cg_oom_count(&o), 2);
	/* Removed before it was looked at again: it ended of one of them, at most. */
	put_kills("a/memory.events", 12);
	assert_true(dup2(gone, o.fd) == o.fd);
	assert_int_equal(cg_oom_count(&o), 1);
	put_kills("a/memory.events", 13);
	assert_int_equal(cg_oom_count(&o), 0);
	cg_oom_close(&o);

	assert_int_equal(cg_oom_open(cg, &o, &e), 0);
	put_kills("a/memory.events", 14);
	assert_int_equal(cg_oom_count(&o), 0);
	assert_true(dup2(gone, o.fd) == o.fd);
	assert_int_equal(cg_oom_count(&o), 0);
	cg_oom_close(&o);
	remove_oom_dirs();
	assert_int_equal(chdir("/"), 0);
	rmdir(tmp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oom_above),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
