/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI machine language, as much of it as describes devices (ACPI 6.4, chapter 20). A builder over
 * a buffer of fixed size: what does not fit sets full, and nothing is written past the end.
 */
#ifndef CTR_MICROVM_AML_H
#define CTR_MICROVM_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
	uint8_t *buf;
	size_t len, cap;
	bool full;
};

void aml_bytes(struct aml *a, const void *p, size_t n);
void aml_byte(struct aml *a, uint8_t b);

/* Names are four characters, padded with '_'. */
void aml_name(struct aml *a, const char *name);  /* Name (NAME, ...: the value follows */
void aml_int(struct aml *a, uint64_t v);         /* an integer in its shortest form */
void aml_string(struct aml *a, const char *s);   /* "S" */
void aml_eisa_id(struct aml *a, const char *id); /* EisaId ("PNP0501") */

/* What holds others: each open gives a mark for aml_close. */
size_t aml_open_scope(struct aml *a, const char *name); /* Scope (\NAME) { */
size_t aml_open_device(struct aml *a, const char *name);
size_t aml_open_package(struct aml *a, uint8_t elements);
size_t aml_open_resources(struct aml *a); /* Name (_CRS, ResourceTemplate () { */
void aml_close(struct aml *a, size_t mark);
void aml_close_resources(struct aml *a, size_t mark);

/* Inside resources. Interrupts are edge triggered, active high, not shared. */
void aml_memory(struct aml *a, uint32_t base, uint32_t len);
void aml_interrupt(struct aml *a, uint32_t gsi);
void aml_ports(struct aml *a, uint16_t base, uint8_t len);

#endif
