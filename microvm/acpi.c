/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/acpi.h"

#include "microvm/aml.h"
#include "microvm/layout.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
	uint8_t checksum_all, reserved[3];
} __attribute__((packed));

struct gas { /* an address in some space */
	uint8_t space, bits, offset, access;
	uint64_t address;
} __attribute__((packed));

/* ACPI 6.4, 5.2.9; what a hardware-reduced machine leaves 0 is not named. */
struct fadt {
	struct header h;
	uint8_t no1[45 - 36];
	uint8_t profile;
	uint8_t no2[109 - 46];
	uint16_t boot_flags;
	uint8_t no3;
	uint32_t flags;
	struct gas reset;
	uint8_t reset_value;
	uint16_t arm_flags;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	uint8_t no4[244 - 148];
	struct gas sleep_control, sleep_status;
	uint64_t hypervisor;
} __attribute__((packed));

_Static_assert(sizeof(struct fadt) == 276, "FADT of revision 6");
_Static_assert(offsetof(struct fadt, flags) == 112, "FADT flags");
_Static_assert(offsetof(struct fadt, x_dsdt) == 140, "FADT X_DSDT");

enum {
	FADT_POWER_BUTTON = 1 << 4, /* no fixed power button */
	FADT_SLEEP_BUTTON = 1 << 5,
	FADT_RESET = 1 << 10,
	FADT_HW_REDUCED = 1 << 20,
	BOOT_NO_VGA = 1 << 2,
	BOOT_NO_CMOS = 1 << 5,
	SPACE_PORT = 1,
	SLEEP_S5 = 5,
};

static uint8_t checksum(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	while (n--)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}

/* Tables begin at multiples of 16. Returns the offset of the new one. */
static size_t open_table(struct aml *a, const char *signature, uint8_t revision)
{
	struct header h = {
		.revision = revision,
		.oem = "CTR   ",
		.oem_table = "MICROVM ",
		.oem_revision = 1,
		.creator = "CTR ",
		.creator_revision = 1,
	};
	size_t at;

	while (a->len % 16 && !a->full)
		aml_byte(a, 0);
	at = a->len;
	memcpy(h.signature, signature, sizeof(h.signature));
	aml_bytes(a, &h, sizeof(h));
	return at;
}

static void close_table(struct aml *a, size_t at)
{
	struct header h;

	if (a->full)
		return;
	memcpy(&h, a->buf + at, sizeof(h));
	h.length = (uint32_t)(a->len - at);
	memcpy(a->buf + at, &h, sizeof(h));
	a->buf[at + offsetof(struct header, checksum)] = checksum(a->buf + at, h.length);
}

static void virtio_device(struct aml *a, unsigned int slot)
{
	char name[8];
	size_t dev, crs;

	snprintf(name, sizeof(name), "V%03X", slot & 0xfff);
	dev = aml_open_device(a, name);
	aml_name(a, "_HID");
	aml_string(a, "LNRO0005");
	aml_name(a, "_UID");
	aml_int(a, slot);
	aml_name(a, "_CCA");
	aml_int(a, 1);
	crs = aml_open_resources(a);
	aml_memory(a, (uint32_t)(LAYOUT_VIRTIO + slot * LAYOUT_VIRTIO_STEP), LAYOUT_VIRTIO_SIZE);
	aml_interrupt(a, LAYOUT_VIRTIO_GSI + slot);
	aml_close_resources(a, crs);
	aml_close(a, dev);
}

static void serial_port(struct aml *a)
{
	size_t dev = aml_open_device(a, "COM1"), crs;

	aml_name(a, "_HID");
	aml_eisa_id(a, "PNP0501");
	aml_name(a, "_UID");
	aml_int(a, 0);
	crs = aml_open_resources(a);
	aml_ports(a, LAYOUT_PORT_SERIAL, 8);
	aml_interrupt(a, LAYOUT_SERIAL_GSI);
	aml_close_resources(a, crs);
	aml_close(a, dev);
}

/* Where a kernel that panics says so before it resets. */
static void panic_port(struct aml *a)
{
	size_t dev = aml_open_device(a, "PEVT"), crs;

	aml_name(a, "_HID");
	aml_string(a, "QEMU0001");
	crs = aml_open_resources(a);
	aml_ports(a, LAYOUT_PORT_PANIC, 1);
	aml_close_resources(a, crs);
	aml_close(a, dev);
}

static size_t dsdt(struct aml *a, const struct acpi *in)
{
	size_t at = open_table(a, "DSDT", 2), mark;

	aml_name(a, "_S5");
	mark = aml_open_package(a, 4);
	aml_int(a, SLEEP_S5);
	for (int i = 0; i < 3; i++)
		aml_int(a, 0);
	aml_close(a, mark);
	mark = aml_open_scope(a, "_SB");
	for (unsigned int i = 0; i < in->virtio_slots; i++)
		virtio_device(a, i);
	if (in->serial)
		serial_port(a);
	panic_port(a);
	aml_close(a, mark);
	close_table(a, at);
	return at;
}

static struct gas port(uint16_t address)
{
	return (struct gas){ .space = SPACE_PORT, .bits = 8, .access = 1, .address = address };
}

static size_t fadt(struct aml *a, uint64_t dsdt_gpa)
{
	const size_t at = open_table(a, "FACP", 6);
	struct fadt f = {
		.boot_flags = BOOT_NO_VGA | BOOT_NO_CMOS,
		.flags = FADT_HW_REDUCED | FADT_RESET | FADT_POWER_BUTTON | FADT_SLEEP_BUTTON,
		.reset = port(LAYOUT_PORT_SLEEP + 2),
		.reset_value = 1,
		.minor = 4,
		.x_dsdt = dsdt_gpa,
		.sleep_control = port(LAYOUT_PORT_SLEEP),
		.sleep_status = port(LAYOUT_PORT_SLEEP + 1),
	};

	aml_bytes(a, (uint8_t *)&f + sizeof(f.h), sizeof(f) - sizeof(f.h));
	close_table(a, at);
	return at;
}

static size_t madt(struct aml *a, const struct acpi *in)
{
	const size_t at = open_table(a, "APIC", 5);
	const uint32_t lapic = LAYOUT_LAPIC, ioapic = LAYOUT_IOAPIC, zero = 0;

	aml_bytes(a, &lapic, 4);
	aml_bytes(a, &zero, 4); /* no 8259 */
	for (unsigned int i = 0; i < in->vcpus; i++)
		aml_bytes(a, (uint8_t[]){ 0, 8, (uint8_t)i, (uint8_t)i, 1, 0, 0, 0 }, 8);
	aml_bytes(a, (uint8_t[]){ 1, 12, 0, 0 }, 4);
	aml_bytes(a, &ioapic, 4);
	aml_bytes(a, &zero, 4);
	/* NMI at LINT1 of every processor */
	aml_bytes(a, (uint8_t[]){ 4, 6, 0xff, 0, 0, 1 }, 6);
	close_table(a, at);
	return at;
}

static size_t xsdt(struct aml *a, const uint64_t *tables, size_t n)
{
	const size_t at = open_table(a, "XSDT", 1);

	aml_bytes(a, tables, n * sizeof(*tables));
	close_table(a, at);
	return at;
}

int acpi_build(const struct acpi *in, uint64_t gpa, uint8_t *buf, size_t cap)
{
	struct aml a = { .buf = buf, .cap = cap };
	struct rsdp r = {
		.signature = "RSD PTR ",
		.oem = "CTR   ",
		.revision = 2,
		.length = sizeof(r),
	};
	uint64_t tables[2];

	aml_bytes(&a, &r, sizeof(r));
	tables[0] = gpa + dsdt(&a, in);
	tables[0] = gpa + fadt(&a, tables[0]);
	tables[1] = gpa + madt(&a, in);
	r.xsdt = gpa + xsdt(&a, tables, 2);
	if (a.full)
		return -ENOSPC;
	r.checksum = checksum((const uint8_t *)&r, 20);
	r.checksum_all = checksum((const uint8_t *)&r, sizeof(r));
	memcpy(buf, &r, sizeof(r));
	return (int)a.len;
}
