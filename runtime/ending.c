/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/ending.h"

#include <errno.h>
#include <sys/signalfd.h>

static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

bool ending_asks(int sig)
{
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (ends[i] == sig)
			return true;
	return false;
}

static void wanted(sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct sigaction sa;

		if (sigaction(ends[i], NULL, &sa) < 0 || sa.sa_handler != SIG_IGN)
			sigaddset(set, ends[i]);
	}
}

int ending_watch(struct ending *w, struct err *e)
{
	sigset_t set;

	wanted(&set);
	w->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (w->fd < 0)
		return err_sys(e, errno, "watch for signals");
	if (sigprocmask(SIG_BLOCK, &set, &w->old) == 0)
		return 0;
	close(TAKE_FD(w->fd));
	return err_sys(e, errno, "block signals");
}

int ending_taken(struct ending *w)
{
	struct signalfd_siginfo si;

	if (w->fd < 0 || read(w->fd, &si, sizeof(si)) != sizeof(si))
		return 0;
	return (int)si.ssi_signo;
}

void ending_close(struct ending *w)
{
	if (w->fd < 0)
		return;
	close(TAKE_FD(w->fd));
	sigprocmask(SIG_SETMASK, &w->old, NULL);
}
