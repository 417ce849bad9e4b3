/* SPDX-License-Identifier: Apache-2.0 */
/* The formats of the kernel's files, and what takes a write to them back. */
#include "cgroups/cg_internal.h"
#include "cgroups/cg_stat.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct arena arena;

static int tear_down(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

/* A copy that may be taken apart. */
static char *text(const char *s)
{
	return arena_strdup(&arena, s);
}

static void test_psi(void **state)
{
	struct cg_psi p = { 0 };

	(void)state;
	assert_int_equal(cg_parse_psi(&arena,
				      text("some avg10=1.25 avg60=0.50 avg300=0.00 total=77\n"
					   "full avg10=0.10 avg60=0.00 avg300=0.00 total=5\n"),
				      &p),
			 0);
	assert_true(p.set);
	assert_string_equal(p.some.avg10, "1.25");
	assert_int_equal(p.some.total, 77);
	assert_string_equal(p.full.avg10, "0.10");
	/* cpu.pressure of older kernels has no second line. */
	assert_int_equal(cg_parse_psi(&arena,
				      text("some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n"), &p),
			 0);
	assert_string_equal(p.full.avg300, "0.00");
	assert_int_equal(cg_parse_psi(&arena, text(""), &p), 0);
	assert_false(p.set);
	/* It is printed as it is, so it must be a number. */
	assert_int_equal(cg_parse_psi(&arena, text("some avg10=1e5 avg60=0 avg300=0 total=1\n"),
				      &p),
			 -EBADMSG);
	assert_int_equal(cg_parse_psi(&arena, text("some avg10=1. avg60=0 avg300=0 total=1\n"), &p),
			 -EBADMSG);
	assert_int_equal(cg_parse_psi(&arena, text("some avg10=0.00\n"), &p), -EBADMSG);
	assert_int_equal(cg_parse_psi(&arena, text("some avg10=0 avg60=0 avg300=0 total=-1\n"), &p),
			 -EBADMSG);
}

static void test_pairs(void **state)
{
	struct cg_stat_pairs l;

	(void)state;
	assert_int_equal(cg_parse_pairs(&arena, text("anon 4096\nfile 18446744073709551615\n"), &l),
			 0);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.v[1].name, "file");
	assert_true(l.v[1].value == UINT64_MAX);
	assert_int_equal(cg_parse_pairs(&arena, text(""), &l), 0);
	assert_int_equal(l.n, 0);
	assert_int_equal(cg_parse_pairs(&arena, text("anon\n"), &l), -EBADMSG);
	assert_int_equal(cg_parse_pairs(&arena, text("anon x\n"), &l), -EBADMSG);
}

static void test_u64s(void **state)
{
	struct cg_stat_u64s l;

	(void)state;
	assert_int_equal(cg_parse_u64s(&arena, text("12 0 7 \n"), &l), 0);
	assert_int_equal(l.n, 3);
	assert_int_equal(l.v[2], 7);
	assert_int_equal(cg_parse_u64s(&arena, text("12 -1\n"), &l), -EBADMSG);
}

static void test_blkio(void **state)
{
	struct cg_blkio_list l = { 0 };

	(void)state;
	assert_int_equal(cg_parse_blkio(&arena,
					text("8:0 Read 4096\n8:0 Write 512\n8:16 77\nTotal 4608\n"),
					&l),
			 0);
	assert_int_equal(l.n, 3);
	assert_string_equal(l.v[1].op, "Write");
	assert_int_equal(l.v[1].value, 512);
	assert_int_equal(l.v[2].minor, 16);
	assert_string_equal(l.v[2].op, "");
	/* a path of an NVMe disk that the kernel hides */
	assert_int_equal(
		cg_parse_blkio(&arena, text("(unknown) Read 5\n8:0 Read 4096\n(unknown) 7\n"), &l),
		0);
	assert_int_equal(l.n, 4);
	assert_int_equal(cg_parse_blkio(&arena, text("8 Read 4096\n"), &l), -EBADMSG);
	assert_int_equal(cg_parse_blkio(&arena, text("8:0 Read x\n"), &l), -EBADMSG);
}

static void test_io_stat(void **state)
{
	struct cg_blkio_list l[CG_BLKIO_KINDS] = { 0 };

	(void)state;
	assert_int_equal(
		cg_parse_io_stat(&arena,
				 text("8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6 new=x\n"
				      "8:0 \n7:1 rbytes=9 cost.usage=11\n(unknown) rbytes=1\n"),
				 l),
		0);
	assert_int_equal(l[CG_BLKIO_BYTES].n, 4);
	assert_string_equal(l[CG_BLKIO_BYTES].v[2].op, "Discard");
	assert_int_equal(l[CG_BLKIO_BYTES].v[2].value, 5);
	assert_int_equal(l[CG_BLKIO_BYTES].v[3].major, 7);
	assert_int_equal(l[CG_BLKIO_SERVICED].n, 3);
	assert_int_equal(l[CG_BLKIO_SERVICED].v[1].value, 4);
	assert_int_equal(l[CG_BLKIO_COST_USAGE].v[0].value, 11);
	/* lines without an end, as some kernels print them */
	assert_int_equal(cg_parse_io_stat(&arena, text("7:7 7:6 8:32 rbytes=77 wios=1\n"), l), 0);
	assert_int_equal(l[CG_BLKIO_BYTES].n, 5);
	assert_int_equal(l[CG_BLKIO_BYTES].v[4].major, 8);
	assert_int_equal(l[CG_BLKIO_BYTES].v[4].minor, 32);
	assert_int_equal(cg_parse_io_stat(&arena, text("8:0 rbytes=-3\n"), l), -EBADMSG);
}

static void test_undo(void **state)
{
	static const struct {
		const char *file, *now, *value, *want;
	} rows[] = {
		{ "memory.max", "max\n", "4096", "max" },
		{ "cpu.max", "max 100000\n", "5000 100000", "max 100000" },
		{ "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", "1", "0" },
		{ "io.max", "8:16 rbps=5 wbps=max riops=max wiops=max\n", "8:16 rbps=9",
		  "8:16 rbps=5 wbps=max riops=max wiops=max" },
		{ "io.max", "8:16 rbps=5 wbps=max riops=max wiops=max\n", "8:1 rbps=9",
		  "8:1 rbps=max wbps=max riops=max wiops=max" },
		{ "blkio.throttle.read_bps_device", "8:0 77\n7:0 5\n", "7:0 9", "7:0 5" },
		{ "blkio.throttle.read_bps_device", "", "7:0 9", "7:0 0" },
		{ "blkio.bfq.weight", "100\n", "500", "100" },
		{ "blkio.bfq.weight_device", "", "7:0 500", "7:0 default" },
		{ "io.weight", "default 100\n8:0 300\n", "200", "default 100" },
		{ "io.weight", "default 100\n8:0 300\n", "8:0 200", "8:0 300" },
		{ "rdma.max", "mlx4_0 hca_handle=max hca_object=3\n", "mlx4_0 hca_handle=2",
		  "mlx4_0 hca_handle=max hca_object=3" },
		{ "net_prio.ifpriomap", "lo 0\neth0 5\n", "eth0 7", "eth0 5" },
		{ "misc.max", "", "res 5", "res max" },
		{ "cpuset.cpus", "", "0", "\n" },
		{ "cpuset.cpus", "0-1\n", "0", "0-1" },
		{ "memory.something", "a 1\nb 2\n", "3", NULL }, /* many lines of no known kind */
		{ "pids.max", "", "3", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_FREE char *got = cg_undo_text(rows[i].file, rows[i].now, rows[i].value);

		if (!got != !rows[i].want || (got && !str_eq(got, rows[i].want)))
			fail_msg("%s, row %zu: \"%s\"", rows[i].file, i, got ? got : "nothing");
	}
}

/* ---- a container on a host of plain files ---- */

static char tmp[64];

static void put_file(const char *name, const char *content)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/c/%s", tmp, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(content, f);
	fclose(f);
}

static void assert_file(const char *name, const char *want)
{
	char path[256], buf[256];

	snprintf(path, sizeof(path), "%s/c/%s", tmp, name);
	assert_true(io_read_small(AT_FDCWD, path, buf, sizeof(buf)) >= 0);
	assert_string_equal(buf, want);
}

static int make_tmp(void **state)
{
	char path[96];

	(void)state;
	strcpy(tmp, "/tmp/test-cg-XXXXXX");
	if (!mkdtemp(tmp))
		return -1;
	snprintf(path, sizeof(path), "%s/c", tmp);
	return mkdir(path, 0755);
}

static int remove_entry(const char *p, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(p);
}

static int remove_tmp(void **state)
{
	return tear_down(state) < 0 ? -1 : nftw(tmp, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static struct cg *open_cg(bool v2, const char *controllers)
{
	struct cg_host h = { .layout = v2 ? CG_LAYOUT_V2 : CG_LAYOUT_V1, .n = 1 };
	struct cg *cg = NULL;
	struct err e;

	h.hier[0].v2 = v2;
	strcpy(h.hier[0].controllers, controllers);
	strcpy(h.hier[0].mount, tmp);
	assert_int_equal(cg_open_on(&h, "/c", &cg, &e), 0);
	return cg;
}

static void test_read_v2(void **state)
{
	AUTO_CG struct cg *cg = NULL;
	struct cg_stat st;
	struct err e = { 0 };

	(void)state;
	put_file("memory.current", "1000\n");
	put_file("memory.max", "5000\n");
	put_file("memory.swap.current", "30\n");
	put_file("memory.swap.max", "200\n");
	put_file("memory.stat", "anon 1\nfile 77\nkernel 9\n");
	put_file("memory.pressure", "some avg10=0.10 avg60=0 avg300=0 total=4\n");
	put_file("io.stat", "7:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n");
	put_file("cpuset.cpus.effective", "0-1\n");
	put_file("hugetlb.2MB.current", "0\n");
	put_file("hugetlb.2MB.rsvd.current", "2097152\n");
	put_file("hugetlb.2MB.events", "max 6\n");
	cg = open_cg(true, "");
	if (cg_stat_read(cg, &st, &e) < 0)
		fail_msg("%s", e.msg);
	/* As v1 shows it: memory and swap together. */
	assert_int_equal(st.memory.swap.usage.v, 1030);
	assert_int_equal(st.memory.swap.limit.v, 5200);
	assert_int_equal(st.memory.cache.v, 77);
	assert_int_equal(st.memory.kernel.usage.v, 9);
	assert_int_equal(st.memory.raw.n, 3);
	assert_true(st.memory.psi.set);
	assert_false(st.cpu.psi.set);
	assert_int_equal(st.blkio.list[CG_BLKIO_BYTES].v[0].value, 4096);
	assert_string_equal(st.cpuset.cpus, "0-1");
	assert_int_equal(st.hugetlb.n, 1);
	assert_string_equal(st.hugetlb.v[0].size, "2MB");
	assert_int_equal(st.hugetlb.v[0].u.usage.v, 2097152);
	assert_int_equal(st.hugetlb.v[0].u.failcnt.v, 6);
	cg_stat_free(&st);
	/* A file that makes no sense is named. */
	put_file("io.stat", "7:0 rbytes=x\n");
	assert_int_equal(cg_stat_read(cg, &st, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "/c/io.stat"));
}

/* Which of the three layers counts: the first that has anything. */
static void test_read_blkio_v1(void **state)
{
	AUTO_CG struct cg *cg = NULL;
	struct cg_stat st;
	struct err e = { 0 };

	(void)state;
	put_file("blkio.bfq.io_serviced_recursive", "Total 0\n");
	put_file("blkio.throttle.io_serviced_recursive", "7:0 Read 2\nTotal 2\n");
	put_file("blkio.throttle.io_service_bytes_recursive", "7:0 Read 8192\nTotal 8192\n");
	cg = open_cg(false, "blkio");
	assert_int_equal(cg_stat_read(cg, &st, &e), 0);
	assert_int_equal(st.blkio.list[CG_BLKIO_SERVICED].n, 1);
	assert_int_equal(st.blkio.list[CG_BLKIO_BYTES].v[0].value, 8192);
	cg_stat_free(&st);
}

static void test_gone(void **state)
{
	AUTO_CG struct cg *cg = NULL;
	struct cg_stat st;
	struct err e = { 0 };
	char path[96];

	(void)state;
	cg = open_cg(false, "memory");
	snprintf(path, sizeof(path), "%s/c", tmp);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(cg_stat_read(cg, &st, &e), -ENOENT);
}

static void test_undo_files(void **state)
{
	struct cg_undo u = { 0 };
	char dir[96];

	(void)state;
	snprintf(dir, sizeof(dir), "%s/c", tmp);
	put_file("pids.max", "50\n");
	put_file("memory.max", "10\n");
	assert_int_equal(cg_undo_save(&u, dir, "pids.max", "99"), 0);
	assert_int_equal(cg_undo_save(&u, dir, "memory.max", "99"), 0);
	assert_int_equal(cg_undo_save(&u, dir, "no.such.file", "1"), 0);
	cg_undo_drop(&u);
	assert_int_equal(u.n, 2);
	put_file("pids.max", "99");
	put_file("memory.max", "99");
	cg_undo_run(&u);
	assert_file("pids.max", "50");
	assert_file("memory.max", "10");
	cg_undo_free(&u);
	assert_null(u.v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_psi, tear_down),
		cmocka_unit_test_teardown(test_pairs, tear_down),
		cmocka_unit_test_teardown(test_u64s, tear_down),
		cmocka_unit_test_teardown(test_blkio, tear_down),
		cmocka_unit_test_teardown(test_io_stat, tear_down),
		cmocka_unit_test_teardown(test_undo, tear_down),
		cmocka_unit_test_setup_teardown(test_read_v2, make_tmp, remove_tmp),
		cmocka_unit_test_setup_teardown(test_read_blkio_v1, make_tmp, remove_tmp),
		cmocka_unit_test_setup_teardown(test_gone, make_tmp, remove_tmp),
		cmocka_unit_test_setup_teardown(test_undo_files, make_tmp, remove_tmp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
