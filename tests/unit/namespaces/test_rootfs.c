/* SPDX-License-Identifier: Apache-2.0 */
#include "in_child.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "namespaces/rootfs.h"
#include "spec_text.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#define PROC "{'destination':'/proc','type':'proc','source':'proc'}"
#define DEV \
	"{'destination':'/dev','type':'tmpfs','source':'tmpfs','options':['nosuid','strictatime','mode=755']}"
#define SYS \
	"{'destination':'/sys','type':'sysfs','source':'sysfs','options':['nosuid','noexec','nodev','ro']}"

static struct arena arena;
static struct mount_plan plan;
static struct rootfs_opts opts;
static struct rootfs root;
static struct err err;

/* A tmpfs at /mnt with root/ and outside/ (a canary, and sources of binds). */
static int make_tree(void)
{
	CHECK(mount("tmpfs", "/mnt", "tmpfs", 0, NULL) == 0);
	CHECK(mkdir("/mnt/root", 0755) == 0 && mkdir("/mnt/outside", 0755) == 0);
	CHECK(mkdir("/mnt/src", 0755) == 0);
	CHECK(mknod("/mnt/src/file", S_IFREG | 0644, 0) == 0);
	return 0;
}

static int prepare(const char *mounts, const char *linux_, const char *rootprops)
{
	struct spec *s = spec_text(mounts, linux_, rootprops);
	struct mount_plan_in in = { .spec = s };
	int r;

	if (!s)
		return -1;
	memset(&err, 0, sizeof(err));
	r = mount_plan_build(&arena, &in, &plan, &err);
	if (r < 0)
		return r;
	opts = (struct rootfs_opts){
		.spec = s,
		.path = "/mnt/root",
		.root_mount = -1,
		.plan = &plan,
		.new_mount_ns = true,
		.no_pivot = opts.no_pivot,
	};
	return rootfs_prepare(&root, &opts, &err);
}

static uint64_t flags_at(const char *path)
{
	struct statvfs v;

	return statvfs(path, &v) < 0 ? UINT64_MAX : v.f_flag;
}

static long type_at(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) < 0 ? -1 : fs.f_type;
}

static int enter_and_protect(void)
{
	CHECK_OK(rootfs_enter(&root, &err), &err);
	CHECK_OK(rootfs_protect(&root, &err), &err);
	rootfs_close(&root);
	return 0;
}

static bool reads_empty(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char c;

	return fd >= 0 && read(fd, &c, 1) == 0;
}

/* What holds in whatever way the root was entered. */
static int check_default(void)
{
	char cwd[64];

	CHECK(type_at("/proc") == PROC_SUPER_MAGIC && type_at("/sys") == SYSFS_MAGIC);
	CHECK(flags_at("/sys") & ST_RDONLY && flags_at("/sys") & ST_NOSUID);
	CHECK(flags_at("/dev") & ST_NOSUID && !(flags_at("/dev") & ST_RELATIME));
	CHECK(access("/mnt", F_OK) < 0 && access("/etc", F_OK) < 0);
	CHECK(access("/proc/../../../../work", F_OK) < 0);
	CHECK(getcwd(cwd, sizeof(cwd)) && strcmp(cwd, "/") == 0);
	CHECK(access("/bound/file", F_OK) == 0 && flags_at("/bound") & ST_RDONLY);
	CHECK(access("/one", F_OK) == 0);
	CHECK(flags_at("/ro") & ST_RDONLY && type_at("/ro") == TMPFS_MAGIC);
	/* protected */
	CHECK(reads_empty("/proc/timer_list") || access("/proc/timer_list", F_OK) < 0);
	CHECK(flags_at("/proc/sys") & ST_RDONLY);
	CHECK(flags_at("/sys/firmware") & ST_RDONLY && type_at("/sys/firmware") == TMPFS_MAGIC);
	CHECK(type_at("/sys/kernel") == TMPFS_MAGIC && type_at("/sys/class") == TMPFS_MAGIC);
	CHECK(flags_at("/") & ST_RDONLY && mkdir("/x", 0755) < 0);
	CHECK(faccessat(AT_FDCWD, "/dev/null", W_OK, 0) == 0);
	return 0;
}

#define DEFAULT_MOUNTS                                                                             \
	PROC "," DEV "," SYS ","                                                                   \
	     "{'destination':'bound','type':'bind','source':'/mnt/src','options':['rbind','ro']}," \
	     "{'destination':'/one','type':'none','source':'/mnt/src/file','options':['bind']},"   \
	     "{'destination':'/ro','type':'tmpfs','source':'tmpfs','options':['ro']},"             \
	     "{'destination':'/ro/below','type':'tmpfs','source':'tmpfs'}"
#define DEFAULT_LINUX                                                                                            \
	"'maskedPaths':['/proc/timer_list','/nothing','/proc/keys','/sys/firmware','/sys/kernel','/sys/class']," \
	"'readonlyPaths':['/proc/sys','/proc/nothing','/proc/bus']"

static int lowest_free_fd(void)
{
	int fd = fcntl(0, F_DUPFD, 0);

	close(fd);
	return fd;
}

static int body_default(void)
{
	int fd = lowest_free_fd();

	if (make_tree())
		return 1;
	CHECK_OK(prepare(DEFAULT_MOUNTS, DEFAULT_LINUX, ",'readonly':true"), &err);
	/* hooks find the prepared root at its path */
	CHECK(type_at("/mnt/root/proc") == PROC_SUPER_MAGIC);
	if (enter_and_protect() || check_default())
		return 1;
	CHECK(lowest_free_fd() == fd);
	return 0;
}

static int body_no_pivot(void)
{
	opts.no_pivot = true;
	return body_default();
}

static int body_shared_propagation(void)
{
	if (make_tree() || mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL) < 0)
		return 1;
	CHECK_OK(prepare(DEFAULT_MOUNTS, DEFAULT_LINUX ",'rootfsPropagation':'shared'",
			 ",'readonly':true"),
		 &err);
	return enter_and_protect() || check_default();
}

/* An outer seccomp filter that knows nothing of the new mount calls. */
static int refuse_new_calls(unsigned int errnum)
{
	static const int calls[] = { SYS_fsopen, SYS_open_tree, SYS_move_mount, SYS_mount_setattr,
				     SYS_fspick };
	struct sock_filter f[2 + 2 * ARRAY_SIZE(calls)];
	struct sock_fprog p = { .filter = f };
	unsigned short n = 0;

	f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					      offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
						      (unsigned int)calls[i], 0, 1);
		f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | errnum);
	}
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	p.len = n;
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) == 0);
	return 0;
}

static int body_old_kernel(void)
{
	return refuse_new_calls(ENOSYS) || body_default();
}

static int body_outer_filter(void)
{
	return refuse_new_calls(EPERM) || body_default();
}

static int body_outer_filter_no_pivot(void)
{
	return refuse_new_calls(EPERM) || body_no_pivot();
}

/* ---- refused ---- */

static int body_links_for_proc(void)
{
	static const char *const mounts[] = {
		PROC,
		SYS,
		"{'destination':'/sys','type':'tmpfs','source':'t'}",
		"{'destination':'/proc','type':'bind','source':'/proc','options':['rbind']}",
	};

	if (make_tree())
		return 1;
	CHECK(symlink("/mnt/outside", "/mnt/root/proc") == 0);
	CHECK(symlink("somewhere", "/mnt/root/sys") == 0);
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		CHECK_FAILS(prepare(mounts[i], "", NULL), ENOTDIR, &err,
			    "must be mounted on ordinary directory");
		rootfs_close(&root);
	}
	CHECK(unlink("/mnt/root/proc") == 0 && mknod("/mnt/root/proc", S_IFREG, 0) == 0);
	CHECK_FAILS(prepare(PROC, "", NULL), ENOTDIR, &err,
		    "must be mounted on ordinary directory");
	CHECK(rmdir("/mnt/outside") == 0);
	return 0;
}

static int body_no_proc_on_proc(void)
{
	if (make_tree())
		return 1;
	CHECK_FAILS(prepare("{'destination':'/proc','type':'tmpfs','source':'t'}", "", NULL), EPERM,
		    &err, "not of type proc");
	rootfs_close(&root);
	CHECK_FAILS(
		prepare("{'destination':'/proc','type':'bind','source':'/mnt/src','options':['bind']}",
			"", NULL),
		EPERM, &err, "not of type proc");
	rootfs_close(&root);
	/* a link of the image leads into /proc */
	CHECK(symlink("/proc/sys", "/mnt/root/way") == 0);
	CHECK_FAILS(
		prepare(PROC
			",{'destination':'/way','type':'bind','source':'/mnt/src','options':['bind']}",
			"", NULL),
		EPERM, &err, "inside /proc");
	rootfs_close(&root);
	CHECK_OK(
		prepare("{'destination':'/proc','type':'bind','source':'/proc','options':['rbind']}",
			"", NULL),
		&err);
	return 0;
}

static int body_errors(void)
{
	if (make_tree())
		return 1;
	CHECK_FAILS(
		prepare(DEV
			",{'destination':'/a','type':'bind','source':'/mnt/none','options':['bind']}",
			"", NULL),
		ENOENT, &err, "mounts[1].source: /mnt/none");
	rootfs_close(&root);
	CHECK_FAILS(prepare("{'destination':'/a','type':'nofs','source':'x'}", "", NULL), ENODEV,
		    &err, "nofs");
	rootfs_close(&root);
	/* the kernel's own words */
	CHECK_FAILS(
		prepare("{'destination':'/a','type':'tmpfs','source':'x','options':['size=lots']}",
			"", NULL),
		EINVAL, &err, "Bad value for 'size'");
	CHECK(strstr(err.msg, "mounts[0]"));
	rootfs_close(&root);
	CHECK(mknod("/mnt/root/f", S_IFREG, 0) == 0);
	CHECK_FAILS(prepare("{'destination':'/f','type':'tmpfs','source':'x'}", "", NULL), ENOTDIR,
		    &err, "/f");
	rootfs_close(&root);
	CHECK_FAILS(
		prepare("{'destination':'/a','type':'bind','source':'x','options':['remount','bind','ro']}",
			"", NULL),
		EINVAL, &err, "remount /a");
	rootfs_close(&root);
	opts.spec = spec_text("", "", NULL);
	opts.path = "/mnt/none";
	CHECK_FAILS(rootfs_prepare(&root, &opts, &err), ENOENT, &err, "root.path: /mnt/none");
	return 0;
}

/* ---- details ---- */

static int body_tmpfs_modes(void)
{
	struct stat st;

	if (make_tree())
		return 1;
	CHECK(mkdir("/mnt/root/tmp", 0) == 0 && chmod("/mnt/root/tmp", 01777) == 0);
	CHECK(mkdir("/mnt/root/priv", 0700) == 0);
	CHECK_OK(
		prepare("{'destination':'/tmp','type':'tmpfs','source':'t'},"
			"{'destination':'/priv','type':'tmpfs','source':'t'},"
			"{'destination':'/given','type':'tmpfs','source':'t','options':['mode=0711']},"
			"{'destination':'/new','type':'tmpfs','source':'t'}",
			"", NULL),
		&err);
	CHECK(stat("/mnt/root/tmp", &st) == 0 && (st.st_mode & 07777) == 01777);
	CHECK(stat("/mnt/root/priv", &st) == 0 && (st.st_mode & 07777) == 0700);
	CHECK(stat("/mnt/root/given", &st) == 0 && (st.st_mode & 07777) == 0711);
	CHECK(stat("/mnt/root/new", &st) == 0 && (st.st_mode & 07777) == 01777);
	return 0;
}

static int body_copy_up(void)
{
	struct stat a, b;
	char text[16], value[8];

	if (make_tree())
		return 1;
	CHECK(mkdir("/mnt/root/d", 0755) == 0 && mkdir("/mnt/root/d/sub", 0711) == 0);
	CHECK(mknod("/mnt/root/d/sub/f", S_IFREG | 0640, 0) == 0);
	CHECK(io_write_file(AT_FDCWD, "/mnt/root/d/sub/f", "content") == 0);
	CHECK(chown("/mnt/root/d/sub/f", 7, 8) == 0 && chmod("/mnt/root/d/sub/f", 04750) == 0);
	CHECK(setxattr("/mnt/root/d/sub/f", "trusted.t", "v", 1, 0) == 0);
	CHECK(link("/mnt/root/d/sub/f", "/mnt/root/d/hard") == 0);
	CHECK(symlink("/mnt/outside", "/mnt/root/d/soft") == 0);
	CHECK(mknod("/mnt/root/d/fifo", S_IFIFO | 0600, 0) == 0);
	CHECK_OK(
		prepare("{'destination':'/d','type':'tmpfs','source':'t','options':['tmpcopyup','ro']}",
			"", NULL),
		&err);
	CHECK(type_at("/mnt/root/d") == TMPFS_MAGIC);
	CHECK(stat("/mnt/root/d/sub", &a) == 0 && (a.st_mode & 07777) == 0711);
	CHECK(io_read_small(AT_FDCWD, "/mnt/root/d/sub/f", text, sizeof(text)) == 7 &&
	      !strcmp(text, "content"));
	CHECK(stat("/mnt/root/d/sub/f", &a) == 0 && stat("/mnt/root/d/hard", &b) == 0);
	CHECK(a.st_ino == b.st_ino && a.st_nlink == 2);
	CHECK(a.st_uid == 7 && a.st_gid == 8 && (a.st_mode & 07777) == 04750);
	CHECK(getxattr("/mnt/root/d/sub/f", "trusted.t", value, sizeof(value)) == 1 &&
	      value[0] == 'v');
	CHECK(readlink("/mnt/root/d/soft", text, sizeof(text)) == 12);
	CHECK(lstat("/mnt/root/d/fifo", &a) == 0 && S_ISFIFO(a.st_mode));
	return 0;
}

static int body_idmap(void)
{
	struct stat st;

	if (make_tree())
		return 1;
	CHECK(chown("/mnt/src/file", 1000, 1000) == 0);
	CHECK_OK(
		prepare("{'destination':'/m','type':'bind','source':'/mnt/src','options':['bind','idmap'],"
			"'uidMappings':[{'containerID':1000,'hostID':2000,'size':1}],"
			"'gidMappings':[{'containerID':1000,'hostID':3000,'size':1}]}",
			"", NULL),
		&err);
	CHECK(stat("/mnt/root/m/file", &st) == 0 && st.st_uid == 2000 && st.st_gid == 3000);
	return 0;
}

static int body_propagation_and_recursion(void)
{
	if (make_tree())
		return 1;
	CHECK(mkdir("/mnt/src/sub", 0755) == 0 &&
	      mount("tmpfs", "/mnt/src/sub", "tmpfs", 0, NULL) == 0);
	CHECK(mkdir("/mnt/src/sub/inner", 0755) == 0);
	CHECK_OK(
		prepare("{'destination':'/r','type':'bind','source':'/mnt/src',"
			"'options':['rbind','rro','rnosuid','rshared']},"
			"{'destination':'/p','type':'bind','source':'/mnt/src','options':['bind','ro','nodev']},"
			"{'destination':'/p','source':'x','options':['remount','bind','rw','noexec']}",
			"", NULL),
		&err);
	CHECK(flags_at("/mnt/root/r/sub") & ST_RDONLY && flags_at("/mnt/root/r/sub") & ST_NOSUID);
	CHECK(!(flags_at("/mnt/src/sub") & ST_RDONLY));
	CHECK(access("/mnt/root/r/sub/inner", F_OK) == 0 &&
	      access("/mnt/root/p/sub/inner", F_OK) < 0);
	CHECK(!(flags_at("/mnt/root/p") & ST_RDONLY) && flags_at("/mnt/root/p") & ST_NOEXEC);
	CHECK(flags_at("/mnt/root/p") & ST_NODEV);
	return 0;
}

static int body_long_data(void)
{
	char mounts[900], lower[512] = "";

	if (make_tree())
		return 1;
	/* more than fsconfig takes in one string */
	for (int i = 0; i < 8; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/mnt/outside/%040d", i);
		CHECK(mkdir(path, 0755) == 0);
		sprintf(lower + strlen(lower), "%s%s", i ? ":" : "", path);
	}
	snprintf(mounts, sizeof(mounts),
		 "{'destination':'/o','type':'overlay','source':'overlay','options':"
		 "['lowerdir=%s']}",
		 lower);
	CHECK_OK(prepare(mounts, "", NULL), &err);
	CHECK(type_at("/mnt/root/o") == OVERLAYFS_SUPER_MAGIC);
	return 0;
}

/* /dev/null of the container is the image's lie: masked paths show the host's. */
static int body_lying_null(void)
{
	if (make_tree())
		return 1;
	CHECK(mkdir("/mnt/src/dev", 0755) == 0);
	CHECK(symlink("/proc/sys/kernel/core_pattern", "/mnt/src/dev/null") == 0);
	CHECK_OK(
		prepare(PROC
			",{'destination':'/dev','type':'bind','source':'/mnt/src/dev','options':['bind']}",
			"'maskedPaths':['/proc/timer_list']", NULL),
		&err);
	CHECK(symlink("x", "/mnt/src/dev/marker") == 0);
	if (enter_and_protect())
		return 1;
	CHECK(reads_empty("/proc/timer_list"));
	CHECK(access("/dev/zero", F_OK) < 0);
	return 0;
}

/* The same where only mount(2) is left: then it is an error, and never the link's target. */
static int body_lying_null_old_kernel(void)
{
	if (refuse_new_calls(ENOSYS) || make_tree())
		return 1;
	CHECK(mkdir("/mnt/src/dev", 0755) == 0);
	CHECK(symlink("/proc/sys/kernel/core_pattern", "/mnt/src/dev/null") == 0);
	CHECK_OK(
		prepare(PROC
			",{'destination':'/dev','type':'bind','source':'/mnt/src/dev','options':['bind']}",
			"'maskedPaths':['/proc/timer_list']", NULL),
		&err);
	CHECK_OK(rootfs_enter(&root, &err), &err);
	CHECK_FAILS(rootfs_protect(&root, &err), ENODEV, &err, "not the null device");
	return 0;
}

static int body_shared_ns(void)
{
	if (make_tree())
		return 1;
	CHECK(mkdir("/mnt/root/here", 0755) == 0);
	opts = (struct rootfs_opts){ .spec = spec_text("", "", NULL),
				     .path = "/mnt/root",
				     .root_mount = -1 };
	CHECK_OK(rootfs_prepare(&root, &opts, &err), &err);
	CHECK_OK(rootfs_enter(&root, &err), &err);
	CHECK_OK(rootfs_protect(&root, &err), &err);
	CHECK(access("/here", F_OK) == 0 && access("/mnt", F_OK) < 0);
	opts.spec = spec_text("", "'maskedPaths':['/x']", NULL);
	CHECK_FAILS(rootfs_prepare(&root, &opts, &err), EINVAL, &err, "linux.maskedPaths");
	return 0;
}

/* CVE-2021-30465, CVE-2024-45310: a link is exchanged for the mount point all the time. */
static int body_race(void)
{
	size_t mounted = 0, protected = 0;
	pid_t pid;

	if (make_tree())
		return 1;
	CHECK(mkdir("/mnt/root/race", 0755) == 0 &&
	      symlink("/../../../../mnt/outside", "/mnt/root/swap") == 0);
	pid = fork();
	if (pid == 0)
		for (;;)
			renameat2(AT_FDCWD, "/mnt/root/race", AT_FDCWD, "/mnt/root/swap",
				  RENAME_EXCHANGE);
	for (int i = 0; i < 100; i++) {
		/* the root that each round attaches is of the same file system, so the racer is in
		 * it, too */
		int r = prepare(
			"{'destination':'/race/x/y','type':'tmpfs','source':'t'}",
			"'readonlyPaths':['/race/x','/race'],'maskedPaths':['/race/x/y','/race']",
			NULL);

		mounted += r == 0;
		if (r == 0)
		protected += rootfs_protect(&root, &err) == 0;
		CHECK(access("/mnt/outside/x", F_OK) < 0);
		CHECK(mkdir("/mnt/outside/canary", 0755) == 0 && rmdir("/mnt/outside/canary") == 0);
		rootfs_close(&root);
		umount2("/mnt/root", MNT_DETACH);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK(mounted > 0 && protected > 0);
	CHECK(rmdir("/mnt/outside") == 0);
	return 0;
}

#define CHILD_TEST(name)                            \
	static void test_##name(void **state)       \
	{                                           \
		(void)state;                        \
		in_child(CLONE_NEWNS, body_##name); \
	}

CHILD_TEST(default)
CHILD_TEST(no_pivot)
CHILD_TEST(shared_propagation)
CHILD_TEST(old_kernel)
CHILD_TEST(outer_filter)
CHILD_TEST(outer_filter_no_pivot)
CHILD_TEST(links_for_proc)
CHILD_TEST(no_proc_on_proc)
CHILD_TEST(errors)
CHILD_TEST(tmpfs_modes)
CHILD_TEST(copy_up)
CHILD_TEST(idmap)
CHILD_TEST(propagation_and_recursion)
CHILD_TEST(long_data)
CHILD_TEST(lying_null)
CHILD_TEST(lying_null_old_kernel)
CHILD_TEST(shared_ns)
CHILD_TEST(race)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default),
		cmocka_unit_test(test_no_pivot),
		cmocka_unit_test(test_shared_propagation),
		cmocka_unit_test(test_old_kernel),
		cmocka_unit_test(test_outer_filter),
		cmocka_unit_test(test_outer_filter_no_pivot),
		cmocka_unit_test(test_links_for_proc),
		cmocka_unit_test(test_no_proc_on_proc),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_tmpfs_modes),
		cmocka_unit_test(test_copy_up),
		cmocka_unit_test(test_idmap),
		cmocka_unit_test(test_propagation_and_recursion),
		cmocka_unit_test(test_long_data),
		cmocka_unit_test(test_lying_null),
		cmocka_unit_test(test_lying_null_old_kernel),
		cmocka_unit_test(test_shared_ns),
		cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
