/* SPDX-License-Identifier: Apache-2.0 */
/* A process as /proc tells it. */
#ifndef CTR_PROC_H
#define CTR_PROC_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Start time (field 22 of /proc/PID/stat, clock ticks) of a process of which something runs. 0 or
 * -errno: -ESRCH.
 */
int proc_start_time(pid_t pid, uint64_t *start);

/* True while pid is the very process that started then. */
bool proc_alive(pid_t pid, uint64_t start);

/* True when nothing of it runs, and whoever waits for it can know that. */
bool proc_ended(pid_t pid, uint64_t start);

/* A pidfd of that very process, or -ESRCH. */
int proc_pidfd(pid_t pid, uint64_t start);

/*
 * The pid, in our own pid namespace, of the process that a pidfd stands for. 0 or -errno (-ESRCH:
 * it ended).
 */
int proc_pid_of(int pidfd, pid_t *pid);

/* Waits until the process has ended: 0, or -ETIMEDOUT after ms milliseconds. */
int proc_wait_end(int pidfd, int ms);

/*
 * Reaps a child that was killed. Where it has not ended after ms milliseconds (it stands still in a
 * frozen cgroup, and ends when that is thawed) it is left to who comes after us.
 */
void proc_reap(pid_t pid, int pidfd, int ms);

/*
 * ": state D in FUNCTION", with the kernel's function that it waits in, when it may be known, and
 * what is left of its pid namespace, when that is not ours. Nothing of a process that is gone.
 */
void proc_where(pid_t pid, struct str_buf *out);

/* Writes a pid file so that readers see all of it or nothing. 0 or -errno. */
int proc_write_pid_file(const char *path, pid_t pid);

/* Sends a pidfd to the unix socket at path (--pidfd-socket). */
int proc_send_pidfd(const char *path, int pidfd, struct err *e);

#endif
