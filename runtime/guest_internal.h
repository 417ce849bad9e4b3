/* SPDX-License-Identifier: Apache-2.0 */
/* Private to runtime/guest*.c. */
#ifndef CTR_GUEST_INTERNAL_H
#define CTR_GUEST_INTERNAL_H

#include "cgroups/cg_stat.h"
#include "ctr.h"
#include "guest.h"
#include "microvm/agent_link.h"
#include "microvm/agent_stream.h"

#include <limits.h>
#include <poll.h>

enum {
	GUEST_WORKS = AGENT_MAX_PROCS + 32,
	GUEST_POLL = 3 * AGENT_MAX_PROCS + GUEST_WORKS + 8,
};

/* ---- works: operations of the runtime, each in a process of its own ---- */

struct guest;

struct guest_job {
	struct guest *g;
	uint32_t id;      /* process or request */
	int32_t arg;      /* a signal */
	const char *text; /* from the host */
	size_t len;
	/* what comes back */
	pid_t pid;
	struct str_buf out;
};

/* Runs in the child, with stdio as the operation's process shall have it. */
typedef int guest_job_fn(struct guest_job *j, struct err *e);

guest_job_fn guest_job_create, guest_job_start, guest_job_exec, guest_job_kill, guest_job_kill_all,
	guest_job_stats, guest_job_ps, guest_job_update;

struct guest_report {
	int32_t pid;
	uint32_t text_len;
	struct err err;
};

enum guest_work_kind { WORK_CREATE, WORK_START, WORK_EXEC, WORK_REQUEST };

struct guest_work {
	bool used;
	enum guest_work_kind kind;
	uint32_t id;
	pid_t pid;
	int pipe;
	struct guest_report report;
	size_t got; /* of report and text */
	char *text;
};

/* ---- processes of the container ---- */

enum guest_proc_state { GUEST_PROC_FREE, GUEST_PROC_MADE, GUEST_PROC_RUNS, GUEST_PROC_EXITED };

struct guest_proc {
	enum guest_proc_state state;
	bool tty, told;
	uint64_t signals; /* bit n - 1: signal n, for when its pid is known */
	pid_t pid;
	int status;
	int console;   /* listening for the terminal, or -1 */
	int slave;     /* the terminal, while the process lives, or -1 */
	uint32_t size; /* rows << 16 | columns, or 0 */
	struct agent_sink in;
	struct agent_source out[2];
};

struct guest {
	char dir[PATH_MAX - 64]; /* what it keeps, all below */
	bool machine;            /* PID 1 of a machine of its own */
	char root[PATH_MAX];     /* of the runtime's state */
	struct ctr_global global;
	char id[256];
	struct agent_link link;
	bool lost, over; /* the host hung up; it said SHUTDOWN */
	bool gone;       /* init's end has been told */
	uint32_t setup;  /* enum agent_setup_flag */
	int sigfd;
	int mounts; /* init's mount namespace, never closed */
	struct cg_oom oom;
	bool oom_open;
	uint64_t oom_kills;
	struct guest_work works[GUEST_WORKS];
	struct guest_proc procs[AGENT_MAX_PROCS];
	struct pollfd polls[GUEST_POLL];
	struct guest_watch {
		enum guest_what {
			GUEST_LINK,
			GUEST_SIGNAL,
			GUEST_OOM,
			GUEST_WORK,
			GUEST_IN,
			GUEST_OUT
		} what;
		int index, stream;
	} watches[GUEST_POLL];
	size_t n_polls;
};

/* guest_work.c. stdio is taken (-1: /dev/null). */
int guest_work_begin(struct guest *g, enum guest_work_kind kind, struct guest_job *j,
		     guest_job_fn *fn, int stdio[3], struct err *e);

/* Reads what there is of its report; 1 when it is whole (or its end came first, as an error). */
int guest_work_read(struct guest_work *w, bool ended);
void guest_work_free(struct guest_work *w);

/* guest_proc.c */
int guest_proc_begin(struct guest *g, uint32_t id, bool tty, guest_job_fn *fn, const char *text,
		     size_t len, struct err *e);
/* The work has answered: it runs, or (failed) there is none. */
void guest_proc_made(struct guest *g, uint32_t id, pid_t pid, struct err *e);
void guest_proc_close(struct guest *g, uint32_t id);
void guest_proc_exited(struct guest *g, pid_t pid, int status);
void guest_proc_signal_later(struct guest *g, uint32_t id, uint32_t sig);
void guest_proc_size(struct guest *g, uint32_t id, uint32_t size);
/* DATA, CREDIT, CLOSE of the host. 0 or -errno of the link. */
int guest_proc_frame(struct guest *g, const struct agent_frame *f);
/* Tells the end of processes whose output is delivered. */
void guest_proc_settle(struct guest *g, uint32_t id);

/* The paths below dir that belong to process id. */
void guest_path(const struct guest *g, char out[PATH_MAX], const char *name, uint32_t id);

#endif
