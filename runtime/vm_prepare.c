/* SPDX-License-Identifier: Apache-2.0 */
#include "vm_prepare.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "microvm/agent_proto.h"
#include "microvm/initramfs.h"
#include "microvm/kvm_probe.h"
#include "microvm/vm_cache.h"
#include "microvm/vm_plan.h"
#include "namespaces/overlay.h"
#include "oci/spec_guest.h"
#include "rootless.h"
#include "vm_image.h"
#include "vm_jail.h"
#include "vm_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>

#define QEMU_PATH "/usr/bin/qemu-system-x86_64"

/* ---- what the caller said ---- */

static struct vm_opts options(const struct create *c)
{
	struct vm_opts o = c->o->vm;

	if (!o.accel)
		o.accel = c->g->vm.accel;
	if (!o.kernel)
		o.kernel = c->g->vm.kernel;
	return o;
}

static int check_options(const struct create *c, struct err *e)
{
	if (c->o->preserve_fds)
		return err_set(
			e, ENOTSUP,
			"--preserve-fds: descriptors of the host cannot be passed into a micro-VM");
	if (c->listen.n)
		return err_set(
			e, ENOTSUP,
			"LISTEN_FDS: descriptors of the host cannot be passed into a micro-VM");
	if (c->net.plan.mode != NETWORK_KEEP && c->net.plan.mode != NETWORK_NONE)
		return err_set(
			e, ENOTSUP,
			"--network %s: this version of ctr connects no micro-VM to a network "
			"(none can be had)",
			c->o->network.network ?: "");
	if (c->o->vm.memory.set && c->o->vm.memory.v <= 0)
		return err_set(e, EINVAL, "--vm-memory: a machine has a size");
	if (c->spec->vm && c->spec->vm->initrd && c->o->vm.initrd)
		return err_set(e, EINVAL,
			       "--initrd: the configuration has one of its own, vm.kernel.initrd");
	return 0;
}

/* ---- the VMM ---- */

static int need_file(const char *path, const char *package, struct err *e)
{
	if (access(path, X_OK) == 0)
		return 0;
	if (errno != ENOENT)
		return err_sys(e, errno, "%s", path);
	return err_set(e, ENOENT, "%s: not there (package %s brings it)", path, package);
}

static int use_qemu(struct machine *m, const char *path, struct err *e)
{
	int r = need_file(path, "qemu-system-x86", e);

	if (r < 0)
		return r;
	m->vmm = &vmm_qemu;
	m->config.qemu = path;
	return 0;
}

static int open_kvm(int *kvm, struct err *e)
{
	AUTO_CLOSE int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int r;

	if (fd < 0 && errno == ENOENT)
		return err_set(
			e, ENOENT,
			"/dev/kvm: not there (no virtualization hardware, or its modules are "
			"not loaded)");
	if (fd < 0 && errno == EACCES)
		return err_set(e, EACCES, "/dev/kvm: not permitted (its group is usually \"kvm\")");
	if (fd < 0)
		return err_sys(e, errno, "/dev/kvm");
	r = kvm_probe(fd, e);
	if (r < 0)
		return r;
	*kvm = TAKE_FD(fd);
	return 0;
}

/*
 * kvm is an order and fails where it cannot be had; auto looks first, and says in one line why it
 * took the slow way.
 */
static int choose_vmm(struct machine *m, const struct create *c, enum vm_accel want, struct err *e)
{
	const char *qemu = vm_plan_qemu(c->spec);
	struct err why = {};
	int r = want == VM_ACCEL_TCG ? -ENODEV : open_kvm(&m->config.kvm, &why);

	if (r < 0 && want == VM_ACCEL_KVM) {
		*e = why;
		return err_wrap(e, "--accel kvm");
	}
	m->config.accel = r < 0 ? VM_ACCEL_TCG : VM_ACCEL_KVM;
	m->vmm = &vmm_kvm;
	if (r == 0 && !qemu)
		return 0;
	r = use_qemu(m, qemu ?: QEMU_PATH, e);
	if (r < 0 && why.code)
		return err_wrap(e, "no KVM (%.300s), and no QEMU in its place", why.msg);
	if (r == 0 && why.code)
		log_warn("no KVM for the micro-VM, QEMU translates its code: %s", why.msg);
	return r;
}

/* ---- kernel and initramfs ---- */

/* A machine that cannot even hold what is loaded into it is not worth a start. */
static int check_room(const struct machine *m, struct err *e)
{
	struct stat k, i;
	uint64_t need;

	if (fstat(m->config.kernel, &k) < 0 || fstat(m->config.initrd, &i) < 0)
		return err_sys(e, errno, "stat the guest's kernel");
	/* The archive is unpacked while it is still there. */
	need = (uint64_t)k.st_size + 2 * (uint64_t)i.st_size + ((uint64_t)24 << 20);
	if (need <= m->config.memory)
		return 0;
	return err_set(e, ENOMEM,
		       "the micro-VM has %llu MiB of memory, its kernel %s needs at least %llu "
		       "(--vm-memory, vm.hwConfig.memory or linux.resources.memory.limit)",
		       (unsigned long long)(m->config.memory >> 20), m->kernel.path,
		       (unsigned long long)((need >> 20) + 1));
}

static int open_kernel(struct machine *m, const struct create *c, const struct vm_opts *o,
		       struct err *e)
{
	const struct spec_vm *vm = c->spec->vm;
	const char *path = vm ? vm->kernel_path : o->kernel;
	const char *initrd = o->initrd ?: vm ? vm->initrd : NULL;
	AUTO_CLOSE int cache = vm_cache_open();
	unsigned int features = m->config.n_disks ? INITRAMFS_DISK : 0;
	int r = kernel_open(path, cache, &m->kernel, e);

	if (r < 0)
		return vm ? err_wrap(e, "vm.kernel.path") : r;
	m->config.kernel = m->kernel.fd;
	m->config.initrd = initramfs_open(&m->kernel, features, initrd, cache, e);
	if (m->config.initrd < 0)
		return m->config.initrd;
	return check_room(m, e);
}

/* ---- the guest's configuration ---- */

/* Of a clone nobody but its machine knows the root; a bundle's may be changed by its engine. */
static void plan_cache(struct machine *m, const struct create *c)
{
	if (!c->o->clone)
		return;
	m->config.share_exclusive = &VM_JAIL_ROOTFS[1];
	m->config.share_writeback = true;
	for (size_t i = 0; i < m->plan.n; i++)
		if (m->plan.v[i].kind == MOUNT_OP_BIND)
			m->config.share_writeback = false;
}

static int plan_volumes(struct machine *m, const struct create *c, struct err *e)
{
	struct mount_plan_in in = {
		.spec = c->spec,
		.bundle = c->bundle,
		.cgroup_ns = true,
	};

	int r = mount_plan_build(&m->arena, &in, &m->plan, e);

	if (r == 0)
		plan_cache(m, c);
	return r;
}

static int guest_config(struct machine *m, const struct create *c, struct err *e)
{
	const char **sources = arena_array(&m->arena, c->spec->mounts.n + 1, sizeof(*sources));
	struct spec_guest_in in = {
		.text = c->config,
		.len = c->config_len,
		.rootfs = m->config.n_disks ? AGENT_IMAGE : AGENT_SHARE VM_JAIL_ROOTFS,
		.bundle = c->bundle,
		.sources = sources,
		.n_sources = c->spec->mounts.n,
	};

	if (!sources)
		return err_sys(e, ENOMEM, "configuration of the guest");
	for (size_t i = 0; i < m->plan.n; i++) {
		size_t at = m->plan.v[i].index;

		if (m->plan.v[i].kind != MOUNT_OP_BIND)
			continue;
		sources[at] = arena_printf(&m->arena, AGENT_SHARE VM_JAIL_VOLUMES "%zu", at);
		if (!sources[at])
			return err_sys(e, ENOMEM, "configuration of the guest");
	}
	return spec_guest(&in, &m->guest, &m->guest_len, e);
}

/* ---- namespaces and limits of the VMM ---- */

/* All of them, whatever the container shares with the host; only its network may be a given one. */
static int plan_namespaces(struct create *c, struct err *e)
{
	static struct spec_idmap all = { .container = 0, .host = 0, .size = UINT32_MAX };
	const struct spec_linux *own = &c->spec->linux_;
	struct spec_linux l = {};

	for (int k = 0; k < NS_KINDS; k++)
		l.ns[k].wanted = k != NS_USER && k != NS_TIME;
	l.ns[NS_NETWORK].path = own->ns[NS_NETWORK].path;
	if (l.ns[NS_NETWORK].path)
		log_warn("linux.namespaces: the guest has a loopback only, nothing of %s",
			 l.ns[NS_NETWORK].path);
	c->machine = true;
	/* Who has no rights gets those to make namespaces by the user namespace, first of all. */
	if (geteuid() != 0 || rootless_userns()) {
		l.ns[NS_USER].wanted = own->ns[NS_USER].wanted;
		return ns_plan_spec(&l, &c->ns, e);
	}
	c->late_uids = own->ns[NS_USER].wanted ? own->uid_mappings
					       : (struct spec_idmaps){ .v = &all, .n = 1 };
	c->late_gids = own->ns[NS_USER].wanted ? own->gid_mappings
					       : (struct spec_idmaps){ .v = &all, .n = 1 };
	return ns_plan_spec(&l, &c->ns, e);
}

/*
 * A clone in memory keeps what is written in its file server's cgroup: without a limit of the
 * user's there is none to hold it to. Who has no rights may have no cgroup to be limited in.
 */
static int limits(struct machine *m, struct create *c, struct err *e)
{
	const struct spec_resources *r = c->spec->linux_.resources;
	bool root = !rootless_is(c->g);
	bool limit = r && r->memory && r->memory->limit.set && r->memory->limit.v > 0;

	limit |= root && (!c->o->clone || c->o->disk);
	c->resources = vm_plan_host_resources(c->spec, &m->config, limit, root, e);
	return c->resources ? 0 : -ENOMEM;
}

static int open_image(struct machine *m, const struct create *c, struct err *e)
{
	struct vm_disk *d = &m->config.disks[0];
	const char *path = c->spec->vm ? c->spec->vm->image_path : NULL;
	int r;

	if (!path)
		return 0;
	if (c->o->clone)
		return err_set(e, EINVAL, "vm.image: an OS clone has its root already");
	r = vm_image_open(path, c->spec->root->readonly, d, e);
	if (r < 0)
		return r;
	m->config.n_disks = 1;
	log_warn("root.path: %s is not used: vm.image has the root file system",
		 c->spec->root->path);
	return 0;
}

int vm_machine_prepare(struct machine *m, struct create *c, struct err *e)
{
	struct vm_opts o = options(c);
	struct vm_sizes sizes = { .vcpus = (unsigned int)o.vcpus, .memory = (uint64_t)o.memory.v };
	bool debug = log_debugging();
	int r;

	m->config = (struct vm_config){
		.kvm = -1, .kernel = -1, .initrd = -1, .share = -1, .tap = -1, .serial = debug
	};
	m->kernel = (struct kernel)KERNEL_INIT;
	m->listen = m->disk_fd = -1;
	m->config.disks[0].fd = -1;
	if ((r = check_options(c, e)) < 0 || (r = plan_namespaces(c, e)) < 0 ||
	    (r = vm_plan_sizes(c->spec, &sizes, &m->config, e)) < 0 ||
	    (r = vm_plan_cmdline(c->spec, debug, &m->cmdline, e)) < 0 ||
	    (r = open_image(m, c, e)) < 0 || (r = open_kernel(m, c, &o, e)) < 0 ||
	    (r = choose_vmm(m, c, (enum vm_accel)o.accel, e)) < 0 ||
	    (r = plan_volumes(m, c, e)) < 0 || (r = guest_config(m, c, e)) < 0 ||
	    (r = limits(m, c, e)) < 0)
		return r;
	log_debug("micro-VM: kernel %s %s, %u vCPUs, %llu MiB, %s", m->kernel.path,
		  m->kernel.release, m->config.vcpus, (unsigned long long)(m->config.memory >> 20),
		  m->vmm->name);
	m->config.cmdline = m->cmdline;
	c->st.vm_memory = m->config.memory;
	if (c->spec->vm) {
		m->config.qemu_params = (const char *const *)c->spec->vm->hypervisor_parameters.v;
		m->config.n_qemu_params = c->spec->vm->hypervisor_parameters.n;
	}
	m->listen = vm_listen(c->dir, e);
	if (m->listen < 0)
		return m->listen;
	return c->o->disk ? overlay_disk_open(c->o->disk, c->o->disk_size, &m->disk_fd, e) : 0;
}

void vm_machine_free(struct machine *m)
{
	int *fds[] = { &m->config.kvm, &m->config.initrd, &m->listen, &m->disk_fd,
		       &m->config.disks[0].fd };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	kernel_close(&m->kernel);
	arena_free(&m->arena);
	free(m->cmdline);
	free(m->guest);
	m->cmdline = m->guest = NULL;
}
