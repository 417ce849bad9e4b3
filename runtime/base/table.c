/* SPDX-License-Identifier: Apache-2.0 */
#include "base/table.h"

#include <string.h>

bool table_value(const struct name_table *t, const char *name, int64_t *value)
{
	for (size_t i = 0; i < t->n; i++) {
		if (strcmp(t->rows[i].name, name) == 0) {
			*value = t->rows[i].value;
			return true;
		}
	}
	return false;
}

const char *table_name(const struct name_table *t, int64_t value)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->rows[i].value == value)
			return t->rows[i].name;
	return NULL;
}
