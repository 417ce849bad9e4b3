/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/duration.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <errno.h>

/* Longer names first where one begins like another. */
static const struct unit {
	const char *name;
	int64_t ns;
} units[] = {
	{ "ns", 1 },       { "us", 1000 },      { "\302\265s", 1000 }, { "\316\274s", 1000 },
	{ "ms", 1000000 }, { "s", 1000000000 }, { "m", 60000000000 },  { "h", 3600000000000 },
};

/* Digits at *s, added to *v by the weight that `unit` and their place give them. */
static int whole(const char **s, int64_t *v)
{
	for (; **s >= '0' && **s <= '9'; ++*s)
		if (__builtin_mul_overflow(*v, 10, v) || __builtin_add_overflow(*v, **s - '0', v))
			return -ERANGE;
	return 0;
}

static int64_t fraction(const char *digits, size_t n, int64_t unit)
{
	int64_t ns = 0;

	for (size_t i = 0; i < n && unit >= 10; i++) {
		unit /= 10;
		ns += (digits[i] - '0') * unit;
	}
	return ns;
}

/* One number with its unit. */
static int part(const char **s, int64_t *ns)
{
	size_t n = strspn(*s, "0123456789"), n_after = 0;
	const char *after = NULL;
	int64_t v = 0;
	int r = whole(s, &v);

	if (r < 0)
		return r;
	if (**s == '.') {
		after = ++*s;
		n_after = strspn(after, "0123456789");
		*s += n_after;
	}
	if (n + n_after == 0)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		const char *rest = str_after(*s, units[i].name);

		if (!rest)
			continue;
		*s = rest;
		if (__builtin_mul_overflow(v, units[i].ns, &v) ||
		    __builtin_add_overflow(v, fraction(after, n_after, units[i].ns), &v) ||
		    __builtin_add_overflow(*ns, v, ns))
			return -ERANGE;
		return 0;
	}
	return -EINVAL;
}

int duration_parse(const char *s, int64_t *ns)
{
	int64_t sum = 0;

	if (!*s)
		return -EINVAL;
	if (str_eq(s, "0"))
		s++;
	while (*s) {
		int r = part(&s, &sum);

		if (r < 0)
			return r;
	}
	*ns = sum;
	return 0;
}
