/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why these words. Without PCI, USB, VGA, timers of a PC or option ROMs there is nothing to probe.
 * The ACPI tables say so too, and a kernel that believes them calibrates its local timer against
 * the time stamp counter, whose frequency it must be told: the translator has no paravirtual clock
 * and no TSC deadline timer. The clock of a PC stays: a kernel that finds none waits a second for
 * it, and this one sets the guest's time. The legacy register layout of virtio-mmio is off, because
 * virtio-fs exists only in the modern one. Guest memory is a shared memfd: the file server maps it.
 * The early console costs nothing while the kernel is quiet, and is the only one that a panic
 * before virtio can reach.
 */
#include "microvm/qemu.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>

/* MiB of translated code that QEMU may keep; part of the stated overhead (vm_config.c). */
#define TB_CACHE "128"

struct words {
	struct str_list *l;
	bool failed;
};

static void add(struct words *w, const char *s)
{
	w->failed |= str_list_add(w->l, s) < 0;
}

static void addf(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void addf(struct words *w, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		w->failed = true;
	else
		add(w, text);
}

static void machine(struct words *w, const struct vm_config *c)
{
	bool kvm = c->accel == VM_ACCEL_KVM;
	unsigned long long mib = c->memory >> 20;

	add(w, "-M");
	addf(w,
	     "microvm,acpi=on,pcie=off,usb=off,rtc=on,pit=off,pic=off,ioapic2=off,x-option-roms=off,"
	     "auto-kernel-cmdline=off,isa-serial=on,memory-backend=ram");
	add(w, "-global");
	add(w, "virtio-mmio.force-legacy=false");
	add(w, "-object");
	addf(w, "memory-backend-memfd,id=ram,size=%lluM,share=on", mib);
	add(w, "-m");
	addf(w, "%lluM", mib);
	add(w, "-accel");
	/*
	 * One thread for all processors: with more, QEMU before 8.1 may keep a translation of code
	 * that another processor patches at that moment, and a guest hangs in Linux's own int3.
	 */
	add(w, kvm ? "kvm" : "tcg,thread=single,tb-size=" TB_CACHE);
	add(w, "-cpu");
	add(w, kvm ? "host" : "max");
	add(w, "-smp");
	addf(w, "%u", c->vcpus);
	for (size_t i = 0; i < c->n_qemu_params; i++)
		add(w, c->qemu_params[i]);
	add(w, "-nodefaults");
	add(w, "-no-user-config");
	add(w, "-no-reboot");
	add(w, "-display");
	add(w, "none");
}

static void kernel(struct words *w, const struct vm_config *c, unsigned int tsc_khz)
{
	AUTO_FREE char *line = NULL;
	char tsc[80] = "";

	if (tsc_khz)
		snprintf(tsc, sizeof(tsc), "tsc_early_khz=%u tsc=reliable no_timer_check ",
			 tsc_khz);
	add(w, "-kernel");
	addf(w, "/proc/self/fd/%d", c->kernel);
	if (c->initrd >= 0) {
		add(w, "-initrd");
		addf(w, "/proc/self/fd/%d", c->initrd);
	}
	add(w, "-append");
	line = str_printf("earlyprintk=ttyS0 %s%s", tsc, c->cmdline);
	w->failed |= !line || str_list_add(w->l, line) < 0;
}

static void chardev(struct words *w, const char *id, int fd)
{
	add(w, "-chardev");
	addf(w, "socket,id=%s,fd=%d", id, fd);
}

static void device(struct words *w, const char *what)
{
	add(w, "-device");
	add(w, what);
}

static void disks(struct words *w, const struct vm_config *c)
{
	for (size_t i = 0; i < c->n_disks; i++) {
		add(w, "-add-fd");
		addf(w, "fd=%d,set=%zu", c->disks[i].fd, i + 1);
		add(w, "-drive");
		addf(w,
		     "if=none,id=disk%zu,file.driver=%s,file.filename=/dev/fdset/%zu,format=raw,"
		     "cache=writeback%s",
		     i, c->disks[i].device ? "host_device" : "file", i + 1,
		     c->disks[i].ro ? ",readonly=on" : ",auto-read-only=off");
		add(w, "-device");
		addf(w, "virtio-blk-device,drive=disk%zu", i);
	}
}

int qemu_args(const struct vm_config *c, const struct qemu_fds *f, unsigned int tsc_khz,
	      struct str_list *out, struct err *e)
{
	struct words w = { .l = out };

	add(&w, "qemu-system-x86_64");
	machine(&w, c);
	kernel(&w, c, tsc_khz);
	chardev(&w, "serial", f->serial);
	add(&w, "-serial");
	add(&w, "chardev:serial");
	device(&w, "virtio-serial-device,max_ports=3");
	chardev(&w, "console", f->console);
	device(&w, "virtconsole,chardev=console");
	chardev(&w, "ctl", f->ctl);
	device(&w, "virtserialport,chardev=ctl,name=" VM_CTL_PORT);
	if (f->fs >= 0) {
		chardev(&w, "fs", f->fs);
		device(&w, "vhost-user-fs-device,chardev=fs,tag=" VM_SHARE_TAG);
	}
	disks(&w, c);
	add(&w, "-object");
	add(&w, "rng-random,id=rng,filename=/dev/urandom");
	device(&w, "virtio-rng-device,rng=rng");
	return w.failed ? err_sys(e, ENOMEM, "command line of QEMU") : 0;
}

/* What may follow an option: a list of names, numbers and key=value, and no path. */
static bool plain_value(const char *s)
{
	return *s && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "0123456789_,=+-.:") == strlen(s);
}

/* Names of files, which need no slash. */
static const char *opens_file(const char *value)
{
	static const char *const keys[] = { "rr", "rrfile", "rrsnapshot", "device" };

	for (const char *s = value; s; s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL)
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			if (strcspn(s, "=,") == strlen(keys[k]) && str_after(s, keys[k]))
				return keys[k];
	return NULL;
}

int qemu_check_parameters(const char *const *v, size_t n, struct err *e)
{
	static const char *const known[] = { "-cpu", "-accel", "-smp", "-rtc", "-icount" };

	for (size_t i = 0; i < n; i += 2) {
		bool found = false;

		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			found |= str_eq(v[i], known[k]);
		if (!found)
			return err_set(e, EINVAL,
				       "vm.hypervisor.parameters[%zu]: \"%s\" may not be given "
				       "(-cpu, -accel, -smp, -rtc, -icount may)",
				       i, v[i]);
		if (i + 1 == n || !plain_value(v[i + 1]))
			return err_set(e, EINVAL,
				       "vm.hypervisor.parameters[%zu]: \"%s\" needs a plain value "
				       "after it",
				       i, v[i]);
		if (opens_file(v[i + 1]))
			return err_set(
				e, EINVAL,
				"vm.hypervisor.parameters[%zu]: \"%s\" may not be given in %s",
				i + 1, opens_file(v[i + 1]), v[i]);
	}
	return 0;
}
