/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of a container, runtime-spec 1.3 (config.json), as typed data. Const after
 * spec_load. All strings and arrays live in the spec's arena; nothing is freed one by one.
 *
 * Conventions: an absent string is NULL, an absent list has n == 0, an absent object is a NULL
 * pointer, an absent number is an opt_* with set == false. Names that have a vocabulary are already
 * turned into the value that the kernel uses (names.h); what has none is kept as the string.
 */
#ifndef CTR_OCI_SPEC_H
#define CTR_OCI_SPEC_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* clang-format off */
struct opt_i64 { bool set; int64_t v; };
struct opt_u64 { bool set; uint64_t v; };
struct opt_bool { bool set; bool v; };

struct spec_strings { char **v; size_t n; };        /* v[n] == NULL when n > 0 */
struct spec_pair { char *key, *value; };
struct spec_map { struct spec_pair *v; size_t n; }; /* in the order of the file */
struct spec_gids { gid_t *v; size_t n; };
/* clang-format on */

struct spec_idmap {
	uint32_t container, host, size;
};
struct spec_idmaps {
	struct spec_idmap *v;
	size_t n;
};

struct spec_root {
	char *path;
	bool readonly;
};

/* ---- process ---- */

struct spec_user {
	uid_t uid;
	gid_t gid;
	struct opt_u64 umask;
	struct spec_gids additional_gids;
	char *username; /* Windows; accepted and without effect, as the specification says */
};

struct spec_rlimit {
	int type; /* RLIMIT_* of <sys/resource.h> */
	uint64_t soft, hard;
};

struct spec_rlimits {
	struct spec_rlimit *v;
	size_t n;
};

/*
 * Capability sets as bit masks (bit CAP_x set: capability x); `set` tells an empty list from none.
 */
struct spec_capabilities {
	struct opt_u64 bounding, effective, inheritable, permitted, ambient;
};

struct spec_scheduler {
	int policy; /* SCHED_* */
	struct opt_i64 nice, priority;
	uint64_t flags; /* SCHED_FLAG_* */
	struct opt_u64 runtime, deadline, period;
};

struct spec_io_priority {
	int class; /* IOPRIO_CLASS_*: 1 real-time, 2 best effort, 3 idle */
	int priority;
};

struct spec_cpu_affinity {
	char *initial, *final; /* cpu lists, "0-3,7" */
};

struct spec_console_size {
	uint64_t height, width;
};

struct spec_process {
	bool terminal;
	struct spec_console_size *console_size;
	struct spec_user user;
	struct spec_strings args;
	char *command_line; /* Windows; accepted and without effect, as the specification says */
	struct spec_strings env;
	char *cwd;
	struct spec_capabilities *capabilities;
	struct spec_rlimits rlimits;
	bool no_new_privileges;
	char *apparmor_profile;
	char *selinux_label;
	struct opt_i64 oom_score_adj;
	struct spec_scheduler *scheduler;
	struct spec_io_priority *io_priority;
	struct spec_cpu_affinity *exec_cpu_affinity;
};

/* ---- mounts ---- */

struct spec_mount {
	char *destination;
	char *type;   /* may be NULL */
	char *source; /* may be NULL */
	struct spec_strings options;
	struct spec_idmaps uid_mappings, gid_mappings;
};

struct spec_mounts {
	struct spec_mount *v;
	size_t n;
};

/* ---- hooks ---- */

struct spec_hook {
	char *path; /* absolute */
	struct spec_strings args, env;
	struct opt_i64 timeout; /* seconds, > 0 */
};

struct spec_hook_list {
	struct spec_hook *v;
	size_t n;
};

enum hook_kind {
	HOOK_PRESTART,
	HOOK_CREATE_RUNTIME,
	HOOK_CREATE_CONTAINER,
	HOOK_START_CONTAINER,
	HOOK_POSTSTART,
	HOOK_POSTSTOP,
	HOOK_KINDS,
};

struct spec_hooks {
	struct spec_hook_list kind[HOOK_KINDS];
	/* Not of the configuration, borrowed: */
	char *dir; /* where its user wants them to run (the bundle), or NULL */
	/* where their output is copied to (run.oci.hooks.stdout, .stderr); 0: nowhere */
	int out_fd, err_fd;
};

/* ---- linux ---- */

enum ns_kind {
	NS_MOUNT,
	NS_PID,
	NS_NETWORK,
	NS_UTS,
	NS_IPC,
	NS_USER,
	NS_CGROUP,
	NS_TIME,
	NS_KINDS,
};

struct spec_namespace {
	bool wanted; /* listed in linux.namespaces */
	char *path;  /* join this one; NULL: a new one */
};

struct spec_time_offset {
	bool set;
	int64_t secs;
	uint32_t nanosecs;
};

struct spec_device {
	char *path;
	char type; /* 'b', 'c', 'u' (as 'c'), 'p' */
	int64_t major, minor;
	struct opt_u64 file_mode; /* permission bits */
	struct opt_u64 uid, gid;
};

struct spec_devices {
	struct spec_device *v;
	size_t n;
};

struct spec_device_rule {
	bool allow;
	char type;                   /* 'a', 'b', 'c' */
	struct opt_i64 major, minor; /* absent: any */
	char *access;                /* of "rwm"; NULL: all */
};

struct spec_device_rules {
	struct spec_device_rule *v;
	size_t n;
};

struct spec_weight_device {
	int64_t major, minor;
	struct opt_u64 weight, leaf_weight;
};
struct spec_weight_devices {
	struct spec_weight_device *v;
	size_t n;
};
struct spec_throttle_device {
	int64_t major, minor;
	uint64_t rate;
};
struct spec_throttle_devices {
	struct spec_throttle_device *v;
	size_t n;
};

struct spec_block_io {
	struct opt_u64 weight, leaf_weight;
	struct spec_weight_devices weight_device;
	struct spec_throttle_devices throttle_read_bps, throttle_write_bps;
	struct spec_throttle_devices throttle_read_iops, throttle_write_iops;
};

struct spec_memory {
	struct opt_i64 limit, reservation, swap, kernel, kernel_tcp; /* bytes; -1 unlimited */
	struct opt_u64 swappiness;
	struct opt_bool disable_oom_killer, use_hierarchy, check_before_update;
};

struct spec_cpu {
	struct opt_u64 shares, period, burst, realtime_period;
	struct opt_i64 quota, realtime_runtime, idle;
	char *cpus, *mems;
};

struct spec_hugepage_limit {
	char *page_size;
	uint64_t limit;
};
struct spec_hugepage_limits {
	struct spec_hugepage_limit *v;
	size_t n;
};

struct spec_net_priority {
	char *name;
	uint32_t priority;
};
struct spec_net_priorities {
	struct spec_net_priority *v;
	size_t n;
};

struct spec_network {
	struct opt_u64 class_id;
	struct spec_net_priorities priorities;
};

struct spec_rdma {
	char *device;
	struct opt_u64 handles, objects;
};
struct spec_rdmas {
	struct spec_rdma *v;
	size_t n;
};

struct spec_resources {
	struct spec_device_rules devices;
	struct spec_memory *memory;
	struct spec_cpu *cpu;
	struct opt_i64 pids_limit;
	struct spec_block_io *block_io;
	struct spec_hugepage_limits hugepage_limits;
	struct spec_network *network;
	struct spec_rdmas rdma;
	struct spec_map unified;
};

/* seccomp. Actions and operators are the neutral values of names.h, architectures stay names. */
struct spec_syscall_arg {
	uint32_t index;
	uint64_t value, value_two;
	uint32_t op; /* enum seccomp_op of names.h */
};

struct spec_syscall_args {
	struct spec_syscall_arg *v;
	size_t n;
};

struct spec_syscall {
	struct spec_strings names;
	uint32_t action; /* enum seccomp_action of names.h */
	struct opt_u64 errno_ret;
	struct spec_syscall_args args;
};

struct spec_syscalls {
	struct spec_syscall *v;
	size_t n;
};

struct spec_seccomp {
	uint32_t default_action;
	struct opt_u64 default_errno_ret;
	struct opt_u64 flags;              /* SECCOMP_FILTER_FLAG_*; not set: seccomp_flags_for */
	struct spec_strings architectures; /* SCMP_ARCH_* names, checked against names.h */
	char *listener_path, *listener_metadata;
	struct spec_syscalls syscalls;
};

struct spec_intel_rdt {
	char *clos_id, *l3_cache_schema, *mem_bw_schema;
	struct spec_strings schemata;
	bool enable_monitoring;
};

struct spec_personality {
	uint64_t domain; /* PER_LINUX or PER_LINUX32 */
	struct spec_strings flags;
};

struct spec_memory_policy {
	int mode; /* MPOL_* */
	char *nodes;
	uint64_t flags; /* MPOL_F_* */
};

struct spec_net_device {
	char *host_name, *name;
};
struct spec_net_devices {
	struct spec_net_device *v;
	size_t n;
};

struct spec_linux {
	struct spec_namespace ns[NS_KINDS];
	struct spec_idmaps uid_mappings, gid_mappings;
	struct spec_time_offset monotonic, boottime;
	struct spec_devices devices;
	struct spec_net_devices net_devices;
	char *cgroups_path;
	struct spec_resources *resources;
	struct spec_intel_rdt *intel_rdt;
	struct spec_memory_policy *memory_policy;
	struct spec_map sysctl;
	struct spec_seccomp *seccomp;
	/* MS_SHARED, ..., with MS_REC when the name says so; 0: not given */
	uint64_t rootfs_propagation;
	struct spec_strings masked_paths, readonly_paths;
	char *mount_label;
	struct spec_personality *personality;
};

/* ---- vm ---- */

struct spec_iomem {
	struct opt_u64 first_gfn;
	uint64_t first_mfn, nr_mfns;
};
struct spec_iomems {
	struct spec_iomem *v;
	size_t n;
};
struct spec_irqs {
	uint32_t *v;
	size_t n;
};

struct spec_vm {
	char *hypervisor_path;
	struct spec_strings hypervisor_parameters;
	char *kernel_path;
	struct spec_strings kernel_parameters;
	char *initrd;
	char *image_path, *image_format;
	struct opt_u64 vcpus, memory; /* memory in bytes */
	char *device_tree;
	struct spec_strings dtdevs;
	struct spec_iomems iomems;
	struct spec_irqs irqs;
};

/* ---- the whole ---- */

struct spec {
	struct arena arena;
	char *oci_version;
	struct spec_root *root;
	char *hostname, *domainname;
	struct spec_process *process; /* may be NULL: create works, start does not */
	struct spec_mounts mounts;
	struct spec_hooks hooks;
	struct spec_map annotations;
	struct spec_linux linux_; /* all-zero when the file has no "linux" object */
	bool has_linux;
	struct spec_vm *vm;
	bool own_kernel; /* not of the file: said by who reads it (spec_parse_own) */
};

/* Limits on what is read: a config.json beyond them is refused. */
#define SPEC_MAX_BYTES ((size_t)16 << 20)

/*
 * Parses and validates text (len bytes; a config.json). On success *out is the spec, freed with
 * spec_free. Every error names the JSON path and the reason. -EINVAL for a bad document, -EFBIG
 * beyond the limits, -ENOMEM. Pure: touches no file.
 */
int spec_parse(const char *text, size_t len, struct spec **out, struct err *e);

/*
 * The same for a container with a kernel of its own, whatever the text says: a micro-VM that was
 * chosen otherwise, or the guest of one. For a configuration that create has accepted, too: it is
 * not asked again whether it would change the host.
 */
int spec_parse_own(const char *text, size_t len, struct spec **out, struct err *e);

/*
 * Reads NAME ("config.json") below the directory fd and parses it, with own_kernel as
 * spec_parse_own. *text (may be NULL) gets the raw bytes, malloc'ed, so that a copy can be kept. A
 * missing file, a directory etc. is -errno, named.
 */
int spec_load(int bundle_fd, const char *name, bool own_kernel, struct spec **out, char **text,
	      size_t *len, struct err *e);

/* Parses a process object alone (`exec --process FILE`). It lives in a spec of its own. */
int spec_parse_process(const char *text, size_t len, struct spec **out, struct err *e);

/* Parses a linux.resources object alone (`update --resources FILE`). out->linux_.resources. */
int spec_parse_resources(const char *text, size_t len, struct spec **out, struct err *e);

void spec_free(struct spec *s); /* NULL is fine */

static inline void cleanup_spec(struct spec **s)
{
	spec_free(*s);
}
#define AUTO_SPEC __attribute__((cleanup(cleanup_spec)))

/* The value of an annotation, or NULL. */
const char *spec_annotation(const struct spec *s, const char *key);

/*
 * The default configuration, as `ctr spec` writes it (rootless: with a user namespace for the
 * caller's ids): a fresh malloc'ed JSON text that spec_parse accepts. Own words, the same meaning
 * as what `runc spec` writes.
 */
int spec_default_text(bool rootless, uid_t uid, gid_t gid, char **out, struct err *e);

#endif
