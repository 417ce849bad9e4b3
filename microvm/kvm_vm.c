/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the stages: KVM wants the interrupt controller before the processors; the tables
 * need to know the devices; the kernel's entry needs to know all of it.
 */
#include "microvm/kvm_vm.h"

#include "base/cleanup.h"
#include "base/stage.h"
#include "microvm/acpi.h"
#include "microvm/irq.h"
#include "microvm/virtio_blk.h"
#include "microvm/virtio_console.h"
#include "microvm/virtio_fs.h"
#include "microvm/virtio_rng.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>

enum { STOP_SECONDS = 5, CREATE_TRIES = 10 };

/* ---- the VM ---- */

static const struct {
	int cap;
	const char *name;
} needed[] = {
	{ KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP" },
	{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY" },
	{ KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID" },
	{ KVM_CAP_IRQFD, "KVM_CAP_IRQFD" },
	{ KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD" },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
};

static int check_kvm(int kvm, struct err *e)
{
	const int version = ioctl(kvm, KVM_GET_API_VERSION, 0);

	if (version < 0)
		return err_sys(e, errno, "/dev/kvm");
	if (version != KVM_API_VERSION)
		return err_set(e, ENOTSUP, "/dev/kvm speaks version %d of its interface", version);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (ioctl(kvm, KVM_CHECK_EXTENSION, needed[i].cap) <= 0)
			return err_set(e, ENOTSUP, "/dev/kvm has no %s", needed[i].name);
	return 0;
}

static int stage_vm(void *ctx, struct err *e)
{
	struct kvm_vm *m = ctx;
	uint64_t identity = LAYOUT_KVM_IDENTITY;
	int r = check_kvm(m->config->kvm, e);

	if (r < 0)
		return r;
	/* A signal in the middle of it, which takes a while, is no reason to give up. */
	for (int i = 0; i < CREATE_TRIES && m->vm < 0; i++) {
		m->vm = ioctl(m->config->kvm, KVM_CREATE_VM, 0);
		if (m->vm < 0 && errno != EINTR)
			break;
	}
	if (m->vm < 0)
		return err_sys(e, errno, "KVM: create a virtual machine");
	if (ioctl(m->vm, KVM_SET_TSS_ADDR, LAYOUT_KVM_TSS) < 0)
		return err_sys(e, errno, "KVM: KVM_SET_TSS_ADDR");
	if (ioctl(m->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
		return err_sys(e, errno, "KVM: KVM_SET_IDENTITY_MAP_ADDR");
	if (ioctl(m->vm, KVM_CREATE_IRQCHIP, 0) < 0)
		return err_sys(e, errno, "KVM: create the interrupt controllers");
	return 0;
}

static int stage_memory(void *ctx, struct err *e)
{
	struct kvm_vm *m = ctx;
	int r = mem_init(&m->mem, m->config->memory, e);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < m->mem.n; i++) {
		struct kvm_userspace_memory_region slot = {
			.slot = i,
			.guest_phys_addr = m->mem.r[i].gpa,
			.memory_size = m->mem.r[i].size,
			.userspace_addr = (uintptr_t)m->mem.r[i].host,
		};

		if (ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
			return err_sys(e, errno, "KVM: give it the guest's memory");
	}
	return 0;
}

static int stage_kernel(void *ctx, struct err *e)
{
	struct kvm_vm *m = ctx;
	int r = load_kernel(&m->mem, m->config->kernel, &m->boot.kernel, e);

	if (r < 0)
		return r;
	return load_initrd(&m->mem, m->config->initrd, m->boot.kernel.end, &m->boot.initrd, e);
}

/* ---- devices ---- */

/* Takes over dev. */
static int add_virtio(struct kvm_vm *m, struct virtio_dev *dev, struct loop *loop, struct err *e)
{
	const unsigned int slot = m->n_slots;
	const uint64_t base = LAYOUT_VIRTIO + slot * LAYOUT_VIRTIO_STEP;
	struct virtio_mmio *t = &m->slots[slot];
	int r;

	if (slot == LAYOUT_VIRTIO_SLOTS) {
		dev->ops->free(dev);
		return err_set(e, ENOSPC, "more than %d virtio devices", LAYOUT_VIRTIO_SLOTS);
	}
	r = virtio_mmio_init(t, dev, base, &m->mem, loop, e);
	if (r < 0)
		return r;
	m->n_slots++;
	r = irq_line(m->vm, t->irq, LAYOUT_VIRTIO_GSI + slot, e);
	for (unsigned int i = 0; r == 0 && i < dev->n_queues; i++)
		r = irq_doorbell(m->vm, t->q[i].kick, base + 0x50, i, e);
	if (r == 0 && (r = bus_add(&m->mmio, &t->bus)) < 0)
		err_sys(e, -r, "virtio device %s", dev->ops->name);
	return r;
}

static int add_disks(struct kvm_vm *m, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->config->n_disks; i++) {
		const struct vm_disk *d = &m->config->disks[i];
		struct virtio_dev *dev;
		char id[32];

		snprintf(id, sizeof(id), "disk%zu", i);
		r = virtio_blk_new(d->fd, d->ro, id, &dev, e);
		if (r == 0)
			r = add_virtio(m, dev, &m->io, e);
	}
	return r;
}

static int stage_devices(void *ctx, struct err *e)
{
	struct kvm_vm *m = ctx;
	struct virtio_dev *dev;
	int r = loop_init(&m->io, "devices", e);

	if (r < 0)
		return r;
	r = virtio_console_new(TAKE_FD(m->console_in), TAKE_FD(m->ctl_in), VM_CTL_PORT, &dev, e);
	if (r == 0)
		r = add_virtio(m, dev, &m->io, e);
	if (r == 0)
		r = add_disks(m, e);
	if (r == 0 && (r = virtio_rng_new(&dev, e)) == 0)
		r = add_virtio(m, dev, &m->io, e);
	if (r < 0 || m->config->share < 0)
		return r;
	r = loop_init(&m->fs, "files", e);
	if (r == 0 && (r = virtio_fs_new(m->config, &dev, e)) == 0)
		r = add_virtio(m, dev, &m->fs, e);
	return r;
}

static void on_platform(void *arg, enum platform_event ev)
{
	struct vcpus *all = arg;

	switch (ev) {
	case PLATFORM_POWER_OFF:
		vcpus_end(all, VM_END_RESET, "powered off");
		break;
	case PLATFORM_RESET:
		vcpus_end(all, VM_END_RESET, "reset");
		break;
	case PLATFORM_PANIC:
		vcpus_end(all, VM_END_PANIC, "the guest kernel panicked");
		break;
	}
}

static int stage_platform(void *ctx, struct err *e)
{
	struct kvm_vm *m = ctx;
	int r = platform_init(&m->platform, &m->ports, on_platform, &m->vcpus);

	if (r < 0)
		return err_sys(e, -r, "platform devices");
	if (!m->config->serial)
		return 0;
	m->serial_irq = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->serial_irq < 0)
		return err_sys(e, errno, "serial port");
	serial_init(&m->serial, LAYOUT_PORT_SERIAL, m->serial_out, m->serial_irq);
	r = bus_add(&m->ports, &m->serial.bus);
	if (r < 0)
		return err_sys(e, -r, "serial port");
	return irq_line(m->vm, m->serial_irq, LAYOUT_SERIAL_GSI, e);
}

/* ---- the kernel's first instruction ---- */

static int stage_tables(void *ctx, struct err *e)
{
	struct kvm_vm *m = ctx;
	const struct acpi in = {
		.vcpus = m->config->vcpus,
		.virtio_slots = m->n_slots,
		.serial = m->config->serial,
	};
	int n = snprintf(m->cmdline, sizeof(m->cmdline), "%s%s", m->config->cmdline,
			 m->config->serial ? " earlyprintk=ttyS0" : "");
	int r;

	if (n < 0 || (size_t)n >= sizeof(m->cmdline))
		return err_set(e, E2BIG, "guest kernel: its command line is longer than %d bytes",
			       LAYOUT_CMDLINE_MAX - 1);
	r = acpi_build(&in, LAYOUT_ACPI, mem_at(&m->mem, LAYOUT_ACPI, LAYOUT_ACPI_MAX),
		       LAYOUT_ACPI_MAX);
	if (r < 0)
		return err_sys(e, -r, "ACPI tables");
	m->boot.cmdline = m->cmdline;
	m->boot.rsdp = LAYOUT_ACPI;
	if (getrandom(m->boot.seed, sizeof(m->boot.seed), 0) != sizeof(m->boot.seed))
		return err_sys(e, errno, "random seed");
	r = boot_write(&m->mem, &m->boot, e);
	explicit_bzero(m->boot.seed, sizeof(m->boot.seed));
	return r;
}

static int stage_processors(void *ctx, struct err *e)
{
	struct kvm_vm *m = ctx;

	m->vcpus.kvm = m->config->kvm;
	m->vcpus.vm = m->vm;
	m->vcpus.ports = &m->ports;
	m->vcpus.mmio = &m->mmio;
	return vcpus_create(&m->vcpus, m->config->vcpus, &m->mem, &m->boot.kernel, e);
}

static const struct stage stages[] = {
	{ "machine", stage_vm, NULL },
	{ "memory", stage_memory, NULL },
	{ "kernel and initrd", stage_kernel, NULL },
	{ "platform", stage_platform, NULL },
	{ "devices", stage_devices, NULL },
	{ "tables", stage_tables, NULL },
	{ "processors", stage_processors, NULL },
};

int kvm_vm_make(struct kvm_vm *m, const struct vm_config *c, struct err *e)
{
	int r;

	m->config = c;
	r = stage_run("vm", stages, ARRAY_SIZE(stages), m, e);
	m->config = NULL;
	return r;
}

int kvm_vm_start(struct kvm_vm *m, struct err *e)
{
	int r = loop_start(&m->io, e);

	if (r == 0 && m->fs.epoll >= 0)
		r = loop_start(&m->fs, e);
	return r < 0 ? r : vcpus_start(&m->vcpus, e);
}

bool kvm_vm_free(struct kvm_vm *m)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += STOP_SECONDS;
	if (vcpus_join(&m->vcpus, &until) < 0 || loop_stop(&m->io, &until) < 0 ||
	    loop_stop(&m->fs, &until) < 0)
		return false;
	vcpus_free(&m->vcpus);
	for (unsigned int i = 0; i < m->n_slots; i++)
		virtio_mmio_free(&m->slots[i]);
	m->n_slots = 0;
	mem_free(&m->mem);
	cleanup_close(&m->vm);
	cleanup_close(&m->serial_irq);
	cleanup_close(&m->serial_out);
	cleanup_close(&m->console_in);
	cleanup_close(&m->ctl_in);
	m->vm = m->serial_irq = m->serial_out = m->console_in = m->ctl_in = -1;
	return true;
}
