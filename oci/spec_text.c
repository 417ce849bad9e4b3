/* SPDX-License-Identifier: Apache-2.0 */
/* What a string of the specification can be asked to look like. */
#include "oci/spec_field.h"

#include <string.h>

const char *field_absolute(const char *s)
{
	return *s == '/' ? NULL : "not an absolute path";
}

const char *field_not_empty(const char *s)
{
	return *s ? NULL : "must not be empty";
}

const char *field_assignment(const char *s)
{
	if (!strchr(s, '='))
		return "not of the form NAME=VALUE";
	return *s == '=' ? "empty variable name" : NULL;
}

const char *field_one_line(const char *s)
{
	return strchr(s, '\n') ? "must be one line" : NULL;
}

static const char *number_at(const char *s, unsigned long *v)
{
	*v = 0;
	if (*s < '0' || *s > '9')
		return NULL;
	for (; *s >= '0' && *s <= '9'; s++) {
		*v = *v * 10 + (unsigned long)(*s - '0');
		if (*v > UINT16_MAX)
			return NULL;
	}
	return s;
}

/* Blanks around elements and empty elements are allowed, as in the kernel's own parser. */
const char *field_cpu_list(const char *s)
{
	unsigned long first, last;

	for (;;) {
		s += strspn(s, " ,");
		if (!*s)
			return NULL;
		s = number_at(s, &first);
		if (!s)
			return "not a list of numbers and ranges";
		last = first;
		if (*s == '-')
			s = number_at(s + 1, &last);
		if (!s || last < first)
			return "not a list of numbers and ranges";
		s += strspn(s, " ");
		if (*s && *s != ',')
			return "not a list of numbers and ranges";
	}
}
