/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/qemu.h"

#include <time.h>

#ifdef __x86_64__
#include <x86intrin.h>

static uint64_t counter(void)
{
	return __rdtsc();
}
#else
static uint64_t counter(void)
{
	return 0;
}
#endif

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* The tightest of a few readings: one that was interrupted in between is wrong. */
void qemu_tsc_sample(struct tsc_sample *s)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 5; i++) {
		uint64_t before = now_ns(), tsc = counter(), after = now_ns();

		if (after - before >= best)
			continue;
		best = after - before;
		*s = (struct tsc_sample){ .tsc = tsc, .ns = before + (after - before) / 2 };
	}
}

unsigned int qemu_tsc_khz(const struct tsc_sample *since)
{
	struct tsc_sample s;

	do
		qemu_tsc_sample(&s);
	while (s.ns - since->ns < 1000000);
	return (unsigned int)((s.tsc - since->tsc) * 1000000 / (s.ns - since->ns));
}
