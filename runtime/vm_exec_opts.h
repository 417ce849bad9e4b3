/* SPDX-License-Identifier: Apache-2.0 */
/* struct exec_opts as bytes: exec in a guest is decided there, by what the host was told. */
#ifndef CTR_VM_EXEC_OPTS_H
#define CTR_VM_EXEC_OPTS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "ctr.h"

/*
 * process: the text of the --process file, or NULL. Files and sockets of the host (pid_file,
 * console_socket, pidfd_socket) and preserve_fds do not cross; detach neither: that is the host's.
 */
int vm_exec_opts_put(const struct exec_opts *o, const char *process, struct str_buf *out,
		     struct err *e);

/* The other way: everything lives in the arena; *process is NULL or the text. -EPROTO. */
int vm_exec_opts_get(const char *text, size_t len, struct arena *a, struct exec_opts *o,
		     const char **process, struct err *e);

#endif
