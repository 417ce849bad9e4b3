/* SPDX-License-Identifier: Apache-2.0 */
#include "in_child.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "namespaces/idmap.h"
#include "namespaces/tool.h"

#include <fcntl.h>
#include <sys/stat.h>

static struct spec_idmap two[] = { { 0, 100000, 1000 }, { 1000, 5000, 1 } };
static const struct spec_idmaps maps = { two, 2 };
static const struct spec_idmaps none;

static void test_text(void **state)
{
	AUTO_FREE char *t = idmap_text(&maps), *empty = idmap_text(&none);

	(void)state;
	assert_string_equal(t, "0 100000 1000\n1000 5000 1\n");
	assert_string_equal(empty, "");
}

static void test_to_host(void **state)
{
	struct spec_idmap high = { 4294967294u, 4294967290u, 1 };
	const struct spec_idmaps h = { &high, 1 };

	(void)state;
	assert_int_equal(idmap_to_host(&maps, 0), 100000);
	assert_int_equal(idmap_to_host(&maps, 999), 100999);
	assert_int_equal(idmap_to_host(&maps, 1000), 5000);
	assert_int_equal(idmap_to_host(&maps, 1001), -1);
	assert_int_equal(idmap_to_host(&none, 0), -1);
	assert_true(idmap_to_host(&h, 4294967294u) == 4294967290ll);
}

/* A child in a user namespace of its own that lives until `go` is closed. */
static pid_t start(int *go)
{
	struct clone_args a = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	int p[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid = sys_clone3(&a);
	if (pid == 0) {
		close(p[1]);
		_exit(read(p[0], &c, 1) != 0);
	}
	close(p[0]);
	*go = p[1];
	return pid;
}

static void test_write(void **state)
{
	char path[64], text[256];
	struct err e = { 0 };
	int go = -1;
	pid_t pid;

	(void)state;
	need_root();
	pid = start(&go);
	assert_true(pid > 0);
	assert_int_equal(idmap_write(pid, &maps, &maps, &e), 0);
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	assert_true(io_read_small(AT_FDCWD, path, text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "100000"));
	/* the kernel takes a map once; the helper is no way round it */
	assert_true(idmap_write(pid, &maps, &maps, &e) < 0);
	assert_non_null(strstr(e.msg, "uid_map"));
	close(go);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(idmap_write(pid, &maps, &maps, &e), -ENOENT);
}

static void test_userns_fd(void **state)
{
	struct spec_idmap overlapping[] = { { 0, 0, 10 }, { 5, 100, 10 } };
	const struct spec_idmaps bad = { overlapping, 2 };
	struct stat st, own;
	struct err e = { 0 };
	int fd = -1;

	(void)state;
	need_root();
	assert_int_equal(idmap_userns_fd(&maps, &maps, &fd, &e), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(stat("/proc/self/ns/user", &own), 0);
	assert_true(st.st_dev == own.st_dev && st.st_ino != own.st_ino);
	close(fd);
	fd = -1;
	assert_int_equal(idmap_userns_fd(&bad, &bad, &fd, &e), -EINVAL);
	assert_int_equal(fd, -1);
	/* no helper process is left */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* As it is used: by the container's first process, which sees the host's /proc with other numbers.
 */
static int body_in_pid_ns(void)
{
	struct err e = { 0 };
	int fd = -1, status;
	pid_t pid = fork();

	if (pid == 0) {
		CHECK_OK(idmap_userns_fd(&maps, &maps, &fd, &e), &e);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	return 0;
}

static void test_in_pid_ns(void **state)
{
	(void)state;
	in_child(CLONE_NEWPID | CLONE_NEWNS, body_in_pid_ns);
}

static void test_tool(void **state)
{
	char *missing[] = { (char *)"ctr-no-such-tool", NULL };
	char *fails[] = { (char *)"sh", (char *)"-c", (char *)"echo out; echo because >&2; exit 3",
			  NULL };
	char *fine[] = { (char *)"sh", (char *)"-c", (char *)"exit 0", NULL };
	char *slow[] = { (char *)"sleep", (char *)"60", NULL };
	char *loud[] = {
		(char *)"sh", (char *)"-c",
		(char *)"i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; exit 1",
		NULL
	};
	struct err e = { 0 };

	(void)state;
	assert_int_equal(tool_run(missing, 5, &e), -ENOENT);
	assert_int_equal(tool_run(fine, 5, &e), 0);
	assert_int_equal(tool_run(fails, 5, &e), -EIO);
	assert_non_null(strstr(e.msg, "exit status 3"));
	assert_non_null(strstr(e.msg, "because"));
	assert_int_equal(tool_run(loud, 20, &e), -EIO);
	assert_non_null(strstr(e.msg, "line 1999"));
	assert_int_equal(tool_run(slow, 1, &e), -ETIMEDOUT);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),      cmocka_unit_test(test_to_host),
		cmocka_unit_test(test_write),     cmocka_unit_test(test_userns_fd),
		cmocka_unit_test(test_in_pid_ns), cmocka_unit_test(test_tool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
