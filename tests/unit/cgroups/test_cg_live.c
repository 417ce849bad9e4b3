/* SPDX-License-Identifier: Apache-2.0 */
/* The cgroups of the machine that the test runs on. Needs root; makes and removes its own cgroups
 * only. */
#include "cgroups/cg_internal.h"
#include "cgroups/cg_stat.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define I64(x)                        \
	{                             \
		.set = true, .v = (x) \
	}

static void assert_file(const char *path, const char *want)
{
	char buf[256];

	assert_true(io_read_small(AT_FDCWD, path, buf, sizeof(buf)) >= 0);
	assert_string_equal(buf, want);
}

static char live_id[64];

static struct cg *live_create(const struct spec_resources *r)
{
	static int nr;
	struct cg_create_opts o = { .id = live_id, .resources = r };
	struct cg *cg = NULL;
	struct err e = { 0 };

	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
	snprintf(live_id, sizeof(live_id), "test-%d-%d", (int)getpid(), nr++);
	if (cg_create(&o, &cg, &e) < 0) {
		if (e.code == ENOTSUP || e.code == EROFS || e.code == EPERM) {
			print_message("this machine cannot: %s\n", e.msg);
			skip();
		}
		fail_msg("%s", e.msg);
	}
	return cg;
}

/* A process in all of cg's cgroups that does nothing; it ends with the test. */
static pid_t live_child(struct cg *cg)
{
	int fds[CG_MAX_HIER], ready[2];
	struct err e = { 0 };
	char c = 'x';
	size_t n;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(cg_join_open(cg, true, fds, &n, &e), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		c = cg_join_self(fds, n) == 0 ? 'y' : 'n';
		if (write(ready[1], &c, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	while (n > 0)
		close(fds[--n]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(c, 'y');
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static const char *live_file(struct cg *cg, const char *v1, const char *v1_file,
			     const char *v2_file)
{
	static char p[4096];
	struct cg_dir *d = cg_find_v1(cg, v1);

	snprintf(p, sizeof(p), "%s/%s", d ? d->dir : cg_find_v2(cg)->dir, d ? v1_file : v2_file);
	return p;
}

static void live_end(struct cg *cg)
{
	struct err e = { 0 };

	if (cg_remove(cg, &e) < 0)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < cg->n; i++)
		assert_int_equal(access(cg->dir[i].dir, F_OK), -1);
	assert_int_equal(cg_remove(cg, &e), 0); /* absent ones are fine */
}

static void test_live_limits(void **state)
{
	struct spec_memory m = { .limit = I64(32 << 20) };
	struct spec_cpu c = { .quota = I64(50000), .period = { true, 100000 } };
	struct spec_resources r = { .memory = &m, .cpu = &c, .pids_limit = I64(20) };
	AUTO_CG struct cg *cg = live_create(&r);
	struct cg_stat st;
	struct err e;

	(void)state;
	assert_file(live_file(cg, "memory", "memory.limit_in_bytes", "memory.max"), "33554432");
	assert_file(live_file(cg, "pids", "pids.max", "pids.max"), "20");
	assert_file(live_file(cg, "cpu", "cpu.cfs_quota_us", "cpu.max"),
		    cg_find_v1(cg, "cpu") ? "50000" : "50000 100000");
	/* Both ways: each order is refused by the kernel in one of them. */
	m = (struct spec_memory){ .limit = I64(64 << 20), .swap = I64(80 << 20) };
	assert_int_equal(cg_apply(cg, &r, &e), 0);
	m = (struct spec_memory){ .limit = I64(90 << 20), .swap = I64(100 << 20) };
	c = (struct spec_cpu){ .quota = I64(100000),
			       .period = { true, 1000000 },
			       .burst = { true, 90000 } };
	if (cg_apply(cg, &r, &e) < 0)
		fail_msg("%s", e.msg);
	c = (struct spec_cpu){ .quota = I64(20000),
			       .period = { true, 50000 },
			       .burst = { true, 0 } };
	m = (struct spec_memory){ .limit = I64(16 << 20), .swap = I64(16 << 20) };
	assert_int_equal(cg_apply(cg, &r, &e), 0);
	assert_file(live_file(cg, "memory", "memory.limit_in_bytes", "memory.max"), "16777216");
	assert_int_equal(cg_stat_read(cg, &st, &e), 0);
	assert_int_equal(st.memory.limit.v, 16 << 20);
	assert_int_equal(st.pids.limit.v, 20);
	assert_true(st.memory.usage.set && st.cpu.usage.set && st.pids.current.set);
	cg_stat_free(&st);
	live_end(cg);
}

/* A refused value leaves the old ones. */
static void test_live_refused(void **state)
{
	struct spec_cpu c = { .cpus = (char[]){ "4000-4001" } };
	struct spec_resources ok = { .pids_limit = I64(20) },
			      bad = { .pids_limit = I64(30), .cpu = &c };
	AUTO_CG struct cg *cg = live_create(&ok);
	AUTO_FREE char *id = str_printf("test-refused-%d", (int)getpid());
	struct cg_create_opts o = { .id = id, .resources = &bad };
	struct cg *none = NULL;
	struct err e;

	(void)state;
	assert_true(cg_apply(cg, &bad, &e) < 0);
	assert_non_null(strstr(e.msg, "linux.resources.cpu.cpus: write \"4000-4001\" to "));
	assert_file(live_file(cg, "pids", "pids.max", "pids.max"), "20");
	assert_true(cg_create(&o, &none, &e) < 0);
	assert_null(none);
	for (size_t i = 0; i < cg->n; i++) {
		char p[4096];

		snprintf(p, sizeof(p), "%s/ctr/%s", cg->host.hier[i].mount, id);
		assert_int_equal(access(p, F_OK), -1);
	}
	live_end(cg);
}

static char task_state(pid_t pid)
{
	char p[64], buf[512], *s;

	snprintf(p, sizeof(p), "/proc/%d/stat", (int)pid);
	if (io_read_small(AT_FDCWD, p, buf, sizeof(buf)) < 0)
		return '?';
	s = strrchr(buf, ')');
	return s ? s[2] : '?';
}

static void test_live_life(void **state)
{
	AUTO_CG struct cg *cg = live_create(NULL);
	AUTO_CG struct cg *again = NULL, *dup = NULL;
	struct cg_create_opts o = { .id = live_id };
	AUTO_FREE pid_t *pids = NULL;
	struct err e = { 0 };
	pid_t a = live_child(cg), b = live_child(cg);
	bool frozen = true;
	size_t n;

	(void)state;
	assert_true(cg_create(&o, &dup, &e) < 0);
	assert_non_null(strstr(e.msg, "container's cgroup is not empty"));
	assert_int_equal(cg_open(cg_path(cg), NULL, CG_DRIVER_CGROUPFS, &again, &e), 0);
	assert_int_equal(cg_pids(again, &pids, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_true((pids[0] == a && pids[1] == b) || (pids[0] == b && pids[1] == a));
	for (size_t i = 0; i < cg->n; i++) {
		struct cg_pid_list l = { 0 };

		assert_int_equal(cg_dir_pids(AT_FDCWD, cg->dir[i].dir, &l), 0);
		assert_int_equal(l.n, 2);
		free(l.v);
	}
	assert_int_equal(cg_is_frozen(again, &frozen), 0);
	assert_false(frozen);
	assert_int_equal(cg_freeze(again, true, &e), 0);
	assert_int_equal(cg_is_frozen(again, &frozen), 0);
	assert_true(frozen);
	kill(a, SIGCONT); /* must not wake it */
	assert_true(task_state(a) == 'S' || task_state(a) == 'D');
	assert_int_equal(cg_freeze(again, false, &e), 0);
	assert_int_equal(cg_kill(again, 0, &e), 0);
	assert_int_equal(cg_freeze(again, true, &e), 0);
	assert_int_equal(cg_kill(again, SIGKILL, &e), 0); /* frozen ones too */
	/* Not reaped by hand first: cg_remove waits until they have left. */
	assert_int_equal(waitpid(a, NULL, 0), a);
	assert_int_equal(waitpid(b, NULL, 0), b);
	live_end(again);
	assert_int_equal(cg_kill(again, SIGKILL, &e), 0);
}

/* Sub-cgroups that the container made are listed, killed and removed as well. */
static void test_live_sub(void **state)
{
	AUTO_CG struct cg *cg = live_create(NULL);
	AUTO_FREE pid_t *pids = NULL;
	pid_t a = live_child(cg);
	struct err e = { 0 };
	char p[4096], text[24];
	size_t n;

	(void)state;
	snprintf(text, sizeof(text), "%d", (int)a);
	for (size_t i = 0; i < cg->n; i++) {
		struct cg_dir *d = &cg->dir[i];

		snprintf(p, sizeof(p), "%s/s1", d->dir);
		assert_int_equal(mkdir(p, 0755), 0);
		snprintf(p, sizeof(p), "%s/s1/s2", d->dir);
		assert_int_equal(mkdir(p, 0755), 0);
		snprintf(p, sizeof(p), "%s/s1/s2/cgroup.procs", d->dir);
		if (d->hier->v2)
			assert_int_equal(io_write_file(AT_FDCWD, p, text), 0);
	}
	assert_int_equal(cg_pids(cg, &pids, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(cg_kill(cg, SIGKILL, &e), 0);
	live_end(cg); /* the killed one may still be on its way out */
	assert_int_equal(waitpid(a, NULL, 0), a);
}

/* As on a kernel or host without v2: the same through the v1 hierarchies alone. */
static void test_live_v1_only(void **state)
{
	AUTO_CG struct cg *cg = live_create(NULL);
	struct cg_dir *v2 = cg_find_v2(cg);
	struct err e = { 0 };
	bool frozen;
	pid_t a;

	(void)state;
	if (cg->host.layout != CG_LAYOUT_HYBRID || !cg_find_v1(cg, "freezer")) {
		cg_remove(cg, &e);
		print_message("needs a hybrid host\n");
		skip();
	}
	a = live_child(cg);
	v2->present = false;
	assert_int_equal(cg_freeze(cg, true, &e), 0);
	assert_int_equal(cg_is_frozen(cg, &frozen), 0);
	assert_true(frozen);
	assert_int_equal(cg_kill(cg, SIGKILL, &e), 0);
	assert_int_equal(cg_is_frozen(cg, &frozen), 0);
	assert_false(frozen);
	assert_int_equal(cg_remove(cg, &e), 0);
	assert_int_equal(waitpid(a, NULL, 0), a);
	v2->present = true;
	live_end(cg);
}

static int open_inside(struct cg *cg, const char *node)
{
	int fds[CG_MAX_HIER], status;
	size_t n;
	pid_t pid;

	assert_int_equal(cg_join_open(cg, true, fds, &n, NULL), 0);
	pid = fork();
	if (pid == 0) {
		if (cg_join_self(fds, n) < 0)
			_exit(99);
		_exit(open(node, O_RDONLY | O_CLOEXEC) < 0 ? errno : 0);
	}
	while (n > 0)
		close(fds[--n]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static void test_live_devices(void **state)
{
	struct spec_device_rule kmsg = {
		.allow = true, .type = 'c', .major = I64(1), .minor = I64(11)
	};
	struct spec_device_rule none = { .allow = false, .type = 'a' };
	struct spec_resources r = { .devices = { &kmsg, 1 } };
	AUTO_CG struct cg *cg = live_create(NULL);
	struct err e = { 0 };

	(void)state;
	assert_int_equal(open_inside(cg, "/dev/zero"), 0);
	if (access("/dev/kmsg", F_OK) == 0) {
		assert_int_equal(open_inside(cg, "/dev/kmsg"), EPERM);
		assert_int_equal(cg_apply(cg, &r, &e), 0);
		assert_int_equal(open_inside(cg, "/dev/kmsg"), 0);
		assert_int_equal(open_inside(cg, "/dev/zero"), 0);
		r.devices.v = &none;
		assert_int_equal(cg_apply(cg, &r, &e), 0);
		assert_int_equal(open_inside(cg, "/dev/kmsg"), EPERM);
	}
	assert_int_equal(open_inside(cg, "/dev/zero"), 0);
	live_end(cg);
}

/*
 * A pure v2 host as far as this machine has one: its v2 hierarchy alone, whatever v1 has beside it.
 * With a controller there (hugetlb is what hybrid hosts leave to v2) it is enabled from the root
 * down.
 */
static void test_live_v2_only(void **state)
{
	struct spec_hugepage_limit huge = { (char[]){ "2MB" }, 0 };
	struct spec_resources r = { .hugepage_limits = { &huge, 1 } };
	struct cg_host host, v2 = { .layout = CG_LAYOUT_V2, .n = 1 };
	AUTO_FREE char *id = str_printf("test-v2-only-%d", (int)getpid());
	struct cg_create_opts o = { .id = id, .resources = &r };
	AUTO_CG struct cg *cg = NULL;
	unsigned int before, have;
	struct err e = { 0 };
	char p[4096];
	pid_t a;

	(void)state;
	assert_int_equal(cg_host_probe(&host, &e), 0);
	if (geteuid() != 0 || !cg_host_v2(&host)) {
		print_message("needs root and cgroup v2\n");
		skip();
	}
	v2.hier[0] = *cg_host_v2(&host);
	AUTO_CLOSE int root = open(v2.hier[0].mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(cg_v2_controllers(root, "cgroup.controllers", &have), 0);
	assert_int_equal(cg_v2_controllers(root, "cgroup.subtree_control", &before), 0);
	if (!(have & CG_BIT(CG_CTL_HUGETLB)) ||
	    access("/sys/kernel/mm/hugepages/hugepages-2048kB", F_OK) < 0)
		r.hugepage_limits.n = 0;
	if (cg_create_on(&v2, &o, &cg, &e) < 0)
		fail_msg("%s", e.msg);
	if (r.hugepage_limits.n) {
		snprintf(p, sizeof(p), "%s/hugetlb.2MB.max", cg->dir[0].dir);
		assert_file(p, "0");
	}
	if (access("/dev/kmsg", F_OK) == 0) {
		struct spec_device_rule all = { .allow = true, .type = 'a' };
		struct spec_device_rule none = { .allow = false, .type = 'a' };
		struct spec_resources more = { .devices = { &all, 1 } };

		assert_int_equal(open_inside(cg, "/dev/kmsg"), EPERM);
		assert_int_equal(cg_apply(cg, &more, &e), 0);
		assert_int_equal(open_inside(cg, "/dev/kmsg"), 0);
		more.devices.v = &none;
		assert_int_equal(cg_apply(cg, &more, &e), 0);
		assert_int_equal(cg_apply(cg, &more, &e), 0); /* replaces the one that is there */
		assert_int_equal(open_inside(cg, "/dev/kmsg"), EPERM);
	}
	assert_int_equal(open_inside(cg, "/dev/zero"), 0);
	a = live_child(cg);
	assert_int_equal(cg_freeze(cg, true, &e), 0);
	assert_int_equal(cg_kill(cg, SIGKILL, &e), 0);
	live_end(cg);
	assert_int_equal(waitpid(a, NULL, 0), a);
	for (int c = 0; c < CG_CTL_COUNT; c++) {
		snprintf(p, sizeof(p), "-%s", cg_ctl_names[c].v2 ? cg_ctl_names[c].v2 : "");
		if (have & ~before & CG_BIT(c))
			io_write_file(root, "cgroup.subtree_control", p);
	}
}

/* What an unprivileged caller gets: runs in a child that is nobody. Answers by a line of letters.
 */
static void as_nobody(char *answer)
{
	struct spec_resources limit = { .pids_limit = I64(5) };
	struct cg_create_opts o = { .id = "test-nobody" };
	struct cg *cg = NULL;
	struct err e = { 0 };

	if (setgid(65534) < 0 || setuid(65534) < 0)
		return;
	answer[0] =
		cg_create(&o, &cg, &e) == -EACCES && strstr(e.msg, "create cgroup ") ? 'a' : '-';
	o.rootless = true;
	o.resources = &limit;
	answer[1] =
		cg_create(&o, &cg, &e) == -EPERM && strstr(e.msg, "linux.resources.pids.limit: ")
			? 'b'
			: '-';
	o.resources = NULL;
	answer[2] = cg_create(&o, &cg, &e) == 0 && cg && !cg_path(cg) ? 'c' : '-';
	answer[3] = cg && cg_into_fd(cg) == -1 && cg_remove(cg, &e) == 0 ? 'd' : '-';
	cg_free(cg);
}

static void test_live_rootless(void **state)
{
	struct cg *probe = live_create(NULL); /* skips where root could not either */
	char answer[5] = "----";
	int p[2], status;
	pid_t a;

	(void)state;
	live_end(probe);
	cg_free(probe);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	a = fork();
	if (a == 0) {
		as_nobody(answer);
		_exit(write(p[1], answer, 4) == 4 ? 0 : 1);
	}
	close(p[1]);
	assert_int_equal(waitpid(a, &status, 0), a);
	assert_int_equal(read(p[0], answer, 4), 4);
	close(p[0]);
	assert_string_equal(answer, "abcd");
}

/* A process that stays: the error names it and the cgroup, at the deadline. */
static void test_live_stays(void **state)
{
	AUTO_CG struct cg *cg = live_create(NULL);
	pid_t a = live_child(cg);
	struct err e = { 0 };
	char want[128];

	(void)state;
	snprintf(want, sizeof(want), "%s: processes remain: %d", live_id, (int)a);
	assert_int_equal(cg_remove_until(cg, cg_now_ms() + 30, &e), -EBUSY);
	assert_non_null(strstr(e.msg, want));
	assert_int_equal(cg_kill(cg, SIGKILL, &e), 0);
	live_end(cg);
	assert_int_equal(waitpid(a, NULL, 0), a);
}

/* Levels below the common parent go too, and a parent elsewhere stays. */
static void test_live_parents(void **state)
{
	AUTO_FREE char *path = str_printf("test-parents-%d/a/b", (int)getpid());
	struct cg_create_opts o = { .id = "x", .cgroups_path = path };
	struct cg *first = live_create(NULL);
	AUTO_CG struct cg *cg = NULL;
	struct err e = { 0 };
	char p[4096];

	(void)state;
	assert_int_equal(cg_create(&o, &cg, &e), 0);
	assert_string_equal(cg_path(cg) + strlen("/ctr/"), path);
	live_end(cg);
	snprintf(p, sizeof(p), "%s/ctr/test-parents-%d", cg->dir[0].hier->mount, (int)getpid());
	assert_int_equal(access(p, F_OK), -1);
	live_end(first);
	cg_free(first);
}

/* Put in from outside, into every hierarchy. */
static void test_live_attach(void **state)
{
	AUTO_CG struct cg *cg = live_create(NULL);
	AUTO_FREE pid_t *pids = NULL;
	struct err e = { 0 };
	pid_t a = fork();
	size_t n;

	(void)state;
	if (a == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	assert_int_equal(cg_attach(cg, a, &e), 0);
	for (size_t i = 0; i < cg->n; i++) {
		struct cg_pid_list l = { 0 };

		assert_int_equal(cg_dir_pids(AT_FDCWD, cg->dir[i].dir, &l), 0);
		assert_int_equal(l.n, 1);
		assert_int_equal(l.v[0], a);
		free(l.v);
	}
	assert_int_equal(cg_kill(cg, SIGTERM, &e), 0);
	assert_int_equal(waitpid(a, NULL, 0), a);
	assert_int_equal(cg_pids(cg, &pids, &n, &e), 0);
	assert_int_equal(n, 0);
	assert_true(cg_attach(cg, a, &e) < 0);
	live_end(cg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_live_limits),   cmocka_unit_test(test_live_refused),
		cmocka_unit_test(test_live_life),     cmocka_unit_test(test_live_sub),
		cmocka_unit_test(test_live_v1_only),  cmocka_unit_test(test_live_devices),
		cmocka_unit_test(test_live_v2_only),  cmocka_unit_test(test_live_attach),
		cmocka_unit_test(test_live_rootless), cmocka_unit_test(test_live_stays),
		cmocka_unit_test(test_live_parents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
