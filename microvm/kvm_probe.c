/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest below is in 64-bit mode at the highest privilege, as a kernel is. It does what a kernel
 * cannot do without and says after each step how far it came. A child runs it, so that a KVM that
 * hangs takes only that child with it.
 */
#include "microvm/kvm_probe.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "microvm/boot.h"
#include "microvm/cpu_x86.h"
#include "microvm/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

enum {
	PROBE_MEMORY = 4 << 20,
	PROBE_IDT = 0x3000,
	PROBE_INSTRUCTIONS = 4000, /* of one round */
	PROBE_ROUNDS = 10,         /* the best one counts: a busy host stretches some of them */
	PROBE_SLOW_US = 1600,      /* 2.5 million instructions a second */
	PROBE_DEADLINE_MS = 10000,
	PROBE_PORT = 0x10,
	GATE_INT3 = 3,
};

#define CR4_OSFXSR (1ULL << 9)
#define CR4_OSXSAVE (1ULL << 18)

/* Steps, in the order of the guest; each is reported when it is done. */
enum { STEP_ENTERED = 1, STEP_INT3, STEP_XRSTOR, STEP_CMPXCHG16B, STEP_LOOP };

extern const uint8_t probe_guest[];
extern const uint32_t probe_guest_size, probe_int3_offset;

__asm__(".pushsection .rodata, \"a\"\n"
	"probe_guest:\n"
	"	mov $1, %al\n"
	"	out %al, $0x10\n"
	"	int3\n"
	"	mov $2, %al\n"
	"	out %al, $0x10\n"
	/* an empty state of the FPU, at a place of zeroes */
	"	mov $0x40000, %edi\n"
	"	mov $1, %eax\n"
	"	xor %edx, %edx\n"
	"	xrstor (%rdi)\n"
	"	mov $3, %al\n"
	"	out %al, $0x10\n"
	"	xor %eax, %eax\n"
	"	xor %edx, %edx\n"
	"	xor %ebx, %ebx\n"
	"	xor %ecx, %ecx\n"
	"	lock cmpxchg16b (%rdi)\n"
	"	mov $4, %al\n"
	"	out %al, $0x10\n"
	"3:	mov $2000, %ecx\n"
	"1:	dec %ecx\n"
	"	jnz 1b\n"
	"	mov $5, %al\n"
	"	out %al, $0x10\n"
	"	jmp 3b\n"
	"probe_int3:\n"
	"	iretq\n"
	"2:	.balign 4\n"
	"probe_guest_size:	.long 2b - probe_guest\n"
	"probe_int3_offset:	.long probe_int3 - probe_guest\n"
	".popsection\n");

/* What the child tells: the last step it saw done, and what happened then. */
struct verdict {
	int step, code; /* code: errno of a call that failed, or 0 */
	uint32_t exit, suberror;
	long loop_us;
	char what[64];
};

static long cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* One entry of the guest, up to its next report: false when something else came out of it. */
static bool step(int fd, struct kvm_run *kr, struct verdict *v)
{
	if (ioctl(fd, KVM_RUN, 0) < 0) {
		v->code = errno;
		snprintf(v->what, sizeof(v->what), "KVM_RUN");
		return false;
	}
	v->exit = kr->exit_reason;
	if (kr->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		v->suberror = kr->internal.suberror;
	if (kr->exit_reason != KVM_EXIT_IO || kr->io.port != PROBE_PORT)
		return false;
	v->step = *((uint8_t *)kr + kr->io.data_offset);
	return true;
}

/* All steps, then rounds of a loop until one is quick. */
static void run(int fd, struct kvm_run *kr, struct verdict *v)
{
	int rounds = 0;

	while (v->step < STEP_CMPXCHG16B)
		if (!step(fd, kr, v))
			return;
	do {
		const long start = cpu_us();

		if (!step(fd, kr, v))
			return;
		if (rounds == 0 || cpu_us() - start < v->loop_us)
			v->loop_us = cpu_us() - start;
	} while (++rounds < PROBE_ROUNDS && v->loop_us > PROBE_SLOW_US);
}

/* A gate for INT3 behind which is an IRETQ, and what XRSTOR needs to be allowed. */
static int prepare(int fd, const struct mem *m, struct err *e)
{
	const uint64_t handler = LAYOUT_KERNEL_MIN + probe_int3_offset;
	uint64_t *idt = mem_at(m, PROBE_IDT, 256 * 16);
	struct kvm_sregs s;

	memcpy(mem_at(m, LAYOUT_KERNEL_MIN, probe_guest_size), probe_guest, probe_guest_size);
	boot_page_tables(m);
	if (ioctl(fd, KVM_GET_SREGS, &s) < 0)
		return err_sys(e, errno, "KVM_GET_SREGS");
	/* offset, selector, present 64-bit interrupt gate */
	idt[GATE_INT3 * 2] = (handler & 0xffff) | (uint64_t)s.cs.selector << 16 | 0x8e00ULL << 32 |
			     (handler >> 16 & 0xffff) << 48;
	s.idt.base = PROBE_IDT;
	s.idt.limit = 256 * 16 - 1;
	s.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
	return ioctl(fd, KVM_SET_SREGS, &s) < 0 ? err_sys(e, errno, "KVM_SET_SREGS") : 0;
}

static int add_memory(int vm, struct mem *m, struct err *e)
{
	struct kvm_userspace_memory_region slot = { .memory_size = PROBE_MEMORY };
	int r = mem_init(m, PROBE_MEMORY, e);

	if (r < 0)
		return r;
	slot.userspace_addr = (uintptr_t)m->r[0].host;
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return err_sys(e, errno, "KVM_SET_USER_MEMORY_REGION");
	return 0;
}

static int machine(int kvm, struct verdict *v, struct err *e)
{
	const int vm = ioctl(kvm, KVM_CREATE_VM, 0);
	const int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	const struct load_kernel k = { .how = LOAD_LINUX64, .entry = LAYOUT_KERNEL_MIN };
	const struct cpu_x86 cpu = { .n = 1 };
	struct cpu_x86_cpuid supported;
	struct kvm_run *kr;
	struct mem m = {};
	int fd, r;

	if (vm < 0)
		return err_sys(e, errno, "KVM_CREATE_VM");
	if (ioctl(vm, KVM_SET_TSS_ADDR, LAYOUT_KVM_TSS) < 0 || ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0)
		return err_sys(e, errno, "KVM_CREATE_IRQCHIP");
	r = add_memory(vm, &m, e);
	if (r == 0)
		r = cpu_x86_supported(kvm, &supported, e);
	if (r < 0)
		return r;
	fd = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (fd < 0)
		return err_sys(e, errno, "KVM_CREATE_VCPU");
	kr = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (kr == MAP_FAILED)
		return err_sys(e, errno, "map the processor");
	r = cpu_x86_setup(fd, &cpu, &supported, &m, &k, e);
	if (r == 0)
		r = prepare(fd, &m, e);
	if (r == 0)
		run(fd, kr, v);
	return r;
}

/* What it keeps open or mapped goes with it. */
__attribute__((noreturn)) static void child(int kvm, int out, pid_t parent)
{
	struct verdict v = {};
	struct err e = {};

	/* Of a broken KVM it is known that the guest never comes back: it must not outlive us. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (machine(kvm, &v, &e) < 0) {
		v.code = e.code;
		snprintf(v.what, sizeof(v.what), "%.*s", (int)sizeof(v.what) - 1, e.msg);
	}
	_exit(write(out, &v, sizeof(v)) == sizeof(v) ? 0 : 1);
}

static int judge(const struct verdict *v, struct err *e)
{
	static const char *const next[] = {
		[0] = "run a first instruction", [STEP_ENTERED] = "INT3",
		[STEP_INT3] = "XRSTOR",          [STEP_XRSTOR] = "CMPXCHG16B",
		[STEP_CMPXCHG16B] = "a loop",
	};

	if (v->what[0])
		return err_set(e, ENOTSUP, "/dev/kvm: %s: %s", v->what, strerror(v->code));
	if (v->step < STEP_LOOP && v->step >= 0)
		return err_set(
			e, ENOTSUP,
			"/dev/kvm is a software one that cannot run a kernel: in ring 0 it fails at %s (exit %u, error %u)",
			next[v->step], v->exit, v->suberror);
	if (v->loop_us > PROBE_SLOW_US)
		return err_set(
			e, ENOTSUP,
			"/dev/kvm is a software one that is too slow for a kernel: %d instructions in ring 0 took %ld us",
			PROBE_INSTRUCTIONS, v->loop_us);
	log_debug("kvm: usable: %d instructions in ring 0 took %ld us", PROBE_INSTRUCTIONS,
		  v->loop_us);
	return 0;
}

int kvm_probe(int kvm, struct err *e)
{
	struct pollfd p = { .events = POLLIN };
	struct verdict v = {};
	ssize_t n = -1;
	int fds[2], ready;
	const pid_t parent = getpid();
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, errno, "/dev/kvm: test: pipe");
	pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return err_sys(e, errno, "/dev/kvm: test: fork");
	}
	if (pid == 0)
		child(kvm, fds[1], parent);
	close(fds[1]);
	p.fd = fds[0];
	while ((ready = poll(&p, 1, PROBE_DEADLINE_MS)) < 0 && errno == EINTR)
		;
	if (ready > 0)
		n = read(fds[0], &v, sizeof(v));
	close(fds[0]);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (ready == 0)
		return err_set(
			e, ENOTSUP,
			"/dev/kvm is a software one: a test of %d ms did not come to its end",
			PROBE_DEADLINE_MS);
	if (n != sizeof(v))
		return err_set(e, ENOTSUP, "/dev/kvm: the test ended without a result");
	return judge(&v, e);
}
