/* SPDX-License-Identifier: Apache-2.0 */
/* Which configurations a micro-VM can honour. Pure. */
#include "microvm/qemu.h"
#include "microvm/vm_plan.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <errno.h>

static int refuse(struct err *e, const char *path, const char *why)
{
	return err_set(e, ENOTSUP, "%s: %s", path, why);
}

/* ---- linux ---- */

static const char *const ns_names[NS_KINDS] = {
	[NS_MOUNT] = "mount", [NS_PID] = "pid",   [NS_NETWORK] = "network", [NS_UTS] = "uts",
	[NS_IPC] = "ipc",     [NS_USER] = "user", [NS_CGROUP] = "cgroup",   [NS_TIME] = "time",
};

/* Another container's, or the host's: the guest has a kernel of its own. */
static int check_namespaces(const struct spec_linux *l, struct err *e)
{
	for (int k = 0; k < NS_KINDS; k++)
		if (l->ns[k].path && k != NS_NETWORK)
			return err_set(e, ENOTSUP,
				       "linux.namespaces: \"%s\": a micro-VM cannot join the "
				       "namespace %s of the host",
				       ns_names[k], l->ns[k].path);
	return 0;
}

/* What every guest has, so that its own stands for the host's: memory, terminals, FUSE. */
static bool same_in_guest(const struct spec_device *d)
{
	return d->type == 'p' || (d->type != 'b' && (d->major == 1 || d->major == 5 ||
						     (d->major == 10 && d->minor == 229)));
}

static int check_devices(const struct spec_devices *l, struct err *e)
{
	for (size_t i = 0; i < l->n; i++)
		if (!same_in_guest(&l->v[i]))
			return err_set(
				e, ENOTSUP,
				"linux.devices[%zu]: %s (%c %lld:%lld): a device of the host "
				"cannot be given to a micro-VM",
				i, l->v[i].path, l->v[i].type, (long long)l->v[i].major,
				(long long)l->v[i].minor);
	return 0;
}

static int check_linux(const struct spec_linux *l, struct err *e)
{
	int r = check_namespaces(l, e);

	if (r == 0)
		r = check_devices(&l->devices, e);
	if (r < 0)
		return r;
	if (l->intel_rdt)
		return refuse(e, "linux.intelRdt", "has no effect on a micro-VM");
	if (l->memory_policy)
		return refuse(e, "linux.memoryPolicy", "a micro-VM has no memory nodes");
	if (l->net_devices.n)
		return refuse(e, "linux.netDevices",
			      "a device of the host cannot be moved into a micro-VM");
	if (l->mount_label)
		return refuse(e, "linux.mountLabel",
			      "labels of the host mean nothing in a micro-VM");
	if (l->seccomp && l->seccomp->listener_path)
		return refuse(e, "linux.seccomp.listenerPath",
			      "a process of the host cannot answer for the guest's kernel");
	return 0;
}

/* ---- mounts ---- */

/* File systems that the guest's kernel makes by itself; bind mounts come from the host. */
static const char *const guest_types[] = {
	"proc",       "sysfs",    "tmpfs", "ramfs",     "devpts",  "mqueue",
	"cgroup",     "cgroup2",  "bind",  "none",      "debugfs", "tracefs",
	"securityfs", "configfs", "bpf",   "hugetlbfs", "fusectl", "binfmt_misc",
};

static bool is_bind(const struct spec_mount *m)
{
	if (m->type && str_eq(m->type, "bind"))
		return true;
	for (size_t i = 0; i < m->options.n; i++)
		if (str_eq(m->options.v[i], "bind") || str_eq(m->options.v[i], "rbind"))
			return true;
	return false;
}

static bool maps_ids(const struct spec_mount *m)
{
	for (size_t i = 0; i < m->options.n; i++)
		if (str_eq(m->options.v[i], "idmap") || str_eq(m->options.v[i], "ridmap"))
			return true;
	return m->uid_mappings.n || m->gid_mappings.n;
}

static int check_mounts(const struct spec_mounts *l, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct spec_mount *m = &l->v[i];
		bool known = !m->type || is_bind(m);

		for (size_t k = 0; !known && k < ARRAY_SIZE(guest_types); k++)
			known = str_eq(m->type, guest_types[k]);
		if (!known)
			return err_set(e, ENOTSUP,
				       "mounts[%zu].type: \"%s\": not to be had in a micro-VM", i,
				       m->type);
		if (maps_ids(m))
			return err_set(e, ENOTSUP,
				       "mounts[%zu]: id mappings of a mount are not to be had in a "
				       "micro-VM",
				       i);
	}
	return 0;
}

/* ---- vm ---- */

static int check_hypervisor(const struct spec_vm *vm, struct err *e)
{
	const char *path = vm->hypervisor_path, *name;

	if (!path)
		return 0;
	name = strrchr(path, '/') + 1;
	if (!str_after(name, "qemu-system-"))
		return err_set(
			e, ENOTSUP,
			"vm.hypervisor.path: %s: only QEMU (qemu-system-x86_64) can take the "
			"place of ctr's own",
			path);
	return qemu_check_parameters((const char *const *)vm->hypervisor_parameters.v,
				     vm->hypervisor_parameters.n, e);
}

static int check_vm(const struct spec_vm *vm, struct err *e)
{
	if (vm->device_tree)
		return refuse(e, "vm.hwConfig.deviceTree", "this machine is described by ACPI");
	if (vm->dtdevs.n)
		return refuse(e, "vm.hwConfig.dtdevs",
			      "devices of the host cannot be given to a micro-VM");
	if (vm->iomems.n)
		return refuse(e, "vm.hwConfig.iomems",
			      "memory of the host's devices cannot be given to a micro-VM");
	if (vm->irqs.n)
		return refuse(e, "vm.hwConfig.irqs",
			      "interrupts of the host cannot be given to a micro-VM");
	if (vm->image_format && !str_eq(vm->image_format, "raw"))
		return err_set(e, ENOTSUP,
			       "vm.image.format: \"%s\": only \"raw\" (an image that describes "
			       "itself could name other files of the host)",
			       vm->image_format);
	return check_hypervisor(vm, e);
}

int vm_plan_check(const struct spec *s, struct err *e)
{
	int r = 0;

	if (!s->process)
		return err_set(e, EINVAL, "process: missing: there is nothing to run");
	if (!s->root)
		return err_set(e, EINVAL, "root: missing: a micro-VM needs a root file system");
	if (s->process->apparmor_profile)
		return refuse(e, "process.apparmorProfile",
			      "profiles of the host mean nothing in a micro-VM");
	if (s->process->selinux_label)
		return refuse(e, "process.selinuxLabel",
			      "labels of the host mean nothing in a micro-VM");
	r = check_linux(&s->linux_, e);
	if (r == 0)
		r = check_mounts(&s->mounts, e);
	if (r == 0 && s->vm)
		r = check_vm(s->vm, e);
	return r;
}
