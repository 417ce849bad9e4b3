/* SPDX-License-Identifier: Apache-2.0 */
/* The options that checkpoint and restore share: rows over a struct criu_opts at offset 0. */
#ifndef CTR_CLI_CRIU_OPTS_H
#define CTR_CLI_CRIU_OPTS_H

#include "cli/cmd.h"

#include "oci/spec.h"

enum criu_cgroups {
	CRIU_CGROUPS_SOFT,
	CRIU_CGROUPS_FULL,
	CRIU_CGROUPS_STRICT,
	CRIU_CGROUPS_IGNORE
};

struct criu_opts {
	const char *image_path, *work_path, *network_lock;
	struct spec_strings empty_ns;
	int manage_cgroups; /* enum criu_cgroups */
	bool tcp_established, tcp_skip_in_flight, tcp_close, link_remap, ext_unix_sk, shell_job;
	bool lazy_pages, file_locks, auto_dedup;
};

extern const struct name_table criu_cgroup_modes;

/*
 * -ENOTSUP with *e set; or what is wrong with the container, when id is not NULL and there is none.
 */
int criu_refuse(const struct ctr_global *g, const char *command, const char *id, struct err *e);

#define CRIU_AT(field) .at = offsetof(struct criu_opts, field)

/* clang-format off */
#define CRIU_OPTS_ROWS \
	{ "image-path", 0, OPT_STRING, CRIU_AT(image_path), "DIR", \
	  "where the images are", .complete = OPT_DIR }, \
	{ "work-path", 'W', OPT_STRING, CRIU_AT(work_path), "DIR", \
	  "where logs and other work files go", .complete = OPT_DIR }, \
	{ "tcp-established", 0, OPT_FLAG, CRIU_AT(tcp_established), \
	  .help = "allow open TCP connections" }, \
	{ "tcp-skip-in-flight", 0, OPT_FLAG, CRIU_AT(tcp_skip_in_flight), \
	  .help = "leave out TCP connections that are being made" }, \
	{ "tcp-close", 0, OPT_FLAG, CRIU_AT(tcp_close), \
	  .help = "restore TCP connections as closed" }, \
	{ "link-remap", 0, OPT_FLAG, CRIU_AT(link_remap), \
	  .help = "allow open files that were removed" }, \
	{ "ext-unix-sk", 0, OPT_FLAG, CRIU_AT(ext_unix_sk), \
	  .help = "allow unix sockets whose other end is outside" }, \
	{ "shell-job", 0, OPT_FLAG, CRIU_AT(shell_job), \
	  .help = "allow a terminal that comes from outside" }, \
	{ "lazy-pages", 0, OPT_FLAG, CRIU_AT(lazy_pages), \
	  .help = "bring the memory later, when it is used" }, \
	{ "file-locks", 0, OPT_FLAG, CRIU_AT(file_locks), .help = "allow file locks" }, \
	{ "manage-cgroups-mode", 0, OPT_CHOICE, CRIU_AT(manage_cgroups), "MODE", \
	  "soft (default), full, strict or ignore", .choices = &criu_cgroup_modes }, \
	{ "empty-ns", 0, OPT_STRINGS, CRIU_AT(empty_ns), "NAMESPACE", \
	  "make the namespace, but leave it empty (may be repeated)" }, \
	{ "network-lock", 0, OPT_STRING, CRIU_AT(network_lock), "METHOD", \
	  "how the network is held meanwhile: iptables, nftables or skip" }, \
	{ "auto-dedup", 0, OPT_FLAG, CRIU_AT(auto_dedup), \
	  .help = "drop images of memory that later ones replace" }
/* clang-format on */

#endif
