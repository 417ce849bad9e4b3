/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations as a user means them; cli/ only parses words and prints. Every function takes the
 * global settings first and the error last, returns 0 or -errno, prints nothing.
 */
#ifndef CTR_CTR_H
#define CTR_CTR_H

#include "base/err.h"
#include "base/str.h"
#include "cgroups/cg.h"
#include "microvm/vm_config.h"
#include "oci/json_out.h"
#include "oci/spec_edit.h"
#include "oci/state.h"

#include <stdbool.h>
#include <sys/types.h>

enum rootless { ROOTLESS_AUTO, ROOTLESS_NO, ROOTLESS_YES };

/* Run as a micro-VM, and how: before the command for all that it does, or with it. */
struct vm_opts {
	bool vm;
	int accel;             /* enum vm_accel */
	const char *kernel;    /* a vmlinux or bzImage, or NULL */
	const char *initrd;    /* unpacked before ctr's own, or NULL */
	int vcpus;             /* 0: by the configuration */
	struct opt_i64 memory; /* of the machine, bytes */
};

struct ctr_global {
	const char *root; /* --root, or NULL: /run/ctr as root, $XDG_RUNTIME_DIR/ctr otherwise */
	bool root_given;  /* --root was on the command line */
	enum cg_driver driver;
	enum rootless rootless;
	struct vm_opts vm; /* argv[0] is ctr-vm, or --vm; accel and kernel only */
};

/* A container's network, as typed. */
struct network_opts {
	const char *network;         /* --network, or NULL */
	const char *ip, *ip6, *mac;  /* or NULL */
	const char *rate;            /* --net-rate UP:DOWN, or NULL */
	struct spec_strings dns;     /* --dns */
	struct spec_strings publish; /* --publish */
};

struct create_opts {
	const char *id;
	const char *bundle; /* NULL: the current directory */
	/* What the state calls the bundle, for hooks; NULL: its path. In a micro-VM: the host's. */
	const char *bundle_name;
	bool own_kernel; /* the configuration is a guest's: the host that it changes is the guest */
	/* --config: another file name than config.json; NULL: that one */
	const char *config;
	const char *console_socket; /* or NULL */
	const char *pid_file;       /* or NULL */
	const char *pidfd_socket;   /* or NULL */
	bool no_pivot, no_new_keyring, no_subreaper;
	int preserve_fds;             /* fds 3.. passed on */
	bool detach, keep;            /* run only */
	bool clone;                   /* OS clone: no bundle */
	const char *disk;             /* --disk FILE, or NULL */
	uint64_t disk_size;           /* bytes, 0: default */
	const struct spec_edit *edit; /* front-end adjustments, or NULL */
	struct network_opts network;
	struct vm_opts vm;
};

int ctr_create(const struct ctr_global *g, const struct create_opts *o, struct err *e);

/*
 * create + start, and in the foreground the wait. *status: exit status, 128 + signal; 0 when
 * detached.
 */
int ctr_run(const struct ctr_global *g, const struct create_opts *o, int *status, struct err *e);

int ctr_start(const struct ctr_global *g, const char *id, struct err *e);

struct exec_opts {
	/* --process FILE, or NULL: then args and the copy of the configuration */
	const char *process;
	struct spec_strings args;
	const char *cwd;
	struct spec_strings env;                            /* KEY=VALUE, added */
	const char *user;                                   /* UID[:GID] as typed, or NULL */
	struct spec_strings additional_gids, caps, cgroups; /* as typed */
	const char *process_label, *apparmor;
	bool tty, detach, no_new_privs, ignore_paused;
	/* of a terminal whose other end has none yet; or NULL */
	const struct spec_console_size *console_size;
	const char *pid_file, *console_socket, *pidfd_socket;
	int preserve_fds;
};

int ctr_exec(const struct ctr_global *g, const char *id, const struct exec_opts *o, int *status,
	     struct err *e);

int ctr_kill(const struct ctr_global *g, const char *id, int sig, bool all, struct err *e);
int ctr_delete(const struct ctr_global *g, const char *id, bool force, struct err *e);
int ctr_pause(const struct ctr_global *g, const char *id, struct err *e);
int ctr_resume(const struct ctr_global *g, const char *id, struct err *e);

/* New limits; what they do not mention stays. */
struct update_opts {
	const char *resources; /* text of a linux.resources object, or NULL */
	size_t resources_len;
	const char *options; /* another one, laid over it; or NULL */
};

/* All of it or nothing, live, and kept for later commands. Not for a stopped container. */
int ctr_update(const struct ctr_global *g, const char *id, const struct update_opts *o,
	       struct err *e);

/*
 * What happens to a container, one JSON object an event: {"type":"stats"|"oom","id":ID,"data":...}.
 * fn (not 0 ends the stream and is returned) gets it finished; *j is the callee's only for the
 * call.
 */
struct events_opts {
	bool stats;       /* its numbers once, then the end */
	int64_t interval; /* nanoseconds between the numbers, > 0 */
	int (*fn)(void *arg, struct json_out *j, struct err *e);
	void *arg;
};

/* Ends when the container does. Holds no lock meanwhile. */
int ctr_events(const struct ctr_global *g, const char *id, const struct events_opts *o,
	       struct err *e);

/*
 * Adds bind mounts to a container that runs, or takes mounts away (add false): text is an array of
 * mounts as in a configuration. All are added or none.
 */
int ctr_mounts(const struct ctr_global *g, const char *id, bool add, const char *text, size_t len,
	       struct err *e);

/* The container's state and present status; *out is the caller's (state_free). */
int ctr_state(const struct ctr_global *g, const char *id, struct state **out, enum status *status,
	      struct err *e);

struct ctr_entry {
	struct state *state;
	enum status status;
};

/* All containers, sorted by ID. Broken entries are skipped with a warning. ctr_list_free frees. */
int ctr_list(const struct ctr_global *g, struct ctr_entry **out, size_t *n, struct err *e);
void ctr_list_free(struct ctr_entry *v, size_t n);

/*
 * Host pids of all processes, malloc'ed; of a micro-VM: of those that hold the machine. With
 * table (may be NULL), whose *table is NULL before, a micro-VM gives the lines of its guest's
 * processes in it instead, malloc'ed, and no pids: the host does not know those.
 */
int ctr_ps(const struct ctr_global *g, const char *id, pid_t **pids, size_t *n, char **table,
	   struct err *e);

struct network_create_opts {
	/* As typed. NULL: a free subnet; "none": no IPv4. NULL: the first address. */
	const char *subnet, *gateway;
	/* NULL: IPv6 only where --subnet is not given either. */
	const char *subnet6, *gateway6;
	const char *bridge; /* name of the link, or NULL: the first ctrN that is free */
	uint32_t mtu;       /* 0: the kernel's choice */
	bool internal;
};

/* Makes a named network and brings it up. */
int ctr_network_create(const struct ctr_global *g, const char *name,
		       const struct network_create_opts *o, struct err *e);
/* -EBUSY while a container is in it. */
int ctr_network_remove(const struct ctr_global *g, const char *name, struct err *e);
/* Whether the network of container id is still there: 0, or -errno with what is missing. */
int ctr_network_check(const struct ctr_global *g, const char *id, struct err *e);
/* One network as a JSON object with its containers; all of them as an array. */
int ctr_network_inspect(const struct ctr_global *g, const char *name, struct json_out *j,
			struct err *e);
int ctr_network_inspect_all(const struct ctr_global *g, struct json_out *j, struct err *e);

struct ctr_network_row {
	char name[64], bridge[16], subnet[24], subnet6[50];
	bool internal;
	size_t containers;
};

/* All networks, sorted by name; *out is malloc'ed. */
int ctr_network_list(const struct ctr_global *g, struct ctr_network_row **out, size_t *n,
		     struct err *e);

/* The features document. */
int ctr_features(struct json_out *j, struct err *e);

extern const char ctr_version[]; /* "0.1.0" */
extern const char ctr_commit[];

#endif
