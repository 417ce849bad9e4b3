/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Front-end adjustments (`ctr run -e -w -m ...`) to a configuration, and the configuration of an OS
 * clone. Both work on the document and give a document again, so that what is parsed, kept in the
 * state directory and used by a later `exec` is one and the same text.
 */
#ifndef CTR_OCI_SPEC_EDIT_H
#define CTR_OCI_SPEC_EDIT_H

#include "base/err.h"
#include "base/str.h"
#include "oci/spec.h"

/* A file of the container's own, mounted over that of its root unless the configuration does so. */
struct spec_edit_mount {
	const char *destination, *name;
	const char *option; /* that is in vain when the configuration does, or NULL */
};

/* --network. The strings are borrowed. */
struct spec_edit_net {
	bool set;           /* the network namespace is to be: */
	bool host;          /* the host's, */
	const char *path;   /* this one; or else a new one */
	const char *source; /* directory of the files */
	struct spec_edit_mount mounts[3];
	size_t n_mounts;
};

struct spec_edit {
	struct spec_strings args; /* replaces process.args when n > 0 */
	struct spec_strings env; /* -e KEY=VALUE added or replaced; -e KEY: the value from ctr's own
				    environment */
	const char *cwd;         /* -w */
	const char *user;        /* -u UID[:GID], numbers; spec_edit_user turns names into them */
	struct spec_gids groups; /* replaces process.user.additionalGids when user is given */
	struct opt_bool terminal;        /* -t; -i alone sets it to false */
	struct opt_i64 memory;           /* -m, bytes, -1 unlimited */
	const char *cpus;                /* --cpus 1.5: cpu.quota/period */
	struct opt_i64 pids_limit;       /* --pids-limit */
	struct spec_strings volumes;     /* -v SRC:DST[:opt,...] */
	bool read_only;                  /* --read-only */
	const char *hostname;            /* --hostname */
	const struct spec_edit_net *net; /* or NULL */
	const char *notify; /* directory of the host that is to be the program's NOTIFY_SOCKET's */
};

/* True when nothing is asked for. */
bool spec_edit_empty(const struct spec_edit *ed);

/* text (len bytes) with the edits applied, malloc'ed. -EINVAL with the option's name for a bad
 * value. */
int spec_edit_apply(const char *text, size_t len, const struct spec_edit *ed, char **out,
		    size_t *outlen, struct err *e);

/* What `-u USER[:GROUP]` means in a root file system. */
struct spec_edit_user {
	uid_t uid;
	gid_t gid;
	struct spec_gids groups; /* .v is malloc'ed and the caller's */
};

/* Where .notify is mounted, and what the program's NOTIFY_SOCKET is. */
#define SPEC_NOTIFY_DIR "/run/notify"
#define SPEC_NOTIFY_SOCKET SPEC_NOTIFY_DIR "/notify.sock"

/* The part of spec_edit_apply for .net, on a parsed document: spec_edit_net.c. */
struct json;
int spec_edit_network(struct arena *a, struct json *root, const struct spec_edit_net *n,
		      struct err *e);

/*
 * Looks USER[:GROUP], names or numbers, up in /etc/passwd and /etc/group of the root that root_fd
 * (O_PATH is enough) is: the files are opened so that no link leads out of it. A number needs no
 * entry; without GROUP the group is that of the entry, or 0, and the supplementary groups are those
 * that have the user as a member. -EINVAL, or -errno of the files, naming the user.
 */
int spec_edit_user(const char *user, int root_fd, struct spec_edit_user *out, struct err *e);

/*
 * The configuration of an OS clone named id: a shell as the process, own proc, sys, dev, run, tmp,
 * docker-like default capabilities and masked paths, a seccomp allow-list, new namespaces of all
 * kinds but user. malloc'ed.
 */
int spec_clone_text(const char *id, char **out, size_t *len, struct err *e);

#endif
