/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "microvm/acpi.h"
#include "microvm/aml.h"
#include "microvm/layout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint8_t buf[LAYOUT_ACPI_MAX];

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint8_t sum(const uint8_t *p, size_t n)
{
	uint8_t s = 0;

	while (n--)
		s = (uint8_t)(s + *p++);
	return s;
}

/* A table at a guest address, which must be whole and inside the buffer. */
static const uint8_t *table(uint64_t gpa, const char *signature)
{
	const uint8_t *t;

	assert_in_range(gpa, LAYOUT_ACPI, LAYOUT_ACPI + LAYOUT_ACPI_MAX - 36);
	t = buf + (gpa - LAYOUT_ACPI);
	assert_memory_equal(t, signature, 4);
	assert_true(gpa + get32(t + 4) <= LAYOUT_ACPI + LAYOUT_ACPI_MAX);
	assert_int_equal(sum(t, get32(t + 4)), 0);
	return t;
}

/* All tables of one machine: the XSDT's two, and the DSDT that the FADT names. */
static void find(const struct acpi *in, const uint8_t *out[4])
{
	memset(buf, 0, sizeof(buf));
	assert_in_range(acpi_build(in, LAYOUT_ACPI, buf, sizeof(buf)), 300, sizeof(buf));
	assert_memory_equal(buf, "RSD PTR ", 8);
	assert_int_equal(sum(buf, 20), 0);
	assert_int_equal(sum(buf, 36), 0);
	out[0] = table(get64(buf + 24), "XSDT");
	assert_int_equal(get32(out[0] + 4), 36 + 16);
	out[1] = table(get64(out[0] + 36), "FACP");
	out[2] = table(get64(out[0] + 44), "APIC");
	out[3] = table(get64(out[1] + 140), "DSDT");
}

static void test_tables(void **state)
{
	const struct acpi in = { .vcpus = 3, .virtio_slots = 2 };
	const uint8_t *t[4];

	(void)state;
	find(&in, t);
	assert_int_equal(get32(t[1] + 4), 276);
	assert_true(get32(t[1] + 112) & 1 << 20); /* hardware-reduced */
	assert_int_equal(get32(t[2] + 4), 44 + 3 * 8 + 12 + 6);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(t[2][44 + 8 * i], 0);
		assert_int_equal(t[2][44 + 8 * i + 3], i);
	}
}

static void test_no_room(void **state)
{
	const struct acpi in = { .vcpus = 64, .virtio_slots = 16, .serial = true };
	const int n = acpi_build(&in, LAYOUT_ACPI, buf, sizeof(buf));

	(void)state;
	assert_true(n > 0 && n < 8192);
	for (int cap = 0; cap < n; cap += 7) {
		memset(buf, 0xee, sizeof(buf));
		assert_int_equal(acpi_build(&in, LAYOUT_ACPI, buf, (size_t)cap), -ENOSPC);
		assert_int_equal(buf[cap], 0xee);
	}
}

/* iasl takes the tables apart, and what it finds can be put together again without a complaint. */
static void disassemble(const uint8_t *t, const char *name, const char *const *words)
{
	char cmd[512], file[64], text[65536];
	FILE *f;
	size_t n;

	snprintf(file, sizeof(file), "%s.dat", name);
	f = fopen(file, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(t, get32(t + 4), 1, f), 1);
	fclose(f);
	snprintf(
		cmd, sizeof(cmd),
		"iasl -d %s.dat >%s.log 2>&1 && iasl -we %s.dsl >>%s.log 2>&1 || { cat %s.log; exit 1; }",
		name, name, name, name, name);
	assert_int_equal(system(cmd), 0);
	snprintf(file, sizeof(file), "%s.dsl", name);
	f = fopen(file, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	for (; *words; words++)
		if (!strstr(text, *words))
			fail_msg("%s.dsl has no \"%s\"", name, *words);
}

static void test_iasl(void **state)
{
	static const char *const in_dsdt[] = { "Name (_S5",
					       "\"LNRO0005\"",
					       "Name (_UID, 0x0F)",
					       "0xD000F000",
					       "ResourceConsumer, Edge, ActiveHigh, Exclusive",
					       "0x00000014",
					       "EisaId (\"PNP0501\")",
					       "0x03F8",
					       "\"QEMU0001\"",
					       NULL };
	static const char *const in_fadt[] = { "Hardware Reduced (V5) : 1",
					       "Reset Register Supported (V2) : 1", NULL };
	static const char *const in_madt[] = { "FEC00000", "Local Apic ID : 3F", NULL };
	const struct acpi in = { .vcpus = 64, .virtio_slots = 16, .serial = true };
	char dir[] = "/tmp/acpi.XXXXXX", cmd[64], here[4096];
	const uint8_t *t[4];

	(void)state;
	if (system("command -v iasl >/dev/null") != 0) {
		print_message("iasl is not installed\n");
		skip();
	}
	assert_non_null(getcwd(here, sizeof(here)));
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	find(&in, t);
	disassemble(t[3], "dsdt", in_dsdt);
	disassemble(t[1], "facp", in_fadt);
	disassemble(t[2], "apic", in_madt);
	assert_int_equal(chdir(here), 0);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
}

static void test_aml_numbers(void **state)
{
	static const struct {
		uint64_t v;
		uint8_t bytes[9];
		size_t n;
	} rows[] = {
		{ 0, { 0 }, 1 },
		{ 1, { 1 }, 1 },
		{ 2, { 0x0a, 2 }, 2 },
		{ 0x100, { 0x0b, 0, 1 }, 3 },
		{ 0x10000, { 0x0c, 0, 0, 1, 0 }, 5 },
		{ 1ULL << 32, { 0x0e, 0, 0, 0, 0, 1, 0, 0, 0 }, 9 },
	};
	uint8_t out[16];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct aml a = { .buf = out, .cap = sizeof(out) };

		aml_int(&a, rows[i].v);
		assert_int_equal(a.len, rows[i].n);
		assert_memory_equal(out, rows[i].bytes, rows[i].n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_iasl),
		cmocka_unit_test(test_aml_numbers),
	};

	return cmocka_run_group_tests_name("acpi", tests, NULL, NULL);
}
