/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ctr remembers of a container: state.json in the container's state directory (private
 * format), and the OCI state object made of it (for `state`, `list` and the hooks).
 */
#ifndef CTR_OCI_STATE_H
#define CTR_OCI_STATE_H

#include "base/arena.h"
#include "base/err.h"
#include "oci/json_out.h"
#include "oci/spec.h"

enum status {
	STATUS_CREATING,
	STATUS_CREATED,
	STATUS_RUNNING,
	STATUS_PAUSED,
	STATUS_STOPPED,
	STATUS_COUNT
};

extern const char *const status_names[STATUS_COUNT];

struct state {
	struct arena arena; /* owns every string below */
	char *oci_version;
	char *id;
	pid_t pid;          /* of init, in the host's pid namespace */
	uint64_t pid_start; /* field 22 of /proc/PID/stat: tells a recycled pid */
	char *bundle;       /* absolute */
	char *rootfs;       /* absolute */
	char *mode;         /* "container" or "microvm" */
	char *created;      /* RFC 3339 with nanoseconds */
	uid_t owner;
	char *cgroup_driver; /* "cgroupfs", "systemd", "disabled" */
	char *cgroup_path;   /* path below each hierarchy's mount, "/ctr/x"; NULL: none */
	char *cgroup_unit;   /* systemd driver: the unit; NULL otherwise */
	bool rootless_cgroup;
	/* OS clone: its work directory below the state directory; else NULL */
	char *clone_dir;
	char *clone_loop; /* OS clone with --disk: the loop device; else NULL */
	/* linux.intelRdt: the group of its processes, absolute; NULL: none */
	char *rdt_clos;
	char *rdt_mon;      /* the monitoring group below it, made for it; or NULL */
	bool rdt_clos_made; /* the group was made for it too */
	char *network;      /* what is to be released (runtime/network.h); NULL: nothing */
	uint64_t vm_memory; /* a micro-VM's, in bytes; 0: a container */
	bool no_pivot;
	bool no_new_keyring; /* its processes keep the session keyring of who made them */
	bool keep;           /* run --keep */
	struct spec_map annotations;
};

/*
 * state.json. text is malloc'ed by format. parse gives -EINVAL with a named error for a broken
 * file.
 */
int state_format(const struct state *s, char **text, size_t *len, struct err *e);
int state_parse(const char *text, size_t len, struct state **out, struct err *e);
void state_free(struct state *s);

static inline void cleanup_state(struct state **s)
{
	state_free(*s);
}
#define AUTO_STATE __attribute__((cleanup(cleanup_state)))

/*
 * The OCI state object, for `state` and `list`: the keys ociVersion id pid status bundle rootfs
 * created annotations? owner in this order (contract 2.6). pid is 0 when stopped. owner is the
 * user's name, given by the caller.
 */
void state_out(struct json_out *j, const struct state *s, enum status status, const char *owner);

/* The state given to hooks on stdin: ociVersion id status pid? bundle annotations?. */
void state_out_hook(struct json_out *j, const struct state *s, enum status status);

#endif
