/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lock.h"

#include <errno.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/time.h>

static void on_alarm(int sig)
{
	(void)sig;
}

/* flock has no deadline of its own: a timer's signal interrupts it. */
int lock_wait(int fd, int seconds)
{
	struct itimerval t = { .it_value.tv_sec = seconds }, off = {};
	struct sigaction sa = { .sa_handler = on_alarm }, old;
	int r;

	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return -errno;
	sigaction(SIGALRM, &sa, &old);
	setitimer(ITIMER_REAL, &t, NULL);
	r = flock(fd, LOCK_EX) < 0 ? -errno : 0;
	setitimer(ITIMER_REAL, &off, NULL);
	sigaction(SIGALRM, &old, NULL);
	return r == -EINTR ? -EBUSY : r;
}
