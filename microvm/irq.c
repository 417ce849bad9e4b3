/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/irq.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

int irq_line(int vm, int eventfd, uint32_t gsi, struct err *e)
{
	struct kvm_irqfd v = { .fd = (uint32_t)eventfd, .gsi = gsi };

	if (ioctl(vm, KVM_IRQFD, &v) < 0)
		return err_sys(e, errno, "KVM: KVM_IRQFD for interrupt %u", gsi);
	return 0;
}

int irq_doorbell(int vm, int eventfd, uint64_t addr, uint32_t value, struct err *e)
{
	struct kvm_ioeventfd v = {
		.datamatch = value,
		.addr = addr,
		.len = 4,
		.fd = eventfd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	if (ioctl(vm, KVM_IOEVENTFD, &v) < 0)
		return err_sys(e, errno, "KVM: KVM_IOEVENTFD for 0x%llx", (unsigned long long)addr);
	return 0;
}
