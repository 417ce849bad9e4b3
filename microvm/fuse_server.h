/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file server behind virtio-fs: FUSE protocol 7.31 and later (Linux 5.4+; spoken: 7.38,
 * <linux/fuse.h>) over a directory tree of the host. It knows nothing of rings: whoever has a
 * request hands over its buffers.
 *
 * The guest is hostile. What holds whatever it sends:
 *  - Nothing outside root_fd is reached: every step is one name (never ".", "..", nor one with a
 *    slash) below a directory that is held open, and no link is ever followed. Mounts below root_fd
 *    are part of the tree and are announced as such (FUSE_SUBMOUNTS).
 *  - Only regular files and directories are opened. Fifos, sockets and devices are names to the
 *    host. Device nodes are not made, except the whiteout (0, 0).
 *  - Memory and descriptors are bounded by the options, not by numbers of the guest.
 *  - A read-only server refuses changes itself; mounts that are read-only refuse them besides.
 *  - New files belong to whom the guest names. An id that has no mapping here is EOVERFLOW.
 *
 * The guest's kernel checks permissions (virtio-fs always has "default_permissions"); locks of
 * both kinds are local to the guest. Extended attributes: user.*, security.capability and the two
 * POSIX ACLs; trusted.* and the labels of the host's own security modules are not the guest's.
 */
#ifndef CTR_FUSE_SERVER_H
#define CTR_FUSE_SERVER_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

struct fuse_server;

struct fuse_opts {
	/* /proc/self/fd of the serving process, borrowed; -1: fuse_server_new opens it. */
	int proc_fd;
	bool read_only;
	/*
	 * The name of a directory below the root ("rootfs"; "." is the root itself) whose mount
	 * nobody else changes while it is served: the guest may keep what it has seen. NULL when
	 * there is none. Everything on other mounts is looked at again after a second.
	 */
	const char *exclusive;
	/*
	 * The guest holds back writes until a file is closed. Sizes and times of all regular
	 * files are then the guest's: only for who shares nothing writable with others.
	 */
	bool writeback;
	/* Objects that the guest may remember (0: 262144), a hundred bytes of memory each. */
	size_t max_inodes;
	/* Descriptors for them and for open files (0: what RLIMIT_NOFILE leaves). */
	size_t max_fds;
};

/*
 * A server for the directory root_fd (duplicated, O_PATH is enough). On success *out is the
 * caller's (fuse_server_free). The options are copied.
 */
int fuse_server_new(int root_fd, const struct fuse_opts *o, struct fuse_server **out,
		    struct err *e);

/*
 * Called once by the thread that is going to call fuse_server_handle, before its privileges are
 * reduced: file creation mask, working directory and file system ids become its own and are
 * the server's from then on. Needs unshare, fchdir, umask, capget; and capset later.
 */
int fuse_server_enter(struct fuse_server *s, struct err *e);

/*
 * One request: the buffers that the guest has filled, and those that it wants filled. Returns the
 * bytes written to out: 0 for requests without an answer, and for those too broken to be answered.
 * Headers are copied before they are looked at; file data moves between the file and the buffers
 * directly. May block as long as the host's file system does.
 */
size_t fuse_server_handle(struct fuse_server *s, const struct iovec *in, unsigned int n_in,
			  const struct iovec *out, unsigned int n_out);

/* Forgets everything that the guest has opened or looked up: it was reset. */
void fuse_server_reset(struct fuse_server *s);

void fuse_server_free(struct fuse_server *s); /* NULL is fine */

#endif
