/* SPDX-License-Identifier: Apache-2.0 */
/* Strings and strict numbers. */
#ifndef CTR_BASE_STR_H
#define CTR_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool str_eq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* The rest of s after prefix, or NULL when s does not start with it. */
const char *str_after(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

/* A fresh string (caller frees), or NULL without memory. */
char *str_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Decimal numbers, the whole string, no sign but a '-' for the signed one, no blanks, no leading
 * '+'. 0, -EINVAL (not a number) or -ERANGE (outside min..max). *out is written on success only.
 */
int str_to_u64(const char *s, uint64_t max, uint64_t *out);
int str_to_i64(const char *s, int64_t min, int64_t max, int64_t *out);

/*
 * A list of numbers as the kernel writes CPUs and memory nodes ("0-3,7"): sets the bits in mask,
 * which has room for `bits` of them and is not cleared first. -EINVAL (not such a list) or -ERANGE.
 */
int str_to_bits(const char *s, unsigned long *mask, size_t bits);

/*
 * Sizes as people write them: a decimal number with an optional suffix b, k, m, g, t (powers of
 * 1024, either case, "kb" and "kib" forms too), with up to six digits behind a point in front of k
 * to t. "-1" gives -1 (unlimited). 0, -EINVAL or -ERANGE.
 */
int str_to_size(const char *s, int64_t *out);

/* Bytes of the UTF-8 character that s starts with, or 0: it starts with none. Stops at a NUL. */
size_t str_utf8(const char *s);

/*
 * Replaces what a terminal might act on: C0 controls, DEL, C1 controls, those as bytes of no UTF-8
 * character too. In place, byte by byte; a tab becomes a blank. s[len] can be read.
 */
void str_clean(char *s, size_t len, char with);

/*
 * A growing string. Zero-initialise; after a failed append `failed` stays set. Free with
 * str_buf_free.
 */
struct str_buf {
	char *s; /* terminated once anything was added; NULL before */
	size_t len, cap;
	bool failed;
};

void str_buf_add(struct str_buf *b, const char *s);
void str_buf_addn(struct str_buf *b, const char *s, size_t n);
void str_buf_addf(struct str_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_buf_free(struct str_buf *b);

/* A list of strings that it owns: v[n] is always NULL once n > 0. */
struct str_list {
	char **v;
	size_t n;
};

int str_list_add(struct str_list *l, const char *s); /* copies; 0 or -ENOMEM */
void str_list_free(struct str_list *l);

#endif
