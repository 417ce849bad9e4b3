/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The annotations of a configuration that change what ctr does: its own (org.ctr.*) and those of
 * crun that have a meaning here (run.oci.*). What they say is checked like any field; a name below
 * these two prefixes that ctr does not know, or cannot honour, is refused, never ignored.
 */
#ifndef CTR_OCI_ANNOTATIONS_H
#define CTR_OCI_ANNOTATIONS_H

#include "base/arena.h"
#include "base/err.h"
#include "oci/spec.h"

#include <stdbool.h>

/* org.ctr.landlock: what the process may do with which part of the file system; nothing else. */
struct landlock_rules {
	struct spec_strings read, write, exec; /* absolute paths inside the container */
};

struct annotations {
	bool keep_groups;          /* run.oci.keep_original_groups */
	bool fail_unknown_syscall; /* run.oci.seccomp_fail_unknown_syscall */
	/* run.oci.hooks.stdout: host path that hooks' output is appended to */
	const char *hooks_stdout;
	const char *hooks_stderr;
	const char *pidfd_receiver;   /* run.oci.pidfd_receiver: host path of a socket */
	const char *seccomp_receiver; /* run.oci.seccomp.receiver: the same */
	const char *mount_context;    /* run.oci.mount_context_type: "context" when absent */
	const unsigned char *bpf;     /* run.oci.seccomp_bpf_data, decoded; NULL: absent */
	size_t bpf_len;
	const struct landlock_rules *landlock; /* NULL: absent */
	unsigned int boot_timeout; /* org.ctr.vm.boot-timeout in seconds; 0: absent */
	const char *unknown;       /* a key run.oci.* that nobody knows, or NULL */
};

/*
 * Everything lives in the arena or the spec. -EINVAL, -ENOTSUP or -ENOMEM, the annotation named.
 * Pure.
 */
int annotations_read(const struct spec *s, struct arena *a, struct annotations *out, struct err *e);

#endif
