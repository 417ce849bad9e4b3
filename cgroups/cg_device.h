/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device rules. The specification has an ordered list in which the last rule that matches decides,
 * for each of read, write and mknod by itself. Before the first rule everything is denied; after
 * the last one the default devices (null, zero, full, random, urandom, tty, console, ptmx, pts/N,
 * net/tun, and mknod of anything) are allowed, whatever the list says.
 *
 * cgroup v1 keeps a default and unordered exceptions to it; cgroup v2 asks a BPF program. Both are
 * computed here without touching anything.
 */
#ifndef CTR_CGROUPS_CG_DEVICE_H
#define CTR_CGROUPS_CG_DEVICE_H

#include "base/err.h"
#include "oci/spec.h"

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CG_DEV_ANY (-1)

/* access: BPF_DEVCG_ACC_* bits. */
struct cg_dev {
	char type;            /* 'b' or 'c' */
	int64_t major, minor; /* CG_DEV_ANY: every one */
	unsigned int access;
	bool allow;   /* in an ordered list */
	size_t index; /* of the rule in the specification, for errors */
	bool builtin; /* a default device, not a rule of the specification */
};

struct cg_devs {
	struct cg_dev *v;
	size_t n, cap;
	bool allow_default; /* what happens where nothing matches */
};

/*
 * The ordered list of r (NULL: none) with the default devices after it; rules that a later one for
 * all devices makes void are left out. -EINVAL with the rule's path for one that makes no sense.
 */
int cg_device_rules(const struct spec_device_rules *r, struct cg_devs *out, struct err *e);

/*
 * The same as v1 can hold it: a default and its exceptions, none contradicting another. -ENOTSUP
 * with the rule's path where that cannot be said ("all of major 1, but not 1:3").
 */
int cg_device_exceptions(const struct cg_devs *rules, struct cg_devs *out, struct err *e);

/* Reads one line of devices.list ("c 1:3 rwm") into out. 0 or -EBADMSG, -ENOMEM. */
int cg_device_parse(const char *line, struct cg_devs *out);

/* "c 1:3 rwm", as devices.allow and devices.deny take it. */
void cg_device_format(const struct cg_dev *d, char *buf, size_t size);

/*
 * BPF_PROG_TYPE_CGROUP_DEVICE. *out is malloc'ed. The program returns 1 when every access that is
 * asked for is allowed.
 */
int cg_device_program(const struct cg_devs *rules, struct bpf_insn **out, size_t *n);

/* Loads it and attaches it to the v2 cgroup, in place of those that are there. -errno. */
int cg_device_attach(int cgroup_fd, const struct bpf_insn *insns, size_t n);

/* Detaches every device program of this cgroup. */
int cg_device_detach(int cgroup_fd);

void cg_device_free(struct cg_devs *d);

#endif
