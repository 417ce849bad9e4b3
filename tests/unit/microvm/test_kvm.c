/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole machines with guests of some hundred instructions: they run on any /dev/kvm, also on a
 * software one that cannot run a kernel. A guest says what it found on the serial port and powers
 * off.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "microvm/kvm_probe.h"
#include "microvm/layout.h"
#include "microvm/vmm.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* clang-format off */
__asm__(
	".pushsection .rodata, \"a\"\n"
	".macro guest name\n"
	"	.balign 16\n"
	"	.globl guest_\\name\n"
	"guest_\\name:\n"
	".endm\n"
	".macro end name\n"
	"	mov $0x600, %dx\n" /* ACPI: sleep */
	"	mov $0x34, %al\n"
	"	out %al, %dx\n"
	"9:	hlt\n"
	"	jmp 9b\n"
	"	.balign 4\n"
	"	.globl guest_\\name\\()_size\n"
	"guest_\\name\\()_size: .long . - guest_\\name\n"
	".endm\n"
	".macro say text\n"
	"	lea 1f(%rip), %rsi\n"
	"	jmp 2f\n"
	"1:	.asciz \"\\text\"\n"
	"2:	mov (%rsi), %al\n"
	"	test %al, %al\n"
	"	jz 3f\n"
	"	mov $0x3f8, %dx\n"
	"	out %al, %dx\n"
	"	inc %rsi\n"
	"	jmp 2b\n"
	"3:\n"
	".endm\n"
	/* Up to DRIVER_OK with queue 0 of eight entries, whose parts lie from 2 MiB on. */
	".macro virtio base\n"
	"	mov $\\base, %edi\n"
	"	movl $0, 0x70(%rdi)\n"
	"	movl $1, 0x70(%rdi)\n"
	"	movl $3, 0x70(%rdi)\n"
	"	movl $1, 0x24(%rdi)\n"
	"	movl $1, 0x20(%rdi)\n" /* VERSION_1 */
	"	movl $0xb, 0x70(%rdi)\n"
	"	movl $0, 0x30(%rdi)\n"
	"	movl $8, 0x38(%rdi)\n"
	"	movl $0x200000, 0x80(%rdi)\n"
	"	movl $0x201000, 0x90(%rdi)\n"
	"	movl $0x202000, 0xa0(%rdi)\n"
	"	movl $1, 0x44(%rdi)\n"
	"	movl $0xf, 0x70(%rdi)\n"
	".endm\n"
	/* One buffer of 16 bytes for an answer; avail.idx = 1. */
	".macro request\n"
	"	mov $0x200000, %ebx\n"
	"	movl $0x203000, (%rbx)\n"
	"	movl $16, 8(%rbx)\n"
	"	movl $2, 12(%rbx)\n"
	"	movl $0x10000, 0x1000(%rbx)\n"
	"	movl $0, 0x50(%rdi)\n"
	".endm\n"

	"guest serial\n"
	"	say hello\n"
	"	lea 1f(%rip), %rsi\n"
	"	jmp 2f\n"
	"1:	.ascii \", world\"\n"
	"2:	mov $7, %ecx\n"
	"	mov $0x3f8, %dx\n"
	"	rep outsb\n"
	"	end serial\n"

	"guest mmio\n"
	"	mov $0xd0000000, %edi\n"
	"	mov (%rdi), %eax\n"
	"	cmp $0x74726976, %eax\n"
	"	jne 8f\n"
	"	mov 4(%rdi), %eax\n"
	"	cmp $2, %eax\n"
	"	jne 8f\n"
	"	mov 1(%rdi), %al\n"
	"	cmp $0xff, %al\n"
	"	jne 8f\n"
	"	mov $0xd8000000, %edi\n" /* nobody */
	"	mov (%rdi), %rax\n"
	"	cmp $-1, %rax\n"
	"	jne 8f\n"
	"	mov %rax, (%rdi)\n"
	"	mov $0x1234, %dx\n"
	"	in %dx, %eax\n"
	"	cmp $-1, %eax\n"
	"	jne 8f\n"
	"	out %eax, %dx\n"
	"	say fine\n"
	"8:	end mmio\n"

	"guest queue\n"
	"	virtio 0xd0001000\n"
	"	request\n"
	"	mov $0x202000, %ebx\n"
	"1:	mov 2(%rbx), %ax\n"
	"	cmp $1, %ax\n"
	"	jne 1b\n"
	"	cmpl $16, 8(%rbx)\n"
	"	jne 8f\n"
	"	mov 0x60(%rdi), %eax\n"
	"	cmp $1, %eax\n"
	"	jne 8f\n"
	"	movl $1, 0x64(%rdi)\n"
	"	mov 0x60(%rdi), %eax\n"
	"	cmp $0, %eax\n"
	"	jne 8f\n"
	"	mov 0x1000(%rbx), %rax\n"
	"	or 0x1008(%rbx), %rax\n"
	"	jz 8f\n"
	"	say random\n"
	"8:	end queue\n"

	/* A descriptor table entry for vector 0x40, the interrupt controllers, and a wait. */
	"guest irq\n"
	"	lea 4f(%rip), %rax\n"
	"	mov $0x203400, %ebx\n" /* entry 0x40 of a table at 0x203000 */
	"	mov %ax, (%rbx)\n"
	"	movw $0x10, 2(%rbx)\n"
	"	movw $0x8e00, 4(%rbx)\n"
	"	shr $16, %rax\n"
	"	mov %ax, 6(%rbx)\n"
	"	movl $0, 8(%rbx)\n"
	"	movw $0xfff, 0xc00(%rbx)\n"
	"	movq $0x203000, 0xc02(%rbx)\n"
	"	lidt 0xc00(%rbx)\n"
	"	mov $0xfee00000, %edi\n"
	"	movl $0x1ff, 0xf0(%rdi)\n"
	"	mov $0xfec00000, %edi\n"
	"	movl $0x1d, (%rdi)\n" /* line 6: slot 1 */
	"	movl $0, 0x10(%rdi)\n"
	"	movl $0x1c, (%rdi)\n"
	"	movl $0x40, 0x10(%rdi)\n"
	"	virtio 0xd0001000\n"
	"	mov $0x200000, %ebx\n"
	"	movl $0x204000, (%rbx)\n"
	"	movl $16, 8(%rbx)\n"
	"	movl $2, 12(%rbx)\n"
	"	movl $0x10000, 0x1000(%rbx)\n"
	"	movl $0, 0x50(%rdi)\n"
	"	sti\n"
	"5:	hlt\n"
	"	jmp 5b\n"
	"4:	say interrupt\n"
	"	end irq\n"

	/* Entries that cannot be: the device says that it is broken, and works after a reset. */
	"guest broken\n"
	"	virtio 0xd0001000\n"
	"	movl $0x1f40000, 0x201000\n"
	"	movl $0, 0x50(%rdi)\n"
	"1:	mov 0x70(%rdi), %eax\n"
	"	test $0x40, %eax\n"
	"	jz 1b\n"
	"	movl $0, 0x201000\n"
	"	virtio 0xd0001000\n"
	"	request\n"
	"	mov $0x202000, %ebx\n"
	"1:	mov 2(%rbx), %ax\n"
	"	cmp $1, %ax\n"
	"	jne 1b\n"
	"	say whole\n"
	"	end broken\n"

	"guest reset\n"
	"	mov $0xfe, %al\n"
	"	out %al, $0x64\n"
	"	end reset\n"

	"guest panic\n"
	"	mov $0x505, %dx\n"
	"	mov $1, %al\n"
	"	out %al, %dx\n"
	"	end panic\n"

	/* Labels 1 to 3 are those of say. */
	"guest spin\n"
	"5:	say .\n"
	"	mov $1000, %ecx\n"
	"4:	dec %ecx\n"
	"	jnz 4b\n"
	"	jmp 5b\n"
	"	end spin\n"

	/* The other processor begins in real mode at 0x8000. */
	"guest smp\n"
	"	jmp 7f\n"
	"	.code16\n"
	"4:	xor %ax, %ax\n"
	"	mov %ax, %ds\n"
	"	movb $1, 0x8100\n"
	"6:	hlt\n"
	"	jmp 6b\n"
	"	.code64\n"
	"	.space 16\n"
	"7:	lea 4b(%rip), %rsi\n"
	"	mov $0x8000, %edi\n"
	"	mov $16, %ecx\n"
	"	rep movsb\n"
	"	movb $0, 0x8100\n"
	"	mov $0xfee00000, %edi\n"
	"	movl $0x1ff, 0xf0(%rdi)\n"
	"	movl $0x1000000, 0x310(%rdi)\n"
	"	movl $0x4500, 0x300(%rdi)\n"
	"	movl $0x1000000, 0x310(%rdi)\n"
	"	movl $0x4608, 0x300(%rdi)\n"
	"5:	cmpb $1, 0x8100\n"
	"	jne 5b\n"
	"	say second\n"
	"	end smp\n"

	/* Entered in 32-bit mode, with the address of what it is told in EBX. */
	"	.code32\n"
	"guest pvh\n"
	"	cmpl $0x336ec578, (%ebx)\n"
	"	jne 8f\n"
	"	mov $0x3f8, %dx\n"
	"	mov $112, %al\n"
	"	out %al, %dx\n"
	"	mov $118, %al\n"
	"	out %al, %dx\n"
	"	mov $104, %al\n"
	"	out %al, %dx\n"
	"8:	end pvh\n"
	"	.code64\n"
	"	.popsection\n");
/* clang-format on */

/* clang-format off */
#define GUEST(name) \
	extern const uint8_t guest_##name[]; \
	extern const uint32_t guest_##name##_size;
/* clang-format on */

GUEST(serial)
GUEST(mmio)
GUEST(queue)
GUEST(irq)
GUEST(broken)
GUEST(reset)
GUEST(panic)
GUEST(spin)
GUEST(smp)
GUEST(pvh)

enum { DEADLINE_MS = 20000, AT = LAYOUT_KERNEL_MIN };

static struct vmm v;
static struct err e;
static char said[4096];
static size_t said_len;
static const char *why;
static int kvm = -1, kernel = -1;

/*
 * The guest's code as the one segment of an executable; pvh: of one that says by a note where it
 * is to be entered.
 */
static int image(const uint8_t *code, size_t size, bool pvh)
{
	const struct {
		Elf64_Ehdr eh;
		Elf64_Phdr ph[2];
		Elf64_Nhdr note;
		char name[4];
		uint32_t entry;
	} head = {
		.eh = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_entry = pvh ? 0 : AT,
			.e_phoff = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = pvh ? 2 : 1 },
		.ph = { { .p_type = PT_LOAD,
			  .p_offset = 4096,
			  .p_paddr = AT,
			  .p_filesz = size,
			  .p_memsz = size + 64 },
			{ .p_type = PT_NOTE,
			  .p_offset = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr),
			  .p_filesz = sizeof(Elf64_Nhdr) + 8 } },
		.note = { 4, 4, 18 },
		.name = "Xen",
		.entry = AT,
	};
	int fd = memfd_create("guest", MFD_CLOEXEC);

	assert_int_equal(write(fd, &head, sizeof(head)), sizeof(head));
	assert_int_equal(pwrite(fd, code, size, 4096), size);
	return fd;
}

static int setup(void **state)
{
	(void)state;
	v = (struct vmm){};
	e = (struct err){};
	said_len = 0;
	said[0] = '\0';
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (v.ops)
		v.ops->stop(&v);
	if (v.ops)
		v.ops->stop(&v);
	if (kvm >= 0)
		close(kvm);
	if (kernel >= 0)
		close(kernel);
	kvm = kernel = -1;
	return 0;
}

static void start(const uint8_t *code, size_t size, unsigned int vcpus)
{
	struct vm_config c = { .vcpus = vcpus,
			       .memory = 4ULL << 20,
			       .kvm = kvm,
			       .initrd = -1,
			       .cmdline = "",
			       .share = -1,
			       .tap = -1,
			       .serial = true };

	if (kvm < 0) {
		print_message("/dev/kvm: %s\n", strerror(errno));
		skip();
	}
	kernel = image(code, size, code == guest_pvh);
	c.kernel = kernel;
	if (vmm_kvm.start(&c, &v, &e) < 0)
		fail_msg("%s", e.msg);
}

static void hear(void)
{
	ssize_t n;

	while (said_len < sizeof(said) - 1 &&
	       (n = read(v.console, said + said_len, sizeof(said) - 1 - said_len)) > 0)
		said_len += (size_t)n;
	said[said_len] = '\0';
}

static enum vm_end end(void)
{
	struct pollfd p = { .fd = v.ended, .events = POLLIN };

	if (poll(&p, 1, DEADLINE_MS) != 1) {
		hear();
		fail_msg("the guest does not end; it said \"%s\"", said);
	}
	hear();
	return v.ops->end(&v, &why);
}

#define RUN(name, vcpus, how)                                    \
	do {                                                     \
		start(guest_##name, guest_##name##_size, vcpus); \
		if (end() != (how))                              \
			fail_msg("it ended with \"%s\"", why);   \
	} while (0)

static void test_serial(void **state)
{
	(void)state;
	RUN(serial, 1, VM_END_RESET);
	assert_string_equal(said, "hello, world");
	assert_string_equal(why, "powered off");
}

static void test_mmio(void **state)
{
	(void)state;
	RUN(mmio, 1, VM_END_RESET);
	assert_string_equal(said, "fine");
}

static void test_queue(void **state)
{
	(void)state;
	RUN(queue, 1, VM_END_RESET);
	assert_string_equal(said, "random");
}

static void test_interrupt(void **state)
{
	(void)state;
	RUN(irq, 1, VM_END_RESET);
	assert_string_equal(said, "interrupt");
}

static void test_broken(void **state)
{
	(void)state;
	RUN(broken, 1, VM_END_RESET);
	assert_string_equal(said, "whole");
}

static void test_reset(void **state)
{
	(void)state;
	RUN(reset, 2, VM_END_RESET);
	assert_string_equal(why, "reset");
}

static void test_panic(void **state)
{
	(void)state;
	RUN(panic, 1, VM_END_PANIC);
}

static void test_smp(void **state)
{
	(void)state;
	RUN(smp, 2, VM_END_RESET);
	assert_string_equal(said, "second");
}

static void test_pvh(void **state)
{
	(void)state;
	RUN(pvh, 1, VM_END_RESET);
	assert_string_equal(said, "pvh");
}

static void wait_ms(int ms)
{
	poll(NULL, 0, ms);
}

static void await_word(void)
{
	struct pollfd p[2] = { { .fd = v.console, .events = POLLIN },
			       { .fd = v.ended, .events = POLLIN } };

	if (poll(p, 2, DEADLINE_MS) < 1 || !p[0].revents) {
		if (p[1].revents)
			v.ops->end(&v, &why);
		fail_msg("the guest says nothing: %s", p[1].revents ? why : "but it runs");
	}
}

/* Paused, it says nothing; let go, it goes on; stopped, it is gone at once. */
static void test_pause_and_stop(void **state)
{
	size_t before;

	(void)state;
	start(guest_spin, guest_spin_size, 2);
	await_word();
	assert_int_equal(v.ops->pause(&v, true, &e), 0);
	hear();
	before = said_len;
	wait_ms(50);
	hear();
	assert_int_equal(said_len, before);
	assert_int_equal(v.ops->pause(&v, false, &e), 0);
	await_word();
	v.ops->stop(&v);
	assert_int_equal(v.ctl, -1);
}

static void test_stop_while_paused(void **state)
{
	(void)state;
	start(guest_spin, guest_spin_size, 1);
	assert_int_equal(v.ops->pause(&v, true, &e), 0);
	v.ops->stop(&v);
}

static void test_refused(void **state)
{
	struct vm_config c = { .vcpus = 1,
			       .memory = 4ULL << 20,
			       .kvm = kvm,
			       .initrd = -1,
			       .cmdline = "",
			       .share = -1,
			       .tap = -1 };

	(void)state;
	if (kvm < 0)
		skip();
	c.kernel = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(vmm_kvm.start(&c, &v, &e) < 0);
	assert_non_null(strstr(e.msg, "guest kernel"));
	close(c.kernel);
	c.kernel = kernel = image(guest_serial, guest_serial_size, false);
	c.vcpus = 0;
	assert_int_equal(vmm_kvm.start(&c, &v, &e), -EINVAL);
	c.vcpus = 1;
	c.memory = 1ULL << 20;
	assert_true(vmm_kvm.start(&c, &v, &e) < 0);
	assert_non_null(strstr(e.msg, "guest memory"));
	c.memory = 4ULL << 20;
	c.kvm = kernel;
	assert_true(vmm_kvm.start(&c, &v, &e) < 0);
	assert_non_null(strstr(e.msg, "kvm"));
}

/* Whatever it finds, it finds it quickly and says it. */
static void test_probe(void **state)
{
	struct timespec a, b;
	long ms;
	int r;

	(void)state;
	if (kvm < 0)
		skip();
	clock_gettime(CLOCK_MONOTONIC, &a);
	r = kvm_probe(kvm, &e);
	clock_gettime(CLOCK_MONOTONIC, &b);
	ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
	print_message("%s (%ld ms)\n", r < 0 ? e.msg : "usable", ms);
	assert_in_range(ms, 0, 12000);
	if (r < 0)
		assert_memory_equal(e.msg, "/dev/kvm", 8);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_serial),
		T(test_mmio),
		T(test_queue),
		T(test_interrupt),
		T(test_broken),
		T(test_reset),
		T(test_panic),
		T(test_smp),
		T(test_pvh),
		T(test_pause_and_stop),
		T(test_stop_while_paused),
		T(test_refused),
		T(test_probe),
	};

	return cmocka_run_group_tests_name("kvm", tests, NULL, NULL);
}
