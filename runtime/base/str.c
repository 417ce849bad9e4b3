/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

const char *str_after(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

char *str_printf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : s;
}

int str_to_u64(const char *s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (!*s)
		return -EINVAL;
	for (const char *p = s; *p; p++)
		if (!isdigit((unsigned char)*p))
			return -EINVAL;
	for (; *s; s++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -ERANGE;
	}
	if (v > max)
		return -ERANGE;
	*out = v;
	return 0;
}

int str_to_i64(const char *s, int64_t min, int64_t max, int64_t *out)
{
	bool neg = *s == '-';
	uint64_t u;
	int64_t v;
	int r = str_to_u64(s + neg, neg ? (uint64_t)INT64_MAX + 1 : INT64_MAX, &u);

	if (r < 0)
		return r;
	v = neg ? (int64_t)(0 - u) : (int64_t)u;
	if (v < min || v > max)
		return -ERANGE;
	*out = v;
	return 0;
}

/* A number at *s, which is moved behind it. */
static int take_bit(const char **s, size_t bits, size_t *out)
{
	char digits[8];
	size_t n = strspn(*s, "0123456789");
	uint64_t v;
	int r;

	if (n >= sizeof(digits))
		return -ERANGE;
	memcpy(digits, *s, n);
	digits[n] = '\0';
	r = str_to_u64(digits, bits - 1, &v);
	if (r < 0)
		return r;
	*s += n;
	*out = (size_t)v;
	return 0;
}

int str_to_bits(const char *s, unsigned long *mask, size_t bits)
{
	const size_t word = 8 * sizeof(*mask);

	for (;; s++) {
		size_t from, to;
		int r = take_bit(&s, bits, &from);

		to = from;
		if (r == 0 && *s == '-') {
			s++;
			r = take_bit(&s, bits, &to);
		}
		if (r < 0)
			return r;
		if (to < from)
			return -EINVAL;
		for (size_t i = from; i <= to; i++)
			mask[i / word] |= 1UL << i % word;
		if (!*s)
			return 0;
		if (*s != ',')
			return -EINVAL;
	}
}

/* n digits behind a point, in bytes of a unit of 1 << shift; a part of a byte is cut off. */
static int64_t fraction(const char *digits, size_t n, int shift)
{
	int64_t part = 0;
	uint64_t scale = 1;

	/* 2^40 * 10^6 is still far from the end of the range */
	for (size_t i = 0; i < n && i < 6; i++) {
		part = part * 10 + (digits[i] - '0');
		scale *= 10;
	}
	return (int64_t)(((uint64_t)part << shift) / scale);
}

int str_to_size(const char *s, int64_t *out)
{
	static const char units[] = "bkmgt";
	char digits[24];
	const char *frac = NULL;
	size_t n = strspn(s, "0123456789"), n_frac = 0;
	uint64_t v;
	int shift = 0, r;

	if (str_eq(s, "-1")) {
		*out = -1;
		return 0;
	}
	if (n == 0)
		return -EINVAL;
	if (n >= sizeof(digits))
		return -ERANGE;
	memcpy(digits, s, n);
	digits[n] = '\0';
	r = str_to_u64(digits, INT64_MAX, &v);
	if (r < 0)
		return r;
	s += n;
	if (*s == '.') {
		frac = s + 1;
		n_frac = strspn(frac, "0123456789");
		s = frac + n_frac;
		if (!n_frac || !*s)
			return -EINVAL;
	}
	if (*s) {
		const char *u = strchr(units, tolower((unsigned char)*s));

		if (!u ||
		    (s[1] && (u == units || (strcasecmp(s + 1, "b") && strcasecmp(s + 1, "ib")))))
			return -EINVAL;
		shift = 10 * (int)(u - units);
	}
	if (frac && !shift)
		return -EINVAL;
	/* with room for the fraction */
	if (v > (uint64_t)(INT64_MAX >> shift) - !!frac)
		return -ERANGE;
	*out = (int64_t)(v << shift) + (frac ? fraction(frac, n_frac, shift) : 0);
	return 0;
}

void str_buf_addn(struct str_buf *b, const char *s, size_t n)
{
	if (b->failed)
		return;
	if (b->len + n + 1 > b->cap) {
		size_t cap = b->cap ? b->cap : 128;
		char *grown;

		while (cap < b->len + n + 1)
			cap *= 2;
		grown = realloc(b->s, cap);
		if (!grown) {
			b->failed = true;
			return;
		}
		b->s = grown;
		b->cap = cap;
	}
	memcpy(b->s + b->len, s, n);
	b->len += n;
	b->s[b->len] = '\0';
}

void str_buf_add(struct str_buf *b, const char *s)
{
	str_buf_addn(b, s, strlen(s));
}

void str_buf_addf(struct str_buf *b, const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
		return;
	}
	str_buf_addn(b, s, (size_t)n);
	free(s);
}

void str_buf_free(struct str_buf *b)
{
	free(b->s);
	*b = (struct str_buf){};
}

int str_list_add(struct str_list *l, const char *s)
{
	char **grown = realloc(l->v, (l->n + 2) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	l->v = grown;
	grown[l->n] = strdup(s);
	if (!grown[l->n])
		return -ENOMEM;
	grown[++l->n] = NULL;
	return 0;
}

void str_list_free(struct str_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct str_list){};
}

size_t str_utf8(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* Longer than needed, a half of a UTF-16 pair, beyond Unicode: not UTF-8 either. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

void str_clean(char *s, size_t len, char with)
{
	for (size_t i = 0; i < len;) {
		unsigned char c = (unsigned char)s[i];
		size_t n = str_utf8(s + i);

		if (n > 1 && n <= len - i && (c != 0xc2 || (unsigned char)s[i + 1] > 0x9f)) {
			i += n;
			continue;
		}
		/* The second byte of a C1 control in UTF-8 is one by itself. */
		if (c < 0x20 || (c >= 0x7f && c <= 0x9f) || n > 1)
			s[i] = c == '\t' ? ' ' : with;
		i++;
	}
}
