/* SPDX-License-Identifier: Apache-2.0 */
/* What needs another root or user runs in a child; those cases need root. */
#include "runtime/process.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char root[] = "/tmp/ctr-test-process-XXXXXX";

#define CHECK(cond)                                                                \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			_exit(1);                                                  \
		}                                                                  \
	} while (0)

/* Runs fn in a child whose root is the temporary tree. */
static void in_root(void (*fn)(void))
{
	int status;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		CHECK(chroot(root) == 0 && chdir("/") == 0);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void in_child(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || io_write_full(fd, text, strlen(text)) < 0 || fchmod(fd, mode) < 0)
		abort();
	close(fd);
}

/* ---- environment ---- */

static bool env_is(uid_t uid, char **env, size_t n, const char *expect)
{
	struct spec_process p = { .user.uid = uid, .env = { env, n } };
	struct str_list out = {};
	struct str_buf all = {};
	struct err e = {};
	bool ok;

	CHECK(process_env(&p, &out, &e) == 0);
	CHECK(!out.v[out.n]);
	for (size_t i = 0; i < out.n; i++)
		str_buf_addf(&all, "%s%s", i ? " " : "", out.v[i]);
	ok = str_eq(all.s, expect);
	if (!ok)
		fprintf(stderr, "have %s\nwant %s\n", all.s, expect);
	str_buf_free(&all);
	str_list_free(&out);
	return ok;
}

static void env_cases(void)
{
	char *dup[] = { "A=1", "B=2", "A=3", "HOME=/h", "AB=4", "B=", "A=5" };
	char *no_home[] = { "A=1", "HOMER=x" };
	char *empty_home[] = { "HOME=", "A=1" };
	char *bare[] = { "HOME", "A" };

	CHECK(env_is(0, dup, 7, "A=5 B= HOME=/h AB=4"));
	CHECK(env_is(0, no_home, 2, "A=1 HOMER=x HOME=/root"));
	CHECK(env_is(1000, empty_home, 2, "HOME=/home/user A=1"));
	CHECK(env_is(7, no_home, 2, "A=1 HOMER=x HOME=/"));
	CHECK(env_is(8, no_home, 2, "A=1 HOMER=x HOME=/"));
	CHECK(env_is(1000, bare, 2, "HOME=/home/user A"));
	CHECK(env_is(1000, NULL, 0, "HOME=/home/user"));
}

static void environment(void **state)
{
	(void)state;
	in_root(env_cases);
}

static void hostile_passwd(void)
{
	/* a pipe must not block, a directory or nothing must not fail, a link must not leave */
	CHECK(rename("/etc/passwd", "/etc/passwd.old") == 0);
	CHECK(mkfifo("/etc/passwd", 0666) == 0);
	CHECK(env_is(0, NULL, 0, "HOME=/"));
	CHECK(unlink("/etc/passwd") == 0);
	CHECK(env_is(0, NULL, 0, "HOME=/"));
	CHECK(mkdir("/etc/passwd", 0755) == 0);
	CHECK(env_is(0, NULL, 0, "HOME=/"));
	CHECK(rmdir("/etc/passwd") == 0);
	CHECK(symlink("passwd.old", "/etc/passwd") == 0);
	CHECK(env_is(0, NULL, 0, "HOME=/root"));
	CHECK(rename("/etc/passwd.old", "/etc/passwd") == 0);
}

static void environment_hostile_passwd(void **state)
{
	(void)state;
	in_root(hostile_passwd);
}

static void environment_of_thousands(void **state)
{
	enum { N = 20000 };
	struct spec_process p = {};
	struct str_list in = {}, out = {};
	struct err e = {};

	(void)state;
	for (int i = 0; i < N; i++) {
		AUTO_FREE char *s = str_printf("V%d=%d", i % (N / 2), i);

		assert_int_equal(str_list_add(&in, s), 0);
	}
	p.env = (struct spec_strings){ in.v, in.n };
	assert_int_equal(process_env(&p, &out, &e), 0);
	assert_int_equal(out.n, N / 2 + 1);
	assert_string_equal(out.v[0], "V0=10000");
	assert_string_equal(out.v[N / 2 - 1], "V9999=19999");
	str_list_free(&in);
	str_list_free(&out);
}

/* ---- the program ---- */

static bool finds(const char *arg0, char *path_env, const char *expect)
{
	struct str_list env = { (char *[]){ "X=1", path_env, NULL }, path_env ? 2 : 1 };
	char *path = NULL;
	struct err e = {};
	int r = process_find(arg0, &env, &path, &e);
	bool ok = r == 0 && str_eq(path, expect);

	if (!ok)
		fprintf(stderr, "%s: have %s (%s)\n", arg0, path ? path : "-", e.msg);
	free(path);
	return ok;
}

static bool refuses(const char *arg0, char *path_env, enum err_kind kind, const char *expect)
{
	struct str_list env = { (char *[]){ path_env, NULL }, 1 };
	char *path = NULL;
	struct err e = {};
	int r = process_find(arg0, &env, &path, &e);
	bool ok = r < 0 && !path && e.kind == kind && str_eq(e.msg, expect);

	if (!ok)
		fprintf(stderr, "%s: %d kind %d: %s\n", arg0, r, e.kind, e.msg);
	return ok;
}

static void find_cases(void)
{
	CHECK(setresuid(1000, 1000, 1000) == 0);
	CHECK(finds("/bin/tool", "PATH=/none", "/bin/tool"));
	CHECK(finds("tool", "PATH=/none:/plain:/bin", "/bin/tool"));
	CHECK(finds("tool", "PATH=/bin:/opt", "/bin/tool"));
	CHECK(finds("tool", "PATH=/opt:/bin", "/opt/tool"));
	CHECK(finds("tool", NULL, "/bin/tool"));
	CHECK(finds("./bin/tool", "PATH=", "./bin/tool"));
	CHECK(chdir("/bin") == 0);
	CHECK(finds("tool", "PATH=/none:", "./tool"));
	CHECK(finds("tool", "PATH=:/none", "./tool"));
	CHECK(chdir("/") == 0);
	CHECK(refuses("x", "PATH=/bin", ERR_NOT_FOUND_PROGRAM,
		      "exec: \"x\": executable file not found in $PATH"));
	CHECK(refuses("tool", "PATH=", ERR_NOT_FOUND_PROGRAM,
		      "exec: \"tool\": executable file not found in $PATH"));
	CHECK(refuses("", "PATH=/bin", ERR_NOT_FOUND_PROGRAM,
		      "exec: \"\": executable file not found in $PATH"));
	CHECK(refuses("plain", "PATH=/plain", ERR_NOT_FOUND_PROGRAM,
		      "exec: \"plain\": executable file not found in $PATH"));
	CHECK(refuses("/x", "PATH=", ERR_NOT_FOUND_PROGRAM,
		      "exec: \"/x\": stat /x: no such file or directory"));
	CHECK(refuses("/bin/tool/x", "PATH=", ERR_NOT_FOUND_PROGRAM,
		      "exec: \"/bin/tool/x\": stat /bin/tool/x: not a directory"));
	CHECK(refuses("/bin", "PATH=", ERR_CANNOT_EXECUTE,
		      "exec: \"/bin\": is a directory: permission denied"));
	CHECK(refuses("/plain/tool", "PATH=", ERR_CANNOT_EXECUTE,
		      "exec: \"/plain/tool\": permission denied"));
	CHECK(refuses("/closed/tool", "PATH=", ERR_CANNOT_EXECUTE,
		      "exec: \"/closed/tool\": stat /closed/tool: permission denied"));
	CHECK(refuses("/fifo", "PATH=", ERR_CANNOT_EXECUTE, "exec: \"/fifo\": permission denied"));
}

static void find(void **state)
{
	(void)state;
	in_root(find_cases);
}

/* ---- working directory ---- */

static void cwd_cases(void)
{
	struct err e = {};
	struct stat st;
	char now[4096];

	CHECK(process_cwd("/bin", &e) == 0);
	CHECK(getcwd(now, sizeof(now)) && str_eq(now, "/bin"));
	CHECK(process_cwd("/made/of/three", &e) == 0);
	CHECK(getcwd(now, sizeof(now)) && str_eq(now, "/made/of/three"));
	CHECK(stat("/made", &st) == 0 && (st.st_mode & 07777) == 0755);
	CHECK(process_cwd("/fifo", &e) == -ENOTDIR);
	CHECK(strstr(e.msg, "process.cwd: chdir to /fifo"));
	CHECK(setresuid(1000, 1000, 1000) == 0);
	CHECK(process_cwd("/closed/tool", &e) == -EACCES);
}

static void cwd(void **state)
{
	mode_t old = umask(022);

	(void)state;
	in_root(cwd_cases);
	umask(old);
}

/* A descriptor of the outside that stayed open must not be a way out (CVE-2024-21626). */
static void unreachable(void)
{
	struct err e = {};
	int out = open("/tmp", O_RDONLY | O_DIRECTORY);
	int proc = open("/proc", O_PATH | O_DIRECTORY);
	char path[64];

	CHECK(out >= 0 && proc >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", out);
	CHECK(process_cwd(path, &e) == -ELOOP);
	snprintf(path, sizeof(path), "/proc/self/fd/%d/made", out);
	CHECK(process_cwd(path, &e) == -ELOOP);
	/* The root changes under a working directory that stays outside of it. */
	CHECK(chroot(root) == 0);
	CHECK(fchdir(out) == 0);
	CHECK(process_cwd(".", &e) == -EXDEV);
	CHECK(strstr(e.msg, "outside of container mount namespace root"));
}

static void cwd_outside(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	in_child(unreachable);
}

static void deleted(void)
{
	struct err e = {};

	CHECK(mkdir("gone", 0755) == 0 && chdir("gone") == 0 && rmdir("../gone") == 0);
	CHECK(process_cwd(".", &e) == -EXDEV);
}

static void cwd_deleted(void **state)
{
	(void)state;
	in_root(deleted);
}

/* ---- limits, user, signals, descriptors ---- */

static void rlimit_cases(void)
{
	struct spec_rlimit v[] = {
		{ .type = RLIMIT_CORE, .soft = 0, .hard = 0 },
		{ .type = RLIMIT_NOFILE, .soft = 77, .hard = 99 },
	};
	struct spec_rlimits l = { v, 2 };
	struct rlimit rl;
	struct err e = {};

	CHECK(process_rlimits(0, &l, &e) == 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur == 77 && rl.rlim_max == 99);
	CHECK(getrlimit(RLIMIT_CORE, &rl) == 0 && rl.rlim_max == 0);
	v[1].soft = 100;
	CHECK(process_rlimits(0, &l, &e) == -EINVAL);
	CHECK(strstr(e.msg, "process.rlimits[1].type: RLIMIT_NOFILE: set soft 100, hard 99"));
	CHECK(geteuid() != 0 || setresuid(1000, 1000, 1000) == 0);
	v[1].soft = v[1].hard = 1000;
	CHECK(process_rlimits(0, &l, &e) == -EPERM);
	CHECK(process_rlimits(0x7ffffff0, &l, &e) == -ESRCH);
}

static void rlimits(void **state)
{
	(void)state;
	in_child(rlimit_cases);
}

static void user_cases(void)
{
	gid_t more[] = { 5, 2000 }, have[8];
	struct spec_user u = {
		.uid = 1000,
		.gid = 1001,
		.umask = { true, 0077 },
		.additional_gids = { more, 2 },
	};
	uid_t r, ef, s;
	gid_t gr, ge, gs;
	struct err e = {};

	CHECK(process_user(&u, true, &e) == -EPERM);
	CHECK(strstr(e.msg, "process.user.additionalGids"));
	CHECK(process_user(&u, false, &e) == 0);
	CHECK(getresuid(&r, &ef, &s) == 0 && r == 1000 && ef == 1000 && s == 1000);
	CHECK(getresgid(&gr, &ge, &gs) == 0 && gr == 1001 && ge == 1001 && gs == 1001);
	CHECK(getgroups(8, have) == 2 && have[0] == 5 && have[1] == 2000);
	CHECK(umask(0) == 0077);
	u.umask.set = false;
	u.additional_gids.n = 0;
	CHECK(process_user(&u, true, &e) == 0);
	CHECK(umask(0) == 0022);
	CHECK(process_user(&u, false, &e) == -EPERM);
	u.uid = 0;
	CHECK(process_user(&u, true, &e) == -EPERM);
	CHECK(strstr(e.msg, "process.user.uid: change to user 0"));
}

static void user(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	in_child(user_cases);
}

static void signal_cases(void)
{
	sigset_t all;
	int status;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		signal(sig, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	pid = fork();
	if (pid == 0) {
		process_reset_signals();
		execl("/bin/sh", "sh", "-c",
		      "grep -q '^SigBlk:.0*$' /proc/self/status && "
		      "grep -q '^SigIgn:.0*$' /proc/self/status",
		      NULL);
		_exit(9);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(status == 0);
}

static void signals(void **state)
{
	(void)state;
	in_child(signal_cases);
}

static void descriptors(void **state)
{
	int a = fcntl(0, F_DUPFD, 100), b = fcntl(0, F_DUPFD, 200);

	(void)state;
	assert_int_equal(process_cloexec_from(200), 0);
	assert_int_equal(fcntl(a, F_GETFD), 0);
	assert_int_equal(fcntl(b, F_GETFD), FD_CLOEXEC);
	close(a);
	close(b);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* The child's own copies: dup3 onto a number, with close-on-exec or without. */
static void open_as(int fd, int flags)
{
	CHECK(dup3(0, fd, flags) == fd);
}

static void close_cases(void)
{
	int keep[] = { 201, -1, 8, 150, 150, 7 };

	for (int fd = 6; fd <= 9; fd++)
		open_as(fd, O_CLOEXEC);
	open_as(10, 0);
	for (int fd = 149; fd <= 151; fd++)
		open_as(fd, 0);
	open_as(201, O_CLOEXEC);
	open_as(300, 0);
	/* 10 is passed on, and what is ours below 11 is not */
	CHECK(process_close_but(11, keep, ARRAY_SIZE(keep)) == 0);
	CHECK(is_open(0) && is_open(1) && is_open(2));
	CHECK(!is_open(6) && is_open(7) && is_open(8) && !is_open(9) && is_open(10));
	CHECK(!is_open(149) && is_open(150) && !is_open(151) && is_open(201) && !is_open(300));
	/* nothing to keep; more to pass on than there can be */
	CHECK(process_close_but(2000000000, keep, 0) == 0);
	CHECK(!is_open(7) && is_open(10) && is_open(150) && !is_open(201));
	CHECK(process_close_but(3, keep, 0) == 0);
	CHECK(!is_open(10) && !is_open(150) && is_open(2));
}

static void closed(void **state)
{
	(void)state;
	in_child(close_cases);
}

static void oom_score(void)
{
	struct spec_process p = { .oom_score_adj = { true, 321 } };
	struct err e = {};
	char text[16];

	CHECK(process_oom_score_adj(getpid(), &p, &e) == 0);
	CHECK(io_read_small(AT_FDCWD, "/proc/self/oom_score_adj", text, sizeof(text)) > 0);
	CHECK(str_eq(text, "321"));
	p.oom_score_adj.v = 5000;
	CHECK(process_oom_score_adj(getpid(), &p, &e) == -EINVAL);
	CHECK(strstr(e.msg, "process.oomScoreAdj: set to 5000"));
	p.oom_score_adj.set = false;
	CHECK(process_oom_score_adj(getpid(), &p, &e) == 0);
}

static void oom_score_adj(void **state)
{
	(void)state;
	in_child(oom_score);
}

/* ---- labels ---- */

static bool has_lsm(void)
{
	char text[256];

	return io_read_small(AT_FDCWD, "/proc/self/attr/current", text, sizeof(text)) > 0;
}

static void lsm(void **state)
{
	struct spec_process none = {}, unconfined = { .apparmor_profile = "unconfined" };
	struct spec_process aa = { .apparmor_profile = "no-such-profile" };
	struct spec_process se = { .selinux_label = "no:such:label" };
	struct err e = {};

	(void)state;
	assert_int_equal(process_lsm(&none, &e), 0);
	if (has_lsm())
		skip();
	assert_int_equal(process_lsm(&unconfined, &e), 0);
	assert_int_equal(process_lsm(&aa, &e), -EOPNOTSUPP);
	assert_string_equal(e.msg, "process.apparmorProfile: no-such-profile: this kernel runs "
				   "without AppArmor");
	assert_int_equal(process_lsm(&se, &e), -EOPNOTSUPP);
	assert_string_equal(e.msg, "process.selinuxLabel: no:such:label: this kernel runs without "
				   "SELinux");
	assert_int_equal(process_key_label(NULL, &e), 0);
	assert_int_equal(process_key_label("no:such:label", &e), 0);
	assert_int_equal(process_key_label("", &e), 0);
}

static int setup(void **state)
{
	static const char *const dirs[] = { "etc", "bin", "opt", "plain", "closed" };

	(void)state;
	if (!mkdtemp(root) || chmod(root, 0755) < 0 || chdir(root) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdir(dirs[i], 0755) < 0 || chmod(dirs[i], 0755) < 0)
			return -1;
	put("etc/passwd",
	    "root:x:0:0:root:/root:/bin/sh\nbroken\n"
	    "seven:x:7:7:::/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
	    0644);
	put("bin/tool", "#!/bin/sh\n", 0755);
	put("opt/tool", "#!/bin/sh\n", 0755);
	put("plain/tool", "", 0644);
	put("plain/plain", "", 0644);
	put("closed/tool", "", 0755);
	return chmod("closed", 0700) < 0 || mkfifo("fifo", 0755) < 0 ? -1 : chdir("/");
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", root);
	return system(cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(environment),
		cmocka_unit_test(environment_hostile_passwd),
		cmocka_unit_test(environment_of_thousands),
		cmocka_unit_test(find),
		cmocka_unit_test(cwd),
		cmocka_unit_test(cwd_outside),
		cmocka_unit_test(cwd_deleted),
		cmocka_unit_test(rlimits),
		cmocka_unit_test(user),
		cmocka_unit_test(signals),
		cmocka_unit_test(descriptors),
		cmocka_unit_test(closed),
		cmocka_unit_test(oom_score_adj),
		cmocka_unit_test(lsm),
	};

	return cmocka_run_group_tests_name("process", tests, setup, teardown);
}
