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

/* One hierarchy that a mount of type "cgroup" shows; given by the caller (namespaces/ knows no
 * cgroups). */
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
	struct spec_strings data;   /* "key=value" and "key" for the file system */
	struct spec_strings sb_set; /* fsconfig flags: "ro", "sync", "lazytime" ... */
	struct spec_strings sb_clear;
	uint64_t attr_set, attr_clr;         /* MOUNT_ATTR_* of this mount */
	uint64_t rec_attr_set, rec_attr_clr; /* MOUNT_ATTR_* for the whole tree */
	uint64_t propagation[4];             /* MS_* (maybe | MS_REC), in the order given */
	size_t n_propagation;
	bool recursive; /* rbind */
	bool idmap, ridmap;
	const struct spec_idmaps *uid_mappings,
		*gid_mappings; /* for idmap; NULL: the container's own */
	bool copy_up;          /* tmpcopyup */
	unsigned int links;    /* MOUNT_LINK_* */
	bool late_ro;          /* read-only only after the whole set-up: rootfs_protect does it */
	uint64_t ms_flags;     /* MS_* that only mount(2) can give: MS_I_VERSION */
	const char *fallback; /* host path to bind where a new instance of a cgroup fs is refused */
};

struct mount_plan {
	struct mount_op *v;
	size_t n;
};

struct mount_plan_in {
	const struct spec *spec;
	const struct mount_cgroup *cgroups;
	size_t n_cgroups;
	const char *bundle; /* where relative sources of binds start; NULL: the working directory */
	const char *context; /* "context=LABEL" for new file systems (linux.mountLabel), or NULL */
	bool cgroup_ns;      /* the container has a cgroup namespace of its own */
	bool userns;
};

/* The plan lives in the arena. An option that cannot be honoured is an error with
 * mounts[i].options[j]. */
int mount_plan_build(struct arena *a, const struct mount_plan_in *in, struct mount_plan *out,
		     struct err *e);

/* "a//b/../c/" -> "/a/c": absolute and lexically clean, in the arena. NULL without memory. Pure. */
char *mount_plan_clean(struct arena *a, const char *path);

/* Inside mount_plan*.c: a free operation at the end of the plan (zeroed but for index), or NULL
 * without memory. */
struct mount_op *mount_plan_add(struct arena *a, struct mount_plan *p, size_t index);

/* Expands a mount of type "cgroup"; proto has its target and attributes. mount_cgroup.c. */
int mount_cgroup_expand(struct arena *a, const struct mount_plan_in *in,
			const struct mount_op *proto, struct mount_plan *out, struct err *e);

#endif
