/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations run in children: they block, fork, change namespaces and open files as on a host, and
 * whatever one does wrong is the end of that child only. Its answer comes over a pipe; what it
 * leaves running becomes a child of the agent.
 */
#include "guest_internal.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/sys.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

enum { REPORT_FD = 3 };

static int arrange_fds(int stdio[3], int report)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), from[4];

	if (null < 0)
		return -errno;
	for (int i = 0; i < 3; i++)
		from[i] = stdio[i] < 0 ? null : stdio[i];
	from[3] = report;
	/* Out of the way first: a source may be another's target. */
	for (int i = 0; i < 4; i++) {
		from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 16);
		if (from[i] < 0)
			return -errno;
	}
	for (int i = 0; i < 4; i++)
		if (dup3(from[i], i, i == REPORT_FD ? O_CLOEXEC : 0) < 0 && errno != EINVAL)
			return -errno;
	return sys_close_range(REPORT_FD + 1, ~0U, 0);
}

static _Noreturn void child(struct guest_job *j, guest_job_fn *fn, int stdio[3], int report)
{
	struct guest_report r = {};
	int rc;

	process_reset_signals();
	rc = arrange_fds(stdio, report);
	if (rc < 0)
		err_sys(&r.err, -rc, "guest: descriptors");
	else if (fn(j, &r.err) >= 0)
		r.err = (struct err){};
	r.pid = j->pid;
	r.text_len = (uint32_t)j->out.len;
	if (io_write_full(rc < 0 ? report : REPORT_FD, &r, sizeof(r)) == 0 && r.text_len)
		io_write_full(REPORT_FD, j->out.s, r.text_len);
	_exit(0);
}

static void close_all(int stdio[3])
{
	for (int i = 0; i < 3; i++)
		if (stdio[i] >= 0)
			close(stdio[i]);
}

static struct guest_work *unused(struct guest *g)
{
	for (int i = 0; i < GUEST_WORKS; i++)
		if (!g->works[i].used)
			return &g->works[i];
	return NULL;
}

int guest_work_begin(struct guest *g, enum guest_work_kind kind, struct guest_job *j,
		     guest_job_fn *fn, int stdio[3], struct err *e)
{
	struct guest_work *w = unused(g);
	int p[2] = { -1, -1 }, r = 0;
	pid_t pid = -1;

	j->g = g;
	if (!w)
		r = err_set(e, EAGAIN, "guest: too many requests at once");
	else if (pipe2(p, O_CLOEXEC) < 0)
		r = err_sys(e, errno, "guest: pipe");
	if (r == 0) {
		pid = fork();
		if (pid == 0)
			child(j, fn, stdio, p[1]);
		if (pid < 0)
			r = err_sys(e, errno, "guest: fork");
	}
	close_all(stdio);
	if (p[1] >= 0)
		close(p[1]);
	if (r < 0) {
		if (p[0] >= 0)
			close(p[0]);
		return r;
	}
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	*w = (struct guest_work){
		.used = true, .kind = kind, .id = j->id, .pid = pid, .pipe = p[0]
	};
	return 0;
}

/* Where the next bytes go; the length that is missing. */
static char *place(struct guest_work *w, size_t *missing)
{
	if (w->got < sizeof(w->report)) {
		*missing = sizeof(w->report) - w->got;
		return (char *)&w->report + w->got;
	}
	if (w->report.text_len && !w->text)
		w->text = malloc(w->report.text_len);
	*missing = sizeof(w->report) + w->report.text_len - w->got;
	return w->text ? w->text + (w->got - sizeof(w->report)) : NULL;
}

int guest_work_read(struct guest_work *w, bool ended)
{
	for (;;) {
		size_t missing;
		char *p = place(w, &missing);
		ssize_t n;

		if (missing == 0)
			return 1;
		n = p ? read(w->pipe, p, missing) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN && !ended)
			return 0;
		if (n <= 0) {
			w->report.text_len = 0;
			err_set(&w->report.err, EPIPE,
				"guest: an operation ended without an answer");
			return 1;
		}
		w->got += (size_t)n;
	}
}

void guest_work_free(struct guest_work *w)
{
	if (w->used)
		close(w->pipe);
	free(w->text);
	*w = (struct guest_work){};
}
