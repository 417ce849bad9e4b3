/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a program of the host to its end: input, output, deadline. */
#ifndef CTR_NETNS_RUN_H
#define CTR_NETNS_RUN_H

#include "base/err.h"

#include <stddef.h>

#define RUN_STDERR_KEPT 1024

struct run_request {
	const char *path; /* no search: where it is */
	char *const *argv, *const *envp;
	const char *in; /* what it reads from its standard input; NULL: nothing */
	size_t in_len;
	int in_fd;      /* instead, borrowed; 0: none */
	size_t out_max; /* more than that on its standard output is -EFBIG */
	int seconds;    /* then it and all of its process group are killed */
};

struct run_result {
	int status; /* as of waitpid */
	char *out;  /* malloc'ed, terminated; NULL: nothing */
	size_t len;
	/* The end of what it wrote to its standard error, without line ends there. */
	char err[RUN_STDERR_KEPT];
};

/*
 * Waits for the program, not for who may still hold its outputs. The program ends with its caller.
 * 0 when it ended, however; -errno with *e when it could not be run, -ETIMEDOUT, -EFBIG. *out is
 * zeroed first; run_result_free in any case.
 */
int run_program(const struct run_request *q, struct run_result *out, struct err *e);
void run_result_free(struct run_result *r);

#endif
