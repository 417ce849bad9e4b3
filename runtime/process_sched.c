/* SPDX-License-Identifier: Apache-2.0 */
/* How the payload shares the processors: scheduler, I/O priority, CPU affinity. */
#include "runtime/process.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#define IOPRIO_WHO_SELF 1 /* IOPRIO_WHO_PROCESS with id 0 */
#define IOPRIO_CLASS_AT 13
#define IOPRIO_MAX 7
#define CPUS_MAX 8192 /* the most that any Linux is configured for */

/* The kernel's struct sched_attr, first version; its header clashes with <sched.h>. */
struct sched_attrs {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static int set_scheduler(const struct spec_scheduler *s, struct err *e)
{
	struct sched_attrs a = {
		.size = sizeof(a),
		.policy = (uint32_t)s->policy,
		.flags = s->flags,
		.nice = s->nice.set ? (int32_t)s->nice.v : 0,
		.priority = s->priority.set ? (uint32_t)s->priority.v : 0,
		.runtime = s->runtime.set ? s->runtime.v : 0,
		.deadline = s->deadline.set ? s->deadline.v : 0,
		.period = s->period.set ? s->period.v : 0,
	};

	if (syscall(SYS_sched_setattr, 0, &a, 0) < 0)
		return err_sys(e, errno, "process.scheduler: set policy %d", s->policy);
	return 0;
}

int process_scheduling(const struct spec_process *p, struct err *e)
{
	const struct spec_io_priority *io = p->io_priority;

	if (p->scheduler) {
		int r = set_scheduler(p->scheduler, e);

		if (r < 0)
			return r;
	}
	/* Newer kernels would take the bits above as hints for the device. */
	if (io && (io->priority < 0 || io->priority > IOPRIO_MAX))
		return err_set(e, EINVAL, "process.ioPriority: %d: out of range 0 to %d",
			       io->priority, IOPRIO_MAX);
	if (io && syscall(SYS_ioprio_set, IOPRIO_WHO_SELF, 0,
			  io->class << IOPRIO_CLASS_AT | io->priority) < 0)
		return err_sys(e, errno, "process.ioPriority: set class %d, priority %d", io->class,
			       io->priority);
	return 0;
}

int process_personality(const struct spec_personality *p, struct err *e)
{
	if (p->flags.n)
		return err_set(e, EOPNOTSUPP, "linux.personality.flags: %s: no flag is supported",
			       p->flags.v[0]);
	if (personality((unsigned long)p->domain) < 0)
		return err_sys(e, errno, "linux.personality.domain: set 0x%llx",
			       (unsigned long long)p->domain);
	return 0;
}

int process_reset_affinity(void)
{
	unsigned char all[CPUS_MAX / 8];

	/* The kernel takes from it what the cpuset allows. */
	memset(all, 0xff, sizeof(all));
	return sched_setaffinity(0, sizeof(all), (cpu_set_t *)all) < 0 ? -errno : 0;
}

/* A number at *s, which is moved behind it; -EINVAL or -ERANGE. */
static int take_cpu(const char **s)
{
	char digits[8];
	size_t n = strspn(*s, "0123456789");
	uint64_t v;
	int r;

	if (n >= sizeof(digits))
		return -ERANGE;
	memcpy(digits, *s, n);
	digits[n] = '\0';
	r = str_to_u64(digits, CPUS_MAX - 1, &v);
	if (r < 0)
		return r;
	*s += n;
	return (int)v;
}

static int parse_cpus(const char *s, unsigned long *mask)
{
	const int bits = 8 * (int)sizeof(*mask);

	for (;; s++) {
		int from = take_cpu(&s), to = from;

		if (from < 0)
			return from;
		if (*s == '-') {
			s++;
			to = take_cpu(&s);
		}
		if (to < from)
			return to < 0 ? to : -EINVAL;
		for (int cpu = from; cpu <= to; cpu++)
			mask[cpu / bits] |= 1UL << cpu % bits;
		if (!*s)
			return 0;
		if (*s != ',')
			return -EINVAL;
	}
}

int process_affinity(const char *list, struct err *e)
{
	unsigned long mask[CPUS_MAX / 8 / sizeof(unsigned long)] = {};
	int r = parse_cpus(list, mask);

	if (r < 0)
		return err_set(e, -r, "process.execCPUAffinity: %s: %s", list,
			       r == -ERANGE ? "CPU number out of range" : "not a list of CPUs");
	if (sched_setaffinity(0, sizeof(mask), (cpu_set_t *)mask) < 0)
		return err_sys(e, errno, "process.execCPUAffinity: set %s", list);
	return 0;
}
