/* SPDX-License-Identifier: Apache-2.0 */
/* How the payload shares the processors: scheduler, I/O priority, CPU affinity. */
#include "runtime/process.h"

#include "base/cleanup.h"
#include "oci/names.h"

#include <errno.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#define IOPRIO_WHO_SELF 1 /* IOPRIO_WHO_PROCESS with id 0 */
#define IOPRIO_CLASS_AT 13
#define IOPRIO_MAX 7
#define CPUS_MAX 8192 /* the most that any Linux is configured for */

/* The kernel's struct sched_attr, second version (Linux 5.3); its header clashes with <sched.h>. */
struct sched_attrs {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

#define ATTRS_FIRST 48  /* the size of the first version */
#define UTIL_CLAMP 0x60 /* SCHED_FLAG_UTIL_CLAMP_MIN and _MAX */

static int set_scheduler(const struct spec_scheduler *s, struct err *e)
{
	struct sched_attrs a = {
		.size = s->flags & UTIL_CLAMP ? sizeof(a) : ATTRS_FIRST,
		.policy = (uint32_t)s->policy,
		.flags = s->flags,
		.nice = s->nice.set ? (int32_t)s->nice.v : 0,
		.priority = s->priority.set ? (uint32_t)s->priority.v : 0,
		.runtime = s->runtime.set ? s->runtime.v : 0,
		.deadline = s->deadline.set ? s->deadline.v : 0,
		.period = s->period.set ? s->period.v : 0,
		/*
		 * The specification has the flags and no values for them: back to the system's
		 * default.
		 */
		.util_min = UINT32_MAX,
		.util_max = UINT32_MAX,
	};

	if (syscall(SYS_sched_setattr, 0, &a, 0) < 0)
		return err_sys(e, errno, "process.scheduler: set %s",
			       table_name(&names_sched_policies, s->policy) ?: "the policy");
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

int process_affinity(const char *list, struct err *e)
{
	unsigned long mask[CPUS_MAX / 8 / sizeof(unsigned long)] = {};
	int r = str_to_bits(list, mask, CPUS_MAX);

	if (r < 0)
		return err_set(e, -r, "process.execCPUAffinity: %s: %s", list,
			       r == -ERANGE ? "CPU number out of range" : "not a list of CPUs");
	if (sched_setaffinity(0, sizeof(mask), (cpu_set_t *)mask) < 0)
		return err_sys(e, errno, "process.execCPUAffinity: set %s", list);
	return 0;
}
