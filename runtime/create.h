/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What create and run share while a container comes to be. The parent's stages are in create.c, the
 * fork between them in spawn.c, the child's stages in init.c; the child sees this struct through
 * its copy of the parent's memory.
 */
#ifndef CTR_CREATE_H
#define CTR_CREATE_H

#include "cgroups/cg.h"
#include "ctr.h"
#include "listen.h"
#include "namespaces/ns.h"
#include "netns/device.h"
#include "network.h"
#include "oci/annotations.h"
#include "rdt.h"
#include "store.h"
#include "supervise.h"
#include "workload.h"

#include <signal.h>

struct create {
	const struct ctr_global *g;
	const struct create_opts *o;
	bool wait_here; /* run: the start comes over the sync socket */

	struct store store;
	int dir;      /* state directory, locked */
	char *bundle; /* absolute; "/" for an OS clone */
	char *config;
	size_t config_len;
	struct spec *spec;
	struct annotations notes; /* of the spec; lives in its arena */
	struct state st;
	struct workload wl;
	struct listen_fds listen;
	bool notify; /* the configuration mounts the directory of NOTIFY_SOCKET */
	/*
	 * Set by the workload's prepare. A machine: process.* and the limits on it are its guest's
	 * business, and its init makes its user namespace, with these maps, as the last step.
	 */
	bool machine;
	struct spec_idmaps late_uids, late_gids;
	const struct spec_resources *resources; /* of the cgroups; NULL: linux.resources */

	struct cg *cg;
	int join_fd[CG_MAX_HIER];
	size_t n_join;
	bool attach; /* only systemd may move a process into the cgroup: it is asked to */
	struct ns_plan ns;
	bool two; /* an intermediate child joins them and makes init (spawn.c) */

	struct network_use net;
	struct spec_edit_net net_edit;
	bool net_taken;

	struct rdt rdt;
	struct devices devices; /* network devices of the host that are the container's now */
	int netns;              /* its network namespace, when we have work in there; or -1 */
	int userns;             /* its user namespace, for the network of who is not root; or -1 */

	int sync_parent, sync_child;
	int start_fd; /* listening start socket, or -1 */
	int console;  /* connected console socket, or -1 */
	int master;   /* pty master that came from the child, or -1 */
	pid_t pid;    /* init, as the caller sees it; 0 before spawn */
	int pidfd;
	bool poststop_due, pid_file_written;
	struct supervise sup;
};

/*
 * Loads, checks and creates; on failure nothing is left. On success c is live until create_close.
 */
int create_run(struct create *c, struct err *e);

/* Takes a created container away again: process, cgroup, state (after a failed start). */
void create_undo(struct create *c);

/* Frees what is in memory and closes all fds; the container stays. */
void create_close(struct create *c);

/*
 * The spec, the configuration text and the bundle path: from the bundle or the OS clone, adjusted.
 * create_load.c
 */
int create_load(struct create *c, struct err *e);

/* Makes the child (spawn.c): sets pid and pidfd. */
int spawn_child(struct create *c, struct err *e);

/*
 * The next message of the child: 1, 0 when it is gone, or -errno with *e; -EINTR when a signal
 * asked us to end. It may take long: a machine boots, and a cgroup may be frozen just then.
 */
struct sync_msg;
int create_recv(struct create *c, struct sync_msg *m, int *fd, struct err *e);

/* What an unexpected message of the child is: -EPROTO. create_handshake.c */
int create_unexpected(uint32_t type, struct err *e);

/* A stage: serves the child until it is ready; runs the runtime hooks when it asks. */
int create_handshake(void *ctx, struct err *e);

/* The child's whole life (init.c): does not return. */
_Noreturn void init_main(struct create *c);

/*
 * True when init waits for the parent's word before it does anything: id maps come, or it is not
 * known yet.
 */
bool create_init_waits(const struct create *c);

#endif
