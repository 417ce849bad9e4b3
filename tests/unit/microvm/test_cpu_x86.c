/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "microvm/cpu_x86.h"

static struct cpu_x86_cpuid c;

static struct kvm_cpuid_entry2 *leaf(uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < c.head.nent; i++)
		if (c.entries[i].function == function && c.entries[i].index == index)
			return &c.entries[i];
	fail_msg("no leaf 0x%x.%u", function, index);
	return NULL;
}

/* A host that supports everything. */
static int setup(void **state)
{
	static const uint32_t functions[][2] = {
		{ 0x1, 0 },        { 0x4, 0 },        { 0x4, 3 },        { 0x5, 0 },
		{ 0x7, 0 },        { 0xa, 0 },        { 0xb, 0 },        { 0x80000001, 0 },
		{ 0x80000008, 0 }, { 0x8000001d, 0 }, { 0x8000001e, 0 }, { 0x40000001, 0 },
	};

	(void)state;
	c.head.nent = sizeof(functions) / sizeof(functions[0]);
	for (uint32_t i = 0; i < c.head.nent; i++)
		c.entries[i] = (struct kvm_cpuid_entry2){ .function = functions[i][0],
							  .index = functions[i][1],
							  .eax = 0xffffffff,
							  .ebx = 0xffffffff,
							  .ecx = 0xffffffff,
							  .edx = 0xffffffff };
	leaf(0x4, 3)->eax = 1 | 3 << 5;
	leaf(0x4, 0)->eax = 1 | 1 << 5 | 0xffffU << 14;
	return 0;
}

static void test_topology(void **state)
{
	const struct cpu_x86 cpu = { .id = 2, .n = 3, .tsc_deadline = true };

	(void)state;
	cpu_x86_normalise(&c, &cpu);
	assert_int_equal(leaf(1, 0)->ebx >> 24, 2);
	assert_int_equal(leaf(1, 0)->ebx >> 16 & 0xff, 4);
	assert_true(leaf(1, 0)->edx & 1 << 28);
	assert_int_equal(leaf(0xb, 0)->ebx, 1);
	assert_int_equal(leaf(0xb, 0)->eax, 0);
	assert_int_equal(leaf(0xb, 1)->eax, 2);
	assert_int_equal(leaf(0xb, 1)->ebx, 3);
	assert_int_equal(leaf(0xb, 1)->ecx, 1 | 2 << 8);
	assert_int_equal(leaf(0xb, 1)->edx, 2);
	assert_int_equal(leaf(0xb, 2)->ebx, 0);
	assert_int_equal(leaf(0x4, 0)->eax >> 14 & 0xfff, 0);
	assert_int_equal(leaf(0x4, 3)->eax >> 14 & 0xfff, 3);
	assert_int_equal(leaf(0x80000008, 0)->ecx & 0xff, 2);
	assert_int_equal(leaf(0x80000008, 0)->ecx >> 12 & 0xf, 2);
	assert_int_equal(leaf(0x8000001e, 0)->eax, 2);
	assert_int_equal(leaf(0x8000001e, 0)->ecx, 0);
}

static void test_what_is_left_out(void **state)
{
	const struct cpu_x86 cpu = { .id = 0, .n = 1 };

	(void)state;
	cpu_x86_normalise(&c, &cpu);
	assert_false(leaf(1, 0)->ecx & 1 << 3);
	assert_false(leaf(1, 0)->ecx & 1 << 5);
	assert_false(leaf(1, 0)->ecx & 1 << 24);
	assert_true(leaf(1, 0)->ecx & 1U << 31);
	assert_false(leaf(1, 0)->edx & 1 << 28);
	assert_false(leaf(7, 0)->ecx & 1 << 5);
	assert_int_equal(leaf(0xa, 0)->eax, 0);
	assert_int_equal(leaf(0x5, 0)->ecx, 0);
	assert_false(leaf(0x80000001, 0)->ecx & 1 << 2);
	assert_int_equal(leaf(0x40000001, 0)->eax, 0xffffffff);
	assert_int_equal(leaf(0xb, 1)->ebx, 1);
}

/* A table that is full stays as it is. */
static void test_full(void **state)
{
	const struct cpu_x86 cpu = { .id = 0, .n = 2 };

	(void)state;
	c.head.nent = CPU_X86_MAX_CPUID;
	for (uint32_t i = 12; i < CPU_X86_MAX_CPUID; i++)
		c.entries[i] = (struct kvm_cpuid_entry2){ .function = 0x40000001, .index = i };
	cpu_x86_normalise(&c, &cpu);
	assert_int_equal(c.head.nent, CPU_X86_MAX_CPUID);
}

/* Nothing but a CPUID that was carried out is stepped over. */
static void test_cpuid_done(void **state)
{
	struct kvm_run run = { .exit_reason = KVM_EXIT_INTERNAL_ERROR };

	(void)state;
	run.internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run.internal.ndata = 6;
	run.internal.data[1] = 0x72;
	assert_true(cpu_x86_cpuid_done(&run));
	run.internal.data[1] = 0x7c; /* MSR */
	assert_false(cpu_x86_cpuid_done(&run));
	run.internal.data[1] = 0x72;
	run.internal.data[0] = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	assert_false(cpu_x86_cpuid_done(&run));
	run.internal.data[0] = 0;
	run.internal.ndata = 1; /* an older KVM, whose data are something else */
	assert_false(cpu_x86_cpuid_done(&run));
	run.internal.ndata = 6;
	run.internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
	assert_false(cpu_x86_cpuid_done(&run));
	run.internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run.exit_reason = KVM_EXIT_SHUTDOWN;
	assert_false(cpu_x86_cpuid_done(&run));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_topology, setup),
		cmocka_unit_test_setup(test_what_is_left_out, setup),
		cmocka_unit_test_setup(test_full, setup),
		cmocka_unit_test(test_cpuid_done),
	};

	return cmocka_run_group_tests_name("cpu_x86", tests, NULL, NULL);
}
