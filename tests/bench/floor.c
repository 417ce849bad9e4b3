/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The yardstick of the benchmark: the system calls that a container of the default bundle cannot
 * do without, and nothing else. No configuration is read, nothing is checked but the calls.
 *
 *	floor [--cgroups] ROOTFS PROGRAM [ARG...]
 *
 * clone3 with five new namespaces, the seven mounts of the default bundle, six device nodes,
 * pivot_root, execve, wait. --cgroups adds a cgroup in every hierarchy that is mounted below
 * /sys/fs/cgroup: made, joined and removed. Exits with the program's status; 125 when a call
 * failed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define CGROUP_ROOT "/sys/fs/cgroup"
#define CGROUP2_MAGIC 0x63677270
#define MAX_HIERARCHIES 32

struct hierarchy {
	char dir[300];
	int unified;
};

static struct hierarchy hierarchies[MAX_HIERARCHIES];
static int hierarchy_count;

static void must(int result, const char *what)
{
	if (result >= 0)
		return;
	dprintf(2, "floor: %s: %s\n", what, strerror(errno));
	_exit(125);
}

static void write_file(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	must(fd, path);
	must((int)write(fd, text, len), path);
	close(fd);
}

static void add_hierarchy(const char *mount, int unified)
{
	struct hierarchy *h = &hierarchies[hierarchy_count++];

	snprintf(h->dir, sizeof(h->dir), "%s/floor-%d", mount, getpid());
	h->unified = unified;
	must(mkdir(h->dir, 0755), h->dir);
}

static void copy_file(const char *from, const char *to)
{
	char buf[4096];
	int fd = open(from, O_RDONLY | O_CLOEXEC);
	int n;

	must(fd, from);
	n = (int)read(fd, buf, sizeof(buf));
	must(n, from);
	close(fd);
	write_file(to, buf, (size_t)n);
}

/* A v1 cpuset is empty when it is made, and takes no process until it is filled. */
static void fill_cpuset(const char *mount, const char *dir)
{
	static const char *const names[] = { "cpuset.cpus", "cpuset.mems" };
	char from[600], to[600];

	for (size_t i = 0; i < 2; i++) {
		snprintf(from, sizeof(from), "%s/%s", mount, names[i]);
		snprintf(to, sizeof(to), "%s/%s", dir, names[i]);
		copy_file(from, to);
	}
}

static void make_cgroups(void)
{
	struct statfs fs;
	struct dirent *entry;
	DIR *root;

	must(statfs(CGROUP_ROOT, &fs), CGROUP_ROOT);
	if (fs.f_type == CGROUP2_MAGIC) {
		add_hierarchy(CGROUP_ROOT, 1);
		return;
	}
	root = opendir(CGROUP_ROOT);
	must(root ? 0 : -1, CGROUP_ROOT);
	while ((entry = readdir(root)) && hierarchy_count < MAX_HIERARCHIES) {
		char mount[280];

		/* links are second names of controllers that are mounted together */
		if (entry->d_name[0] == '.' || entry->d_type != DT_DIR)
			continue;
		snprintf(mount, sizeof(mount), CGROUP_ROOT "/%s", entry->d_name);
		must(statfs(mount, &fs), mount);
		if (fs.f_type == 0x01021994) /* the bare tmpfs: nothing is mounted here */
			continue;
		add_hierarchy(mount, fs.f_type == CGROUP2_MAGIC);
		if (!strcmp(entry->d_name, "cpuset"))
			fill_cpuset(mount, hierarchies[hierarchy_count - 1].dir);
	}
	closedir(root);
}

/* The parent moves the child while it waits: the unified hierarchy was entered by clone3 itself. */
static void join_cgroups(pid_t pid)
{
	char path[320], text[16];
	int len = snprintf(text, sizeof(text), "%d", pid);

	for (int i = 0; i < hierarchy_count; i++) {
		if (hierarchies[i].unified)
			continue;
		snprintf(path, sizeof(path), "%.299s/cgroup.procs", hierarchies[i].dir);
		write_file(path, text, (size_t)len);
	}
}

static void mount_all(void)
{
	const unsigned long plain = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	must(mount("proc", "proc", "proc", plain, NULL), "mount proc");
	must(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"),
	     "mount dev");
	must(mkdir("dev/pts", 0755) | mkdir("dev/shm", 0755) | mkdir("dev/mqueue", 0755),
	     "mkdir in dev");
	must(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		   "newinstance,ptmxmode=0666,mode=0620,gid=5"),
	     "mount dev/pts");
	must(mount("shm", "dev/shm", "tmpfs", plain, "mode=1777,size=65536k"), "mount dev/shm");
	must(mount("mqueue", "dev/mqueue", "mqueue", plain, NULL), "mount dev/mqueue");
	must(mount("sysfs", "sys", "sysfs", plain | MS_RDONLY, NULL), "mount sys");
	/* the unified hierarchy exists on hybrid hosts too; one without any takes a tmpfs */
	if (mount("cgroup2", "sys/fs/cgroup", "cgroup2", plain | MS_RELATIME, NULL) < 0)
		must(mount("tmpfs", "sys/fs/cgroup", "tmpfs", plain, NULL), "mount sys/fs/cgroup");
}

static void make_devices(void)
{
	static const struct {
		const char *path;
		unsigned int major, minor;
	} devices[] = {
		{ "dev/null", 1, 3 },   { "dev/zero", 1, 5 },    { "dev/full", 1, 7 },
		{ "dev/random", 1, 8 }, { "dev/urandom", 1, 9 }, { "dev/tty", 5, 0 },
	};

	umask(0);
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
		must(mknod(devices[i].path, S_IFCHR | 0666,
			   makedev(devices[i].major, devices[i].minor)),
		     devices[i].path);
	umask(022);
}

static void child(const char *rootfs, char **argv, int go)
{
	char byte;

	if (go >= 0)
		must((int)read(go, &byte, 1), "wait for the parent");
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make / private");
	must(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL), "bind rootfs");
	must(chdir(rootfs), rootfs);
	mount_all();
	make_devices();
	must((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
	must(umount2(".", MNT_DETACH), "umount the old root");
	must(chdir("/"), "chdir /");
	must(sethostname("floor", 5), "sethostname");
	must(execv(argv[0], argv), argv[0]);
}

static pid_t spawn(int cgroup)
{
	struct clone_args args = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET,
		.exit_signal = SIGCHLD,
	};

	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup;
	}
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static void open_cgroups(int *unified, int go[2])
{
	make_cgroups();
	for (int i = 0; i < hierarchy_count; i++)
		if (hierarchies[i].unified)
			*unified = open(hierarchies[i].dir, O_DIRECTORY | O_PATH | O_CLOEXEC);
	must(pipe2(go, O_CLOEXEC), "pipe");
}

int main(int argc, char **argv)
{
	int with_cgroups = argc > 1 && !strcmp(argv[1], "--cgroups");
	int unified = -1, go[2] = { -1, -1 }, status;
	char **arg = argv + 1 + with_cgroups;
	pid_t pid;

	if (argc < 3 + with_cgroups) {
		dprintf(2, "usage: floor [--cgroups] ROOTFS PROGRAM [ARG...]\n");
		return 125;
	}
	if (with_cgroups)
		open_cgroups(&unified, go);
	pid = spawn(unified);
	must(pid, "clone3");
	if (pid == 0)
		child(arg[0], arg + 1, go[0]);
	if (with_cgroups) {
		join_cgroups(pid);
		must((int)write(go[1], "", 1), "let the child go");
	}
	must(waitpid(pid, &status, 0), "wait");
	for (int i = 0; i < hierarchy_count; i++)
		must(rmdir(hierarchies[i].dir), hierarchies[i].dir);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
