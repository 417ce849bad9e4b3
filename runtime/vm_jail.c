/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order: what comes from the host is opened while the host's tree is still there, as detached
 * clones; then the tmpfs lies on top of "/" (whoever has the old root walks past it), takes them,
 * and becomes the root. A volume that is read-only is so on the host's side: no guest can change
 * that.
 */
#include <sys/mount.h>

#include "vm_jail.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "base/sys.h"
#include "caps.h"
#include "namespaces/mount_exec.h"
#include "namespaces/path.h"
#include "oci/names.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>

struct part {
	char *target; /* below the tree's root, absolute; owned */
	int mnt;      /* detached */
	bool dir;
};

struct tree {
	const struct vm_jail_opts *o;
	struct part *v;
	size_t n, cap;
	int root; /* the tmpfs */
};

static void tree_free(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->v[i].mnt >= 0)
			close(t->v[i].mnt);
		free(t->v[i].target);
	}
	free(t->v);
	if (t->root >= 0)
		close(t->root);
}

/* Takes mnt. */
static int add_part(struct tree *t, int mnt, char *target, struct err *e)
{
	struct stat st;
	struct part *grown;

	if (target && t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 16;
		grown = reallocarray(t->v, t->cap, sizeof(*grown));
		if (grown)
			t->v = grown;
	}
	if (!target || t->n == t->cap || !t->v) {
		close(mnt);
		free(target);
		return err_sys(e, ENOMEM, "make the tree of the micro-VM");
	}
	t->v[t->n++] = (struct part){ .target = target, .mnt = mnt };
	if (fstat(mnt, &st) < 0)
		return err_sys(e, errno, "stat what is shared as %s", target);
	t->v[t->n - 1].dir = S_ISDIR(st.st_mode);
	return 0;
}

static int clone_of(const char *path, unsigned int flags)
{
	return sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
}

/* ---- what is served ---- */

/*
 * In a user namespace a part of a tree can only be had with all that is mounted below it, and some
 * paths only by the parent.
 */
static int open_shared(const struct tree *t, const char *path, unsigned int flags, const char *who,
		       struct err *e)
{
	int fd = clone_of(path, flags);

	if (fd == -EINVAL && !(flags & AT_RECURSIVE))
		fd = clone_of(path, flags | AT_RECURSIVE);
	if (fd == -EACCES || fd == -EPERM)
		return t->o->open_source(t->o->arg, path, flags, e);
	return fd < 0 ? err_sys(e, -fd, "%s: %s", who, path) : fd;
}

/*
 * Nodes of devices are never opened; set-user-ID files never executed. follow: what the host mounts
 * there later appears, without these limits.
 */
static int limit(int mnt, bool read_only, bool follow, struct err *e)
{
	uint64_t set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | (read_only ? MOUNT_ATTR_RDONLY : 0);
	int r = mount_attr_fd(mnt, true, set, 0);

	if (r == 0)
		r = mount_propagation_fd(mnt, (follow ? MS_SLAVE : MS_PRIVATE) | MS_REC);
	return r < 0 ? err_sys(e, -r, "limit what a micro-VM is given") : 0;
}

/* Whether one of the first n mounts of the plan lies above path: then its place is in that one. */
static bool is_inside(const struct mount_plan *p, size_t n, const char *path)
{
	for (size_t i = 0; i < n; i++) {
		const char *rest = str_after(path, p->v[i].target);

		if (rest && (*rest == '/' || *rest == '\0'))
			return true;
	}
	return false;
}

static void make_place(int root, const char *path, bool dir, bool follow)
{
	struct stat st;
	bool existed;
	int fd = follow ? path_make_stat(root, path, dir, 0755, &st, &existed)
			: path_make_nofollow(root, path, dir, 0755, &st, &existed);

	if (fd >= 0)
		close(fd);
}

/*
 * Where the guest will mount something in a root that it cannot write, and the working directory.
 * What fails here fails there too, and is told then.
 */
static void make_places(const struct mount_plan *p, const char *cwd, int root)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct mount_op *op = &p->v[i];
		struct stat st;

		if ((op->kind != MOUNT_OP_FS && op->kind != MOUNT_OP_BIND) ||
		    is_inside(p, i, op->target))
			continue;
		if (op->kind != MOUNT_OP_BIND || stat(op->source, &st) < 0)
			st.st_mode = S_IFDIR;
		make_place(root, op->target, S_ISDIR(st.st_mode), !(op->links & MOUNT_LINK_DEST));
	}
	if (!is_inside(p, p->n, cwd))
		make_place(root, cwd, true, true);
}

static int take_rootfs(struct tree *t, struct err *e)
{
	int fd = t->o->root_mount >= 0 ? fcntl(t->o->root_mount, F_DUPFD_CLOEXEC, 3)
				       : open_shared(t, t->o->rootfs, AT_RECURSIVE, "root.path", e);
	int r;

	if (fd < 0)
		return t->o->root_mount >= 0 ? err_sys(e, errno, "root of the clone") : fd;
	r = add_part(t, fd, strdup(VM_JAIL_SHARE VM_JAIL_ROOTFS), e);
	if (r < 0)
		return r;
	if (!t->v[t->n - 1].dir)
		return err_sys(e, ENOTDIR, "root.path: %s", t->o->rootfs);
	if (t->o->read_only)
		make_places(t->o->plan, t->o->cwd, fd);
	return limit(fd, t->o->read_only, !t->o->read_only, e);
}

static int check_kind(const struct mount_op *op, int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "mounts[%zu].source: stat %s", op->index, op->source);
	if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))
		return 0;
	if (S_ISLNK(st.st_mode))
		return err_set(
			e, ENOTSUP,
			"mounts[%zu].options: \"%s\": %s is a symbolic link, and a micro-VM is "
			"given directories and files",
			op->index, op->links & MOUNT_LINK_COPY ? "copy-symlink" : "src-nofollow",
			op->source);
	return err_set(e, ENOTSUP,
		       "mounts[%zu].source: %s: a %s of the host cannot be reached from a micro-VM",
		       op->index, op->source,
		       S_ISSOCK(st.st_mode)   ? "socket"
		       : S_ISFIFO(st.st_mode) ? "pipe"
					      : "device");
}

/* What the host mounts later comes along unless the configuration says otherwise. */
static bool follows(const struct mount_op *op)
{
	for (size_t i = op->n_propagation; i-- > 0;)
		if (op->propagation[i] & (MS_PRIVATE | MS_UNBINDABLE))
			return false;
	return true;
}

static int take_volumes(struct tree *t, struct err *e)
{
	const struct mount_plan *p = t->o->plan;

	for (size_t i = 0; i < p->n; i++) {
		const struct mount_op *op = &p->v[i];
		bool read_only;
		char who[48];
		int fd, r;

		if (op->kind != MOUNT_OP_BIND)
			continue;
		snprintf(who, sizeof(who), "mounts[%zu].source", op->index);
		fd = open_shared(t, op->source, mount_source_flags(op), who, e);
		if (fd < 0)
			return fd;
		r = add_part(t, fd, str_printf(VM_JAIL_SHARE VM_JAIL_VOLUMES "%zu", op->index), e);
		if (r == 0)
			r = check_kind(op, fd, e);
		read_only = (op->attr_set | op->rec_attr_set) & MOUNT_ATTR_RDONLY || op->late_ro;
		if (r == 0)
			r = limit(fd, read_only, !read_only && follows(op), e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- what QEMU consists of ---- */

static int take_path(struct tree *t, const char *path, bool must, bool read_only, struct err *e)
{
	int fd = clone_of(path, true), r;

	if (fd == -ENOENT && !must)
		return 0;
	if (fd < 0)
		return err_sys(e, -fd, "give %s to QEMU", path);
	r = add_part(t, fd, strdup(path), e);
	if (r == 0 && read_only) {
		r = mount_attr_fd(fd, true, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0);
		if (r < 0)
			err_sys(e, -r, "make %s read-only for QEMU", path);
	}
	return r;
}

/* Somebody's home, or all of them: what QEMU is no part of. */
static bool is_home(const char *dir)
{
	const char *below = str_after(dir, "/home/");

	return str_eq(dir, "/home") || str_eq(dir, "/root") || (below && !strchr(below, '/'));
}

/* What is installed there is put together of many directories beside each other. */
static const char *store_of(const char *path)
{
	static const char *const stores[] = { "/nix/store", "/gnu/store" };

	for (size_t i = 0; i < ARRAY_SIZE(stores); i++) {
		const char *below = str_after(path, stores[i]);

		if (below && *below == '/')
			return stores[i];
	}
	return NULL;
}

char *vm_jail_qemu_part(const char *path)
{
	const char *store = store_of(path);
	char *part = strdup(store ?: path), *slash = part ? strrchr(part, '/') : NULL;

	if (!part || store)
		return part;
	*slash = '\0';
	if (str_eq(strrchr(part, '/') ?: part, "/bin"))
		*strrchr(part, '/') = '\0';
	if (*part == '\0' || is_home(part))
		strcpy(part, path);
	return part;
}

static int take_program(struct tree *t, const char *path, struct err *e)
{
	AUTO_FREE char *part = vm_jail_qemu_part(path);

	if (!part)
		return err_sys(e, ENOMEM, "make the tree of the micro-VM");
	for (size_t i = 0; i < t->n; i++) {
		const char *rest = str_after(part, t->v[i].target);

		if (t->v[i].dir && rest && (*rest == '/' || *rest == '\0'))
			return 0;
	}
	return take_path(t, part, true, true, e);
}

static const char *const system_dirs[] = { "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin" };

static int take_qemu(struct tree *t, struct err *e)
{
	struct stat st;
	int r = take_path(t, "/usr", true, true, e);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(system_dirs); i++)
		if (lstat(system_dirs[i], &st) == 0 && S_ISDIR(st.st_mode))
			r = take_path(t, system_dirs[i], true, true, e);
	if (r == 0)
		r = take_path(t, "/etc/ld.so.cache", false, true, e);
	if (r == 0)
		r = take_path(t, "/dev/null", true, false, e);
	if (r == 0)
		r = take_path(t, "/dev/urandom", true, false, e);
	if (r == 0 && t->o->kvm)
		r = take_path(t, "/dev/kvm", true, false, e);
	if (r < 0)
		return r;
	r = lstat(t->o->qemu, &st) < 0 ? err_sys(e, errno, "vm.hypervisor.path: %s", t->o->qemu)
				       : 0;
	return r < 0 ? r : take_program(t, t->o->qemu, e);
}

/* Links of the host's root into /usr. */
static int link_dirs(const struct tree *t, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(system_dirs); i++) {
		char to[128];
		ssize_t n = readlink(system_dirs[i], to, sizeof(to) - 1);

		if (n <= 0)
			continue;
		to[n] = '\0';
		if (symlinkat(to, t->root, system_dirs[i] + 1) < 0 && errno != EEXIST)
			return err_sys(e, errno, "make %s for QEMU", system_dirs[i]);
	}
	return 0;
}

/*
 * The file server wants its own descriptors. Read-only: without a map of its own the VMM is the
 * host's user 0, whom the kernel lets write there by that number alone.
 */
static int mount_proc(const struct tree *t, struct err *e)
{
	const struct mount_fs f = { .fstype = "proc",
				    .source = "proc",
				    .attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
					     MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };
	AUTO_CLOSE int mnt = mount_fs_new(&f, NULL, e);
	AUTO_CLOSE int at = mnt < 0 ? -1 : path_make(t->root, "/proc", true, 0555, e);
	int r;

	if (mnt < 0 || at < 0)
		return mnt < 0 ? mnt : at;
	r = mount_attach(mnt, at);
	return r < 0 ? err_sys(e, -r, "mount /proc for QEMU") : 0;
}

/* ---- the tree ---- */

static int new_root(struct tree *t, struct err *e)
{
	/* The guest sees it as the root of what is shared. */
	char *v[] = { (char *)"size=4m", (char *)"nr_inodes=4096", NULL };
	const struct spec_strings data = { .v = v, .n = 2 };
	const struct mount_fs f = { .fstype = "tmpfs",
				    .source = "ctr-vm",
				    .data = &data,
				    .mode = "755",
				    .attrs = MOUNT_ATTR_NOSUID };
	AUTO_CLOSE int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (host < 0)
		return err_sys(e, errno, "open /");
	t->root = mount_fs_new(&f, NULL, e);
	if (t->root < 0)
		return t->root;
	r = mount_attach(t->root, host);
	return r < 0 ? err_sys(e, -r, "attach the tree of the micro-VM") : 0;
}

static int attach_parts(const struct tree *t, struct err *e)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct part *p = &t->v[i];
		AUTO_CLOSE int at = path_make(t->root, p->target, p->dir, 0755, e);
		int r;

		if (at < 0)
			return at;
		r = mount_attach(p->mnt, at);
		if (r < 0)
			return err_sys(e, -r, "put %s into the tree of the micro-VM", p->target);
	}
	return 0;
}

static int pivot(const struct tree *t, struct err *e)
{
	int r;

	if (fchdir(t->root) < 0)
		return err_sys(e, errno, "chdir to the tree of the micro-VM");
	r = sys_pivot_root(".", ".");
	if (r == -EINVAL)
		return err_set(e, EINVAL,
			       "pivot_root: Invalid argument (is the host's root an initramfs? a "
			       "micro-VM needs another)");
	if (r < 0)
		return err_sys(e, -r, "pivot_root");
	if (umount2(".", MNT_DETACH) < 0)
		return err_sys(e, errno, "unmount the host's root");
	return chdir("/") < 0 ? err_sys(e, errno, "chdir to /") : 0;
}

static int build(struct tree *t, struct err *e)
{
	AUTO_CLOSE int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int run = -1, share = -1;
	int r = host < 0 ? -errno : mount_propagation_fd(host, MS_SLAVE | MS_REC);

	if (r < 0)
		return err_sys(e, -r, "set the propagation of /");
	if (t->o->rootfs || t->o->root_mount >= 0)
		r = take_rootfs(t, e);
	if (r == 0)
		r = take_volumes(t, e);
	if (r == 0 && t->o->qemu)
		r = take_qemu(t, e);
	if (r == 0)
		r = new_root(t, e);
	if (r < 0)
		return r;
	share = path_make(t->root, VM_JAIL_SHARE, true, 0755, e);
	if (share < 0)
		return share;
	r = attach_parts(t, e);
	if (r < 0)
		return r;
	run = path_make(t->root, "/run", true, 01777, e);
	if (run < 0)
		return run;
	if (!t->o->qemu)
		return 0;
	r = link_dirs(t, e);
	return r < 0 ? r : mount_proc(t, e);
}

int vm_jail_enter(const struct vm_jail_opts *o, struct err *e)
{
	AUTO(tree_free) struct tree t = { .o = o, .root = -1 };
	mode_t mask = umask(0);
	int r = build(&t, e);

	umask(mask);
	return r < 0 ? r : pivot(&t, e);
}

int vm_jail_drop(struct err *e)
{
	const uint64_t keep = 1ULL << CAP_CHOWN | 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_FOWNER |
			      1ULL << CAP_FSETID | 1ULL << CAP_SETGID | 1ULL << CAP_SETUID |
			      1ULL << CAP_SETFCAP | 1ULL << CAP_SETPCAP | 1ULL << CAP_MKNOD;
	int r;

	for (int cap = 0; cap <= caps_last(); cap++)
		if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_sys(e, errno, "drop capability %d from the bounding set", cap);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, errno, "set no_new_privs");
	r = sys_capset(keep, keep, 0);
	return r < 0 ? err_sys(e, -r, "set the capabilities of the VMM") : 0;
}
