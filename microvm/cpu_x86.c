/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/cpu_x86.h"

#include "microvm/layout.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define CR0_PE (1ULL << 0)
#define CR0_ET (1ULL << 4)
#define CR0_PG (1ULL << 31)
#define CR4_PAE (1ULL << 5)
#define EFER_LME (1ULL << 8)
#define EFER_LMA (1ULL << 10)

enum {
	MSR_MISC_ENABLE = 0x1a0,
	MSR_MTRR_DEF_TYPE = 0x2ff,
	LAPIC_LVT_LINT0 = 0x350,
	LAPIC_LVT_LINT1 = 0x360,
	LAPIC_MODE_NMI = 4 << 8,
	LAPIC_MODE_EXTINT = 7 << 8,
	LAPIC_MASKED = 1 << 16,
	/* Segment types: present code and data that have been accessed, a busy TSS. */
	SEG_CODE = 0xb,
	SEG_DATA = 0x3,
	SEG_TSS = 0xb,
	/* __BOOT_CS, __BOOT_DS of the boot protocol, and a TSS behind them. */
	SEL_CODE = 0x10,
	SEL_DATA = 0x18,
	SEL_TSS = 0x20,
};

static int call(int fd, unsigned long request, void *arg, const char *name, struct err *e)
{
	return ioctl(fd, request, arg) < 0 ? err_sys(e, errno, "KVM: %s", name) : 0;
}

#define CALL(fd, request, arg, e) call(fd, request, arg, #request, e)

int cpu_x86_supported(int kvm, struct cpu_x86_cpuid *c, struct err *e)
{
	c->head.nent = CPU_X86_MAX_CPUID;
	return CALL(kvm, KVM_GET_SUPPORTED_CPUID, &c->head, e);
}

/* ---- CPUID ---- */

static void set_bit(uint32_t *reg, unsigned int bit, bool on)
{
	*reg = on ? *reg | 1U << bit : *reg & ~(1U << bit);
}

static void set_field(uint32_t *reg, unsigned int shift, unsigned int bits, uint32_t v)
{
	const uint32_t mask = ((1U << bits) - 1) << shift;

	*reg = (*reg & ~mask) | (v << shift & mask);
}

/* Bits of an APIC id that tell n cores apart. */
static unsigned int id_bits(unsigned int n)
{
	unsigned int b = 0;

	while (1U << b < n)
		b++;
	return b;
}

static void leaf_1(struct kvm_cpuid_entry2 *e, const struct cpu_x86 *cpu)
{
	set_field(&e->ebx, 24, 8, cpu->id);
	set_field(&e->ebx, 16, 8, 1U << id_bits(cpu->n));
	set_bit(&e->edx, 28, cpu->n > 1); /* HTT: the count before is valid */
	set_bit(&e->ecx, 3, false);       /* MONITOR */
	set_bit(&e->ecx, 5, false);       /* VMX */
	set_bit(&e->ecx, 15, false);      /* PDCM: says that there is a PMU */
	set_bit(&e->ecx, 24, cpu->tsc_deadline);
	set_bit(&e->ecx, 31, true); /* a hypervisor is there */
}

/* Intel's caches: the first two levels belong to one core, the rest to all. */
static void leaf_4(struct kvm_cpuid_entry2 *e, const struct cpu_x86 *cpu)
{
	const uint32_t level = e->eax >> 5 & 7;

	if ((e->eax & 0x1f) == 0)
		return;
	set_field(&e->eax, 14, 12, level >= 3 ? (1U << id_bits(cpu->n)) - 1 : 0);
	set_field(&e->eax, 26, 6, (1U << id_bits(cpu->n)) - 1);
}

/* The same on AMD; there is no count of cores in it. */
static void leaf_8000001d(struct kvm_cpuid_entry2 *e, const struct cpu_x86 *cpu)
{
	if (e->eax & 0x1f)
		set_field(&e->eax, 14, 12, (e->eax >> 5 & 7) >= 3 ? cpu->n - 1 : 0);
}

/* Levels of topology: one thread a core, n cores a package. */
static void leaf_b(struct kvm_cpuid_entry2 *e, const struct cpu_x86 *cpu)
{
	const uint32_t level = e->index;

	e->eax = level == 0 ? 0 : level == 1 ? id_bits(cpu->n) : 0;
	e->ebx = level == 0 ? 1 : level == 1 ? cpu->n : 0;
	e->ecx = level | (level == 0 ? 1U : level == 1 ? 2U : 0U) << 8;
	e->edx = cpu->id;
}

static void leaf_80000008(struct kvm_cpuid_entry2 *e, const struct cpu_x86 *cpu)
{
	set_field(&e->ecx, 0, 8, cpu->n - 1);
	set_field(&e->ecx, 12, 4, id_bits(cpu->n));
}

static void leaf_8000001e(struct kvm_cpuid_entry2 *e, const struct cpu_x86 *cpu)
{
	e->eax = cpu->id;
	e->ebx = cpu->id & 0xff; /* its core, one thread in it */
	e->ecx = 0;              /* node 0 of 1 */
}

static void normalise(struct kvm_cpuid_entry2 *e, const struct cpu_x86 *cpu)
{
	switch (e->function) {
	case 0x1:
		leaf_1(e, cpu);
		break;
	case 0x4:
		leaf_4(e, cpu);
		break;
	case 0x5: /* MONITOR */
	case 0xa: /* PMU */
	case 0x80000022:
		e->eax = e->ebx = e->ecx = e->edx = 0;
		break;
	case 0x7:
		if (e->index == 0)
			set_bit(&e->ecx, 5, false); /* WAITPKG */
		break;
	case 0xb:
	case 0x1f:
		leaf_b(e, cpu);
		break;
	case 0x80000001:
		set_bit(&e->ecx, 1, cpu->n > 1); /* CmpLegacy: cores, not threads */
		set_bit(&e->ecx, 2, false);      /* SVM */
		set_bit(&e->ecx, 23, false);     /* performance counters */
		set_bit(&e->ecx, 29, false);     /* MWAITX */
		break;
	case 0x80000008:
		leaf_80000008(e, cpu);
		break;
	case 0x8000001d:
		leaf_8000001d(e, cpu);
		break;
	case 0x8000001e:
		leaf_8000001e(e, cpu);
		break;
	}
}

/* KVM may give one subleaf of the topology only; a guest reads on until it finds an empty one. */
static void topology(struct cpu_x86_cpuid *c, const struct cpu_x86 *cpu)
{
	for (uint32_t level = 0; level < 3; level++) {
		struct kvm_cpuid_entry2 *e = NULL;
		bool any = false;

		for (uint32_t i = 0; i < c->head.nent; i++) {
			any |= c->entries[i].function == 0xb;
			if (c->entries[i].function == 0xb && c->entries[i].index == level)
				e = &c->entries[i];
		}
		if (!any || e || c->head.nent == CPU_X86_MAX_CPUID)
			continue;
		e = &c->entries[c->head.nent++];
		*e = (struct kvm_cpuid_entry2){ .function = 0xb,
						.index = level,
						.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX };
		leaf_b(e, cpu);
	}
}

void cpu_x86_normalise(struct cpu_x86_cpuid *c, const struct cpu_x86 *cpu)
{
	for (uint32_t i = 0; i < c->head.nent; i++)
		normalise(&c->entries[i], cpu);
	topology(c, cpu);
}

/* ---- registers ---- */

static struct kvm_segment segment(uint16_t selector, uint8_t type, bool code64, bool system)
{
	return (struct kvm_segment){
		.selector = selector,
		.type = type,
		.limit = system ? 0x67 : 0xffffffff,
		.present = 1,
		.s = !system,
		.g = !system,
		.l = code64,
		.db = !system && !code64,
	};
}

/* The same as an entry of the descriptor table; base is 0. */
static uint64_t descriptor(const struct kvm_segment *s)
{
	const uint64_t limit = s->g ? s->limit >> 12 : s->limit;

	return (limit & 0xffff) | (uint64_t)s->type << 40 | (uint64_t)s->s << 44 |
	       (uint64_t)s->dpl << 45 | (uint64_t)s->present << 47 | (limit >> 16 & 0xf) << 48 |
	       (uint64_t)s->l << 53 | (uint64_t)s->db << 54 | (uint64_t)s->g << 55;
}

static int entry_sregs(int fd, const struct mem *m, enum load_entry how, struct err *e)
{
	const bool long_mode = how == LOAD_LINUX64;
	const struct kvm_segment code = segment(SEL_CODE, SEG_CODE, long_mode, false);
	const struct kvm_segment data = segment(SEL_DATA, SEG_DATA, false, false);
	const struct kvm_segment tss = segment(SEL_TSS, SEG_TSS, false, true);
	const uint64_t gdt[] = { 0, 0, descriptor(&code), descriptor(&data), descriptor(&tss), 0 };
	struct kvm_sregs s;
	int r = CALL(fd, KVM_GET_SREGS, &s, e);

	if (r < 0)
		return r;
	memcpy(mem_at(m, LAYOUT_GDT, sizeof(gdt)), gdt, sizeof(gdt));
	s.gdt.base = LAYOUT_GDT;
	s.gdt.limit = sizeof(gdt) - 1;
	s.idt.base = 0;
	s.idt.limit = 0;
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.tr = tss;
	s.cr0 = CR0_PE | CR0_ET;
	s.cr4 = 0;
	s.efer = 0;
	if (long_mode) {
		s.cr0 |= CR0_PG;
		s.cr3 = LAYOUT_PAGE_TABLES;
		s.cr4 = CR4_PAE;
		s.efer = EFER_LME | EFER_LMA;
	}
	return CALL(fd, KVM_SET_SREGS, &s, e);
}

static int entry_regs(int fd, const struct load_kernel *k, struct err *e)
{
	struct kvm_regs regs = { .rip = k->entry, .rflags = 2 };
	struct kvm_fpu fpu = { .fcw = 0x37f, .mxcsr = 0x1f80 };
	int r;

	if (k->how == LOAD_PVH) {
		regs.rbx = LAYOUT_PVH_INFO;
	} else {
		regs.rsi = LAYOUT_ZERO_PAGE;
		regs.rsp = regs.rbp = LAYOUT_STACK;
	}
	r = CALL(fd, KVM_SET_REGS, &regs, e);
	return r < 0 ? r : CALL(fd, KVM_SET_FPU, &fpu, e);
}

/* Memory is write-back unless the page tables say otherwise; string instructions are quick. */
static int set_msrs(int fd, struct err *e)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry v[2];
	} msrs = {
		.head.nmsrs = 2,
		.v = { { .index = MSR_MISC_ENABLE, .data = 1 },
		       { .index = MSR_MTRR_DEF_TYPE, .data = 1 << 11 | 6 } },
	};
	int n = ioctl(fd, KVM_SET_MSRS, &msrs);

	if (n < 0)
		return err_sys(e, errno, "KVM: KVM_SET_MSRS");
	if (n < 2)
		return err_set(e, EINVAL, "KVM: it refuses model-specific register 0x%x",
			       msrs.v[n].index);
	return 0;
}

static int set_lapic(int fd, struct err *e)
{
	const uint32_t lint0 = LAPIC_MODE_EXTINT | LAPIC_MASKED, lint1 = LAPIC_MODE_NMI;
	struct kvm_lapic_state s;
	int r = CALL(fd, KVM_GET_LAPIC, &s, e);

	if (r < 0)
		return r;
	memcpy(s.regs + LAPIC_LVT_LINT0, &lint0, sizeof(lint0));
	memcpy(s.regs + LAPIC_LVT_LINT1, &lint1, sizeof(lint1));
	return CALL(fd, KVM_SET_LAPIC, &s, e);
}

int cpu_x86_setup(int fd, const struct cpu_x86 *cpu, const struct cpu_x86_cpuid *supported,
		  const struct mem *m, const struct load_kernel *k, struct err *e)
{
	struct cpu_x86_cpuid c = *supported;
	int r;

	/* CPUID first: it decides which registers there are. */
	cpu_x86_normalise(&c, cpu);
	r = CALL(fd, KVM_SET_CPUID2, &c.head, e);
	if (r == 0)
		r = set_msrs(fd, e);
	if (r == 0 && cpu->id == 0)
		r = entry_sregs(fd, m, k->how, e);
	if (r == 0 && cpu->id == 0)
		r = entry_regs(fd, k, e);
	return r < 0 ? r : set_lapic(fd, e);
}

bool cpu_x86_cpuid_done(const struct kvm_run *run)
{
	enum { FLAGS, EXIT_CODE, SVM_EXIT_CPUID = 0x72 };

	return run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
	       run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION &&
	       run->internal.ndata > EXIT_CODE &&
	       !(run->internal.data[FLAGS] &
		 KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) &&
	       run->internal.data[EXIT_CODE] == SVM_EXIT_CPUID;
}

int cpu_x86_step_cpuid(int fd)
{
	struct kvm_regs r;

	if (ioctl(fd, KVM_GET_REGS, &r) < 0)
		return -errno;
	r.rip += 2;
	return ioctl(fd, KVM_SET_REGS, &r) < 0 ? -errno : 0;
}

void cpu_x86_describe(int fd, char *text, size_t size)
{
	struct kvm_regs r = {};
	struct kvm_sregs s = {};

	if (ioctl(fd, KVM_GET_REGS, &r) < 0 || ioctl(fd, KVM_GET_SREGS, &s) < 0) {
		snprintf(text, size, "no registers: %s", strerror(errno));
		return;
	}
	snprintf(
		text, size,
		"rip %llx rsp %llx rflags %llx cs %x cr0 %llx cr2 %llx cr3 %llx cr4 %llx efer %llx rax %llx rbx %llx rcx %llx rdx %llx rsi %llx rdi %llx",
		r.rip, r.rsp, r.rflags, s.cs.selector, s.cr0, s.cr2, s.cr3, s.cr4, s.efer, r.rax,
		r.rbx, r.rcx, r.rdx, r.rsi, r.rdi);
}
