/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec.mounts as an array of operations. Pure: nothing here touches the kernel, so that the plan is
 * tested without privilege. mount_exec.c executes it.
 */
#ifndef CTR_NAMESPACES_MOUNT_PLAN_H
#define CTR_NAMESPACES_MOUNT_PLAN_H

#include "base/arena.h"
#include "base/err.h"
#include "oci/spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One hierarchy that a mount of type "cgroup" shows; given by the caller (namespaces/ knows no cgroups). */
struct mount_cgroup {
	const char *controllers; /* "memory", "cpu,cpuacct", "name=systemd", "" for v2 */
	const char *mount;       /* the host's mount point of the hierarchy */
	const char *path;        /* the container's cgroup below it */
	bool v2;
};

enum mount_op_kind {
	MOUNT_OP_FS,      /* a new instance of a file system */
	MOUNT_OP_BIND,    /* a clone of what is at source */
	MOUNT_OP_REMOUNT, /* change what is mounted at target */
	MOUNT_OP_SYMLINK, /* a link at target to source (v1 co-mounted controllers) */
};

struct mount_op {
	enum mount_op_kind kind;
	size_t index;       /* of spec.mounts, for errors ("mounts[3]") */
	const char *target; /* inside the root, absolute */
	const char *source; /* host path of a bind, device of a file system, text of a link */
	const char *fstype;
	struct spec_strings data;    /* "key=value" and "key" for the file system */
	struct spec_strings sb_set;  /* fsconfig flags: "ro", "sync", "lazytime" ... */
	struct spec_strings sb_clear;
	uint64_t attr_set, attr_clr;         /* MOUNT_ATTR_* of this mount */
	uint64_t rec_attr_set, rec_attr_clr; /* MOUNT_ATTR_* for the whole tree */
	uint64_t propagation[4];             /* MS_* (maybe | MS_REC), in the order given */
	size_t n_propagation;
	bool recursive; /* rbind */
	bool idmap, ridmap;
	const struct spec_idmaps *uid_mappings, *gid_mappings; /* for idmap; NULL: the container's own */
	bool copy_up;   /* tmpcopyup */
};

struct mount_plan {
	struct mount_op *v;
	size_t n;
};

struct mount_plan_in {
	const struct spec *spec;
	const struct mount_cgroup *cgroups;
	size_t n_cgroups;
	bool cgroup_ns; /* the container has a cgroup namespace of its own */
	bool userns;
};

/* The plan lives in the arena. An option that cannot be honoured is an error with mounts[i].options[j]. */
int mount_plan_build(struct arena *a, const struct mount_plan_in *in, struct mount_plan *out, struct err *e);

#endif
