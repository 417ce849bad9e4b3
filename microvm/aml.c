/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/aml.h"

#include <string.h>

enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_STRING = 0x0d,
	OP_QWORD = 0x0e,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_EXT = 0x5b,
	OP_EXT_DEVICE = 0x82,
};

void aml_bytes(struct aml *a, const void *p, size_t n)
{
	if (a->full || n > a->cap - a->len) {
		a->full = true;
		return;
	}
	memcpy(a->buf + a->len, p, n);
	a->len += n;
}

void aml_byte(struct aml *a, uint8_t b)
{
	aml_bytes(a, &b, 1);
}

static void segment(struct aml *a, const char *name)
{
	char s[4] = { '_', '_', '_', '_' };

	memcpy(s, name, strnlen(name, sizeof(s)));
	aml_bytes(a, s, sizeof(s));
}

/*
 * A package length of three bytes whatever it is: that needs no moving of bytes when it becomes
 * known, and is as valid as the shortest form.
 */
static size_t open_length(struct aml *a)
{
	const size_t mark = a->len;

	aml_bytes(a, (uint8_t[3]){}, 3);
	return mark;
}

void aml_close(struct aml *a, size_t mark)
{
	const size_t n = a->len - mark;

	if (a->full)
		return;
	a->buf[mark] = (uint8_t)(0x80 | (n & 0xf));
	a->buf[mark + 1] = (uint8_t)(n >> 4);
	a->buf[mark + 2] = (uint8_t)(n >> 12);
}

void aml_name(struct aml *a, const char *name)
{
	aml_byte(a, OP_NAME);
	segment(a, name);
}

void aml_int(struct aml *a, uint64_t v)
{
	if (v <= 1) {
		aml_byte(a, v ? OP_ONE : OP_ZERO);
	} else if (v <= UINT8_MAX) {
		aml_byte(a, OP_BYTE);
		aml_bytes(a, &v, 1);
	} else if (v <= UINT16_MAX) {
		aml_byte(a, OP_WORD);
		aml_bytes(a, &v, 2);
	} else if (v <= UINT32_MAX) {
		aml_byte(a, OP_DWORD);
		aml_bytes(a, &v, 4);
	} else {
		aml_byte(a, OP_QWORD);
		aml_bytes(a, &v, 8);
	}
}

void aml_string(struct aml *a, const char *s)
{
	aml_byte(a, OP_STRING);
	aml_bytes(a, s, strlen(s) + 1);
}

static uint8_t hex(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* Three letters of five bits, four digits of four, the high byte first. */
void aml_eisa_id(struct aml *a, const char *id)
{
	const uint32_t letters = (uint32_t)(id[0] - 0x40) << 10 | (uint32_t)(id[1] - 0x40) << 5 |
				 (uint32_t)(id[2] - 0x40);
	const uint8_t b[] = {
		(uint8_t)(letters >> 8),
		(uint8_t)letters,
		(uint8_t)(hex(id[3]) << 4 | hex(id[4])),
		(uint8_t)(hex(id[5]) << 4 | hex(id[6])),
	};

	aml_byte(a, OP_DWORD);
	aml_bytes(a, b, sizeof(b));
}

size_t aml_open_scope(struct aml *a, const char *name)
{
	size_t mark;

	aml_byte(a, OP_SCOPE);
	mark = open_length(a);
	aml_byte(a, '\\');
	segment(a, name);
	return mark;
}

size_t aml_open_device(struct aml *a, const char *name)
{
	size_t mark;

	aml_byte(a, OP_EXT);
	aml_byte(a, OP_EXT_DEVICE);
	mark = open_length(a);
	segment(a, name);
	return mark;
}

size_t aml_open_package(struct aml *a, uint8_t elements)
{
	size_t mark;

	aml_byte(a, OP_PACKAGE);
	mark = open_length(a);
	aml_byte(a, elements);
	return mark;
}

/* A buffer: its length as a package, its size as a word, then the descriptors. */
size_t aml_open_resources(struct aml *a)
{
	size_t mark;

	aml_name(a, "_CRS");
	aml_byte(a, OP_BUFFER);
	mark = open_length(a);
	aml_byte(a, OP_WORD);
	aml_bytes(a, (uint8_t[2]){}, 2);
	return mark;
}

void aml_close_resources(struct aml *a, size_t mark)
{
	/* Behind the length and the word that holds the size. */
	const size_t first = mark + 3 + 3;
	size_t n;

	aml_bytes(a, (uint8_t[]){ 0x79, 0 }, 2);
	if (a->full)
		return;
	n = a->len - first;
	a->buf[first - 2] = (uint8_t)n;
	a->buf[first - 1] = (uint8_t)(n >> 8);
	aml_close(a, mark);
}

void aml_memory(struct aml *a, uint32_t base, uint32_t len)
{
	aml_bytes(a, (uint8_t[]){ 0x86, 9, 0, 1 }, 4);
	aml_bytes(a, &base, 4);
	aml_bytes(a, &len, 4);
}

void aml_interrupt(struct aml *a, uint32_t gsi)
{
	/* consumer, edge, high, exclusive; one of them */
	aml_bytes(a, (uint8_t[]){ 0x89, 6, 0, 0x03, 1 }, 5);
	aml_bytes(a, &gsi, 4);
}

void aml_ports(struct aml *a, uint16_t base, uint8_t len)
{
	aml_bytes(a, (uint8_t[]){ 0x47, 1 }, 2);
	aml_bytes(a, &base, 2);
	aml_bytes(a, &base, 2);
	aml_bytes(a, (uint8_t[]){ 1, len }, 2);
}
