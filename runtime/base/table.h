/* SPDX-License-Identifier: Apache-2.0 */
/* Vocabulary is data: names and their values, looked up both ways. */
#ifndef CTR_BASE_TABLE_H
#define CTR_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct name_value {
	const char *name;
	int64_t value;
};

struct name_table {
	const char *what; /* singular, for errors: "capability" */
	const struct name_value *rows;
	size_t n;
};

#define NAME_TABLE(title, array)                                                          \
	{                                                                                 \
		.what = (title), .rows = (array), .n = sizeof(array) / sizeof((array)[0]) \
	}

/* True and *value when the table has the name (exact match). */
bool table_value(const struct name_table *t, const char *name, int64_t *value);

/* The first name with that value, or NULL. */
const char *table_name(const struct name_table *t, int64_t value);

#endif
