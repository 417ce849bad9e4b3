/* SPDX-License-Identifier: Apache-2.0 */
/* What is x86_64 about a processor: CPUID, the registers at the kernel's first instruction. */
#ifndef CTR_MICROVM_CPU_X86_H
#define CTR_MICROVM_CPU_X86_H

#include "microvm/load.h"

#include <linux/kvm.h>
#include <stdbool.h>

enum { CPU_X86_MAX_CPUID = 256 };

struct cpu_x86_cpuid {
	struct kvm_cpuid2 head; /* head.nent of them are valid */
	struct kvm_cpuid_entry2 entries[CPU_X86_MAX_CPUID];
};

struct cpu_x86 {
	unsigned int id, n; /* this processor of how many */
	bool tsc_deadline;  /* KVM emulates the timer mode (KVM_CAP_TSC_DEADLINE_TIMER) */
};

/*
 * Makes of what KVM supports what processor `id` shows: its own APIC id, one package of n cores, no
 * hardware that a small guest has no use for (nested virtualization, PMU, MONITOR, WAITPKG). Pure.
 */
void cpu_x86_normalise(struct cpu_x86_cpuid *c, const struct cpu_x86 *cpu);

/* Asks /dev/kvm for what it supports. */
int cpu_x86_supported(int kvm, struct cpu_x86_cpuid *c, struct err *e);

/*
 * CPUID and model-specific registers of the vCPU behind fd; processor 0 also gets the registers for
 * the kernel's entry (and its descriptor table in guest memory), the others wait to be started.
 */
int cpu_x86_setup(int fd, const struct cpu_x86 *cpu, const struct cpu_x86_cpuid *supported,
		  const struct mem *m, const struct load_kernel *k, struct err *e);

/*
 * Whether KVM gave up because it could not read the CPUID instruction that it had already carried
 * out. A processor of AMD's without NRIPS does not say where the next instruction is, so KVM reads
 * this one in the guest's memory, whose page the guest may have taken out of its tables meanwhile
 * (a program's page, when its file is opened anew). All that is left to do is to step over its two
 * bytes: cpu_x86_step_cpuid, which returns 0 or a negative errno.
 */
bool cpu_x86_cpuid_done(const struct kvm_run *run);
int cpu_x86_step_cpuid(int fd);

/* One line with the registers of the vCPU behind fd, for the report of a crash. */
void cpu_x86_describe(int fd, char *text, size_t size);

#endif
