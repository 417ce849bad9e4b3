/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/process.h"

#include "base/cleanup.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define CHECK(cond)                                                                \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			_exit(1);                                                  \
		}                                                                  \
	} while (0)

static void in_child(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void scheduling_cases(void)
{
	struct spec_scheduler s = { .policy = SCHED_BATCH, .nice = { true, 7 } };
	struct spec_io_priority io = { .class = 2, .priority = 6 };
	struct spec_process p = { .scheduler = &s, .io_priority = &io };
	struct err e = {};

	CHECK(process_scheduling(&p, &e) == 0);
	CHECK(sched_getscheduler(0) == SCHED_BATCH);
	CHECK(getpriority(PRIO_PROCESS, 0) == 7);
	CHECK(syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | 6));
	io.priority = 9;
	CHECK(process_scheduling(&p, &e) == -EINVAL);
	CHECK(strstr(e.msg, "process.ioPriority"));
	s = (struct spec_scheduler){ .policy = SCHED_FIFO, .priority = { true, 1000 } };
	CHECK(process_scheduling(&p, &e) == -EINVAL);
	CHECK(strstr(e.msg, "process.scheduler"));
}

static void realtime_cases(void)
{
	struct spec_scheduler s = {
		.policy = 6, /* SCHED_DEADLINE */
		.runtime = { true, 1000000 },
		.deadline = { true, 10000000 },
		.period = { true, 10000000 },
	};
	struct spec_process p = { .scheduler = &s };
	struct err e = {};
	int r = process_scheduling(&p, &e);

	CHECK(r == 0 || r == -EPERM || r == -EBUSY);
	CHECK(r < 0 || sched_getscheduler(0) == 6);
	s = (struct spec_scheduler){
		.policy = SCHED_RR, .priority = { true, 3 }, .flags = 1, /* RESET_ON_FORK */
	};
	r = process_scheduling(&p, &e);
	CHECK(r == 0 || r == -EPERM);
	CHECK(r < 0 || sched_getscheduler(0) == (SCHED_RR | SCHED_RESET_ON_FORK));
}

static void scheduling(void **state)
{
	(void)state;
	in_child(scheduling_cases);
	in_child(realtime_cases);
}

static void affinity_cases(void)
{
	static const char *const bad[] = { "",    ",", "0,",  "-1",   "0-",
					   "1-0", "a", "0 1", "0,,1", "+0" };
	struct err e = {};
	cpu_set_t all, now;

	CHECK(sched_getaffinity(0, sizeof(all), &all) == 0);
	if (!CPU_ISSET(0, &all))
		return;
	CHECK(process_affinity("0", &e) == 0);
	CHECK(sched_getaffinity(0, sizeof(now), &now) == 0 && CPU_COUNT(&now) == 1);
	CHECK(process_affinity("0-1,3,5-7", &e) == 0);
	CHECK(process_affinity("0", &e) == 0);
	CHECK(process_reset_affinity() == 0);
	CHECK(sched_getaffinity(0, sizeof(now), &now) == 0 && CPU_COUNT(&now) >= CPU_COUNT(&all));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK(process_affinity(bad[i], &e) == -EINVAL);
		CHECK(strstr(e.msg, "not a list of CPUs"));
	}
	CHECK(process_affinity("0-8192", &e) == -ERANGE);
	CHECK(process_affinity("99999999999", &e) == -ERANGE);
	CHECK(process_affinity("8191", &e) == -EINVAL); /* no such CPU here */
}

static void affinity(void **state)
{
	(void)state;
	in_child(affinity_cases);
}

static void personality_cases(void)
{
	struct spec_personality p = { .domain = PER_LINUX32 };
	struct err e = {};

	CHECK(process_personality(&p, &e) == 0);
	CHECK(personality(0xffffffff) == PER_LINUX32);
	p.flags = (struct spec_strings){ (char *[]){ "ADDR_NO_RANDOMIZE", NULL }, 1 };
	CHECK(process_personality(&p, &e) == -EOPNOTSUPP);
	CHECK(strstr(e.msg, "linux.personality.flags: ADDR_NO_RANDOMIZE"));
}

static void personality_domain(void **state)
{
	(void)state;
	in_child(personality_cases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scheduling),
		cmocka_unit_test(affinity),
		cmocka_unit_test(personality_domain),
	};

	return cmocka_run_group_tests_name("process_sched", tests, NULL, NULL);
}
