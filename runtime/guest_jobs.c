/* SPDX-License-Identifier: Apache-2.0 */
/* What the host asks, as the runtime's operations. Each runs in a child of the agent. */
#include "guest_internal.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/json.h"
#include "oci/json_out.h"
#include "oci/spec_guest.h"
#include "vm_exec_opts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

/* The bundle's path on the host, or NULL. */
static const char *bundle_name(struct arena *a, const struct guest_job *j)
{
	struct err none;
	const struct json *v;
	struct json *doc;

	if (json_parse(a, "config.json", j->text, j->len, &doc, &none) < 0)
		return NULL;
	v = json_get(doc, SPEC_GUEST_BUNDLE);
	return v && v->type == JSON_STRING ? v->text : NULL;
}

int guest_job_create(struct guest_job *j, struct err *e)
{
	AUTO(arena_free) struct arena a = {};
	struct guest *g = j->g;
	char bundle[PATH_MAX], console[PATH_MAX];
	struct create_opts o = {
		.id = g->id,
		.bundle = bundle,
		.bundle_name = bundle_name(&a, j),
		.own_kernel = true,
	};
	AUTO_STATE struct state *st = NULL;
	enum status status;
	AUTO_CLOSE int dir = -1;
	int r;

	snprintf(bundle, sizeof(bundle), "%s/bundle", g->dir);
	if (mkdir(bundle, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "guest: make %s", bundle);
	dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, errno, "guest: open %s", bundle);
	r = io_write_atomic(dir, "config.json", j->text, j->len, 0600);
	if (r < 0)
		return err_sys(e, -r, "guest: write config.json");
	if (g->procs[0].tty) {
		guest_path(g, console, "console", 0);
		o.console_socket = console;
	}
	r = ctr_create(&g->global, &o, e);
	if (r == 0)
		r = ctr_state(&g->global, g->id, &st, &status, e);
	if (r == 0)
		j->pid = st->pid;
	return r;
}

int guest_job_start(struct guest_job *j, struct err *e)
{
	return ctr_start(&j->g->global, j->g->id, e);
}

static int read_pid(const char *path, pid_t *pid, struct err *e)
{
	char text[32];
	uint64_t v;
	ssize_t n = io_read_small(AT_FDCWD, path, text, sizeof(text));

	unlink(path);
	if (n <= 0 || str_to_u64(text, INT32_MAX, &v) < 0)
		return err_set(e, EPROTO, "guest: no process id");
	*pid = (pid_t)v;
	return 0;
}

int guest_job_exec(struct guest_job *j, struct err *e)
{
	struct guest *g = j->g;
	AUTO(arena_free) struct arena a = {};
	char process[PATH_MAX], console[PATH_MAX], pid_file[PATH_MAX];
	const char *text;
	struct exec_opts o;
	int status, r = vm_exec_opts_get(j->text, j->len, &a, &o, &text, e);

	if (r < 0)
		return r;
	guest_path(g, process, "process", j->id);
	guest_path(g, console, "console", j->id);
	guest_path(g, pid_file, "pid", j->id);
	if (text) {
		r = io_write_atomic(AT_FDCWD, process, text, strlen(text), 0600);
		if (r < 0)
			return err_sys(e, -r, "guest: write %s", process);
		o.process = process;
	}
	o.detach = true;
	o.pid_file = pid_file;
	if (g->procs[j->id].tty)
		o.console_socket = console;
	r = ctr_exec(&g->global, g->id, &o, &status, e);
	if (text)
		unlink(process);
	return r < 0 ? r : read_pid(pid_file, &j->pid, e);
}

int guest_job_kill(struct guest_job *j, struct err *e)
{
	return ctr_kill(&j->g->global, j->g->id, j->arg, false, e);
}

int guest_job_kill_all(struct guest_job *j, struct err *e)
{
	return ctr_kill(&j->g->global, j->g->id, j->arg, true, e);
}

int guest_job_update(struct guest_job *j, struct err *e)
{
	struct update_opts o = { .resources = j->text, .resources_len = j->len };

	return ctr_update(&j->g->global, j->g->id, &o, e);
}

static int take_stats(void *arg, struct json_out *out, struct err *e)
{
	struct guest_job *j = arg;

	(void)e;
	str_buf_addn(&j->out, out->buf.s, out->buf.len);
	return 0;
}

int guest_job_stats(struct guest_job *j, struct err *e)
{
	struct events_opts o = { .stats = true, .fn = take_stats, .arg = j };

	return ctr_events(&j->g->global, j->g->id, &o, e);
}

/* ---- ps ---- */

/* From the fields of /proc/PID/stat that follow the name. */
struct ps_stat {
	int ppid, tty;
	unsigned long long ticks, start;
};

static int read_stat(pid_t pid, char *comm, size_t size, struct ps_stat *st)
{
	char path[48], text[1024], *name, *rest;
	unsigned long long utime, stime;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (io_read_small(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return -ESRCH;
	name = strchr(text, '(');
	rest = strrchr(text, ')');
	if (!name || !rest || rest < name)
		return -EPROTO;
	*rest = '\0';
	snprintf(comm, size, "[%s]", name + 1);
	if (sscanf(rest + 2,
		   "%*c %d %*d %*d %d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d "
		   "%*d %*d %*d %llu",
		   &st->ppid, &st->tty, &utime, &stime, &st->start) != 5)
		return -EPROTO;
	st->ticks = utime + stime;
	return 0;
}

static void add_line(struct str_buf *b, pid_t pid)
{
	char comm[64], path[48], args[1024], tty[24] = "?";
	struct ps_stat st;
	struct stat owner;
	unsigned long long seconds, hz = (unsigned long long)sysconf(_SC_CLK_TCK);
	struct timespec up, now;
	time_t since;
	struct tm tm;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	/* Whatever ends meanwhile is not listed. */
	if (stat(path, &owner) < 0 || read_stat(pid, comm, sizeof(comm), &st) < 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	n = io_read_small(AT_FDCWD, path, args, sizeof(args));
	for (ssize_t i = 0; i + 1 < n; i++)
		if (args[i] == '\0' || (unsigned char)args[i] < ' ')
			args[i] = ' ';
	if (st.tty)
		snprintf(tty, sizeof(tty), "pts/%d", st.tty & 0xff);
	clock_gettime(CLOCK_BOOTTIME, &up);
	clock_gettime(CLOCK_REALTIME, &now);
	since = now.tv_sec - (up.tv_sec - (time_t)(st.start / hz));
	localtime_r(&since, &tm);
	seconds = st.ticks / hz;
	str_buf_addf(b, "%d %d %u %02d:%02d %02llu:%02llu:%02llu %s %s\n", (int)pid, st.ppid,
		     owner.st_uid, tm.tm_hour, tm.tm_min, seconds / 3600, seconds / 60 % 60,
		     seconds % 60, tty, n > 0 && args[0] ? args : comm);
}

int guest_job_ps(struct guest_job *j, struct err *e)
{
	AUTO_FREE pid_t *pids = NULL;
	size_t n = 0;
	int r = ctr_ps(&j->g->global, j->g->id, &pids, &n, NULL, e);

	for (size_t i = 0; r == 0 && i < n; i++)
		add_line(&j->out, pids[i]);
	return r == 0 && j->out.failed ? err_sys(e, ENOMEM, "guest: list processes") : r;
}
