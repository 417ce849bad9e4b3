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

/* A SIGALRM that somebody else has sent is no deadline. */
static int lock_until_alarm(int fd)
{
	struct itimerval left = {};
	int r;

	do
		r = flock(fd, LOCK_EX) < 0 ? -errno : 0;
	while (r == -EINTR && getitimer(ITIMER_REAL, &left) == 0 && timerisset(&left.it_value));
	return r;
}

/* flock has no deadline of its own: a timer's signal interrupts it, which the caller may block. */
int lock_wait(int fd, int seconds)
{
	struct itimerval t = { .it_value.tv_sec = seconds }, off = {};
	struct sigaction sa = { .sa_handler = on_alarm }, old;
	sigset_t alarm, mask;
	int r;

	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return -errno;
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigaction(SIGALRM, &sa, &old);
	sigprocmask(SIG_UNBLOCK, &alarm, &mask);
	setitimer(ITIMER_REAL, &t, NULL);
	r = lock_until_alarm(fd);
	setitimer(ITIMER_REAL, &off, NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	sigaction(SIGALRM, &old, NULL);
	return r == -EINTR ? -EBUSY : r;
}
