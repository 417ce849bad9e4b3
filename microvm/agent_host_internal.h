/* SPDX-License-Identifier: Apache-2.0 */
/* Private to microvm/agent_host*.c. */
#ifndef CTR_AGENT_HOST_INTERNAL_H
#define CTR_AGENT_HOST_INTERNAL_H

#include "microvm/agent_host.h"
#include "microvm/agent_link.h"
#include "microvm/agent_stream.h"

#include <poll.h>
#include <signal.h>

enum {
	/* An exec has one for as long as it runs; more are for what is asked meanwhile. */
	HOST_CLIENTS = AGENT_MAX_PROCS + 32,
	HOST_CLIENTS_FREE = 16, /* that those who only listen (events) leave */
	HOST_TAIL = 4096,
	/* a client's three streams, itself, and what is there once */
	HOST_POLL = 3 * AGENT_MAX_PROCS + HOST_CLIENTS + 8,
};

enum host_phase { HOST_BOOT, HOST_SETUP, HOST_CREATED, HOST_STARTING, HOST_RUNNING, HOST_ENDED };

enum host_proc_state { PROC_FREE, PROC_ASKED, PROC_RUNS, PROC_EXITED };

struct host_proc {
	enum host_proc_state state;
	bool tty;
	bool told;  /* its end, to the client or the caller */
	int status; /* PROC_EXITED: as of waitpid(2) */
	bool oom;
	int client;        /* index, or -1 */
	int64_t unread_ms; /* when nobody waits for it any longer: of sys_now_ms, or 0 */
	struct agent_source in;
	struct agent_sink out[2];
};

struct host_client {
	bool used, events, closing;
	struct agent_link link;
	uint32_t request; /* that the guest has not answered, or 0 */
	int proc;         /* of its exec, or -1 */
};

struct host_watch {
	enum host_what {
		WATCH_LINK,
		WATCH_CONSOLE,
		WATCH_ENDED,
		WATCH_SIGNAL,
		WATCH_LISTEN,
		WATCH_CLIENT,
		WATCH_IN,
		WATCH_OUT,
		WATCH_EXTRA
	} what;
	int index, stream;
};

struct agent_host {
	struct vmm *vmm;
	const char *kernel; /* may be NULL */
	enum host_phase phase;
	struct agent_link link;
	bool configured, link_lost, machine_ended, give_up;
	bool failed; /* the guest has reported failure: *failure */
	struct err failure;
	int listen, sigfd, tty_fd;
	bool tty, listen_off, console_log;
	uint32_t next_request;
	unsigned int setup_ms;
	struct host_proc procs[AGENT_MAX_PROCS];
	struct host_client clients[HOST_CLIENTS];
	char tail[HOST_TAIL]; /* of the console, a ring */
	size_t tail_at;
	char line[256]; /* of the console, up to its end */
	size_t line_len;
	uint64_t started_us, hello_us, created_us;
	uint64_t rest_until_us; /* the machine has ended: until then its last words are read */
	struct pollfd polls[HOST_POLL];
	struct host_watch watches[HOST_POLL];
	size_t n_polls;
};

/* ---- agent_host_proc.c: processes and their streams ---- */

/* fds are taken. */
void host_proc_open(struct agent_host *h, int id, const int fds[3], bool tty, int client);
void host_proc_close(struct agent_host *h, int id);
/*
 * Whoever asked for it is gone, and it is killed. Its output's end is its own, but the guest has
 * not for ever to tell it: after UNREAD_MS host_proc_expire lets go of the descriptors. It returns
 * ms, or less when one is due earlier.
 */
enum { UNREAD_MS = 3000 };
void host_proc_unread(struct agent_host *h, int id);
int host_proc_expire(struct agent_host *h, int ms);
int host_proc_free_id(const struct agent_host *h); /* -1: none */

/* What the guest says of a process. 0 or -errno (-EPROTO). */
int host_proc_frame(struct agent_host *h, const struct agent_frame *f);

/* After anything has moved: tells ends, frees slots. */
void host_proc_settle(struct agent_host *h, int id);
bool host_proc_drained(const struct host_proc *p);

/* ---- agent_host_client.c: commands ---- */

/* Without descriptors or memory it sets listen_off, which the loop takes back after a while. */
void host_client_accept(struct agent_host *h);
void host_client_input(struct agent_host *h, int index);
void host_client_close(struct agent_host *h, int index);
void host_client_flush(struct agent_host *h, int index);

/* Passes a frame or text on to a client; a client that takes nothing is dropped. */
void host_client_send(struct agent_host *h, int index, const struct agent_frame *f);

/* DONE or ERROR for a request; OOM. */
void host_client_answer(struct agent_host *h, const struct agent_frame *f);
void host_client_oom(struct agent_host *h);

/* A signal that, after the end of the program, ends what is still waited for. */
bool host_asks_to_end(int sig);

/* ---- agent_host_boot.c: the console, and what an end means ---- */

void host_console_read(struct agent_host *h);

/* Sets *e: why the machine ended, or that it did nothing for ms (0: it ended). -errno. */
int host_why(struct agent_host *h, unsigned int ms, struct err *e);

#endif
