/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/guest/boot.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"
#include "microvm/agent_proto.h"
#include "microvm/vm_config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <linux/random.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>

enum {
	PORT_MS = 10000,
	MODULES_MAX = 64 << 10,
	MODULE_MAX = 64 << 20,
};

bool guest_is_init(const char *argv0)
{
	struct statfs fs;

	return getpid() == 1 && argv0 && str_eq(argv0, "/init") && statfs("/", &fs) == 0 &&
	       (fs.f_type == RAMFS_MAGIC || fs.f_type == TMPFS_MAGIC);
}

/* ---- file systems ---- */

/*
 * pivot_root refuses to leave the first mount of all: a second one of the same tree is put over it.
 */
static int second_root(struct err *e)
{
	if (mkdir("/mnt", 0755) < 0 && errno != EEXIST)
		return err_sys(e, errno, "guest: make /mnt");
	if (mount("/", "/mnt", NULL, MS_BIND, NULL) < 0 || chdir("/mnt") < 0 ||
	    mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return err_sys(e, errno, "guest: leave the initial root");
	return 0;
}

static const struct {
	const char *type, *at, *options;
	unsigned long flags;
	bool may_lack; /* a kernel without it can do without it */
} mounts[] = {
	{ "proc", "/proc", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV, false },
	{ "sysfs", "/sys", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV, false },
	{ "devtmpfs", "/dev", "mode=755", MS_NOSUID, false },
	{ "devpts", "/dev/pts", "mode=620,ptmxmode=666", MS_NOSUID | MS_NOEXEC, true },
	{ "tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV, true },
	{ "mqueue", "/dev/mqueue", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV, true },
	{ "cgroup2", "/sys/fs/cgroup", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV, true },
	{ "tmpfs", "/run", "mode=755", MS_NOSUID | MS_NODEV, false },
	{ "tmpfs", "/tmp", "mode=1777", MS_NOSUID | MS_NODEV, false },
};

static const struct {
	const char *at, *to;
} links[] = {
	{ "/dev/fd", "/proc/self/fd" },
	{ "/dev/stdin", "/proc/self/fd/0" },
	{ "/dev/stdout", "/proc/self/fd/1" },
	{ "/dev/stderr", "/proc/self/fd/2" },
};

static int mount_all(struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		mkdir(mounts[i].at, 0755);
		/* EBUSY: the kernel has mounted devtmpfs by itself. */
		if (mount(mounts[i].type, mounts[i].at, mounts[i].type, mounts[i].flags,
			  mounts[i].options) == 0 ||
		    errno == EBUSY)
			continue;
		if (!mounts[i].may_lack || (errno != ENODEV && errno != ENOENT))
			return err_sys(e, errno, "guest: mount %s at %s", mounts[i].type,
				       mounts[i].at);
		log_warn("guest: no %s in this kernel", mounts[i].type);
	}
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (symlink(links[i].to, links[i].at) < 0 && errno != EEXIST)
			return err_sys(e, errno, "guest: make %s", links[i].at);
	return 0;
}

static void enable_controllers(void)
{
	char list[256], *save = NULL;

	if (io_read_small(AT_FDCWD, "/sys/fs/cgroup/cgroup.controllers", list, sizeof(list)) <= 0)
		return;
	for (char *c = strtok_r(list, " ", &save); c; c = strtok_r(NULL, " ", &save)) {
		char word[64];

		snprintf(word, sizeof(word), "+%s", c);
		if (io_write_file(AT_FDCWD, "/sys/fs/cgroup/cgroup.subtree_control", word) < 0)
			log_warn("guest: cgroup controller %s cannot be enabled", c);
	}
}

/*
 * A machine that is as large as its container's limit would refuse what a host with more memory
 * grants: address space that is never used. Here as there the cgroup's limit is what ends it.
 */
static void overcommit(void)
{
	if (io_write_file(AT_FDCWD, "/proc/sys/vm/overcommit_memory", "1") < 0)
		log_warn("guest: vm.overcommit_memory cannot be set");
}

/* ---- modules ---- */

static int load_module(const char *path, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_FREE char *image = NULL;
	size_t len;
	int r;

	if (fd < 0)
		return err_sys(e, errno, "guest: open module %s", path);
	if (syscall(SYS_finit_module, fd, "", 0) == 0 || errno == EEXIST)
		return 0;
	/* A file system that cannot be read by the kernel itself: by hand. */
	if (errno != ENOSYS && errno != EOPNOTSUPP && errno != EINVAL)
		return err_sys(e, errno, "guest: load module %s", path);
	r = io_read_all(fd, MODULE_MAX, &image, &len);
	if (r < 0)
		return err_sys(e, -r, "guest: read module %s", path);
	if (syscall(SYS_init_module, image, len, "") == 0 || errno == EEXIST)
		return 0;
	return err_sys(e, errno, "guest: load module %s", path);
}

static int load_modules(struct err *e)
{
	AUTO_FREE char *list = NULL;
	char *save = NULL;
	int r = io_read_file(AT_FDCWD, GUEST_MODULES, MODULES_MAX, &list, NULL);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_sys(e, -r, "guest: read " GUEST_MODULES);
	for (char *p = strtok_r(list, "\n", &save); p && r == 0; p = strtok_r(NULL, "\n", &save))
		r = load_module(p, e);
	return r;
}

static void loopback_up(void)
{
	AUTO_CLOSE int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };

	if (s < 0 || ioctl(s, SIOCSIFFLAGS, &r) < 0)
		log_warn("guest: loopback: %s", strerrordesc_np(errno));
}

/*
 * Descriptors that the kernel could not give us (it has no console, or not yet): held by anything
 * until there is a log of the kernel to write to, so that nothing else takes their numbers.
 */
static unsigned int hold_stdio(void)
{
	unsigned int missing = 0;

	for (int fd = 0; fd < 3; fd++) {
		int got;

		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		got = open("/", O_RDONLY | O_DIRECTORY);
		if (got == fd)
			missing |= 1U << fd;
		else if (got >= 0)
			close(got);
	}
	return missing;
}

static void open_stdio(unsigned int missing)
{
	for (int fd = 0; fd < 3; fd++) {
		AUTO_CLOSE int from = -1;

		if (!(missing & 1U << fd))
			continue;
		from = open(fd ? "/dev/kmsg" : "/dev/null", (fd ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
		if (from >= 0)
			dup2(from, fd);
	}
}

/*
 * The kernel's own limit for the first process is 4096, which no program finds on a host: there it
 * has what the engine's service or the user's login has.
 */
static void allow_files(void)
{
	const struct rlimit l = { .rlim_cur = 1024, .rlim_max = 1048576 };

	if (setrlimit(RLIMIT_NOFILE, &l) < 0)
		log_warn("guest: raise the limit of open files: %s", strerrordesc_np(errno));
}

int guest_boot(struct err *e)
{
	unsigned int missing = hold_stdio();
	int r;

	/* Not "init": a created container's process is shown under this name, as on a host. */
	prctl(PR_SET_NAME, "ctr");
	umask(0);
	r = second_root(e);
	if (r == 0)
		r = load_modules(e);
	if (r == 0)
		r = mount_all(e);
	umask(022);
	open_stdio(missing);
	if (r < 0)
		return r;
	enable_controllers();
	overcommit();
	allow_files();
	loopback_up();
	return 0;
}

/* ---- the port ---- */

/* /dev/NAME of the port that calls itself so. */
static int find_port(char *dev, size_t size)
{
	AUTO_CLOSEDIR DIR *d = opendir("/sys/class/virtio-ports");
	struct dirent *de;

	while (d && (de = readdir(d))) {
		char path[300], name[64];

		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", de->d_name);
		if (io_read_small(AT_FDCWD, path, name, sizeof(name)) <= 0 ||
		    !str_eq(name, VM_CTL_PORT))
			continue;
		snprintf(dev, size, "/dev/%s", de->d_name);
		return 0;
	}
	return -ENOENT;
}

static int uevents(void)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	AUTO_CLOSE int s = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				  NETLINK_KOBJECT_UEVENT);

	if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	return TAKE_FD(s);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int guest_port(struct err *e)
{
	/* Before the first look, so that nothing falls in between. */
	AUTO_CLOSE int events = uevents();
	int64_t end = now_ms() + PORT_MS;
	char dev[300];
	int fd;

	while (find_port(dev, sizeof(dev)) < 0) {
		struct pollfd p = { .fd = events, .events = POLLIN };
		char drop[4096];
		int64_t left = end - now_ms();

		if (left <= 0 || events < 0 || poll(&p, 1, (int)left) == 0)
			return err_set(e, ENODEV,
				       "guest: no virtio console port " VM_CTL_PORT
				       ": the kernel lacks virtio-mmio or virtio-console");
		while (recv(events, drop, sizeof(drop), 0) > 0)
			;
	}
	fd = open(dev, O_RDWR | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "guest: open %s", dev) : fd;
}

/* ---- what the host says ---- */

int guest_share(struct err *e)
{
	mkdir("/run/ctr", 0755);
	mkdir(AGENT_SHARE, 0755);
	if (mount(VM_SHARE_TAG, AGENT_SHARE, "virtiofs", 0, NULL) < 0)
		return err_sys(e, errno, "guest: mount the share of the host (virtiofs %s)",
			       VM_SHARE_TAG);
	return 0;
}

int guest_image(bool read_only, struct err *e)
{
	static const char *const types[] = { "ext4", "erofs" };
	int saved = 0;

	mkdir("/run/ctr", 0755);
	mkdir(AGENT_IMAGE, 0755);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (mount("/dev/vda", AGENT_IMAGE, types[i], read_only ? MS_RDONLY : 0, NULL) == 0)
			return 0;
		/* What the second says of a file system of the first is of no use. */
		if (errno != EINVAL || !saved)
			saved = errno;
	}
	return err_sys(e, saved, "guest: mount vm.image (/dev/vda)");
}

void guest_set_time(uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / 1000000000),
			      .tv_nsec = (long)(ns % 1000000000) };

	if (clock_settime(CLOCK_REALTIME, &t) < 0)
		log_warn("guest: set the clock: %s", strerrordesc_np(errno));
}

void guest_add_entropy(const uint8_t *bytes, size_t len)
{
	AUTO_CLOSE int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	struct {
		struct rand_pool_info head;
		uint8_t bytes[256];
	} pool = {};

	if (len > sizeof(pool.bytes))
		len = sizeof(pool.bytes);
	memcpy(pool.bytes, bytes, len);
	pool.head.entropy_count = (int)len * 8;
	pool.head.buf_size = (int)len;
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool) < 0)
		log_warn("guest: random numbers: %s", strerrordesc_np(errno));
	else
		ioctl(fd, RNDRESEEDCRNG);
	explicit_bzero(&pool, sizeof(pool));
}

void guest_last_words(const char *text)
{
	AUTO_FREE char *line = str_printf("<3>ctr: %s\n", text);
	AUTO_CLOSE int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	if (fd < 0 && mknod("/dev/kmsg", S_IFCHR | 0600, makedev(1, 11)) == 0)
		fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (!line || fd < 0 || io_write_full(fd, line, strlen(line)) < 0)
		log_error("%s", text);
}

void guest_sync(void)
{
	sync();
	mount(NULL, AGENT_IMAGE, NULL, MS_REMOUNT | MS_RDONLY, NULL);
}

_Noreturn void guest_reset(void)
{
	guest_sync();
	reboot(RB_AUTOBOOT);
	/* A kernel that cannot: the host sees the port close. */
	for (;;)
		pause();
}
