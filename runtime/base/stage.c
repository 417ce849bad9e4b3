/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stage.h"

#include "base/log.h"

#include <stdint.h>
#include <time.h>

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void stage_undo(const struct stage *table, size_t n, void *ctx)
{
	while (n-- > 0)
		if (table[n].undo)
			table[n].undo(ctx);
}

int stage_run(const char *who, const struct stage *table, size_t n, void *ctx, struct err *e)
{
	bool debug = log_debugging();

	for (size_t i = 0; i < n; i++) {
		uint64_t start = debug ? now_us() : 0;
		int r = table[i].run(ctx, e);

		if (debug)
			log_debug("%s: %s: %s%llu us", who, table[i].name, r < 0 ? "failed, " : "",
				  (unsigned long long)(now_us() - start));
		if (r < 0) {
			stage_undo(table, i + 1, ctx);
			return r;
		}
	}
	return 0;
}
