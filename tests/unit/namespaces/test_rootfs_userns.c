/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root file system made by a process in a user namespace, with a parent outside that opens what
 * the child may not reach: as create and init share the work.
 */
#include "in_child.h"

#include "base/cleanup.h"
#include "base/fdpass.h"
#include "base/io.h"
#include "base/sys.h"
#include "namespaces/idmap.h"
#include "namespaces/mount_exec.h"
#include "namespaces/rootfs.h"
#include "spec_text.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define MAPPINGS "[{'containerID':0,'hostID':100000,'size':65536}]"
#define MOUNTS                                                                                            \
	"{'destination':'/proc','type':'proc','source':'proc'},"                                          \
	"{'destination':'/dev','type':'tmpfs','source':'tmpfs','options':['mode=755']},"                  \
	"{'destination':'/dev/pts','type':'devpts','source':'devpts','options':['newinstance','gid=5']}," \
	"{'destination':'/p','type':'bind','source':'/mnt/priv/src','options':['rbind','ro']},"           \
	"{'destination':'/p/sub','type':'tmpfs','source':'t'},"                                           \
	"{'destination':'/m','type':'bind','source':'/mnt/priv/src','options':['bind','idmap']},"         \
	"{'destination':'/m/sub','type':'tmpfs','source':'t'}"

struct ask {
	size_t op;
	bool idmapped, recursive;
	char source[128];
};

static int to_parent;
static struct mount_plan plan;
static struct spec *spec;

static int ask(const struct ask *a, struct err *e)
{
	size_t n = 1;
	int fd = -1;
	char c;

	if (fdpass_send(to_parent, a, sizeof(*a), NULL, 0) < 0 ||
	    fdpass_recv(to_parent, &c, 1, &fd, &n) != 1 || n != 1)
		return err_set(e, EIO, "the parent gave nothing");
	return fd;
}

static int ask_source(void *arg, const char *source, unsigned int flags, struct err *e)
{
	struct ask a = { .recursive = flags & AT_RECURSIVE };

	(void)arg;
	snprintf(a.source, sizeof(a.source), "%s", source);
	return ask(&a, e);
}

static int ask_idmapped(void *arg, size_t op, struct err *e)
{
	const struct ask a = { .op = op, .idmapped = true };

	(void)arg;
	return ask(&a, e);
}

static long type_at(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) < 0 ? -1 : fs.f_type;
}

static int init(int go)
{
	const struct rootfs_opts o = {
		.spec = spec,
		.path = "/mnt/priv/root",
		.root_mount = -1,
		.plan = &plan,
		.new_mount_ns = true,
		.userns = true,
		.open_source = ask_source,
		.open_idmapped = ask_idmapped,
	};
	struct rootfs r = ROOTFS_INIT;
	struct err e = { 0 };
	struct stat st;
	char c;

	CHECK(read(go, &c, 1) == 1);
	CHECK(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0);
	CHECK(open("/mnt/priv/root", O_RDONLY) < 0 && errno == EACCES);
	CHECK_OK(rootfs_prepare(&r, &o, &e), &e);
	CHECK_OK(rootfs_enter(&r, &e), &e);
	CHECK_OK(rootfs_protect(&r, &e), &e);
	rootfs_close(&r);
	CHECK(type_at("/proc") == PROC_SUPER_MAGIC && access("/mnt", F_OK) < 0);
	CHECK(type_at("/p/sub") == TMPFS_MAGIC && mkdir("/p/sub/x", 0755) == 0);
	CHECK(mkdir("/p/x", 0755) < 0 && errno == EROFS);
	/* the host's root owns the file: nobody here, and root where the mount is mapped */
	CHECK(stat("/p/file", &st) == 0 && st.st_uid == 65534);
	CHECK(stat("/m/file", &st) == 0 && st.st_uid == 0);
	CHECK((st.st_mode & S_IFMT) == S_IFREG);
	CHECK(faccessat(AT_FDCWD, "/dev/null", W_OK, 0) == 0);
	CHECK(access("/proc/timer_list", R_OK) == 0 || errno == ENOENT);
	return 0;
}

static int serve(int sock, pid_t pid)
{
	struct err e = { 0 };
	struct ask a;

	while (recv(sock, &a, sizeof(a), 0) == sizeof(a)) {
		AUTO_CLOSE int userns = -1, fd = -1;
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
		userns = open(path, O_RDONLY | O_CLOEXEC);
		fd = a.idmapped ? mount_source_open(&plan.v[a.op], userns, &e)
				: sys_open_tree(AT_FDCWD, a.source,
						OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
							(a.recursive ? AT_RECURSIVE : 0));
		if (fd < 0)
			fprintf(stderr, "parent: %s\n", e.msg);
		CHECK(fdpass_send(sock, "x", 1, &fd, fd >= 0) == 0);
	}
	return 0;
}

static int make_tree(void)
{
	CHECK(mount("tmpfs", "/mnt", "tmpfs", 0, "mode=755") == 0);
	CHECK(mount(NULL, "/mnt", NULL, MS_SHARED, NULL) == 0);
	CHECK(mkdir("/mnt/priv", 0700) == 0 && mkdir("/mnt/priv/src", 0755) == 0);
	CHECK(mkdir("/mnt/priv/root", 0755) == 0 && mkdir("/mnt/priv/src/sub", 0755) == 0);
	CHECK(mknod("/mnt/priv/src/file", S_IFREG | 0644, 0) == 0);
	CHECK(chown("/mnt/priv/root", 100000, 100000) == 0);
	CHECK(mkdir("/mnt/priv/src/sub/below", 0755) == 0);
	return 0;
}

static int body_userns(void)
{
	struct clone_args args = { .flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID |
					    CLONE_NEWIPC,
				   .exit_signal = SIGCHLD };
	struct mount_plan_in in = { .userns = true };
	struct arena arena = { 0 };
	int sock[2], go[2], status;
	struct err e = { 0 };
	pid_t pid;

	if (make_tree())
		return 1;
	spec = spec_text(
		MOUNTS,
		"'uidMappings':" MAPPINGS ",'gidMappings':" MAPPINGS
		",'maskedPaths':['/proc/timer_list','/proc/acpi'],'readonlyPaths':['/proc/sys']",
		NULL);
	CHECK(spec);
	in.spec = spec;
	CHECK_OK(mount_plan_build(&arena, &in, &plan, &e), &e);
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) == 0 &&
	      pipe2(go, O_CLOEXEC) == 0);
	pid = sys_clone3(&args);
	CHECK(pid >= 0);
	if (pid == 0) {
		close(sock[0]);
		to_parent = sock[1];
		_exit(init(go[0]));
	}
	close(sock[1]);
	{
		struct spec_idmap one = { 0, 100000, 65536 };
		const struct spec_idmaps m = { &one, 1 };

		CHECK_OK(idmap_write(pid, &m, &m, &e), &e);
	}
	CHECK(write(go[1], "x", 1) == 1);
	CHECK(serve(sock[0], pid) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	/* nothing that was mounted inside has come back to the host's shared mount */
	CHECK(access("/mnt/priv/src/sub/below", F_OK) == 0);
	CHECK(access("/mnt/priv/root/proc/self", F_OK) < 0);
	return 0;
}

static void test_userns(void **state)
{
	(void)state;
	in_child(CLONE_NEWNS, body_userns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_userns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
